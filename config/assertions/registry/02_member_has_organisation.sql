--! title: 每名会员都属于一个存在的工会组织
--! title.en: Every member belongs to an organisation that exists
-- Counted by the rows themselves: a foreign key that was dropped, or an index that lies, does not help.
SELECT m.id
  FROM registry.member AS m
 WHERE NOT EXISTS (SELECT 1 FROM registry.organisation AS o WHERE o.id = m.organisation)
