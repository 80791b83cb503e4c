--! title: 每个工会组织都在从顶级组织出发的树中(无孤立、无环)
--! title.en: Every organisation hangs on the tree below a top one (no orphan, no cycle)
-- UNION keeps each organisation once; members of a cycle are never reached from a top.
WITH RECURSIVE tree (id) AS (
  SELECT o.id FROM registry.organisation AS o WHERE o.parent IS NULL
  UNION
  SELECT o.id FROM registry.organisation AS o JOIN tree AS t ON o.parent = t.id
)
SELECT o.id FROM registry.organisation AS o WHERE NOT EXISTS (SELECT 1 FROM tree AS t WHERE t.id = o.id)
