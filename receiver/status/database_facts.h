#pragma once

#include "core/recovery/windows.h"
#include "receiver/ingest/keeper.h"

namespace stele::receiver {

/// What the receiver holds of one database, for core/recovery: branches and ledger from memory, runs and snapshots from the catalog, and
/// one run for each range that is acknowledged and still in the journal only. Reads the whole catalog of the database: not for the network's
/// threads.
Result<recovery::Facts> facts_of(Database& database, Catalog& catalog);

}  // namespace stele::receiver
