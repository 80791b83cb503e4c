#pragma once

#include <functional>

#include "core/config/cli.h"

namespace CLI {
class App;
}

namespace stele::restore {

/// One command: adds itself to the program and gives what runs it. The result is the exit code, or the error to report.
using Command = std::function<Result<int>()>;
Command add_keygen(CLI::App& app, const cli::Common& common);
Command add_enroll(CLI::App& app, const cli::Common& common);
Command add_keys(CLI::App& app, const cli::Common& common);
Command add_list(CLI::App& app, const cli::Common& common);
Command add_plan(CLI::App& app, const cli::Common& common);
Command add_extract(CLI::App& app, const cli::Common& common);
Command add_follow(CLI::App& app, const cli::Common& common);
Command add_run(CLI::App& app, const cli::Common& common);
Command add_drill(CLI::App& app, const cli::Common& common);
Command add_verify(CLI::App& app, const cli::Common& common);
Command add_wal_fetch(CLI::App& app, const cli::Common& common);

}  // namespace stele::restore
