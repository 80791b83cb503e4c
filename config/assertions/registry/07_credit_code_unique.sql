--! title: 统一社会信用代码无重复
--! title.en: No credit code twice
SELECT 1 FROM registry.organisation AS o GROUP BY o.credit_code || '' HAVING count(*) > 1
