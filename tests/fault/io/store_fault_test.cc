// Every operation of a store's work fails, then the machine stops: committed objects are complete, others are not there
// or complete.
#include <gtest/gtest.h>

#include <cerrno>

#include "core/store/local_store.h"
#include "tests/support/fault_file_system.h"

namespace stele::store {
namespace {

using test::FaultFileSystem;
using Crash = FaultFileSystem::Crash;

/// Some larger than what is collected before a write, some smaller.
std::string content(const std::string& name) {
  return name + std::string(name.ends_with("/1") ? 300000 : 3000, name.back());
}

struct Expected {
  std::set<std::string> committed, tried;
};

Status put_two(LocalStore& store, const std::string& first, const std::string& second) {
  std::vector<std::unique_ptr<StagedObject>> objects;
  for (const std::string& name : {first, second}) {
    STELE_TRY(auto object, store.stage(name));
    STELE_CHECK(object->append(as_bytes(content(name))));
    objects.push_back(std::move(object));
  }
  return store.commit(std::move(objects));
}

void work(FaultFileSystem& fs, Expected& expected) {
  auto store = LocalStore::open(fs, "/srv/store", "test");
  if (!store.ok()) return;
  for (const std::string& name : {std::string("a/b/run-1"), std::string("a/b/run-2"), std::string("a/run-3")}) {
    expected.tried.insert(name);
    if ((*store)->put(name, as_bytes(content(name))).ok()) expected.committed.insert(name);
  }
  expected.tried.insert({"packs/x/1", "packs/y/2"});
  if (put_two(**store, "packs/x/1", "packs/y/2").ok()) expected.committed.insert({"packs/x/1", "packs/y/2"});
  if (expected.committed.contains("a/b/run-1")) {
    expected.committed.erase("a/b/run-1");
    if ((*store)->remove("a/b/run-1").ok()) expected.tried.erase("a/b/run-1");
  }
}

void check(ObjectReader& store, const Expected& expected) {
  auto listed = store.list("");
  ASSERT_TRUE(listed.ok()) << listed.error().to_string();
  std::set<std::string> names;
  for (const ObjectInfo& info : *listed) {
    names.insert(info.name);
    EXPECT_TRUE(expected.tried.contains(info.name)) << info.name;
    auto bytes = store.read_all(info.name, 1u << 20);
    ASSERT_TRUE(bytes.ok());
    EXPECT_TRUE(as_text(*bytes) == content(info.name)) << info.name << " is not complete";
  }
  for (const std::string& name : expected.committed) EXPECT_TRUE(names.contains(name)) << name << " is lost";
}

TEST(StoreFault, KeepsCommittedObjectsWholeWhateverOperationFails) {
  for (int error : {EIO, ENOSPC}) {
    for (bool forever : {false, true}) {
      for (Crash crash : {Crash::kDropUnsynced, Crash::kKeepSome, Crash::kProcessOnly}) {
        for (std::uint64_t step = 1;; ++step) {
          SCOPED_TRACE(fmt::format("operation {} fails with {}{}, crash {}", step, error, forever ? " for ever" : "",
                                   static_cast<int>(crash)));
          FaultFileSystem fs(step);
          Expected expected;
          fs.fail_operation(step, error, forever);
          work(fs, expected);
          const bool failed = fs.failure_happened();
          fs.crash(crash);
          if (auto reader = open_local_reader(fs, "/srv/store"); reader.ok()) {
            check(**reader, expected);
          } else {
            EXPECT_TRUE(expected.committed.empty());
          }
          // The owner comes back, repeats everything, and the machine stops again.
          Expected again;
          work(fs, again);
          EXPECT_EQ(again.committed.size(), 4u);
          EXPECT_TRUE(fs.list_directory("/srv/store/tmp")->empty());
          fs.crash(Crash::kDropUnsynced);
          auto reader = open_local_reader(fs, "/srv/store");
          ASSERT_TRUE(reader.ok());
          check(**reader, again);
          if (HasFailure()) return;
          if (!failed) {
            EXPECT_GT(step, 40u);
            break;
          }
        }
      }
    }
  }
}

TEST(LocalStore, HasOneOwnerAndReadersThatTouchNothing) {
  FaultFileSystem fs;
  EXPECT_EQ(open_local_reader(fs, "/srv/store").error().code, ErrorCode::kNotFound);
  auto store = LocalStore::open(fs, "/srv/store", "stele-receiver");
  ASSERT_TRUE(store.ok());
  auto second = LocalStore::open(fs, "/srv/store", "another");
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kTemporary);
  EXPECT_NE(second.error().what.find("stele-receiver"), std::string::npos);
  auto staged = (*store)->stage("x").value();
  ASSERT_TRUE(staged->append(as_bytes(std::string(300000, 'x'))).ok());
  auto reader = open_local_reader(fs, "/srv/store");
  ASSERT_TRUE(reader.ok());
  EXPECT_TRUE((*reader)->list("")->empty());
  EXPECT_EQ(fs.list_directory("/srv/store/tmp")->size(), 1u);  // what the owner writes is still there
  std::vector<std::unique_ptr<StagedObject>> objects;
  objects.push_back(std::move(staged));
  ASSERT_TRUE((*store)->commit(std::move(objects)).ok());
  EXPECT_EQ((*reader)->size("x").value(), 300000u);
}

TEST(LocalStore, SyncsManyStagedObjectsWithOneSyncEachAndOneForTheirDirectory) {
  FaultFileSystem fs;
  auto store = LocalStore::open(fs, "/srv/store", "test");
  ASSERT_TRUE(store.ok());
  ASSERT_TRUE((*store)->put("packs/0", as_bytes("x")).ok());
  std::vector<std::unique_ptr<StagedObject>> objects;
  for (int i = 1; i <= 10; ++i) {
    objects.push_back((*store)->stage(fmt::format("packs/{}", i)).value());
    for (int k = 0; k < 100; ++k) ASSERT_TRUE(objects.back()->append(as_bytes("chunk")).ok());
  }
  const std::uint64_t before = fs.syncs();
  ASSERT_TRUE((*store)->commit(std::move(objects)).ok());
  EXPECT_EQ(fs.syncs() - before, 11u);
}

}  // namespace
}  // namespace stele::store
