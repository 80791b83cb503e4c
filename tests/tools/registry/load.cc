#include "tests/tools/registry/load.h"

#include <fmt/format.h>

#include "tests/tools/registry/schema.h"

namespace stele::registry {
namespace {

constexpr std::size_t kBatch = 1 << 16;  // bytes handed to libpq at once

template <typename Row>
Status copy_rows(pq::Session& session, std::string_view sql, std::int64_t rows,
                 const std::function<Row(std::int64_t)>& row, const std::function<void(std::int64_t)>& progress) {
  STELE_CHECK(session.copy_begin(sql));
  std::string batch;
  for (std::int64_t id = 1; id <= rows; ++id) {
    batch += copy_line(row(id));
    if (batch.size() >= kBatch || id == rows) {
      STELE_CHECK(session.copy_lines(batch));
      batch.clear();
      progress(id);
    }
  }
  return session.copy_end();
}

}  // namespace

std::string copy_line(const Organisation& o) {
  return fmt::format("{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", o.id, o.name, o.credit_code, o.economic_type,
                     o.address, o.headcount, o.union_name, o.union_founded, o.union_type, o.union_leader, o.union_phone,
                     o.parent == 0 ? "\\N" : std::to_string(o.parent));
}

std::string copy_line(const Member& m) {
  // Joined at the age of twenty.
  return fmt::format("{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}-{}\t\\N\n", m.id, m.name, m.sex, m.identity_number,
                     m.birth_date, m.phone, m.household_type, m.organisation, std::stoi(m.birth_date.substr(0, 4)) + 20,
                     m.birth_date.substr(5, 2) + "-01");
}

Status load(pq::Session& session, const Generator& generator,
            const std::function<void(std::int64_t, std::int64_t)>& progress, bool checks) {
  const std::int64_t total = generator.organisations() + generator.members();
  STELE_TRY(auto began, session.query("BEGIN"));
  STELE_TRY(auto made, session.query(schema_sql()));
  STELE_CHECK(copy_rows<Organisation>(
      session,
      "COPY registry.organisation (id, name, credit_code, economic_type, address, headcount, union_name, "
      "union_founded, union_type, union_leader, "
      "union_phone, parent) FROM STDIN",
      generator.organisations(), [&](std::int64_t id) { return generator.organisation(id); },
      [&](std::int64_t done) { progress(done, total); }));
  STELE_CHECK(copy_rows<Member>(
      session,
      "COPY registry.member (id, name, sex, identity_number, birth_date, phone, household_type, organisation, "
      "joined_on, retired_on) FROM STDIN",
      generator.members(), [&](std::int64_t id) { return generator.member(id); },
      [&](std::int64_t done) { progress(generator.organisations() + done, total); }));
  STELE_TRY(auto keyed, session.query(keys_sql()));
  if (checks) {
    STELE_TRY([[maybe_unused]] auto checked, session.query(checks_sql()));
  }
  STELE_TRY(auto committed, session.query("COMMIT"));
  (void)began, (void)made, (void)keyed, (void)committed;
  return {};
}

}  // namespace stele::registry
