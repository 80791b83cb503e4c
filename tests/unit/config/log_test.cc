#include "core/config/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "core/base/identity.h"

using namespace stele;
using testing::HasSubstr;

namespace {

std::string line(log::Format format, std::string_view message, std::vector<log::Field> fields) {
  return log::format_line(format, Timestamp{1'000'000}, log::Level::kInfo, "stele-agent", message, fields.data(),
                          fields.size());
}

std::vector<std::string> lines_of(const std::string& path) {
  std::vector<std::string> out;
  std::ifstream in(path);
  for (std::string text; std::getline(in, text);) out.push_back(text);
  return out;
}

std::string temp_file(std::string_view name) {
  return testing::TempDir() + "stele-log-" + std::to_string(::getpid()) + std::string(name);
}

}  // namespace

TEST(LogLine, TextIsReadableAndStaysOneLine) {
  EXPECT_EQ(line(log::Format::kText, "sent",
                 {{"site", "440000"},
                  {"bytes", 12},
                  {"position", Position{0x16B374D848}},
                  {"why", "two words"},
                  {"empty", ""}}),
            "1970-01-01T00:00:01Z info    sent site=440000 bytes=12 position=16/B374D848 why=\"two words\" empty=\"\"");
  EXPECT_EQ(line(log::Format::kText, "a\nb\x1b[31m", {{"v", "x\ny"}}),
            "1970-01-01T00:00:01Z info    a\\nb\\x1b[31m v=\"x\\ny\"");
}

TEST(LogLine, JsonIsValidWhateverIsInIt) {
  const auto body =
      nlohmann::json::parse(line(log::Format::kJson, "bad \xff\n\"byte\"",
                                 {{"n", 5}, {"f", 0.5}, {"nan", 0.0 / 0.0}, {"ok", true}, {"s", "\x01"}}));
  EXPECT_EQ(body["time"], "1970-01-01T00:00:01Z");
  EXPECT_EQ(body["level"], "info");
  EXPECT_EQ(body["n"], 5);
  EXPECT_EQ(body["f"], 0.5);
  EXPECT_TRUE(body["nan"].is_null());
  EXPECT_EQ(body["ok"], true);
  EXPECT_EQ(body["s"], "\x01");
}

TEST(Log, WritesLinesFromTheLevelUpAndAllBeforeStopReturns) {
  const std::string path = temp_file("a");
  ASSERT_TRUE(log::start({log::Level::kInfo, log::Format::kJson, path, "test"}).ok());
  EXPECT_FALSE(log::start({}).ok()) << "started twice";
  log::debug("hidden");
  for (int i = 0; i < 100; ++i) log::info("line", {{"i", i}});
  log::log_error(Error{ErrorCode::kDiskFull, "write x", "make room"}, {{"site", "1"}});
  log::stop();
  log::stop();
  const auto lines = lines_of(path);
  std::filesystem::remove(path);
  ASSERT_EQ(lines.size(), 101u);
  EXPECT_EQ(nlohmann::json::parse(lines[99])["i"], 99);
  const auto last = nlohmann::json::parse(lines[100]);
  EXPECT_EQ(last["message"], "write x");
  EXPECT_EQ(last["code"], "disk_full");
  EXPECT_EQ(last["hint"], "make room");
  EXPECT_EQ(last["site"], "1");
}

TEST(Log, AFullDiskLosesLinesAndCountsThem) {
  const std::uint64_t before = log::dropped_lines();
  ASSERT_TRUE(log::start({log::Level::kInfo, log::Format::kText, "/dev/full", "test"}).ok());
  for (int i = 0; i < 10; ++i) log::info("line");
  log::stop();
  EXPECT_EQ(log::dropped_lines() - before, 10u);
}

TEST(Log, AReaderThatStoppedDoesNotBlockTheProgram) {
  const std::string path = temp_file("fifo");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  const std::uint64_t before = log::dropped_lines();
  ASSERT_TRUE(log::start({log::Level::kInfo, log::Format::kText, path, "test", 64}).ok());
  const auto begin = std::chrono::steady_clock::now();
  const std::string text(1000, 'x');
  for (int i = 0; i < 2000; ++i) log::info(text);  // a pipe holds 64 KiB
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  log::stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
  EXPECT_GT(log::dropped_lines() - before, 1000u);
  ::close(reader);
  std::filesystem::remove(path);
}

TEST(Log, ManyThreadsMayWriteWhileItStops) {
  const std::string path = temp_file("t");
  ASSERT_TRUE(log::start({log::Level::kInfo, log::Format::kText, path, "test"}).ok());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 500; ++i) log::info("line", {{"i", i}});
    });
  }
  log::stop();
  for (auto& thread : threads) thread.join();
  for (const std::string& text : lines_of(path)) EXPECT_THAT(text, HasSubstr("info    line i="));
  std::filesystem::remove(path);
}

TEST(Log, RefusesAFileItCannotOpen) {
  auto status = log::start({log::Level::kInfo, log::Format::kText, "/nonexistent/x.log", "test"});
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code, ErrorCode::kNotFound);
}
