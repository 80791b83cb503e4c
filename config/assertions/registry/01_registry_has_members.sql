--! title: 登记库中有工会组织和会员
--! title.en: The registry holds organisations and members
--! expect: 2
-- An empty table would keep every rule below.
SELECT (EXISTS (SELECT 1 FROM registry.organisation))::integer + (EXISTS (SELECT 1 FROM registry.member))::integer
