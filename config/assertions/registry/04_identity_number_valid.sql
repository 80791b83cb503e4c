--! title: 居民身份证号码格式、出生日期、性别与校验码正确 (GB 11643)
--! title.en: Identity numbers: form, birth date, sex and check character (GB 11643)
-- Written out, not the database's own function: that one is restored from the same source.
SELECT m.id
  FROM registry.member AS m
 WHERE CASE WHEN m.identity_number ~ '^[1-9][0-9]{5}(18|19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])[0-9]{3}[0-9X]$'
       THEN substr(m.identity_number, 7, 8) <> to_char(m.birth_date, 'YYYYMMDD')
         OR m.sex <> CASE substr(m.identity_number, 17, 1)::integer % 2 WHEN 1 THEN '男' ELSE '女' END
         OR substr(m.identity_number, 18, 1) <> substr('10X98765432', 1 + (
              7 * substr(m.identity_number, 1, 1)::integer + 9 * substr(m.identity_number, 2, 1)::integer
            + 10 * substr(m.identity_number, 3, 1)::integer + 5 * substr(m.identity_number, 4, 1)::integer
            + 8 * substr(m.identity_number, 5, 1)::integer + 4 * substr(m.identity_number, 6, 1)::integer
            + 2 * substr(m.identity_number, 7, 1)::integer + 1 * substr(m.identity_number, 8, 1)::integer
            + 6 * substr(m.identity_number, 9, 1)::integer + 3 * substr(m.identity_number, 10, 1)::integer
            + 7 * substr(m.identity_number, 11, 1)::integer + 9 * substr(m.identity_number, 12, 1)::integer
            + 10 * substr(m.identity_number, 13, 1)::integer + 5 * substr(m.identity_number, 14, 1)::integer
            + 8 * substr(m.identity_number, 15, 1)::integer + 4 * substr(m.identity_number, 16, 1)::integer
            + 2 * substr(m.identity_number, 17, 1)::integer) % 11, 1)
       ELSE true END
