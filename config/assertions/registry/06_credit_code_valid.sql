--! title: 统一社会信用代码格式与校验码正确 (GB 32100)
--! title.en: Unified social credit codes: form and check character (GB 32100)
-- Weights are 3 to the power of the place, modulo 31; letters I, O, S, V and Z are not used.
SELECT o.id
  FROM registry.organisation AS o
 WHERE CASE WHEN o.credit_code ~ '^[0-9A-HJ-NPQRTUWXY]{2}[0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}$'
       THEN strpos('0123456789ABCDEFGHJKLMNPQRTUWXY', substr(o.credit_code, 18, 1)) - 1 <> (
              SELECT (31 - sum((strpos('0123456789ABCDEFGHJKLMNPQRTUWXY', substr(o.credit_code, place, 1)) - 1)
                               * (ARRAY[1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28])[place]) % 31) % 31
                FROM generate_series(1, 17) AS place)
       ELSE true END
