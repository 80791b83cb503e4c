#include "restore/fetch/decoding_log_index.h"

#include <fmt/format.h>

#include "core/pg/wal_decoder.h"

namespace stele::restore {

using recovery::LogPiece;
using recovery::RecordPlace;

namespace {

Position page_begin(Position p) { return {p.value / pg::kWalPageSize * pg::kWalPageSize}; }

std::optional<RecordPlace> place_of(const pg::WalRecord& record) {
  if (const auto* end = std::get_if<pg::TransactionEnd>(&record.notable)) return RecordPlace{record.start, record.end, end->time};
  if (const auto* point = std::get_if<pg::RestorePoint>(&record.notable)) return RecordPlace{record.start, record.end, point->time};
  return RecordPlace{record.start, record.end, {}};
}

}  // namespace

Status DecodingLogIndex::scan(const std::vector<LogPiece>& pieces, Position from, Position to, const std::function<bool(const pg::WalRecord&)>& on_record) {
  if (pieces.empty()) return {};
  const format::BranchRecord* branch = catalog_.branch(pieces.back().stream);
  if (branch == nullptr) return Error{ErrorCode::kInternal, "log of an unknown branch", ""};
  const Position start = std::max(page_begin(from), pieces.front().range.begin);
  pg::WalDecoderOptions options;
  options.segment_size = static_cast<std::uint32_t>(branch->segment_size);
  options.major = static_cast<int>(branch->server_version / 10000);
  bool stopped = false;
  pg::WalDecoder decoder(options, start, [&](const pg::WalRecord& record) {
    if (!stopped && record.start >= from) stopped = record.end > to || on_record(record);
  });
  for (const LogPiece& piece : pieces) {
    if (piece.range.end <= start) continue;
    if (piece.range.begin >= to || stopped) break;
    STELE_TRY(auto object, reader_.decode_cached(piece));
    const Position begin = std::max(piece.range.begin, start), end = std::min(piece.range.end, to);
    if (begin < object->begin || end > object->end()) return Error{ErrorCode::kDamaged, fmt::format("object {} ends before its frames said", piece.object.short_hex()), ""};
    Status fed = decoder.feed(ByteView(object->bytes).subspan(begin - object->begin, end - begin));
    if (!stopped && !fed.ok()) return fed.error().in(fmt::format("read the log of object {}", piece.object.short_hex()));
  }
  return {};
}

Result<std::optional<RecordPlace>> DecodingLogIndex::first_end_after(const std::vector<LogPiece>& pieces, Position from, Timestamp time, bool exclusive) {
  auto later = [&](Timestamp t) { return exclusive ? t >= time : t > time; };
  // The first run in whose frames such a record ends; its beginning may lie in the run before.
  std::optional<PositionRange> candidate;
  for (const LogPiece& piece : pieces) {
    for (std::size_t i : piece.runs) {
      const recovery::RunFact& run = catalog_.facts().runs[i];
      if (run.range.end <= std::max(from, piece.range.begin) || run.max_commit.is_none() || !later(run.max_commit)) continue;
      candidate = run.range;
      break;
    }
    if (candidate) break;
  }
  std::optional<RecordPlace> found;
  if (!candidate) return found;
  auto look = [&](Position begin, Position to) {
    return scan(pieces, begin, to, [&](const pg::WalRecord& record) {
      const auto* end = std::get_if<pg::TransactionEnd>(&record.notable);
      if (end == nullptr || !later(end->time)) return false;
      found = place_of(record);
      return true;
    });
  };
  constexpr std::uint64_t kLookBack = 1 << 20;
  const Position near{candidate->begin.value > kLookBack ? candidate->begin.value - kLookBack : 0};
  STELE_CHECK(look(std::max(from, page_begin(near)), candidate->end));
  // A very long record, or a run that only overlaps: the slow and sure way.
  if (!found) STELE_CHECK(look(from, recovery::kEndOfTime));
  return found;
}

Result<std::optional<RecordPlace>> DecodingLogIndex::end_of_transaction(const std::vector<LogPiece>& pieces, Position from, std::uint32_t xid) {
  std::optional<RecordPlace> found;
  STELE_CHECK(scan(pieces, from, recovery::kEndOfTime, [&](const pg::WalRecord& record) {
    const auto* end = std::get_if<pg::TransactionEnd>(&record.notable);
    if (end == nullptr || end->xid != xid) return false;
    found = place_of(record);
    return true;
  }));
  return found;
}

Result<std::optional<RecordPlace>> DecodingLogIndex::restore_point(const std::vector<LogPiece>& pieces, Position from, const std::string& name) {
  std::optional<RecordPlace> found;
  STELE_CHECK(scan(pieces, from, recovery::kEndOfTime, [&](const pg::WalRecord& record) {
    const auto* point = std::get_if<pg::RestorePoint>(&record.notable);
    if (point == nullptr || point->name != name) return false;
    found = place_of(record);
    return true;
  }));
  return found;
}

Result<std::optional<RecordPlace>> DecodingLogIndex::record_from(const std::vector<LogPiece>& pieces, Position from) {
  std::optional<RecordPlace> found;
  STELE_CHECK(scan(pieces, from, recovery::kEndOfTime, [&](const pg::WalRecord& record) {
    found = place_of(record);
    return true;
  }));
  return found;
}

Result<std::optional<RecordPlace>> DecodingLogIndex::last_record(const std::vector<LogPiece>& pieces, Position from) {
  std::optional<RecordPlace> found;
  if (pieces.empty()) return found;
  const Position end = pieces.back().range.end;
  for (std::uint64_t back = 1 << 20;; back *= 16) {
    const Position begin = end - Position{0} > back ? std::max(from, page_begin({end.value - back})) : from;
    STELE_CHECK(scan(pieces, begin, recovery::kEndOfTime, [&](const pg::WalRecord& record) {
      found = place_of(record);
      return false;
    }));
    if (found || begin <= from) return found;
  }
}

}  // namespace stele::restore
