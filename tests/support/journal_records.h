#pragma once

#include <string>
#include <vector>

#include "core/io/journal.h"
#include "tests/support/seeded_random.h"

namespace stele::test {

/// What a journal gave at its opening or to a reader.
struct Recovered {
  std::vector<std::string> records;
  std::vector<io::RecordId> ids;
  std::vector<io::JournalDamage> damages;

  io::JournalVisitor visitor() {
    return {[this](io::RecordId id, ByteView payload) -> Status {
              ids.push_back(id);
              records.emplace_back(as_text(payload));
              return {};
            },
            [this](const io::JournalDamage& damage) -> Status {
              damages.push_back(damage);
              return {};
            }};
  }
};

/// Appends texts as one batch.
inline Result<std::vector<io::RecordId>> append_texts(io::Journal& journal, const std::vector<std::string>& texts) {
  std::vector<ByteView> views;
  for (const std::string& text : texts) views.push_back(as_bytes(text));
  std::vector<io::RecordPieces> records;
  for (const ByteView& view : views) records.emplace_back(&view, 1);
  return journal.append(records);
}

}  // namespace stele::test
