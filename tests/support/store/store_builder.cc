#include "tests/support/store/store_builder.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "core/format/landed_frame.h"
#include "core/format/object_names.h"
#include "core/format/run.h"
#include "core/io/journal.h"

namespace stele::test {

namespace {

template <typename T>
T must(Result<T> result) {
  if (!result.ok()) throw std::runtime_error(result.error().to_string());
  if constexpr (!std::is_void_v<T>) return std::move(result).value();
}

constexpr std::size_t kFrame = 64u << 10;
constexpr std::size_t kChunk = 128u << 10;

}  // namespace

SnapshotFile plain_file(std::string path, Bytes bytes, std::uint32_t tablespace) {
  SnapshotFile out;
  out.entry.type = format::FileType::kFile;
  out.entry.path = std::move(path);
  out.entry.mode = 0600;
  out.entry.tablespace = tablespace;
  out.bytes = std::move(bytes);
  return out;
}

SnapshotFile directory_entry(std::string path, std::uint32_t tablespace) {
  SnapshotFile out;
  out.entry.type = format::FileType::kDirectory;
  out.entry.path = std::move(path);
  out.entry.mode = 0700;
  out.entry.tablespace = tablespace;
  return out;
}

StoreBuilder::StoreBuilder(std::string root, std::uint64_t seed, DatabaseName database)
    : random(seed),
      authority_(crypto::SigningKey::generate(crypto::default_suite(), random)),
      agent_(crypto::SigningKey::generate(crypto::default_suite(), random)),
      root_(std::move(root)),
      database_(std::move(database)),
      recipient_(crypto::RecipientKeyPair::generate(crypto::default_suite(), random)),
      chunk_name_key_(crypto::SecretBytes::random(crypto::default_suite().sizes().key, random)),
      join_key_(crypto::SecretBytes::random(crypto::default_suite().sizes().key, random)) {
  std::filesystem::create_directories(root_);
  store_ = must(store::LocalStore::open(fs_, root_, "store builder"));
  enrol();
}

void StoreBuilder::put(const std::string& name, ByteView bytes) { must(store_->put(name, bytes)); }

std::vector<std::string> StoreBuilder::names(const std::string& folder) {
  std::vector<std::string> out;
  for (const auto& info : must(store_->list(format::database_prefix(database_) + folder))) out.push_back(info.name);
  return out;
}

crypto::RecoveryKey StoreBuilder::recovery_key() {
  return {crypto::KeyKind::kDrill, "test", must(crypto::RecipientKeyPair::from_seed(crypto::default_suite(), recipient_.seed().clone())), authority_.verify_key()};
}

void StoreBuilder::enrol() {
  format::Enrolment enrolment;
  enrolment.database = database_;
  enrolment.agent_key = to_bytes(agent_.verify_key().bytes());
  enrolment.first_generation = {1};
  enrolment.serial = 1;
  enrolment.issued = {1'700'000'000'000'000};
  const format::SignedRecord record = must(enrolment.sign(authority_));
  enrolment_ = record.id();
  put(format::enrolment_name(database_, enrolment_), record.bytes);
  recipients_ = {database_, 1, {1'700'000'000'000'000}, {{format::RecipientKind::kDrill, to_bytes(recipient_.public_key().bytes()), "test"}}};
  const format::SignedRecord list = must(recipients_.sign(authority_));
  recipient_list_id_ = list.id();
  put(format::recipients_name(database_, recipient_list_id_), list.bytes);
}

StreamId StoreBuilder::branch(std::uint32_t timeline, std::uint64_t lineage, std::uint64_t segment_size, std::optional<StreamId> parent, Position fork) {
  format::BranchRecord branch;
  branch.database = database_;
  branch.lineage = lineage;
  branch.timeline = timeline;
  branch.nonce = random.draw<BranchNonce>();
  branch.generation = generation_;
  branch.enrolment = enrolment_;
  branch.segment_size = segment_size;
  branch.server_version = 150020;
  branch.created = {1'700'000'000'000'000 + static_cast<std::int64_t>(branches_.size())};
  branch.fork = fork;
  if (parent) {
    const format::BranchRecord& old = branches_.at(*parent);
    branch.parent = *parent;
    branch.history = old.history;
    branch.reason = format::BranchReason::kTimelineSwitch;
    if (old.timeline != timeline) branch.history.push_back({old.timeline, fork});
  }
  const StreamId stream = branch.stream();
  put(format::branch_name(database_, stream), must(branch.sign(agent_)).bytes);
  branches_.emplace(stream, branch);

  Epoch epoch;
  const std::size_t size = crypto::default_suite().sizes().key;
  epoch.secrets = {crypto::SecretBytes::random(size, random), chunk_name_key_.clone(), join_key_.clone()};
  format::EpochRecord base;
  base.database = database_;
  base.stream = stream;
  base.generation = generation_;
  base.enrolment = enrolment_;
  base.recipient_list = recipient_list_id_;
  base.created = branch.created;
  const format::EpochRecord sealed = must(format::seal_epoch(base, recipients_, epoch.secrets, crypto::default_suite(), random));
  const format::SignedRecord record = must(sealed.sign(agent_));
  epoch.id = format::epoch_id(record);
  epoch.record = record.bytes;
  put(format::epoch_name(database_, epoch.id), epoch.record);
  epochs_.emplace(stream, std::move(epoch));
  return stream;
}

ObjectId StoreBuilder::log(const StreamId& stream, Position begin, ByteView bytes, Timestamp min_commit, Timestamp max_commit, Timestamp server_time,
                           std::size_t frames_per_run, bool in_journal) {
  Epoch& epoch = epoch_of(stream);
  const std::uint64_t segment_size = branches_.at(stream).segment_size;
  // Join tags need the segment from its first byte; a test log that begins elsewhere goes without.
  std::unique_ptr<format::JoinTagger>& tagger = taggers_[stream];
  const bool tags = begin.value % segment_size == 0 ? true : tagger && tagger->position() == begin;
  if (tags && (!tagger || tagger->position() != begin)) tagger = std::make_unique<format::JoinTagger>(crypto::default_suite(), join_key_, stream, segment_size, begin);

  format::LogObjectSealer::Options options;
  options.stream = stream;
  options.generation = generation_;
  options.epoch = epoch.id;
  options.start = begin;
  if (tags) options.join_start = tagger->tag();
  auto sealer = must(format::LogObjectSealer::begin(options, epoch.secrets.data, random));
  std::vector<format::Frame> frames;
  while (!bytes.empty()) {
    const ByteView piece = bytes.first(std::min(bytes.size(), kFrame));
    bytes = bytes.subspan(piece.size());
    if (tags) tagger->update(piece);
    // All commits are claimed by every frame: honest enough for what tests ask.
    frames.push_back(must(sealer.seal_log(piece, tags ? tagger->tag() : JoinTag{}, {min_commit, max_commit, server_time})));
  }
  if (frames.empty()) frames.push_back(must(sealer.seal_as_of(tags ? tagger->tag() : JoinTag{}, server_time)));
  const ObjectId object = sealer.object();

  const std::size_t per_run = frames_per_run == 0 ? frames.size() : frames_per_run;
  for (std::size_t first = 0; first < frames.size(); first += per_run) {
    const std::size_t last = std::min(first + per_run, frames.size()) - 1;
    std::vector<format::Frame> run(std::make_move_iterator(frames.begin() + static_cast<std::ptrdiff_t>(first)),
                                   std::make_move_iterator(frames.begin() + static_cast<std::ptrdiff_t>(last) + 1));
    format::sign_batch(run.back(), agent_);
    if (in_journal && last + 1 == frames.size()) {
      auto journal = must(io::Journal::open(fs_, random, {store::journal_directory(root_), 64u << 20, 1u << 30, "store builder"}, {}));
      for (const format::Frame& frame : run) {
        const Bytes head = format::encode_landed_head(server_time, database_), body = frame.encode();
        const ByteView pieces[] = {head, body};
        const io::RecordPieces record(pieces);
        must(journal->append({&record, 1}));
      }
      continue;
    }
    const format::RunName name{stream, {run.front().header().start, run.back().header().end}, object, run.front().header().number, run.back().header().number};
    put(format::run_name(database_, name), must(format::encode_run(run, epoch.record, server_time)));
  }
  return object;
}

SnapshotId StoreBuilder::snapshot(SnapshotSpec spec) {
  Epoch& epoch = epoch_of(spec.stream);
  format::ChunkNamer namer(crypto::default_suite(), chunk_name_key_);
  std::vector<ChunkName> names;
  std::optional<format::PackSealer> pack;
  auto finish_pack = [&] {
    if (!pack) return;
    const ObjectId id = pack->pack();
    const Bytes bytes = must(pack->finish(agent_));
    if (spec.put_packs) put(format::pack_name(database_, id), bytes);
    pack.reset();
  };
  auto add = [&](ByteView chunk) {
    const ChunkName name = namer.name(chunk);
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      if (pack && pack->stored_bytes() > (1u << 20)) finish_pack();
      if (!pack) {
        format::PackSealer::Options options;
        options.stream = spec.stream;
        options.generation = generation_;
        options.epoch = epoch.id;
        options.epoch_record = epoch.record;
        pack.emplace(must(format::PackSealer::begin(options, epoch.secrets.data, random)));
      }
      must(pack->add(name, chunk));
    }
    names.push_back(name);
  };
  Bytes table;
  std::uint64_t raw = 0;
  for (SnapshotFile& file : spec.files) {
    file.entry.size = file.bytes.size();
    file.entry.chunks = 0;
    for (std::size_t at = 0; at < file.bytes.size(); at += kChunk, ++file.entry.chunks) {
      add(ByteView(file.bytes).subspan(at, std::min(kChunk, file.bytes.size() - at)));
    }
    raw += file.entry.size;
    format::encode_file_entry(file.entry, table);
  }
  const std::size_t table_first = names.size();
  for (std::size_t at = 0; at < table.size(); at += kChunk) add(ByteView(table).subspan(at, std::min(kChunk, table.size() - at)));
  finish_pack();

  format::ManifestReference reference;
  for (std::size_t at = 0; at < names.size(); at += 1000) {
    const format::ChunkList list{{names.begin() + static_cast<std::ptrdiff_t>(at), names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), at + 1000))}};
    const Bytes bytes = list.encode();
    const Digest digest = crypto::hash(crypto::default_suite(), bytes);
    put(format::list_name(database_, digest), bytes);
    reference.lists.push_back(digest);
  }
  reference.database = database_;
  reference.stream = spec.stream;
  reference.generation = generation_;
  reference.epoch = epoch.id;
  reference.snapshot = random.draw<SnapshotId>();
  reference.previous = last_manifest_;
  reference.start = spec.start;
  reference.stop = spec.stop;
  reference.started = reference.finished = spec.finished;
  reference.raw_bytes = raw;
  reference.chunk_count = names.size();
  reference.damaged_pages = spec.damaged_pages;
  format::ManifestSealed sealed;
  sealed.system_identifier = spec.system_identifier;
  sealed.server_version = spec.server_version;
  sealed.timeline = branches_.at(spec.stream).timeline;
  sealed.start = spec.start;
  sealed.stop = spec.stop;
  sealed.chunk_count = names.size();
  sealed.file_table_first = table_first;
  sealed.file_table_bytes = table.size();
  sealed.file_count = spec.files.size();
  sealed.lists_digest = format::digest_of_lists(reference.lists);
  sealed.backup_label = spec.backup_label;
  sealed.tablespaces = spec.tablespaces;
  sealed.texts = spec.texts;
  const format::SignedRecord record = must(format::make_manifest(reference, sealed, epoch.secrets.data, agent_, random));
  last_manifest_ = record.id();
  put(format::manifest_name(database_, spec.finished, reference.snapshot), record.bytes);
  return reference.snapshot;
}

void StoreBuilder::fact(const StreamId& stream, format::FactKind kind, Position begin, Position end, std::uint64_t value) {
  format::Fact fact;
  fact.database = database_;
  fact.stream = stream;
  fact.kind = kind;
  fact.serial = ++facts_;
  fact.time = {1'700'000'000'000'000};
  fact.begin = begin;
  fact.end = end;
  fact.value = value;
  const format::SignedRecord record = must(fact.sign(agent_));
  put(format::fact_name(database_, record.id()), record.bytes);
}

void StoreBuilder::withdraw(const StreamId& stream, Position not_after) {
  const format::Withdrawal withdrawal{database_, enrolment_, stream, not_after, {1'700'000'100'000'000}};
  const format::SignedRecord record = must(withdrawal.sign(authority_));
  put(format::withdrawal_name(database_, record.id()), record.bytes);
}

std::string StoreBuilder::write_config(const std::string& directory, const std::string& bin_directory) {
  std::filesystem::create_directories(directory);
  const std::string key = directory + "/drill.key", config = directory + "/restore.toml";
  const crypto::SecretBytes file = must(crypto::encode_drill_key_unprotected(recovery_key()));
  std::ofstream(key) << as_text(file.view());
  ::chmod(key.c_str(), 0600);
  std::ofstream out(config);
  out << "work_directory = \"" << directory << "/work\"\n[store]\ndirectory = \"" << root_ << "\"\n[keys]\nrecovery_keys = [\"" << key << "\"]\n";
  if (!bin_directory.empty()) out << "[postgres]\nbin_directory = \"" << bin_directory << "\"\n";
  return config;
}

}  // namespace stele::test
