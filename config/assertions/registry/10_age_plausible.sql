--! title: 会员年龄合理(入会时 16 至 100 周岁,退休晚于入会)
--! title.en: Ages are plausible: 16 to 100 when joining, retired after joining
-- joined_on may be known only by its month: a month's grace.
SELECT m.id
  FROM registry.member AS m
 WHERE m.birth_date < DATE '1900-01-01' OR m.birth_date > current_date
    OR age(m.joined_on + 31, m.birth_date) < INTERVAL '16 years'
    OR age(m.joined_on, m.birth_date) > INTERVAL '100 years'
    OR m.retired_on < m.joined_on
