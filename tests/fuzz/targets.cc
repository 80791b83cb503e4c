#include "tests/fuzz/targets.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "core/config/agent_config.h"
#include "core/config/bandwidth.h"
#include "core/config/cron.h"
#include "core/config/receiver_config.h"
#include "core/config/restore_config.h"
#include "core/config/values.h"
#include "core/crypto/key_file.h"
#include "core/format/drill_record.h"
#include "core/format/landed_frame.h"
#include "core/format/object_names.h"
#include "core/format/resealed.h"
#include "core/format/table_counts.h"
#include "core/io/journal.h"
#include "core/io/journal_reader.h"
#include "core/net/identity.h"
#include "core/net/message_stream.h"
#include "core/net/socket_options.h"
#include "core/pg/backup_label.h"
#include "core/pg/control_file.h"
#include "core/pg/relation_file.h"
#include "core/pg/tar.h"
#include "core/pg/timeline_history.h"
#include "core/pg/wal_decoder.h"
#include "core/pg/wal_page.h"
#include "core/pg/wal_segment.h"
#include "core/protocol/messages.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/format/samples.h"
#include "tests/support/seeded_random.h"

namespace stele::test {

namespace {

using namespace format;

void must(bool ok, const char* what) {
  if (ok) return;
  std::fprintf(stderr, "fuzz: %s\n", what);
  std::abort();
}

constexpr unsigned kRecordKinds = 11;

const FormatKeys& keys() {
  static const FormatKeys k;
  return k;
}

void record(ByteView bytes) {
  auto parsed = parse_record(bytes);
  if (!parsed.ok()) return;
  must(equal(parsed->bytes, bytes), "a record keeps its bytes");
  (void)verify_record(*parsed, keys().agent.verify_key()).ok();
  // Bodies are read whatever the signature says: a stolen key signs anything.
  (void)EnrolmentRequest::read(*parsed).ok();
  (void)Enrolment::read(*parsed).ok();
  (void)Withdrawal::read(*parsed).ok();
  (void)RecipientList::read(*parsed).ok();
  if (auto branch = BranchRecord::read(*parsed); branch.ok()) (void)branch->stream();
  if (auto epoch = EpochRecord::read(*parsed); epoch.ok()) (void)open_epoch(*epoch, keys().recovery).ok();
  (void)ResealedKeys::read(*parsed).ok();
  (void)Fact::read(*parsed).ok();
  (void)StatusMessage::read(*parsed).ok();
  (void)DrillRecord::read(*parsed).ok();
  (void)verify_own_signature(*parsed).ok();
  if (auto manifest = read_manifest(*parsed); manifest.ok()) (void)open_manifest(*manifest, keys().suite, keys().secrets.data).ok();
}

/// Reads the body as one of T; what can be read is written to the same bytes.
template <typename T>
bool read_and_written(const SignedRecord& record) {
  auto read = T::read(record);
  if (!read.ok()) return false;
  auto again = read->sign(keys().agent);
  must(again.ok() && again->body == record.body, "a body is written as it was read");
  return true;
}

/// The body alone, of the kind that the first byte names: nothing to get past before it.
void record_body(ByteView bytes) {
  if (bytes.empty()) return;
  SignedRecord r;
  r.kind = static_cast<RecordKind>(1 + bytes[0] % kRecordKinds);
  r.body = to_bytes(bytes.subspan(1));
  const bool read[] = {read_and_written<EnrolmentRequest>(r), read_and_written<Enrolment>(r),  read_and_written<Withdrawal>(r),
                       read_and_written<RecipientList>(r),    read_and_written<BranchRecord>(r), read_and_written<EpochRecord>(r),
                       read_and_written<ResealedKeys>(r),     read_and_written<Fact>(r),       read_and_written<StatusMessage>(r),
                       read_and_written<DrillRecord>(r),      read_manifest(r).ok()};
  must(std::count(std::begin(read), std::end(read), true) <= 1, "one body is of one kind");
}

void table_counts(ByteView bytes) {
  auto counts = decode_counts({"counts/registry", std::string(as_text(bytes))});
  if (!counts.ok()) return;
  const NamedText written = encode_counts(*counts);
  auto again = decode_counts(written);
  must(again.ok() && encode_counts(*again).text == written.text, "counts are written as they were read");
}

void frame(ByteView bytes) {
  std::size_t size = 0;
  if (auto header = parse_frame_header(bytes, size); header.ok()) must(size <= bytes.size(), "a header lies inside");
  if (auto parsed = parse_frame(bytes); parsed.ok()) {
    must(parsed->encode() == to_bytes(bytes), "a frame is written as it was read");
    FrameChain chain;
    (void)chain.accept(*parsed).ok();
    if (auto opener = LogObjectOpener::begin(parsed->header(), keys().secrets.data); opener.ok()) {
      Bytes out;
      (void)opener->open_log(*parsed, out).ok();
    }
  }
  if (auto landed = parse_landed_frame(bytes); landed.ok()) (void)parse_frame(landed->frame).ok();
}

void run(ByteView bytes) {
  (void)parse_run_head(bytes).ok();
  (void)read_run(bytes, &keys().agent.verify_key(), [](Frame) { return Status{}; }).ok();
  if (auto name = parse_run_name(as_text(bytes))) must(run_name({"a", "b"}, *name).ends_with(as_text(bytes).substr(as_text(bytes).rfind('/'))), "one name");
}

void pack(ByteView bytes) {
  if (auto head = parse_pack(bytes, nullptr, false); head.ok()) {
    for (const PackEntry& e : head->entries) must(std::uint64_t{e.offset} + e.size <= bytes.size(), "a chunk lies inside its pack");
  }
  (void)parse_pack(bytes, &keys().agent.verify_key(), true).ok();
  (void)parse_pack_head(bytes, bytes.size() + 1000).ok();
}

void chunk(ByteView bytes) {
  auto parsed = parse_chunk(bytes);
  if (!parsed.ok()) return;
  ChunkOpener opener(keys().suite, keys().secrets.chunk_name);
  (void)opener.open(*parsed, keys().secrets.data).ok();
}

void file_table(ByteView bytes) {
  ByteReader r(bytes);
  while (r.remaining() > 0) {
    const std::size_t before = r.position();
    auto entry = read_file_entry(r);
    if (!entry.ok()) return;
    must(is_safe_relative_path(entry->path), "a path stays inside");
    Bytes again;
    encode_file_entry(*entry, again);
    must(equal(again, bytes.subspan(before, r.position() - before)), "an entry is written as it was read");
  }
}

void list(ByteView bytes) {
  if (auto parsed = ChunkList::decode(bytes); parsed.ok()) must(equal(parsed->encode(), bytes), "a list is written as it was read");
}

void index_block(ByteView bytes) { (void)IndexBlock::decode(bytes).ok(); }

void journal(ByteView bytes) {
  FaultFileSystem fs;
  (void)fs.make_directory("/j").ok();
  {
    auto file = fs.open("/j/00000001.journal", io::OpenMode::kCreateExclusive);
    if (!file.ok()) return;
    (void)(*file)->write_at(0, bytes).ok();
  }
  io::JournalVisitor visitor;
  visitor.on_record = [](io::RecordId, ByteView payload) {
    must(payload.size() <= io::kMaxRecordBytes, "a record is within its limit");
    return Status{};
  };
  visitor.on_damage = [](const io::JournalDamage&) { return Status{}; };
  (void)io::read_journal(fs, "/j", visitor).ok();
}

void messages(ByteView bytes) {
  using namespace protocol;
  (void)read_hello(bytes).ok();
  (void)read_hello_reply(bytes).ok();
  (void)read_failure(bytes).to_string();
  (void)read_database(bytes).ok();
  (void)read_database_state(bytes).ok();
  (void)read_open_stream(bytes).ok();
  (void)read_stream_opened(bytes).ok();
  (void)read_ack(bytes).ok();
  (void)read_credit(bytes).ok();
  (void)read_stored(bytes).ok();
  (void)read_missing_chunks(bytes).ok();
  (void)read_list_objects(bytes).ok();
  if (auto names = read_object_list(bytes); names.ok()) {
    for (const auto& e : names->objects) must(is_safe_relative_path(e.name), "a listed name is safe as a path");
  }
  (void)read_read_object(bytes).ok();
  (void)read_reserve_timeline(bytes).ok();
  (void)read_reserved_timeline(bytes).ok();
  (void)read_sealed(bytes).ok();
}

void message_decoder(ByteView bytes) {
  net::MessageLimits limits;
  for (const protocol::MessageLimit& l : protocol::receiver_accepts(protocol::Purpose::kLog)) limits.allow(static_cast<std::uint8_t>(l.type), l.max_body);
  net::MessageDecoder decoder(limits);
  // The first byte cuts the rest into pieces.
  const std::size_t piece = bytes.empty() ? 1 : 1 + bytes[0];
  for (std::size_t at = 1; at < bytes.size(); at += piece) {
    decoder.feed(bytes.subspan(at, std::min(piece, bytes.size() - at)));
    while (true) {
      auto next = decoder.next();
      if (!next.ok()) return;
      if (!next->has_value()) break;
    }
  }
}

void wal(ByteView bytes) {
  pg::WalDecoder decoder({}, {0x3000000});
  for (std::size_t at = 0; at < bytes.size(); at += 1000) {
    if (!decoder.feed(bytes.subspan(at, std::min<std::size_t>(1000, bytes.size() - at))).ok()) return;
    must(decoder.boundary() <= decoder.position(), "a boundary lies before the next byte");
  }
}

void tar(ByteView bytes) {
  struct Events final : pg::TarEvents {
    Status on_entry(const pg::TarEntry& e) override {
      must(is_safe_relative_path(e.path) || e.path.find('\\') != std::string::npos || e.path.size() > 1024, "a tar path stays inside");
      return {};
    }
    Status on_data(ByteView) override { return {}; }
    Status on_end_of_entry() override { return {}; }
  } events;
  pg::TarReader reader(events);
  for (std::size_t at = 0; at < bytes.size(); at += 700) {
    if (!reader.feed(bytes.subspan(at, std::min<std::size_t>(700, bytes.size() - at))).ok()) return;
  }
  (void)reader.finish().ok();
}

void pg_files(ByteView bytes) {
  (void)pg::parse_control_file(bytes).ok();
  (void)pg::parse_checkpoint(bytes).ok();
  (void)pg::parse_backup_label(as_text(bytes)).ok();
  (void)pg::parse_tablespace_map(as_text(bytes)).ok();
  (void)pg::parse_timeline_history(5, as_text(bytes)).ok();
}

void key_files(ByteView bytes) {
  const crypto::SecretBytes passphrase;  // none: Argon2id would take seconds; what stands before it is hostile enough
  (void)crypto::decode_recovery_key(bytes, passphrase).ok();
  (void)crypto::decode_authority_key(bytes, passphrase).ok();
  (void)crypto::decode_agent_key(bytes).ok();
  (void)crypto::decode_receiver_key(bytes).ok();
  (void)crypto::decode_restore_host_key(bytes).ok();
  (void)crypto::inspect_key_file(bytes).ok();
  if (auto line = crypto::decode_public_key(as_text(bytes)); line.ok()) must(crypto::encode_public_key(*line).ok(), "a public line can be written");
}

void config(ByteView bytes) {
  (void)config::parse_agent_config(as_text(bytes), "/etc/stele/agent.toml").ok();
  (void)config::parse_receiver_config(as_text(bytes), "/etc/stele/receiver.toml").ok();
  (void)config::parse_restore_config(as_text(bytes), "/etc/stele/restore.toml").ok();
}

/// What stands in names of files, certificates, configuration values and on command lines.
void words(ByteView bytes) {
  const std::string_view text = as_text(bytes);
  if (auto time = parse_timestamp(text); time.ok()) must(parse_timestamp(to_iso8601(*time)).ok(), "a moment can be read again");
  if (auto position = parse_position(text); position.ok()) must(*parse_position(position->to_string()) == *position, "a position is read as it is written");
  if (auto name = parse_database_name(text); name.ok()) must(parse_database_name(name->to_string()).ok(), "a name can be read again");
  if (auto hex = from_hex(text); hex.ok()) must(hex->size() * 2 == text.size(), "two digits are a byte");
  (void)net::parse_identity(text).ok();
  (void)net::parse_host_port(text).ok();
  (void)config::parse_hours(text).ok();
  (void)config::parse_bytes(text).ok();
  (void)config::parse_duration(text).ok();
  (void)config::parse_rate(text).ok();
  (void)config::parse_endpoint(text).ok();
  (void)pg::parse_history_file_name(text).ok();
  (void)pg::parse_wal_file_name(text, 16 << 20).ok();
  (void)pg::parse_relation_path(text).has_value();
  (void)pg::parse_wal_page_header(bytes).ok();
  if (auto cron = config::CronSchedule::parse(text); cron.ok()) (void)cron->next(Timestamp{0}, config::TimeZone());
}

Bytes tar_seed() {
  Bytes out(1536);
  auto put = [&](std::size_t at, std::string_view text) { std::copy(text.begin(), text.end(), out.begin() + static_cast<std::ptrdiff_t>(at)); };
  put(0, "base/5/16384");
  put(100, "0000600");
  put(108, "0000000");
  put(116, "0000000");
  put(124, "00000000012");
  put(136, "00000000000");
  put(156, "0");
  put(257, std::string_view("ustar\00000", 8));
  put(148, "        ");
  unsigned sum = 0;
  for (std::size_t i = 0; i < 512; ++i) sum += out[i];
  put(148, fmt::format("{:06o}", sum));
  out[154] = 0;
  put(512, "ten bytes.");
  return out;
}

Bytes journal_seed() {
  FaultFileSystem fs;
  SeededRandom random(1);
  (void)fs.make_directory("/j").ok();
  auto opened = io::Journal::open(fs, random, {"/j", 64 << 10, 256 << 10, "seed"}, {[](io::RecordId, ByteView) { return Status{}; }, [](const io::JournalDamage&) { return Status{}; }});
  must(opened.ok(), "a journal for a seed");
  opened->reset();
  Bytes out(64 << 10);
  auto files = fs.list_directory("/j");
  for (const auto& f : *files) {
    if (!f.name.ends_with(".journal")) continue;
    auto file = fs.open("/j/" + f.name, io::OpenMode::kRead);
    (void)(*file)->read_at(0, out).ok();
    break;
  }
  return out;
}

}  // namespace

std::span<const FuzzTarget> fuzz_targets() {
  static const FuzzTarget all[] = {
      {"record", record, {"enrolment", "withdrawal", "recipients", "branch", "epoch", "fact", "status", "manifest", "enrolment_request", "drill", "resealed"}},
      {"record_body", record_body, {}},
      {"table_counts", table_counts, {}},
      {"frame", frame, {"frames", "landed"}},
      {"run", run, {"run"}},
      {"pack", pack, {"pack"}},
      {"chunk", chunk, {"chunk"}},
      {"file_table", file_table, {"file_table"}},
      {"list", list, {"list"}},
      {"index_block", index_block, {"index_block"}},
      {"journal", journal, {}},
      {"messages", messages, {}},
      {"message_decoder", message_decoder, {"landed"}},
      {"wal", wal, {}},
      {"tar", tar, {}},
      {"pg_files", pg_files, {}},
      {"key_files", key_files, {}},
      {"config", config, {}},
      {"words", words, {}},
  };
  return all;
}

std::vector<Bytes> more_seeds(std::string_view target) {
  auto text = [](std::string_view t) { return to_bytes(as_bytes(t)); };
  if (target == "tar") return {tar_seed()};
  if (target == "table_counts") return {text("relations 152\ntables 40\ntable 2000000 registry member\ntable - odd%20schema a%25b\n")};
  if (target == "journal") return {journal_seed()};
  if (target == "record_body") {
    std::vector<Bytes> out;
    for (const auto& [name, bytes] : make_samples(keys())) {
      auto sample = parse_record(bytes);
      if (!sample.ok()) continue;  // no record
      out.emplace_back(1, static_cast<std::uint8_t>(static_cast<unsigned>(sample->kind) - 1));
      out.back().insert(out.back().end(), sample->body.begin(), sample->body.end());
    }
    return out;
  }
  if (target == "messages") {
    using namespace protocol;
    return {encode(Hello{}), encode(StreamState{}), encode(DatabaseState{{1}, {{}}, {}, {2}}), encode(Ack{}), encode(ObjectList{{{"a/b", 1}}, true}),
            encode(Error{ErrorCode::kIo, "what", "hint"})};
  }
  if (target == "message_decoder") return {Bytes{7, 1, 0, 0, 0, 4, 1, 0, 0, 0, 5}};
  if (target == "wal") {
    // A long page header (access/xlog_internal.h) and zeros.
    Bytes page(8192);
    const std::uint8_t head[] = {0x10, 0xD1, 2, 0, 1, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0x20};
    std::copy(std::begin(head), std::end(head), page.begin());
    return {page};
  }
  if (target == "pg_files") return {text("1\t0/3000000\tno recovery target specified\n"), text("START WAL LOCATION: 0/2000028 (file 000000010000000000000002)\nCHECKPOINT LOCATION: 0/2000060\n"), Bytes(8192)};
  if (target == "key_files") {
    SeededRandom random(1);
    const auto agent = crypto::AgentKey::generate(crypto::default_suite(), "agent", random);
    return {to_bytes(crypto::encode_agent_key(agent)->view()), text(*crypto::encode_public_key(crypto::public_line_of(agent)))};
  }
  if (target == "words") {
    std::vector<Bytes> out;
    for (std::string_view word : {"2026-11-25T17:15:00.123456+08:00", "16/B374D848", "440000/registry", "00ff", "stele:agent:440000", "[::1]:5432",
                                  "22:00-06:00", "20 Mbit/s", "64 MiB", "90 s", "00000002.history", "00000001000000000000002A", "base/5/16384.1", "*/5 0-6 1,15 * mon"}) {
      out.push_back(text(word));
    }
    return out;
  }
  if (target == "config") return {text("site = \"440000\"\ndatabase = \"registry\"\n[postgres]\nconninfo = \"host=/run\"\n[[receiver]]\nname = \"a\"\naddress = \"a:1\"\n")};
  return {};
}

}  // namespace stele::test
