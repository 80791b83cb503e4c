#include <fmt/format.h>

#include "restore/postgres/recovery_setup.h"

namespace stele::restore {

RecoveryTarget RecoveryTarget::time(Timestamp t) {
  // "2026-11-23T15:33:45.123456Z" to PostgreSQL's form with its own zone.
  std::string text = to_iso8601(t);
  text[10] = ' ';
  text.replace(text.size() - 1, 1, "+00");
  return {Kind::kTime, std::move(text)};
}

RecoveryTarget RecoveryTarget::lsn(Position p) {
  return {Kind::kLsn, p.to_string()};
}
RecoveryTarget RecoveryTarget::xid(pg::TransactionId id) {
  return {Kind::kXid, std::to_string(id)};
}
RecoveryTarget RecoveryTarget::name(std::string restore_point) {
  return {Kind::kName, std::move(restore_point)};
}
RecoveryTarget RecoveryTarget::immediate() {
  return {Kind::kImmediate, ""};
}

}  // namespace stele::restore
