#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "core/pg/wal_segment.h"
#include "tests/support/postgres_cluster.h"

#define ASSERT_OK(expr)                                        \
  do {                                                         \
    auto&& ok_result = (expr);                                 \
    ASSERT_TRUE(ok_result.ok()) << ok_result.error().to_string(); \
  } while (false)

namespace stele::pg {

namespace fs = std::filesystem;
using test::PostgresCluster;

inline Bytes read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(in), {});
}

/// All segments of pg_wal from the first, one after the other, on one timeline.
inline Bytes join_segments(const PostgresCluster& cluster, std::uint32_t segment_size, Position* start) {
  std::set<std::string> names;
  for (const auto& e : fs::directory_iterator(cluster.data_directory() + "/pg_wal")) {
    if (classify_wal_file(e.path().filename().string()) == WalFileKind::kSegment) names.insert(e.path().filename());
  }
  Bytes all;
  for (const auto& name : names) {
    auto segment = parse_wal_file_name(name, segment_size);
    EXPECT_TRUE(segment.ok());
    EXPECT_EQ(wal_file_name(*segment, segment_size), name);
    if (all.empty()) *start = segment_begin(segment->number, segment_size);
    Bytes bytes = read_file(cluster.data_directory() + "/pg_wal/" + name);
    EXPECT_EQ(bytes.size(), segment_size);
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  return all;
}

}  // namespace stele::pg
