#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "core/recovery/plan.h"
#include "restore/catalog/drills.h"
#include "restore/trust/trust_store.h"

namespace stele::restore {

nlohmann::json to_json(const recovery::Moment& moment);
nlohmann::json to_json(const recovery::Survey& survey, const recovery::Facts& facts);
nlohmann::json to_json(const recovery::Plan& plan, const recovery::Facts& facts);
nlohmann::json to_json(const std::vector<Problem>& problems);
nlohmann::json to_json(const std::vector<StoredDrill>& drills);

/// For people. The times are shown as UTC.
std::string describe(const recovery::Survey& survey, const recovery::Facts& facts);
std::string describe(const recovery::Plan& plan);
std::string describe(const std::vector<Problem>& problems);
/// The newest drill, and the newest one that passed.
std::string describe(const std::vector<StoredDrill>& drills);

/// 4 when a problem is damage or forgery, else 0.
int exit_code_of(const std::vector<Problem>& problems);

/// Seconds that a restore will take about: bytes over the rates of DESIGN section 7 on two cores. Only a figure to plan with.
double estimate_seconds(const recovery::Plan& plan);

/// Writes to standard output; a closed one is no error.
void print(const std::string& text);

}  // namespace stele::restore
