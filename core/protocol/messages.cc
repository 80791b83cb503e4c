#include "core/protocol/messages.h"

#include "core/base/text.h"
#include "core/protocol/control.pb.h"

namespace stele::protocol {

namespace {

constexpr std::size_t kMaxText = 1024, kMaxObjectName = 512, kMaxStreams = 64, kMaxMissing = 1024;
constexpr std::uint64_t kMaxOffset = std::uint64_t{1} << 62;  // offset + length cannot overflow

Error malformed(std::string_view message) {
  return Error{ErrorCode::kProtocol, fmt::format("a malformed {} message", message), "the peer speaks another protocol or version"};
}

template <typename Pb>
Bytes to_wire(const Pb& pb) {
  Bytes out(pb.ByteSizeLong());
  pb.SerializeToArray(out.data(), static_cast<int>(out.size()));
  return out;
}

template <typename Pb>
bool from_wire(ByteView body, Pb& pb, std::size_t limit = kMaxControl) {
  return body.size() <= limit && pb.ParseFromArray(body.data(), static_cast<int>(body.size()));
}

std::string text(ByteView bytes) { return std::string(as_text(bytes)); }

/// True where `in` has exactly the id's size.
template <typename Id>
bool take(const std::string& in, Id& out) {
  auto id = Id::from(as_bytes(in));
  if (!id.ok()) return false;
  out = *id;
  return true;
}

/// Text of the peer that people will read.
bool is_shown(std::string_view in) { return in.size() <= kMaxText && is_one_line(in); }

/// A name of an object in a store, or the front of one (core/format/object_names.h): letters, digits and "/._-"; no part is "." or "..",
/// so that it may safely be a path beneath a directory.
bool is_object_name(std::string_view in, bool whole) {
  if (in.size() > kMaxObjectName || (whole && in.empty()) || in.starts_with('/') || (whole && in.ends_with('/'))) return false;
  for (char c : in) {
    const bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' || c == '.' || c == '_' || c == '-';
    if (!ok) return false;
  }
  while (!in.empty()) {
    const std::string_view part = in.substr(0, in.find('/'));
    if (part == "." || part == ".." || (part.empty() && whole)) return false;
    in.remove_prefix(std::min(in.size(), part.size() + 1));
  }
  return true;
}

void fill(const StreamState& s, pb::StreamState& out) {
  out.set_stream(text(s.stream.view()));
  out.set_stored_begin(s.stored_begin.value);
  out.set_durable_end(s.durable_end.value);
  out.set_object(text(s.object.view()));
  out.set_frame(s.frame);
  out.set_object_finished(s.object_finished);
  out.set_head(text(s.head.view()));
  out.set_join(text(s.join.view()));
  out.set_generation(s.generation.value);
}

bool take(const pb::StreamState& in, StreamState& out) {
  out.stored_begin = {in.stored_begin()};
  out.durable_end = {in.durable_end()};
  out.frame = in.frame();
  out.object_finished = in.object_finished();
  out.generation = {in.generation()};
  return take(in.stream(), out.stream) && take(in.object(), out.object) && take(in.head(), out.head) && take(in.join(), out.join) &&
         out.stored_begin <= out.durable_end;
}

}  // namespace

Bytes encode(const Hello& m) {
  pb::Hello out;
  out.set_min_version(m.min_version);
  out.set_max_version(m.max_version);
  out.set_software(m.software);
  out.set_purpose(static_cast<std::uint32_t>(m.purpose));
  out.set_instance(text(m.instance.view()));
  return to_wire(out);
}

Result<Hello> read_hello(ByteView body) {
  pb::Hello in;
  Hello out;
  if (!from_wire(body, in) || !is_shown(in.software()) || in.purpose() < 1 || in.purpose() > 3 ||
      in.min_version() > in.max_version() || !take(in.instance(), out.instance)) {
    return malformed("hello");
  }
  out.min_version = in.min_version();
  out.max_version = in.max_version();
  out.software = in.software();
  out.purpose = static_cast<Purpose>(in.purpose());
  return out;
}

Bytes encode(const HelloReply& m) {
  pb::HelloReply out;
  out.set_version(m.version);
  out.set_receiver(m.receiver);
  out.set_software(m.software);
  out.set_credit_bytes(m.credit_bytes);
  out.set_heartbeat_seconds(m.heartbeat_seconds);
  return to_wire(out);
}

Result<HelloReply> read_hello_reply(ByteView body) {
  pb::HelloReply in;
  if (!from_wire(body, in) || !is_shown(in.receiver()) || !is_shown(in.software())) return malformed("hello reply");
  return HelloReply{in.version(), in.receiver(), in.software(), in.credit_bytes(), in.heartbeat_seconds()};
}

Bytes encode(const Error& e) {
  pb::Failure out;
  out.set_code(static_cast<std::uint32_t>(e.code));
  out.set_what(one_line(e.what, kMaxText));
  out.set_hint(one_line(e.hint, kMaxText));
  return to_wire(out);
}

Error read_failure(ByteView body) {
  pb::Failure in;
  if (!from_wire(body, in)) return malformed("failure");
  ErrorCode code = static_cast<ErrorCode>(in.code());
  if (code != ErrorCode::kInternal && error_name(code) == error_name(ErrorCode::kInternal)) code = ErrorCode::kProtocol;
  return Error{code, "receiver: " + one_line(in.what(), kMaxText), one_line(in.hint(), kMaxText)};
}

Bytes encode_database(const DatabaseName& name) {
  pb::DatabaseRef out;
  out.set_site(name.site);
  out.set_database(name.database);
  return to_wire(out);
}

Result<DatabaseName> read_database(ByteView body) {
  pb::DatabaseRef in;
  if (!from_wire(body, in)) return malformed("database");
  DatabaseName out{in.site(), in.database()};
  if (!check_database_name(out).ok()) return malformed("database");
  return out;
}

Bytes encode(const DatabaseState& m) {
  pb::DatabaseState out;
  out.set_highest_generation(m.highest_generation.value);
  for (const StreamState& s : m.streams) fill(s, *out.add_streams());
  out.set_latest_manifest(text(m.latest_manifest.view()));
  for (std::uint32_t t : m.reserved_timelines) out.add_reserved_timelines(t);
  return to_wire(out);
}

Result<DatabaseState> read_database_state(ByteView body) {
  pb::DatabaseState in;
  DatabaseState out;
  if (!from_wire(body, in) || static_cast<std::size_t>(in.streams_size()) > kMaxStreams || !take(in.latest_manifest(), out.latest_manifest)) {
    return malformed("database state");
  }
  out.highest_generation = {in.highest_generation()};
  for (const auto& s : in.streams()) {
    StreamState state;
    if (!take(s, state)) return malformed("database state");
    out.streams.push_back(state);
  }
  out.reserved_timelines.assign(in.reserved_timelines().begin(), in.reserved_timelines().end());
  return out;
}

Bytes encode(const OpenStream& m) {
  pb::OpenStream out;
  out.set_site(m.database.site);
  out.set_database(m.database.database);
  out.set_stream(text(m.stream.view()));
  out.set_generation(m.generation.value);
  return to_wire(out);
}

Result<OpenStream> read_open_stream(ByteView body) {
  pb::OpenStream in;
  OpenStream out;
  if (!from_wire(body, in) || !take(in.stream(), out.stream) || out.stream.is_zero()) return malformed("open stream");
  out.database = {in.site(), in.database()};
  out.generation = {in.generation()};
  if (!check_database_name(out.database).ok()) return malformed("open stream");
  return out;
}

Bytes encode(const StreamState& m) {
  pb::StreamOpened out;
  fill(m, *out.mutable_state());
  return to_wire(out);
}

Result<StreamState> read_stream_opened(ByteView body) {
  pb::StreamOpened in;
  StreamState out;
  if (!from_wire(body, in) || !take(in.state(), out)) return malformed("stream opened");
  return out;
}

Bytes encode(const Ack& m) {
  pb::Ack out;
  out.set_object(text(m.object.view()));
  out.set_frame(m.frame);
  out.set_end(m.end.value);
  out.set_head(text(m.head.view()));
  return to_wire(out);
}

Result<Ack> read_ack(ByteView body) {
  pb::Ack in;
  Ack out;
  if (!from_wire(body, in) || !take(in.object(), out.object) || !take(in.head(), out.head)) return malformed("acknowledgement");
  out.frame = in.frame();
  out.end = {in.end()};
  return out;
}

Bytes encode_credit(std::uint64_t bytes) {
  pb::Credit out;
  out.set_bytes(bytes);
  return to_wire(out);
}

Result<std::uint64_t> read_credit(ByteView body) {
  pb::Credit in;
  if (!from_wire(body, in)) return malformed("credit");
  return in.bytes();
}

Bytes encode_stored(const Digest& id) {
  pb::Stored out;
  out.set_id(text(id.view()));
  return to_wire(out);
}

Result<Digest> read_stored(ByteView body) {
  pb::Stored in;
  Digest out;
  if (!from_wire(body, in) || !take(in.id(), out)) return malformed("stored");
  return out;
}

Bytes encode(const MissingChunks& m) {
  pb::MissingChunks out;
  for (std::size_t i = 0; i < m.names.size() && i < kMaxMissing; ++i) out.add_names(text(m.names[i].view()));
  out.set_total(m.total);
  return to_wire(out);
}

Result<MissingChunks> read_missing_chunks(ByteView body) {
  pb::MissingChunks in;
  if (!from_wire(body, in) || static_cast<std::size_t>(in.names_size()) > kMaxMissing) return malformed("missing chunks");
  MissingChunks out;
  for (const std::string& name : in.names()) {
    ChunkName id;
    if (!take(name, id)) return malformed("missing chunks");
    out.names.push_back(id);
  }
  out.total = in.total();
  return out;
}

Bytes encode(const ListObjects& m) {
  pb::ListObjects out;
  out.set_prefix(m.prefix);
  out.set_start_after(m.start_after);
  out.set_limit(m.limit);
  return to_wire(out);
}

Result<ListObjects> read_list_objects(ByteView body) {
  pb::ListObjects in;
  if (!from_wire(body, in) || !is_object_name(in.prefix(), false) || !is_object_name(in.start_after(), false) || in.limit() == 0) {
    return malformed("list objects");
  }
  return ListObjects{in.prefix(), in.start_after(), std::min(in.limit(), kMaxListEntries)};
}

Bytes encode(const ObjectList& m) {
  pb::ObjectList out;
  for (const ObjectList::Entry& e : m.objects) {
    auto* entry = out.add_objects();
    entry->set_name(e.name);
    entry->set_size(e.size);
  }
  out.set_more(m.more);
  return to_wire(out);
}

Result<ObjectList> read_object_list(ByteView body) {
  pb::ObjectList in;
  // A page of the longest names is larger than a control message.
  if (!from_wire(body, in, kMaxRead) || static_cast<std::size_t>(in.objects_size()) > kMaxListEntries) return malformed("object list");
  ObjectList out;
  for (const auto& e : in.objects()) {
    if (!is_object_name(e.name(), true)) return malformed("object list");
    out.objects.push_back({e.name(), e.size()});
  }
  out.more = in.more();
  return out;
}

Bytes encode(const ReadObject& m) {
  pb::ReadObject out;
  out.set_name(m.name);
  out.set_offset(m.offset);
  out.set_length(m.length);
  return to_wire(out);
}

Result<ReadObject> read_read_object(ByteView body) {
  pb::ReadObject in;
  if (!from_wire(body, in) || !is_object_name(in.name(), true) || in.length() > kMaxRead ||
      in.offset() > kMaxOffset) return malformed("read object");
  return ReadObject{in.name(), in.offset(), in.length()};
}

Bytes encode(const ReserveTimeline& m) {
  pb::ReserveTimeline out;
  out.set_site(m.database.site);
  out.set_database(m.database.database);
  out.set_above(m.above);
  return to_wire(out);
}

Result<ReserveTimeline> read_reserve_timeline(ByteView body) {
  pb::ReserveTimeline in;
  if (!from_wire(body, in)) return malformed("reserve timeline");
  ReserveTimeline out{{in.site(), in.database()}, in.above()};
  if (!check_database_name(out.database).ok()) return malformed("reserve timeline");
  return out;
}

Bytes encode_reserved_timeline(std::uint32_t timeline) {
  pb::ReservedTimeline out;
  out.set_timeline(timeline);
  return to_wire(out);
}

Result<std::uint32_t> read_reserved_timeline(ByteView body) {
  pb::ReservedTimeline in;
  if (!from_wire(body, in) || in.timeline() == 0) return malformed("reserved timeline");
  return in.timeline();
}

Bytes encode_sealed(std::uint32_t runs) {
  pb::Sealed out;
  out.set_runs(runs);
  return to_wire(out);
}

Result<std::uint32_t> read_sealed(ByteView body) {
  pb::Sealed in;
  if (!from_wire(body, in)) return malformed("sealed");
  return in.runs();
}

}  // namespace stele::protocol
