#pragma once

#include <map>
#include <optional>

#include "core/recovery/facts.h"

namespace stele::recovery {

/// The runs of one object that can be decoded: from frame 0 on without a hole (the compression context needs all of them).
struct ObjectLog {
  StreamId stream;
  ObjectId object;
  PositionRange range;
  JoinTag join_start, join_end;
  std::vector<std::size_t> runs;  ///< indexes into Facts::runs, in frame order; neighbours may overlap
};

/// All objects of one stream that can be decoded, by position.
struct StreamLog {
  std::vector<ObjectLog> objects;         ///< by range.begin, then by longer range
  std::vector<std::size_t> undecodable;   ///< runs behind a hole in their object
};

/// The log of every stream of a database. Facts must outlive it and stay unchanged.
class LogMap {
 public:
  explicit LogMap(const Facts& facts);
  const Facts& facts() const { return *facts_; }
  const StreamLog& stream(const StreamId& id) const;
  /// The source's clock when it was at `end`, from the runs of the stream that end there, else the latest before; none: 0.
  Timestamp as_of(const StreamId& id, Position end) const;
  /// The largest position of the stream that any decodable object reaches.
  Position end_of(const StreamId& id) const;

 private:
  const Facts* facts_;
  std::map<StreamId, StreamLog> streams_;
};

/// A stretch of a path: this stream's log counts in `range`.
struct PathPart {
  StreamId stream;
  std::uint32_t timeline = 0;
  PositionRange range;  ///< the last part ends at kEndOfTime
};
inline constexpr Position kEndOfTime{~std::uint64_t{0}};

/// A history: the parent's log up to the fork, then the child's. Oldest part first; parts meet without holes.
struct BranchPath {
  std::vector<PathPart> parts;
  const StreamId& head() const { return parts.back().stream; }
  /// The part that holds `p`; null before the path begins.
  const PathPart* part_at(Position p) const;
  /// The part of this stream; null where the history does not go through it.
  const PathPart* part_of(const StreamId& stream) const;
};

/// The path that ends in `head`. kNotFound without such a branch; kDamaged where parents form a circle.
Result<BranchPath> path_to(const Facts& facts, const StreamId& head);

/// Log to read: bytes of `range` from this object.
struct LogPiece {
  StreamId stream;
  std::uint32_t timeline = 0;
  ObjectId object;
  Position object_begin;          ///< where the object's first frame begins
  PositionRange range;            ///< the bytes that count; empty: only an as-of at the cover's end
  std::vector<std::size_t> runs;  ///< indexes into Facts::runs that hold them and what they need before
};

/// Two objects of one stream that meet with different join tags: two histories under one name.
struct JoinMismatch {
  StreamId stream;
  Position position;
  ObjectId before, after;
};

/// What covers a path from a position on without a hole.
struct Cover {
  std::vector<LogPiece> pieces;
  Position end;                         ///< first position that is not covered; the start where nothing is
  std::vector<JoinMismatch> mismatches; ///< objects that were passed over
  std::optional<Position> resumes;      ///< where the path's log goes on behind the hole, if it does
};

/// Covers [from, to) of the path with as few objects as possible, as-ofs at its end included; ends at the first hole.
Cover cover_path(const LogMap& log, const BranchPath& path, Position from, Position to);

/// The source's clock at the end of the cover, by the runs of its pieces alone: who reads these has seen the frames that say so. None: 0.
Timestamp as_of(const Facts& facts, const Cover& cover);

/// A hole in a stream's own log between its first and last byte.
struct Gap {
  StreamId stream;
  PositionRange range;
  Timestamp before, after;  ///< the source's clock at its two sides; none: 0
  std::string reason;
};
std::vector<Gap> gaps_of(const LogMap& log, const StreamId& stream);

}  // namespace stele::recovery
