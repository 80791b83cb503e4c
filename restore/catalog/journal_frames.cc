#include "restore/catalog/journal_frames.h"

#include <fmt/format.h>

#include <set>

#include "core/format/landed_frame.h"

namespace stele::restore {

namespace {

Status each_record(io::FileSystem& fs, const std::string& directory, const std::function<Status(ByteView)>& on_record,
                   const std::function<void(Error)>& on_problem) {
  io::JournalVisitor visitor;
  visitor.on_record = [&](io::RecordId, ByteView payload) { return on_record(payload); };
  visitor.on_damage = [&](const io::JournalDamage& damage) -> Status {
    on_problem(damage.error());
    return {};
  };
  auto summary = io::read_journal(fs, directory, visitor);
  if (!summary.ok() && summary.error().code != ErrorCode::kNotFound) return summary.error();
  return {};
}

}  // namespace

Result<std::vector<DatabaseName>> databases_in_journal(io::FileSystem& fs, const std::string& directory) {
  std::set<DatabaseName> names;
  STELE_CHECK(each_record(
      fs, directory,
      [&](ByteView payload) -> Status {
        auto landed = format::parse_landed_frame(payload);
        if (landed.ok()) names.insert(landed->database);
        return {};
      },
      [](const Error&) {}));
  return std::vector<DatabaseName>(names.begin(), names.end());
}

Result<JournalContent> read_journal_frames(io::FileSystem& fs, const std::string& directory, const DatabaseName& database) {
  JournalContent out;
  const std::string place = directory;
  STELE_CHECK(each_record(
      fs, directory,
      [&](ByteView payload) -> Status {
        auto landed = format::parse_landed_frame(payload);
        if (!landed.ok()) {
          out.problems.push_back({place, landed.error()});
          return {};
        }
        if (landed->database != database) return {};
        auto frame = format::parse_frame(landed->frame);
        if (!frame.ok()) {
          out.problems.push_back({place, frame.error()});
          return {};
        }
        JournalObject& object = out.objects[frame->header().object];
        object.received = std::max(object.received, landed->received);
        const std::uint32_t number = frame->header().number;
        const Digest head = frame->head();
        auto [at, added] = object.frames.try_emplace(number, std::move(*frame));
        if (!added && at->second.head() != head) {
          out.problems.push_back({place, Error{ErrorCode::kDamaged, fmt::format("two different frames {} of object {}", number, at->second.header().object.short_hex()), ""}});
        }
        return {};
      },
      [&](Error error) { out.problems.push_back({place, std::move(error)}); }));
  return out;
}

}  // namespace stele::restore
