--! title: 会员必填信息齐全(姓名、性别、证件、电话、户籍、入会日期)
--! title.en: Members have what is required: name, sex, number, phone, household, date of joining
SELECT m.id
  FROM registry.member AS m
 WHERE coalesce(btrim(m.name), '') = '' OR m.sex IS NULL OR m.sex NOT IN ('男', '女')
    OR coalesce(btrim(m.identity_number), '') = '' OR m.birth_date IS NULL
    OR coalesce(m.phone, '') !~ '^1[0-9]{10}$'
    OR m.household_type IS NULL OR m.household_type NOT IN ('本地城镇', '本地农村', '外地城镇', '外地农村')
    OR m.organisation IS NULL OR m.joined_on IS NULL
