#include "receiver/session/context.h"

namespace stele::receiver {

std::uint64_t WriterRegistry::next_id() {
  std::lock_guard lock(mutex_);
  return next_++;
}

void WriterRegistry::enter(const DatabaseName& database, std::uint64_t session, Close close) {
  Close older;
  {
    std::lock_guard lock(mutex_);
    auto& writer = writers_[database];
    if (writer.first == session) return;
    older = std::move(writer.second);
    writer = {session, std::move(close)};
  }
  if (older) older(Error{ErrorCode::kSuperseded, database.to_string() + ": a newer session writes this database", ""});
}

void WriterRegistry::leave(const DatabaseName& database, std::uint64_t session) {
  std::lock_guard lock(mutex_);
  auto it = writers_.find(database);
  if (it != writers_.end() && it->second.first == session) writers_.erase(it);
}

bool WriterRegistry::connected(const DatabaseName& database) const {
  std::lock_guard lock(mutex_);
  return writers_.contains(database);
}

}  // namespace stele::receiver
