#include "restore/catalog/drills.h"

#include "core/format/object_names.h"

namespace stele::restore {

std::vector<StoredDrill> read_drills(store::ObjectReader& objects, const DatabaseName& database, std::vector<Problem>& problems) {
  constexpr std::size_t kNewest = 64;
  const std::string prefix = format::database_prefix(database) + "drill/";
  std::vector<StoredDrill> out;
  auto names = objects.list(prefix);
  if (!names.ok()) {
    problems.push_back({prefix, names.error()});
    return out;
  }
  // Names begin with the time: the newest are the last.
  for (std::size_t i = names->size() > kNewest ? names->size() - kNewest : 0; i < names->size(); ++i) {
    const std::string& name = (*names)[i].name;
    auto read = [&]() -> Status {
      STELE_TRY(const Bytes bytes, objects.read_all(name, format::kMaxDrillRecordBytes));
      STELE_TRY(const format::SignedRecord record, format::parse_record(bytes, format::RecordKind::kDrill));
      STELE_CHECK(format::verify_own_signature(record));
      STELE_TRY(format::DrillRecord drill, format::DrillRecord::read(record));
      if (drill.database != database || format::drill_name(database, drill.finished, record.id()) != name) {
        return Error{ErrorCode::kForged, "a drill record that is not what its name says", ""};
      }
      out.push_back({std::move(drill), record.signer});
      return {};
    };
    if (Status done = read(); !done.ok()) problems.push_back({name, done.error()});
  }
  return out;
}

}  // namespace stele::restore
