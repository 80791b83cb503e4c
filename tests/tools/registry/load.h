#pragma once

#include <functional>

#include "core/base/result.h"
#include "tests/tools/pq/session.h"
#include "tests/tools/registry/generator.h"

namespace stele::registry {

/// Makes the schema, copies every row and adds keys, indexes and (with `checks`) the checks, in one transaction.
/// `progress` gets rows done, rows in all.
Status load(pq::Session& session, const Generator& generator,
            const std::function<void(std::int64_t, std::int64_t)>& progress, bool checks = true);

/// One row in COPY's text format, with its line end.
std::string copy_line(const Organisation& organisation);
std::string copy_line(const Member& member);

}  // namespace stele::registry
