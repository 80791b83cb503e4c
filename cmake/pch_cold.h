#pragma once
#include "pch_asio.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
