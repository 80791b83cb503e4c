#include "tests/tools/registry/schema.h"

namespace stele::registry {

std::string_view schema_sql() {
  return R"sql(
CREATE SCHEMA registry;

CREATE FUNCTION registry.identity_number_is_valid(n text) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT n ~ '^[0-9]{17}[0-9X]$' AND substr(n, 18, 1) = substr('10X98765432', 1 + (
    7 * substr(n, 1, 1)::int + 9 * substr(n, 2, 1)::int + 10 * substr(n, 3, 1)::int + 5 * substr(n, 4, 1)::int + 8 * substr(n, 5, 1)::int
    + 4 * substr(n, 6, 1)::int + 2 * substr(n, 7, 1)::int + 1 * substr(n, 8, 1)::int + 6 * substr(n, 9, 1)::int + 3 * substr(n, 10, 1)::int
    + 7 * substr(n, 11, 1)::int + 9 * substr(n, 12, 1)::int + 10 * substr(n, 13, 1)::int + 5 * substr(n, 14, 1)::int
    + 8 * substr(n, 15, 1)::int + 4 * substr(n, 16, 1)::int + 2 * substr(n, 17, 1)::int) % 11, 1) $$;

CREATE FUNCTION registry.credit_code_is_valid(c text) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
  SELECT c ~ '^[0-9A-HJ-NPQRTUWXY]{18}$' AND strpos('0123456789ABCDEFGHJKLMNPQRTUWXY', substr(c, 18, 1)) - 1 = (
    SELECT (31 - sum((strpos('0123456789ABCDEFGHJKLMNPQRTUWXY', substr(c, i, 1)) - 1)
      * (ARRAY[1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28])[i]) % 31) % 31 FROM generate_series(1, 17) i) $$;

CREATE TABLE registry.organisation (
  id bigint NOT NULL, name text NOT NULL, credit_code text NOT NULL, economic_type text NOT NULL, address text NOT NULL,
  headcount integer NOT NULL, union_name text NOT NULL, union_founded date NOT NULL, union_type text NOT NULL,
  union_leader text NOT NULL, union_phone text NOT NULL, parent bigint);
COMMENT ON TABLE registry.organisation IS '工会组织';

CREATE TABLE registry.member (
  id bigint NOT NULL, name text NOT NULL, sex text NOT NULL, identity_number text NOT NULL, birth_date date NOT NULL,
  phone text NOT NULL, household_type text NOT NULL, organisation bigint NOT NULL, joined_on date NOT NULL, retired_on date);
COMMENT ON TABLE registry.member IS '工会会员';

CREATE TABLE registry.movement (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, member bigint NOT NULL, kind text NOT NULL CHECK (kind IN ('入会', '转会', '退休')),
  from_organisation bigint, to_organisation bigint, moved_at timestamptz NOT NULL DEFAULT now());

CREATE TABLE registry.commit_ledger (
  run text NOT NULL, client integer NOT NULL, sequence bigint NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (run, client, sequence));
)sql";
}

std::string_view keys_sql() {
  return R"sql(
ALTER TABLE registry.organisation ADD PRIMARY KEY (id), ADD CONSTRAINT organisation_credit_code_key UNIQUE (credit_code);
ALTER TABLE registry.organisation ADD CONSTRAINT organisation_parent_fkey FOREIGN KEY (parent) REFERENCES registry.organisation;
CREATE SEQUENCE registry.member_id OWNED BY registry.member.id;
SELECT setval('registry.member_id', (SELECT coalesce(max(id), 1) FROM registry.member));
ALTER TABLE registry.member ALTER id SET DEFAULT nextval('registry.member_id'), ALTER joined_on SET DEFAULT current_date,
  ADD PRIMARY KEY (id), ADD CONSTRAINT member_identity_number_key UNIQUE (identity_number);
ALTER TABLE registry.member ADD CONSTRAINT member_organisation_fkey FOREIGN KEY (organisation) REFERENCES registry.organisation;
CREATE INDEX member_organisation_index ON registry.member (organisation);
CREATE INDEX member_name_index ON registry.member (name);
ANALYZE registry.organisation;
ANALYZE registry.member;
)sql";
}

std::string_view checks_sql() {
  return R"sql(
ALTER TABLE registry.organisation
  ADD CONSTRAINT credit_code_check CHECK (registry.credit_code_is_valid(credit_code)),
  ADD CONSTRAINT headcount_check CHECK (headcount > 0);
ALTER TABLE registry.member
  ADD CONSTRAINT identity_number_check CHECK (registry.identity_number_is_valid(identity_number)),
  ADD CONSTRAINT sex_check CHECK (sex = CASE substr(identity_number, 17, 1)::int % 2 WHEN 1 THEN '男' ELSE '女' END),
  ADD CONSTRAINT birth_date_check CHECK (birth_date = make_date(substr(identity_number, 7, 4)::int, substr(identity_number, 11, 2)::int, substr(identity_number, 13, 2)::int)),
  ADD CONSTRAINT phone_check CHECK (phone ~ '^1[0-9]{10}$'),
  ADD CONSTRAINT household_type_check CHECK (household_type IN ('本地城镇', '本地农村', '外地城镇', '外地农村'));
)sql";
}

}  // namespace stele::registry
