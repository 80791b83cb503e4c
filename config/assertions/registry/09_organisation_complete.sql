--! title: 工会组织必填信息齐全(单位、代码、类型、地址、人数、工会名称与负责人)
--! title.en: Organisations have what is required: employer, code, type, address, headcount, union and its leader
SELECT o.id
  FROM registry.organisation AS o
 WHERE coalesce(btrim(o.name), '') = '' OR coalesce(btrim(o.credit_code), '') = ''
    OR coalesce(btrim(o.economic_type), '') = '' OR coalesce(btrim(o.address), '') = ''
    OR o.headcount IS NULL OR o.headcount <= 0
    OR coalesce(btrim(o.union_name), '') = '' OR o.union_founded IS NULL OR coalesce(btrim(o.union_type), '') = ''
    OR coalesce(btrim(o.union_leader), '') = '' OR coalesce(btrim(o.union_phone), '') = ''
