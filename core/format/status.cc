#include "core/format/status.h"

#include <cmath>

#include "core/format/body.h"

namespace stele::format {

namespace {

constexpr std::size_t kMaxFields = 256, kMaxLabels = 64, kMaxName = 64, kMaxLabel = 128;

bool is_field_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxName) return false;
  return std::all_of(name.begin(), name.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

bool is_printable(std::string_view text) {
  return text.size() <= kMaxLabel && std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

/// Names come in ascending order, each once.
template <typename Map>
bool ascends(const Map& so_far, const std::string& name) {
  return so_far.empty() || so_far.rbegin()->first < name;
}

}  // namespace

Result<SignedRecord> StatusMessage::sign(const crypto::SigningKey& agent) const {
  return sign_body<StatusMessage>(RecordKind::kStatus, agent, [&](ByteWriter& w) {
    write_database(w, database);
    w.raw(stream.view());
    w.u64(generation.value);
    w.i64(time.micros);
    w.u16(static_cast<std::uint16_t>(fields.size()));
    for (const auto& [name, value] : fields) {
      w.str16(name);
      w.u64(std::bit_cast<std::uint64_t>(value));
    }
    w.u16(static_cast<std::uint16_t>(labels.size()));
    for (const auto& [name, value] : labels) {
      w.str16(name);
      w.str16(value);
    }
  });
}

Result<StatusMessage> StatusMessage::read(const SignedRecord& record) {
  return read_body<StatusMessage>(record, RecordKind::kStatus, [](ByteReader& r, StatusMessage& out) -> Status {
    const Error bad{ErrorCode::kDamaged, "status message: a field is out of range", ""};
    STELE_CHECK(read_database(r, out.database));
    r.fixed(out.stream);
    out.generation = {r.u64()};
    out.time = {r.i64()};
    const std::size_t field_count = r.u16();
    if (field_count > kMaxFields) return bad;
    for (std::size_t i = 0; i < field_count && !r.failed(); ++i) {
      std::string name = r.str16();
      const double value = std::bit_cast<double>(r.u64());
      if (!r.failed() && (!is_field_name(name) || !std::isfinite(value) || !ascends(out.fields, name))) return bad;
      out.fields[name] = value;
    }
    const std::size_t label_count = r.u16();
    if (label_count > kMaxLabels) return bad;
    for (std::size_t i = 0; i < label_count && !r.failed(); ++i) {
      std::string name = r.str16(), value = r.str16();
      if (!r.failed() && (!is_field_name(name) || !is_printable(value) || !ascends(out.labels, name))) return bad;
      out.labels[name] = std::move(value);
    }
    return {};
  });
}

}  // namespace stele::format
