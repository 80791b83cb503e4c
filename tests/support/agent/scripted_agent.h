#pragma once

#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/format/branch.h"
#include "core/format/chunk_seal.h"
#include "core/format/epoch.h"
#include "core/format/fact.h"
#include "core/format/log_object.h"
#include "core/format/manifest.h"
#include "core/format/status.h"
#include "core/format/trust_records.h"
#include "tests/support/seeded_random.h"

namespace stele::test {

template <typename T>
T must(Result<T> result) {
  if (!result.ok()) throw std::runtime_error(result.error().to_string());
  return std::move(result).value();
}
inline void must(Status status) {
  if (!status.ok()) throw std::runtime_error(status.error().to_string());
}

/// What an agent sends, without PostgreSQL and without a network: keys, records, sealed frames of random bytes, packs, manifests. Knows
/// everything it made, so that a test can compare. A failure throws: it is the test's own.
class ScriptedAgent {
 public:
  explicit ScriptedAgent(DatabaseName database = {"440000", "registry"}, std::uint64_t seed = 1);

  const DatabaseName database;
  SeededRandom random;
  crypto::SigningKey authority;
  crypto::SigningKey key;
  crypto::RecipientKeyPair recovery;

  Bytes enrolment, recipients;  ///< records, ready to be put
  Digest enrolment_id;
  Generation generation{1};

  /// A new branch at `start`; ends the current object.
  void begin_branch(Position start = Position{0x1000000});
  /// A new epoch of the branch; ends the current object.
  void begin_epoch();
  Bytes branch, epoch;
  StreamId stream;
  EpochId epoch_id;

  /// The next frame has number 0 of a new object.
  void begin_object();
  format::Frame log_frame(std::size_t raw_bytes, bool is_signed = true);
  format::Frame as_of_frame(bool is_signed = true);
  /// Ends the object; signed.
  format::Frame index_frame();
  /// Moves on without sending: a gap.
  void skip(std::uint64_t bytes);
  /// From now on the log before a position has other bytes: a fork.
  void rewrite_history() { ++history_; }
  void seek(Position position) { position_ = position; object_.reset(); }
  Position position() const { return position_; }
  Timestamp clock{1'700'000'000'000'000};

  /// All log bytes ever made for the stream from its begin; gaps are zeros.
  const Bytes& log() const { return log_; }
  Position log_begin() const { return log_begin_; }
  const crypto::SecretBytes& data_key() const { return secrets_.data; }

  struct Pack {
    Bytes bytes;
    std::vector<ChunkName> names;
  };
  Pack pack(std::size_t chunks, std::size_t chunk_bytes = 8192);
  static Bytes list(const std::vector<ChunkName>& names);
  /// `names`: of all lists together.
  Bytes manifest(const std::vector<Digest>& lists, std::uint64_t names, PositionRange range);
  Bytes fact(format::FactKind kind, std::string note);
  Bytes status(std::map<std::string, double> fields, std::map<std::string, std::string> labels = {});
  Bytes withdrawal(const StreamId& stream, Position not_after);
  Bytes recipient_list(std::uint64_t serial, std::size_t keys);

 private:
  JoinTag tag_at(Position position) const;
  format::EpochSecrets secrets_;
  std::optional<format::RecipientList> list_;
  std::optional<format::LogObjectSealer> object_;
  Position position_;
  std::uint32_t history_ = 0;
  Bytes log_;
  Position log_begin_;
  std::uint64_t fact_serial_ = 0;
};

}  // namespace stele::test
