#include "tests/support/format/samples.h"

#include "core/format/drill_record.h"
#include "core/format/landed_frame.h"
#include "core/format/resealed.h"
#include "tests/support/seeded_random.h"

namespace stele::test {

using namespace format;

namespace {

crypto::SigningKey signing(const crypto::Suite& suite, std::uint64_t seed) {
  SeededRandom random(seed);
  return crypto::SigningKey::generate(suite, random);
}
crypto::RecipientKeyPair recipient(const crypto::Suite& suite, std::uint64_t seed) {
  SeededRandom random(seed);
  return crypto::RecipientKeyPair::generate(suite, random);
}
EpochSecrets make_secrets(const crypto::Suite& suite, std::uint64_t seed) {
  SeededRandom random(seed);
  auto draw = [&] { return crypto::SecretBytes::random(suite.sizes().key, random); };
  return {draw(), draw(), draw()};
}

const DatabaseName kDatabase{"440000", "registry"};
constexpr Position kStart{0x3000000};
constexpr Timestamp kTime{1'790'000'000'000'000};

template <typename T>
T must(Result<T> result) {
  if (!result.ok()) {
    std::fprintf(stderr, "sample: %s\n", result.error().to_string().c_str());
    std::abort();
  }
  return std::move(result).value();
}

/// Bytes that compress somewhat.
Bytes some_log(std::size_t size, std::uint64_t seed) {
  SeededRandom random(seed);
  Bytes out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = i % 3 == 0 ? static_cast<std::uint8_t>(random.below(256)) : static_cast<std::uint8_t>(i >> 6);
  return out;
}

std::vector<Frame> make_frames(const FormatKeys& keys, const StreamId& stream, const EpochId& epoch, RandomSource& random) {
  JoinTagger tagger(keys.suite, keys.secrets.join, stream, 16 << 20, kStart);
  LogObjectSealer::Options options;
  options.suite = &keys.suite;
  options.stream = stream;
  options.generation = {3};
  options.epoch = epoch;
  options.start = kStart;
  options.join_start = tagger.tag();
  auto sealer = must(LogObjectSealer::begin(options, keys.secrets.data, random));
  std::vector<Frame> out;
  IndexBlock index;
  for (std::uint64_t i = 0; i < 2; ++i) {
    const Bytes raw = some_log(900 + 400 * i, i);
    tagger.update(raw);
    out.push_back(must(sealer.seal_log(raw, tagger.tag(), {kTime + Duration(10 * i), kTime + Duration(10 * i + 5), kTime + Duration(10 * i + 6)})));
    const FrameHeader& h = out.back().header();
    index.frames.push_back({h.number, {h.start, h.end}, h.min_commit, h.max_commit, 740, 745, 5, 1, 17});
  }
  sign_batch(out.back(), keys.agent);
  index.restore_points.push_back({sealer.end(), kTime + Duration(15), "before the merger"});
  out.push_back(must(sealer.seal_as_of(tagger.tag(), kTime + Duration(30))));
  out.push_back(must(sealer.seal_index(index, tagger.tag(), kTime + Duration(30))));
  sign_batch(out.back(), keys.agent);
  return out;
}

std::string at(Timestamp t) { return to_iso8601(t); }
std::string show(const FrameHeader& h) {
  return fmt::format("frame suite={} engine={} kind={} reset={} last={} stream={} generation={} epoch={} object={} number={} start={} end={} "
                     "commits={}..{} server={} join={} join_start={} previous={}\n",
                     static_cast<int>(h.suite), static_cast<int>(h.engine), static_cast<int>(h.kind), h.context_reset, h.last, h.stream.hex(),
                     h.generation.value, h.epoch.hex(), h.object.hex(), h.number, h.start.to_string(), h.end.to_string(), at(h.min_commit),
                     at(h.max_commit), at(h.server_time), h.join.hex(), h.join_start ? h.join_start->hex() : "none", h.previous.hex());
}
std::string show(const IndexBlock& index) {
  std::string out;
  for (const FrameFacts& f : index.frames) {
    out += fmt::format("facts frame={} {}..{} commits {}..{} xids {}..{} commits={} aborts={} blocks={}\n", f.frame, f.range.begin.to_string(),
                       f.range.end.to_string(), at(f.min_commit), at(f.max_commit), f.min_xid, f.max_xid, f.commits, f.aborts, f.block_references);
  }
  for (const RestorePointFact& p : index.restore_points) out += fmt::format("restore point {} at {} {}\n", p.name, p.end.to_string(), at(p.time));
  return out;
}
std::string show(const DatabaseName& d) { return "database=" + d.to_string() + "\n"; }
std::string show(const Recipient& r) { return fmt::format("recipient kind={} key={} label={}\n", static_cast<int>(r.kind), to_hex(r.public_key), r.label); }

struct Frames {
  const FormatKeys& keys;
  std::optional<LogObjectOpener> opener;
  std::string text;
  Bytes log;
  Status add(const Frame& frame) {
    text += show(frame.header());
    text += fmt::format("signature={}\n", to_hex(frame.signature()));
    if (!opener) {
      STELE_TRY(LogObjectOpener begun, LogObjectOpener::begin(frame.header(), keys.secrets.data));
      opener.emplace(std::move(begun));
    }
    if (frame.header().kind == FrameKind::kIndex) {
      STELE_TRY(const IndexBlock index, opener->open_index(frame));
      text += show(index);
      return {};
    }
    return opener->open_log(frame, log);
  }
  std::string finish() { return text + "log=" + to_hex(crypto::sha256(log).view()) + "\n"; }
};

Result<std::string> read_frames(ByteView bytes, const FormatKeys& keys) {
  Frames frames{keys, {}, {}, {}};
  FrameChain chain;
  bool is_signed = false;
  while (!bytes.empty()) {
    std::size_t used = 0;
    STELE_TRY(const Frame frame, parse_frame(bytes, used));
    bytes = bytes.subspan(used);
    STELE_CHECK(chain.accept(frame));
    is_signed = !frame.signature().empty();
    if (is_signed) STELE_CHECK(chain.verify(frame, keys.agent.verify_key()));
    STELE_CHECK(frames.add(frame));
  }
  if (!is_signed || !chain.finished()) return Error{ErrorCode::kDamaged, "the object is not complete", ""};
  return frames.finish();
}

Result<std::string> read_chunk(ByteView bytes, ChunkOpener& opener, const FormatKeys& keys) {
  STELE_TRY(const ChunkView chunk, parse_chunk(bytes));
  if (chunk.stored.size() != bytes.size()) return Error{ErrorCode::kDamaged, "bytes behind the chunk", ""};
  STELE_TRY(const Bytes raw, opener.open(chunk, keys.secrets.data));
  const ChunkHeader& h = chunk.header;
  return fmt::format("chunk suite={} compressed={} name={} stream={} epoch={} object={} counter={} raw={}\n", static_cast<int>(h.suite), h.compressed,
                     h.name.hex(), h.stream.hex(), h.epoch.hex(), h.object.hex(), h.counter, to_hex(crypto::sha256(raw).view()));
}

Result<std::string> read_file_table(ByteView bytes) {
  std::string out;
  ByteReader r(bytes);
  while (r.remaining() > 0) {
    STELE_TRY(const FileEntry e, read_file_entry(r));
    out += fmt::format("file type={} tablespace={} path={} mode={:o} modified={} size={} chunks={}\n", static_cast<int>(e.type), e.tablespace, e.path,
                       e.mode, at(e.modified), e.size, e.chunks);
  }
  return out;
}

Result<std::string> read_record(const std::string& name, ByteView bytes, const FormatKeys& keys) {
  STELE_TRY(const SignedRecord record, parse_record(bytes));
  const bool by_authority = name == "enrolment" || name == "withdrawal" || name == "recipients" || name == "resealed";
  // A drill record is a restore host's, which is a stranger to everybody else.
  STELE_CHECK(verify_record(record, (by_authority ? keys.authority : name == "drill" ? keys.stranger : keys.agent).verify_key()));
  std::string out = fmt::format("record kind={} suite={} id={}\n", record_kind_name(record.kind), static_cast<int>(record.suite), record.id().hex());
  if (name == "drill") {
    STELE_TRY(const auto x, DrillRecord::read(record));
    out += show(x.database) + fmt::format("drill={} {}..{} outcome={} stream={} snapshot={} target={} reached={} last_commit={} rto={}/{} rpo={}/{} "
                                          "checks={}+{}+{} report={} note={}\n",
                                          x.drill.hex(), at(x.started), at(x.finished), drill_outcome_name(x.outcome), x.stream.hex(), x.snapshot.hex(),
                                          at(x.target), x.reached.to_string(), at(x.last_commit), x.rto, x.rto_target, x.rpo, x.rpo_target, x.passed,
                                          x.failed, x.skipped, x.report.hex(), x.note);
    for (const auto& key : x.keys) out += fmt::format("key {} newest epoch {}\n", key.public_key.hex(), at(key.newest_epoch));
    return out;
  }
  if (name == "enrolment_request") {
    STELE_TRY(const auto x, EnrolmentRequest::read(record));
    return out + show(x.database) + fmt::format("agent={} created={}\n", to_hex(x.agent_key), at(x.created));
  }
  if (name == "enrolment") {
    STELE_TRY(const auto x, Enrolment::read(record));
    return out + show(x.database) +
           fmt::format("agent={} generation={} serial={} head={} issued={}\n", to_hex(x.agent_key), x.first_generation.value, x.serial,
                       x.accepted_head ? x.accepted_head->stream.hex() + " " + x.accepted_head->end.to_string() + " " + x.accepted_head->head.hex() : "none",
                       at(x.issued));
  }
  if (name == "withdrawal") {
    STELE_TRY(const auto x, Withdrawal::read(record));
    return out + show(x.database) +
           fmt::format("enrolment={} stream={} not_after={} issued={}\n", x.enrolment.hex(), x.stream.hex(), x.not_after.to_string(), at(x.issued));
  }
  if (name == "recipients") {
    STELE_TRY(const auto x, RecipientList::read(record));
    out += show(x.database) + fmt::format("serial={} issued={}\n", x.serial, at(x.issued));
    for (const Recipient& r : x.recipients) out += show(r);
    return out;
  }
  if (name == "resealed") {
    STELE_TRY(const auto x, ResealedKeys::read(record));
    out += show(x.database) + fmt::format("epoch={} list={} created={}\n", x.epoch.hex(), x.recipient_list.hex(), at(x.created));
    for (const auto& key : x.keys) out += show(key.recipient) + fmt::format("sealed={}\n", to_hex(key.sealed));
    return out;
  }
  if (name == "branch") {
    STELE_TRY(const auto x, BranchRecord::read(record));
    out += show(x.database) + fmt::format("suite={} engine={} lineage={} timeline={} nonce={} generation={} enrolment={} segment={} version={} reason={} "
                                          "parent={} fork={} created={} stream={}\n",
                                          static_cast<int>(x.suite), static_cast<int>(x.engine), x.lineage, x.timeline, x.nonce.hex(), x.generation.value,
                                          x.enrolment.hex(), x.segment_size, x.server_version, static_cast<int>(x.reason), x.parent.hex(),
                                          x.fork.to_string(), at(x.created), x.stream().hex());
    for (const TimelineSwitch& s : x.history) out += fmt::format("timeline {} to {}\n", s.timeline, s.end.to_string());
    return out;
  }
  if (name == "epoch") {
    STELE_TRY(const auto x, EpochRecord::read(record));
    for (const crypto::RecipientKeyPair* pair : {&keys.recovery, &keys.drill}) {
      STELE_TRY(const EpochSecrets s, open_epoch(x, *pair));
      if (!equal(s.data.view(), keys.secrets.data.view()) || !equal(s.chunk_name.view(), keys.secrets.chunk_name.view()) ||
          !equal(s.join.view(), keys.secrets.join.view())) {
        return Error{ErrorCode::kKeyWrong, "the epoch's secrets differ", ""};
      }
    }
    out += show(x.database) + fmt::format("stream={} generation={} enrolment={} list={} created={} commitment={}\n", x.stream.hex(), x.generation.value,
                                          x.enrolment.hex(), x.recipient_list.hex(), at(x.created), x.commitment.hex());
    for (const auto& k : x.keys) out += show(k.recipient);
    return out;
  }
  if (name == "fact") {
    STELE_TRY(const auto x, Fact::read(record));
    return out + show(x.database) + fmt::format("stream={} kind={} serial={} time={} begin={} end={} related={} value={} note={}\n", x.stream.hex(),
                                                fact_kind_name(x.kind), x.serial, at(x.time), x.begin.to_string(), x.end.to_string(), x.related.hex(),
                                                x.value, x.note);
  }
  if (name == "status") {
    STELE_TRY(const auto x, StatusMessage::read(record));
    out += show(x.database) + fmt::format("stream={} generation={} time={}\n", x.stream.hex(), x.generation.value, at(x.time));
    for (const auto& [k, v] : x.fields) out += fmt::format("field {}={}\n", k, v);
    for (const auto& [k, v] : x.labels) out += fmt::format("label {}={}\n", k, v);
    return out;
  }
  STELE_TRY(const Manifest m, read_manifest(record));
  STELE_TRY(const ManifestSealed s, open_manifest(m, keys.suite, keys.secrets.data));
  const ManifestReference& x = m.reference;
  out += show(x.database) + fmt::format("stream={} generation={} epoch={} object={} snapshot={} previous={} start={} stop={} started={} finished={} raw={} "
                                        "new={} chunks={} damaged={} full={}\n",
                                        x.stream.hex(), x.generation.value, x.epoch.hex(), x.object.hex(), x.snapshot.hex(), x.previous.hex(),
                                        x.start.to_string(), x.stop.to_string(), at(x.started), at(x.finished), x.raw_bytes, x.new_bytes, x.chunk_count,
                                        x.damaged_pages, x.full);
  for (const Digest& list : x.lists) out += "list " + list.hex() + "\n";
  out += fmt::format("sealed lineage={} version={} timeline={} start={} stop={} chunks={} table={}+{} files={} lists={} label={}\n", s.system_identifier,
                     s.server_version, s.timeline, s.start.to_string(), s.stop.to_string(), s.chunk_count, s.file_table_first, s.file_table_bytes,
                     s.file_count, s.lists_digest.hex(), s.backup_label);
  for (const auto& t : s.tablespaces) out += fmt::format("tablespace {} {}\n", t.oid, t.location);
  for (const auto& t : s.texts) out += fmt::format("text {}={}\n", t.name, t.text);
  return out;
}

}  // namespace

FormatKeys::FormatKeys(const crypto::Suite& s, std::uint64_t seed)
    : suite(s), authority(signing(s, seed)), agent(signing(s, seed + 1)), stranger(signing(s, seed + 2)), recovery(recipient(s, seed + 3)),
      drill(recipient(s, seed + 4)), no_recipient(recipient(s, seed + 5)), secrets(make_secrets(s, seed + 6)) {}

std::map<std::string, Bytes> make_samples(const FormatKeys& keys) {
  std::map<std::string, Bytes> out;
  SeededRandom random(99);
  const Bytes agent_key = to_bytes(keys.agent.verify_key().bytes());
  out["enrolment_request"] = must(EnrolmentRequest{kDatabase, agent_key, kTime}.sign(keys.agent)).bytes;
  Enrolment enrolment{kDatabase, agent_key, {3}, 2, Enrolment::Head{random.draw<StreamId>(), kStart, random.draw<Digest>()}, kTime};
  const SignedRecord enrolled = must(enrolment.sign(keys.authority));
  out["enrolment"] = enrolled.bytes;
  out["withdrawal"] = must(Withdrawal{kDatabase, enrolled.id(), random.draw<StreamId>(), kStart + 77, kTime}.sign(keys.authority)).bytes;
  RecipientList list{kDatabase, 4, kTime, {}};
  list.recipients.push_back({RecipientKind::kRecovery, to_bytes(keys.recovery.public_key().bytes()), "440000 safe 1"});
  list.recipients.push_back({RecipientKind::kDrill, to_bytes(keys.drill.public_key().bytes()), "drill host"});
  const SignedRecord recipients = must(list.sign(keys.authority));
  out["recipients"] = recipients.bytes;

  BranchRecord branch;
  branch.suite = keys.suite.id();
  branch.database = kDatabase;
  branch.lineage = 7'300'000'000'000'000'001;
  branch.timeline = 3;
  branch.history = {{1, Position{0x1000000}}, {2, Position{0x2000000}}};
  branch.nonce = random.draw<BranchNonce>();
  branch.generation = {3};
  branch.enrolment = enrolled.id();
  branch.segment_size = 16 << 20;
  branch.server_version = 150020;
  branch.reason = BranchReason::kTimelineSwitch;
  branch.parent = random.draw<StreamId>();
  branch.fork = Position{0x2000000};
  branch.created = kTime;
  out["branch"] = must(branch.sign(keys.agent)).bytes;
  const StreamId stream = branch.stream();

  EpochRecord base;
  base.database = kDatabase;
  base.stream = stream;
  base.generation = {3};
  base.enrolment = enrolled.id();
  base.recipient_list = recipients.id();
  base.created = kTime;
  const SignedRecord epoch = must(must(seal_epoch(base, list, keys.secrets, keys.suite, random)).sign(keys.agent));
  out["epoch"] = epoch.bytes;
  Fact fact{kDatabase, stream, FactKind::kGap, 12, kTime, kStart, kStart + 500, random.draw<StreamId>(), 500, "the slot was lost"};
  out["fact"] = must(fact.sign(keys.agent)).bytes;
  StatusMessage status{kDatabase, stream, {3}, kTime, {{"spool_bytes", 4096}, {"slot_lag_seconds", 0.25}}, {{"version", "0.1.0"}, {"slot", "streaming"}}};
  out["status"] = must(status.sign(keys.agent)).bytes;

  // A generator of its own: it came later, and the others keep their bytes.
  SeededRandom later(10);
  const crypto::RecipientKeyPair third = recipient(keys.suite, 33);
  RecipientList longer{kDatabase, 5, kTime, list.recipients};
  longer.recipients.push_back({RecipientKind::kRecovery, to_bytes(third.public_key().bytes()), "440000 safe 3"});
  ResealedKeys resealed = must(reseal_epoch(epoch_id(epoch), must(EpochRecord::read(epoch)), must(longer.sign(keys.authority)).id(), longer, keys.secrets, later));
  resealed.created = kTime;
  out["resealed"] = must(resealed.sign(keys.authority)).bytes;

  const std::vector<Frame> frames = make_frames(keys, stream, epoch_id(epoch), random);
  for (const Frame& frame : frames) frame.encode_to(out["frames"]);
  out["run"] = must(encode_run(frames, epoch.bytes, kTime + Duration(1'000'000)));
  out["landed"] = encode_landed_head(kTime, kDatabase);
  frames.back().encode_to(out["landed"]);
  IndexBlock index;
  index.frames.push_back({0, {kStart, kStart + 900}, kTime, kTime, 740, 745, 5, 1, 17});
  index.restore_points.push_back({kStart + 900, kTime, "before the merger"});
  out["index_block"] = index.encode();

  Bytes table;
  encode_file_entry({FileType::kDirectory, 0, "base", 0700, kTime, 0, 0}, table);
  encode_file_entry({FileType::kFile, 0, "base/5/16384", 0600, kTime, 3000, 2}, table);
  encode_file_entry({FileType::kSymlink, 16500, "pg_tblspc/16500", 0777, kTime, 0, 0}, table);
  encode_file_entry({FileType::kExtraFile, 0, "etc/postgresql/pg_hba.conf", 0640, kTime, 0, 0}, table);
  out["file_table"] = table;
  ChunkNamer namer(keys.suite, keys.secrets.chunk_name);
  PackSealer::Options options;
  options.suite = &keys.suite;
  options.stream = stream;
  options.generation = {3};
  options.epoch = epoch_id(epoch);
  options.epoch_record = epoch.bytes;
  auto sealer = must(PackSealer::begin(options, keys.secrets.data, random));
  ChunkList chunks;
  for (const Bytes& raw : {some_log(1800, 5), SeededRandom(6).bytes(1200), table}) {
    chunks.names.push_back(namer.name(raw));
    must(Result<bool>([&]() -> Result<bool> {
      STELE_CHECK(sealer.add(chunks.names.back(), raw));
      return true;
    }()));
  }
  out["pack"] = must(sealer.finish(keys.agent));
  const PackHead head = must(parse_pack(out["pack"], &keys.agent.verify_key(), true));
  const PackEntry& second = head.entries[1];
  out["chunk"] = to_bytes(ByteView(out["pack"]).subspan(second.offset, second.size));
  out["list"] = chunks.encode();

  ManifestReference reference;
  reference.database = kDatabase;
  reference.stream = stream;
  reference.generation = {3};
  reference.epoch = epoch_id(epoch);
  reference.snapshot = random.draw<SnapshotId>();
  reference.start = kStart;
  reference.stop = kStart + 1000;
  reference.started = kTime;
  reference.finished = kTime + Duration(5'000'000);
  reference.raw_bytes = 3000;
  reference.new_bytes = out["pack"].size();
  reference.chunk_count = 3;
  reference.full = true;
  reference.lists = {crypto::hash(keys.suite, out["list"])};
  ManifestSealed sealed;
  sealed.system_identifier = branch.lineage;
  sealed.server_version = 150020;
  sealed.timeline = 3;
  sealed.file_table_first = 2;
  sealed.file_table_bytes = table.size();
  sealed.file_count = 4;
  sealed.backup_label = "START WAL LOCATION: 0/3000000 (file 000000030000000000000003)";
  sealed.tablespaces = {{16500, "/srv/fast"}};
  sealed.texts = {{"settings", "max_connections = 200"}, {"collations", "zh_CN.UTF-8 2.36"}};
  out["manifest"] = must(make_manifest(reference, sealed, keys.secrets.data, keys.agent, random)).bytes;

  DrillRecord drill;
  drill.database = kDatabase;
  random.fill(drill.drill.view());
  drill.started = kTime;
  drill.finished = kTime + Duration(90'000'000);
  drill.outcome = DrillOutcomeKind::kFailed;
  drill.stream = stream;
  drill.snapshot = reference.snapshot;
  drill.target = kTime + -Duration(3'600'000'000);
  drill.reached = kStart + 900;
  drill.last_commit = kTime + -Duration(3'600'000'500);
  drill.rto = 84'500'000;
  drill.rpo = 2'000'000;
  drill.rto_target = 14'400'000'000;
  drill.rpo_target = 900'000'000;
  drill.passed = 12;
  drill.failed = 1;
  drill.keys.push_back({crypto::hash(keys.suite, keys.drill.public_key().bytes()), kTime});
  drill.report = random.draw<Digest>();
  drill.note = "assertion:02_member_has_organisation.sql: 3 rows violate it";
  out["drill"] = must(drill.sign(keys.stranger)).bytes;
  return out;
}

Result<std::string> read_sample(const std::string& name, ByteView bytes, const FormatKeys& keys) {
  ChunkOpener opener(keys.suite, keys.secrets.chunk_name);
  if (name == "frames") return read_frames(bytes, keys);
  if (name == "run") {
    STELE_TRY(const RunHead head, parse_run_head(bytes));
    Frames frames{keys, {}, {}, {}};
    STELE_CHECK(read_run(bytes, &keys.agent.verify_key(), [&](Frame frame) { return frames.add(frame); }));
    return fmt::format("run object={} frames {}..{} {}..{} received={} epoch record={}\n", head.object.hex(), head.first, head.last,
                       head.range.begin.to_string(), head.range.end.to_string(), at(head.received), to_hex(crypto::sha256(head.epoch_record).view())) +
           frames.finish();
  }
  if (name == "landed") {
    STELE_TRY(const LandedFrame landed, parse_landed_frame(bytes));
    STELE_TRY(const Frame frame, parse_frame(landed.frame));
    return fmt::format("received={} {}", at(landed.received), show(landed.database)) + show(frame.header()) +
           "signature=" + to_hex(frame.signature()) + "\n";
  }
  if (name == "index_block") {
    STELE_TRY(const IndexBlock index, IndexBlock::decode(bytes));
    return show(index);
  }
  if (name == "file_table") return read_file_table(bytes);
  if (name == "list") {
    STELE_TRY(const ChunkList list, ChunkList::decode(bytes));
    std::string out = "list id=" + crypto::hash(keys.suite, bytes).hex() + "\n";
    for (const ChunkName& n : list.names) out += "name " + n.hex() + "\n";
    return out;
  }
  if (name == "chunk") return read_chunk(bytes, opener, keys);
  if (name == "pack") {
    STELE_TRY(const PackHead head, parse_pack(bytes, &keys.agent.verify_key(), true));
    std::string out = fmt::format("pack stream={} generation={} epoch={} pack={} epoch record={}\n", head.stream.hex(), head.generation.value,
                                  head.epoch.hex(), head.pack.hex(), to_hex(crypto::sha256(head.epoch_record).view()));
    for (const PackEntry& e : head.entries) {
      STELE_TRY(const std::string chunk, read_chunk(bytes.subspan(e.offset, e.size), opener, keys));
      out += chunk;
    }
    if (opener.keys_derived() != 1) return Error{ErrorCode::kInternal, "one pack, more than one key", ""};
    return out;
  }
  return read_record(name, bytes, keys);
}

bool authenticates_itself(const std::string& name) { return name != "file_table" && name != "index_block" && name != "list" && name != "landed"; }

}  // namespace stele::test
