#pragma once

#include <map>
#include <string>

#include "core/format/branch.h"
#include "core/format/chunk_seal.h"
#include "core/format/epoch.h"
#include "core/format/fact.h"
#include "core/format/log_object.h"
#include "core/format/manifest.h"
#include "core/format/run.h"
#include "core/format/status.h"
#include "core/format/trust_records.h"

namespace stele::test {

/// The keys of a small invented world, the same for the same suite and seed.
struct FormatKeys {
  explicit FormatKeys(const crypto::Suite& suite = crypto::default_suite(), std::uint64_t seed = 1);
  const crypto::Suite& suite;
  crypto::SigningKey authority, agent, stranger;
  crypto::RecipientKeyPair recovery, drill, no_recipient;
  format::EpochSecrets secrets;
};

/// One sample of every format, by name: "enrolment", "epoch", "frames", "run", "pack", "chunk", "manifest", ... The same bytes for the same
/// keys and libraries.
std::map<std::string, Bytes> make_samples(const FormatKeys& keys);

/// Reads a sample the way the product does, with every signature, tag and hash checked, and tells its whole content as text.
Result<std::string> read_sample(const std::string& name, ByteView bytes, const FormatKeys& keys);

/// False for samples that carry no authentication of their own: something around them does (a chunk's name, a frame's tag, the journal).
bool authenticates_itself(const std::string& name);

}  // namespace stele::test
