--! title: 居民身份证号码无重复
--! title.en: No identity number twice
-- The added empty text keeps the unique index out of it.
SELECT 1 FROM registry.member AS m GROUP BY m.identity_number || '' HAVING count(*) > 1
