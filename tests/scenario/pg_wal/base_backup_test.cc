// The tar archives of BASE_BACKUP, through pg_basebackup.
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "core/pg/backup_label.h"
#include "core/pg/control_file.h"
#include "core/pg/page.h"
#include "core/pg/relation_file.h"
#include "core/pg/tar.h"
#include "tests/scenario/pg_wal/common.h"

namespace stele::pg {
namespace {

struct BackupEvents : TarEvents {
  std::map<std::string, TarEntry> entries;
  std::map<std::string, Bytes> files;
  std::string current;
  Status on_entry(const TarEntry& e) override {
    current = e.path;
    entries[e.path] = e;
    return {};
  }
  Status on_data(ByteView b) override {
    files[current].insert(files[current].end(), b.begin(), b.end());
    return {};
  }
  Status on_end_of_entry() override { return {}; }
};

TEST(PgBaseBackup, ReadsTheArchivesThatPostgresSends) {
  auto made = PostgresCluster::create({});
  ASSERT_OK(made);
  PostgresCluster& cluster = **made;
  std::string space = cluster.root_directory() + "/a space", backup = cluster.root_directory() + "/backup";
  fs::create_directory(space);
  ASSERT_OK(test::give_to_database_user(space));
  ASSERT_OK(cluster.start());
  ASSERT_OK(cluster.psql(fmt::format("CREATE TABLESPACE s LOCATION '{}'", space)));
  ASSERT_OK(cluster.psql("CREATE TABLE t TABLESPACE s AS SELECT generate_series(1, 30000) AS x; CREATE UNLOGGED TABLE u (x int); CHECKPOINT;"));
  auto relation = cluster.psql("SELECT pg_relation_filepath('t')");
  ASSERT_OK(relation);
  ASSERT_OK(cluster.run({"pg_basebackup", "-D", backup, "-F", "tar", "-X", "none", "-c", "fast", "--no-manifest"}));
  ASSERT_OK(cluster.stop());

  std::uint64_t seed = std::random_device{}();
  std::cout << "seed " << seed << "\n";
  std::mt19937_64 random(seed);
  std::map<std::string, BackupEvents> archives;
  for (const auto& e : fs::directory_iterator(backup)) {
    BackupEvents& events = archives[e.path().filename()];
    TarReader reader(events);
    Bytes bytes = read_file(e.path());
    for (std::size_t at = 0; at < bytes.size();) {
      std::size_t n = std::min<std::size_t>(1 + random() % 20000, bytes.size() - at);
      ASSERT_OK(reader.feed(ByteView(bytes).subspan(at, n)));
      at += n;
    }
    ASSERT_OK(reader.finish());
    auto listed = test::run_checked({"tar", "-tf", e.path()});
    ASSERT_OK(listed);
    EXPECT_EQ(static_cast<std::size_t>(std::count(listed->begin(), listed->end(), '\n')), events.entries.size());
  }
  ASSERT_EQ(archives.size(), 2u);
  BackupEvents& base = archives["base.tar"];
  auto label = parse_backup_label(as_text(base.files["backup_label"]));
  ASSERT_OK(label);
  EXPECT_EQ(write_backup_label(*label), as_text(base.files["backup_label"]));
  auto control = parse_control_file(base.files["global/pg_control"]);
  ASSERT_OK(control);
  EXPECT_EQ(control->checkpoint_copy.redo, label->start_wal_location);
  EXPECT_EQ(control->checkpoint, label->checkpoint_location);
  // pg_basebackup in tar format asks for the map, and the server then sends no links.
  auto map = parse_tablespace_map(as_text(base.files["tablespace_map"]));
  ASSERT_OK(map);
  ASSERT_EQ(map->size(), 1u);
  EXPECT_EQ(map->begin()->second, space);
  std::string oid = std::to_string(map->begin()->first);

  std::size_t pages = 0;
  auto check = [&](const std::string& path, const Bytes& bytes) {
    auto file = parse_relation_path(path);
    if (!file) return;
    for (std::size_t i = 0; i * kPageSize < bytes.size(); ++i, ++pages) {
      EXPECT_FALSE(is_suspect(check_page(ByteView(bytes).subspan(i * kPageSize, kPageSize), file->first_block() + static_cast<std::uint32_t>(i)))) << path;
    }
  };
  for (const auto& [path, entry] : base.entries) {
    bool own = path == "backup_label" || path == "tablespace_map";
    EXPECT_EQ(backup_treatment(path, entry.type == TarType::kDirectory) == BackupTreatment::kExclude, own) << path;
    EXPECT_EQ(entry.size, base.files[path].size());
    check(path, base.files[path]);
  }
  for (const auto& [path, bytes] : archives[oid + ".tar"].files) check("pg_tblspc/" + oid + "/" + path, bytes);
  EXPECT_TRUE(archives[oid + ".tar"].files.contains(relation->substr(("pg_tblspc/" + oid + "/").size()))) << *relation;
  EXPECT_GT(pages, 1000u);
  // And the other way round: what is missing is what we would leave out, or the unlogged table.
  for (const auto& e : fs::recursive_directory_iterator(cluster.data_directory())) {
    std::string path = fs::relative(e.path(), cluster.data_directory());
    if (e.is_symlink() || path.starts_with("pg_tblspc/") || base.entries.contains(path)) continue;
    BackupTreatment treatment = backup_treatment(path, e.is_directory());
    bool unlogged = fs::exists(e.path().string() + "_init");
    bool cache = path == "current_logfiles" || path.starts_with("pg_stat/");  // written by the stop after the backup
    EXPECT_TRUE(treatment != BackupTreatment::kInclude || unlogged || cache) << path;
  }
}

}  // namespace
}  // namespace stele::pg
