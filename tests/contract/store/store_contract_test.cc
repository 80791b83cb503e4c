// What every ObjectStore must do, run against each implementation.
#include <gtest/gtest.h>

#include <filesystem>

#include "core/store/local_store.h"
#include "tests/support/fault_file_system.h"

namespace stele::store {
namespace {

struct Backend {
  virtual ~Backend() = default;
  virtual std::unique_ptr<ObjectStore> open() = 0;
  /// What a power failure leaves: true when this backend can have one.
  virtual bool crash() { return false; }
};

struct MemoryDirectory : Backend {
  test::FaultFileSystem fs{3};
  std::unique_ptr<ObjectStore> open() override {
    auto store = LocalStore::open(fs, "/var/store", "test");
    EXPECT_TRUE(store.ok()) << store.error().to_string();
    return store.ok() ? std::move(*store) : nullptr;
  }
  bool crash() override {
    fs.crash(test::FaultFileSystem::Crash::kDropUnsynced);
    return true;
  }
};

struct RealDirectory : Backend {
  io::PosixFileSystem fs;
  std::string root;
  RealDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "stele-store-XXXXXX").string();
    root = ::mkdtemp(pattern.data());
  }
  ~RealDirectory() override { std::filesystem::remove_all(root); }
  std::unique_ptr<ObjectStore> open() override {
    auto store = LocalStore::open(fs, root + "/store", "test");
    EXPECT_TRUE(store.ok()) << store.error().to_string();
    return store.ok() ? std::move(*store) : nullptr;
  }
};

using MakeBackend = std::unique_ptr<Backend> (*)();

struct StoreContract : testing::TestWithParam<MakeBackend> {
  std::unique_ptr<Backend> backend = GetParam()();
  std::unique_ptr<ObjectStore> store = backend->open();

  void reopen() {
    backend->crash();
    store.reset();
    store = backend->open();
  }
  std::string text(std::string_view name) {
    auto bytes = store->read_all(name, 1u << 26);
    return bytes.ok() ? std::string(as_text(*bytes)) : bytes.error().to_string();
  }
};

TEST_P(StoreContract, KeepsWhatWasPut) {
  std::array<ByteView, 3> pieces{as_bytes("ab"), as_bytes(""), as_bytes("cd")};
  ASSERT_TRUE(store->put("440000/registry/run-1", pieces).ok());
  ASSERT_TRUE(store->put("empty", ByteView{}).ok());
  reopen();
  EXPECT_EQ(text("440000/registry/run-1"), "abcd");
  EXPECT_EQ(store->size("empty").value(), 0u);
  EXPECT_EQ(as_text(store->read("440000/registry/run-1", 1, 2).value()), "bc");
  EXPECT_TRUE(store->contains("empty").value());
  EXPECT_FALSE(store->contains("other").value());
}

TEST_P(StoreContract, NeverOverwrites) {
  ASSERT_TRUE(store->put("a", as_bytes("one")).ok());
  EXPECT_TRUE(store->put("a", as_bytes("one")).ok());
  EXPECT_EQ(store->put("a", as_bytes("two")).error().code, ErrorCode::kExists);
  EXPECT_EQ(store->put("a", as_bytes("one more")).error().code, ErrorCode::kExists);
  EXPECT_EQ(text("a"), "one");
  EXPECT_FALSE(store->put("a/b", as_bytes("x")).ok());
  EXPECT_EQ(store->size("a/b").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(text("a"), "one");
}

TEST_P(StoreContract, ListsByPrefixInOrder) {
  for (const char* name : {"b/2", "b/1", "a", "b/10/x", "c", "ba"}) ASSERT_TRUE(store->put(name, as_bytes(name)).ok());
  const auto names = [&](std::string_view prefix) {
    std::string out;
    auto listed = store->list(prefix);
    for (const ObjectInfo& info : *listed) {
      EXPECT_EQ(info.size, info.name.size());
      out += info.name + " ";
    }
    return out;
  };
  EXPECT_EQ(names(""), "a b/1 b/10/x b/2 ba c ");
  EXPECT_EQ(names("b"), "b/1 b/10/x b/2 ba ");
  EXPECT_EQ(names("b/1"), "b/1 b/10/x ");
  EXPECT_EQ(names("b/10/"), "b/10/x ");
  EXPECT_EQ(names("a/"), "");
  EXPECT_EQ(names("nothing/here"), "");
  EXPECT_EQ(names("../"), "");
  EXPECT_EQ(names("/"), "");
}

TEST_P(StoreContract, ShowsStagedObjectsOnlyAfterCommit) {
  std::vector<std::unique_ptr<StagedObject>> objects;
  objects.push_back(store->stage("packs/1").value());
  objects.push_back(store->stage("packs/2").value());
  std::string large(700000, 'x');
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(objects[0]->append(as_bytes(large)).ok());
    ASSERT_TRUE(objects[1]->append(as_bytes("small")).ok());
  }
  EXPECT_EQ(objects[0]->size(), 2100000u);
  EXPECT_TRUE(store->list("").value().empty());
  ASSERT_TRUE(store->commit(std::move(objects)).ok());
  reopen();
  EXPECT_EQ(text("packs/1"), large + large + large);
  EXPECT_EQ(text("packs/2"), "smallsmallsmall");
}

