#include "tests/support/cluster_template.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "core/base/bytes.h"
#include "core/pg/control_file.h"
#include "core/pg/crc32c.h"
#include "core/pg/wal_page.h"
#include "core/pg/wal_segment.h"
#include "tests/support/postgres_cluster.h"
#include "tests/support/process.h"

namespace stele::test {
namespace {

namespace fs = std::filesystem;

Result<Bytes> read_start(const std::string& path, std::size_t size) {
  Bytes bytes(size);
  std::ifstream in(path, std::ios::binary);
  if (!in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(size))) return system_error("read", path, EIO);
  return bytes;
}

Status overwrite(const std::string& path, std::size_t offset, ByteView bytes) {
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(offset));
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) return system_error("write", path, EIO);
  return {};
}

/// The name says everything that the content depends on.
Result<std::string> template_path(const std::vector<std::string>& initdb_args, const std::string& templates) {
  static const auto version = run_checked({PostgresCluster::program("initdb"), "--version"});
  if (!version.ok()) return version.error();
  const std::string all = fmt::format("{}\n{}\n{}", geteuid(), *version, fmt::join(initdb_args, "\n"));
  return fmt::format("{}/{:016x}", templates, std::hash<std::string>()(all));
}

Status make_template(const std::vector<std::string>& initdb_args, const std::string& path) {
  std::error_code problem;
  fs::create_directories(fs::path(path).parent_path(), problem);
  std::string place = path + "-XXXXXX";
  if (mkdtemp(place.data()) == nullptr) return system_error("create directory", place, errno);
  const auto made = [&]() -> Status {
    STELE_CHECK(give_to_database_user(place));
    std::vector<std::string> argv = {PostgresCluster::program("initdb"), "-D", place + "/data"};
    argv.insert(argv.end(), initdb_args.begin(), initdb_args.end());
    STELE_CHECK(run_checked(argv, {.as_database_user = true}));
    // Somebody else may have been faster: theirs is the same.
    if (std::rename((place + "/data").c_str(), path.c_str()) != 0 && errno != EEXIST && errno != ENOTEMPTY) return system_error("rename to", path, errno);
    return {};
  }();
  fs::remove_all(place, problem);
  return made;
}

/// As initdb chooses it (access/transam/xlog.c, BootStrapXLOG): the time and the process.
std::uint64_t new_system_identifier() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto micros = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
  return (micros / 1'000'000) << 32 | (micros % 1'000'000) << 12 | (static_cast<std::uint64_t>(getpid()) & 0xFFF);
}

/// In pg_control and in the log.
Status set_system_identifier(const std::string& data_directory, std::uint64_t identifier) {
  constexpr std::size_t kCrcOffset = 288;          // of ControlFileData, PostgreSQL 13 to 17
  constexpr std::size_t kIdentifierInSegment = 24;  // of XLogLongPageHeaderData
  Bytes field;
  ByteWriter(field).u64(identifier);

  const std::string control = data_directory + "/global/pg_control";
  STELE_TRY(Bytes bytes, read_start(control, kCrcOffset + 4));
  STELE_CHECK(pg::parse_control_file(bytes));
  std::copy(field.begin(), field.end(), bytes.begin());
  bytes.resize(kCrcOffset);
  const std::uint32_t crc = pg::crc32c_finish(pg::crc32c(pg::kCrc32cInit, bytes));
  ByteWriter(bytes).u32(crc);
  STELE_CHECK(overwrite(control, 0, bytes));

  // Page headers have no checksum. Segments that were recycled hold an older segment's bytes and are as good as empty.
  for (const auto& entry : fs::directory_iterator(data_directory + "/pg_wal")) {
    if (pg::classify_wal_file(entry.path().filename().string()) != pg::WalFileKind::kSegment) continue;
    STELE_TRY(const Bytes header, read_start(entry.path(), pg::kLongPageHeaderSize));
    STELE_TRY(const pg::WalPageHeader parsed, pg::parse_wal_page_header(header));
    if (parsed.is_long()) STELE_CHECK(overwrite(entry.path(), kIdentifierInSegment, field));
  }
  return {};
}

}  // namespace

Status make_cluster(const std::vector<std::string>& initdb_args, const std::string& data_directory, const std::string& templates) {
  STELE_TRY(const std::string from, template_path(initdb_args, templates));
  if (!fs::exists(from)) STELE_CHECK(make_template(initdb_args, from));
  STELE_CHECK(run_checked({"cp", "-a", "--reflink=auto", from, data_directory}));
  return set_system_identifier(data_directory, new_system_identifier());
}

Status make_cluster(const std::vector<std::string>& initdb_args, const std::string& data_directory) {
  return make_cluster(initdb_args, data_directory, STELE_BINARY_DIR "/cluster-templates");
}

}  // namespace stele::test
