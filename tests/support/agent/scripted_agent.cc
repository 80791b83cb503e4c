#include "tests/support/agent/scripted_agent.h"

#include <stdexcept>

#include "core/crypto/hash.h"
#include "core/crypto/init.h"

namespace stele::test {

namespace {
crypto::SigningKey make_key(SeededRandom& random) {
  must(crypto::init());
  return crypto::SigningKey::generate(crypto::default_suite(), random);
}
}  // namespace

ScriptedAgent::ScriptedAgent(DatabaseName name, std::uint64_t seed)
    : database(std::move(name)), random(seed), authority(make_key(random)), key(make_key(random)),
      recovery(crypto::RecipientKeyPair::generate(crypto::default_suite(), random)) {
  format::Enrolment e;
  e.database = database;
  e.agent_key = to_bytes(key.verify_key().bytes());
  e.first_generation = {1};
  e.serial = 1;
  e.issued = clock;
  const format::SignedRecord record = must(e.sign(authority));
  enrolment = record.bytes;
  enrolment_id = record.id();
  recipients = recipient_list(1, 0);
  secrets_.chunk_name = crypto::SecretBytes::random(32, random);
  secrets_.join = crypto::SecretBytes::random(32, random);
  begin_branch();
}

Bytes ScriptedAgent::recipient_list(std::uint64_t serial, std::size_t keys) {
  format::RecipientList list;
  list.database = database;
  list.serial = serial;
  list.issued = clock;
  list.recipients.push_back({format::RecipientKind::kRecovery, to_bytes(recovery.public_key().bytes()), "safe"});
  for (std::size_t i = 0; i < keys; ++i) {
    auto other = crypto::RecipientKeyPair::generate(crypto::default_suite(), random);
    list.recipients.push_back({format::RecipientKind::kRecovery, to_bytes(other.public_key().bytes()), "more"});
  }
  if (!list_) list_ = list;
  return must(list.sign(authority)).bytes;
}

void ScriptedAgent::begin_branch(Position start) {
  format::BranchRecord b;
  b.database = database;
  b.lineage = 7'000'000'000'000'000'001;
  b.timeline = 1;
  b.nonce = random.draw<BranchNonce>();
  b.generation = generation;
  b.enrolment = enrolment_id;
  b.segment_size = 16 << 20;
  b.server_version = 150020;
  b.fork = start;
  b.created = clock;
  stream = b.stream();
  branch = must(b.sign(key)).bytes;
  log_begin_ = position_ = start;
  log_.clear();
  begin_epoch();
}

void ScriptedAgent::begin_epoch() {
  object_.reset();
  secrets_.data = crypto::SecretBytes::random(32, random);
  format::EpochRecord base;
  base.database = database;
  base.stream = stream;
  base.generation = generation;
  base.enrolment = enrolment_id;
  base.recipient_list = must(list_->sign(authority)).id();
  base.created = clock;
  auto record = must(must(format::seal_epoch(base, *list_, secrets_, crypto::default_suite(), random)).sign(key));
  epoch = record.bytes;
  epoch_id = format::epoch_id(record);
}

JoinTag ScriptedAgent::tag_at(Position position) const {
  Bytes text;
  ByteWriter w(text);
  w.raw(stream.view());
  w.u64(position.value);
  w.u32(history_);
  return JoinTag{crypto::hash(crypto::default_suite(), text).data};
}

void ScriptedAgent::begin_object() {
  format::LogObjectSealer::Options options;
  options.stream = stream;
  options.generation = generation;
  options.epoch = epoch_id;
  options.start = position_;
  options.join_start = tag_at(position_);
  object_.emplace(must(format::LogObjectSealer::begin(options, secrets_.data, random)));
}

format::Frame ScriptedAgent::log_frame(std::size_t raw_bytes, bool is_signed) {
  if (!object_) begin_object();
  const Bytes raw = random.bytes(raw_bytes);
  const std::size_t at = position_ - log_begin_;
  if (log_.size() < at + raw.size()) log_.resize(at + raw.size());
  std::copy(raw.begin(), raw.end(), log_.begin() + static_cast<std::ptrdiff_t>(at));
  position_ = position_ + raw.size();
  clock = clock + std::chrono::milliseconds(10);
  format::Frame frame = must(object_->seal_log(raw, tag_at(position_), {clock, clock, clock}));
  if (is_signed) format::sign_batch(frame, key);
  return frame;
}

format::Frame ScriptedAgent::as_of_frame(bool is_signed) {
  if (!object_) begin_object();
  clock = clock + std::chrono::seconds(10);
  format::Frame frame = must(object_->seal_as_of(tag_at(position_), clock));
  if (is_signed) format::sign_batch(frame, key);
  return frame;
}

format::Frame ScriptedAgent::index_frame() {
  if (!object_) begin_object();
  format::Frame frame = must(object_->seal_index({}, tag_at(position_), clock));
  format::sign_batch(frame, key);
  object_.reset();
  return frame;
}

void ScriptedAgent::skip(std::uint64_t bytes) {
  object_.reset();
  position_ = position_ + bytes;
  log_.resize(position_ - log_begin_);
}

ScriptedAgent::Pack ScriptedAgent::pack(std::size_t chunks, std::size_t chunk_bytes) {
  format::PackSealer::Options options;
  options.stream = stream;
  options.generation = generation;
  options.epoch = epoch_id;
  options.epoch_record = epoch;
  auto sealer = must(format::PackSealer::begin(options, secrets_.data, random));
  format::ChunkNamer namer(crypto::default_suite(), secrets_.chunk_name);
  Pack out;
  for (std::size_t i = 0; i < chunks; ++i) {
    const Bytes raw = random.bytes(chunk_bytes);
    out.names.push_back(namer.name(raw));
    must(sealer.add(out.names.back(), raw));
  }
  out.bytes = must(sealer.finish(key));
  return out;
}

Bytes ScriptedAgent::list(const std::vector<ChunkName>& names) {
  format::ChunkList list;
  list.names = names;
  return list.encode();
}

Bytes ScriptedAgent::manifest(const std::vector<Digest>& lists, std::uint64_t names, PositionRange range) {
  format::ManifestReference reference;
  reference.database = database;
  reference.stream = stream;
  reference.generation = generation;
  reference.epoch = epoch_id;
  reference.snapshot = random.draw<SnapshotId>();
  reference.start = range.begin;
  reference.stop = range.end;
  reference.started = clock;
  clock = clock + std::chrono::seconds(1);
  reference.finished = clock;
  reference.chunk_count = names;
  reference.lists = lists;
  return must(format::make_manifest(reference, {}, secrets_.data, key, random)).bytes;
}

Bytes ScriptedAgent::fact(format::FactKind kind, std::string note) {
  format::Fact fact;
  fact.database = database;
  fact.stream = stream;
  fact.kind = kind;
  fact.serial = ++fact_serial_;
  fact.time = clock;
  fact.begin = fact.end = position_;
  fact.note = std::move(note);
  return must(fact.sign(key)).bytes;
}

Bytes ScriptedAgent::status(std::map<std::string, double> fields, std::map<std::string, std::string> labels) {
  format::StatusMessage status;
  status.database = database;
  status.stream = stream;
  status.generation = generation;
  status.time = clock;
  status.fields = std::move(fields);
  status.labels = std::move(labels);
  return must(status.sign(key)).bytes;
}

Bytes ScriptedAgent::withdrawal(const StreamId& in, Position not_after) {
  format::Withdrawal w;
  w.database = database;
  w.enrolment = enrolment_id;
  w.stream = in;
  w.not_after = not_after;
  w.issued = clock;
  return must(w.sign(authority)).bytes;
}

}  // namespace stele::test
