#pragma once

#include "restore/apply/beneath.h"
#include "restore/fetch/log_reader.h"
#include "restore/wal/wal_plan.h"

namespace stele::restore {

/// Checks that bytes covered twice are the same, whichever object they come from; keeps the last objects' bytes.
Status compare_overlap(const DecodedObject& a, const DecodedObject& b, std::string_view what);

/// Decodes a plan's log into WAL files. The directory must not exist. Durable on success; `plan` is written last. On many threads.
/// `reserved` are timeline numbers that must look taken (wal/README.md). `follow`: a standby will ask for what comes behind the plan's end
/// (wal_follow.h). kDamaged, kForged where the log is not what the plan says.
Status stage_wal(const StoreCatalog& catalog, LogReader& reader, const recovery::Plan& plan, const std::vector<std::uint32_t>& reserved,
                 const std::string& directory, std::size_t workers, const std::function<void(std::uint64_t)>& progress, bool follow = false);

/// Decodes pieces of the log into the segment files of `by_number`, which are made where they are missing. On many threads; not synced.
Status write_log_pieces(LogReader& reader, const std::vector<recovery::LogPiece>& pieces, const std::map<std::uint64_t, std::string>& by_number, std::uint64_t segment_size,
                        const BeneathDirectory& root, std::size_t workers, const std::function<void(std::uint64_t)>& progress);

/// The same without writing: every object of the plan's log, and every other object of the same streams that overlaps it, is authenticated
/// and decoded, and bytes that two objects hold must be equal. Gives the number of objects.
Result<std::size_t> verify_log(const StoreCatalog& catalog, LogReader& reader, const recovery::Plan& plan, std::size_t workers,
                               const std::function<void(std::uint64_t)>& progress);

/// The history files of every timeline of the lineage, ancestors of the plan's history first where numbers collide.
std::map<std::string, std::string> history_files(const recovery::Facts& facts, const recovery::Plan& plan, const std::vector<std::uint32_t>& reserved);
/// Those up to a timeline, for a standby, which goes to the highest number that it finds by counting up: only this history's. A number between
/// them that nobody wrote gets a file without a switch point, or the counting would end there.
std::map<std::string, std::string> history_files_up_to(std::uint32_t timeline, const std::vector<recovery::SwitchPoint>& history);

}  // namespace stele::restore