TEST_P(StoreContract, ForgetsWhatWasNotCommitted) {
  auto dropped = store->stage("packs/1").value();
  ASSERT_TRUE(dropped->append(as_bytes("x")).ok());
  dropped.reset();
  auto pending = store->stage("packs/2").value();
  ASSERT_TRUE(pending->append(as_bytes("y")).ok());
  pending.reset();
  reopen();
  EXPECT_TRUE(store->list("").value().empty());
  ASSERT_TRUE(store->put("packs/1", as_bytes("z")).ok());
}

TEST_P(StoreContract, RefusesNamesThatCouldLeaveItsDirectory) {
  for (std::string name :
       {std::string(""), std::string("/"), std::string("/a"), std::string("a/"), std::string("a//b"), std::string("."),
        std::string(".."), std::string("../a"), std::string("a/../b"), std::string("a/."), std::string("a b"),
        std::string("a\0b", 3), std::string("\xc3\xa4"), std::string(kMaxComponentBytes + 1, 'a')}) {
    EXPECT_EQ(store->put(name, as_bytes("x")).error().code, ErrorCode::kUsage) << name;
    EXPECT_EQ(store->read(name, 0, 1).error().code, ErrorCode::kUsage) << name;
    EXPECT_EQ(store->size(name).error().code, ErrorCode::kUsage) << name;
    EXPECT_EQ(store->remove(name).error().code, ErrorCode::kUsage) << name;
    EXPECT_FALSE(store->stage(name).ok()) << name;
  }
  EXPECT_TRUE(store->put(std::string(kMaxComponentBytes, 'a') + "/..a.", as_bytes("x")).ok());
}

TEST_P(StoreContract, ReadsWithinAnObjectOnly) {
  ASSERT_TRUE(store->put("a", as_bytes("abc")).ok());
  EXPECT_EQ(store->read("a", 1, 3).error().code, ErrorCode::kDamaged);
  EXPECT_EQ(store->read("a", 4, 0).error().code, ErrorCode::kDamaged);
  EXPECT_EQ(store->read("a", ~std::uint64_t{0}, 2).error().code, ErrorCode::kDamaged);
  EXPECT_EQ(store->read("a", 0, kMaxReadBytes + 1).error().code, ErrorCode::kLimit);
  EXPECT_EQ(store->read_all("a", 2).error().code, ErrorCode::kLimit);
  EXPECT_EQ(store->read("b", 0, 1).error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(store->read("a", 3, 0).value().empty());
}

TEST_P(StoreContract, RemovesForGood) {
  ASSERT_TRUE(store->put("x/a", as_bytes("abc")).ok());
  ASSERT_TRUE(store->remove("x/a").ok());
  EXPECT_EQ(store->remove("x/a").error().code, ErrorCode::kNotFound);
  reopen();
  EXPECT_TRUE(store->list("").value().empty());
}

INSTANTIATE_TEST_SUITE_P(LocalDirectory, StoreContract,
                         testing::Values(
                             +[]() -> std::unique_ptr<Backend> { return std::make_unique<MemoryDirectory>(); },
                             +[]() -> std::unique_ptr<Backend> { return std::make_unique<RealDirectory>(); }),
                         [](const auto& test) { return test.index == 0 ? "Memory" : "Disk"; });

}  // namespace
}  // namespace stele::store
