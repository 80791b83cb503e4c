#include "core/pg/wal_record.h"

namespace stele::pg {

std::string_view to_string(Rmgr rmgr) {
  static constexpr std::array<std::string_view, 22> kNames = {
      "XLOG", "Transaction", "Storage", "CLOG", "Database", "Tablespace", "MultiXact", "RelMap", "Standby", "Heap2", "Heap",
      "Btree", "Hash", "Gin", "Gist", "Sequence", "SPGist", "BRIN", "CommitTs", "ReplicationOrigin", "Generic", "LogicalMessage"};
  auto number = static_cast<std::size_t>(rmgr);
  return number < kNames.size() ? kNames[number] : "custom";
}

}  // namespace stele::pg
