#pragma once

#include <vector>

#include "core/format/drill_record.h"
#include "restore/trust/trust_store.h"

namespace stele::restore {

/// A drill record of a store. The signature is of the key that it names: whether that is a restore host's, the reader must know.
struct StoredDrill {
  format::DrillRecord record;
  Bytes signer;  ///< public key
};

/// The newest 64 drill records of a database, oldest first. What cannot be read or believed goes to `problems`.
std::vector<StoredDrill> read_drills(store::ObjectReader& objects, const DatabaseName& database, std::vector<Problem>& problems);

}  // namespace stele::restore
