// Every operation of a scripted workload fails once, or from then on for ever, with and without a crash after it. Then:
// what was acknowledged is there, in order, and nothing else than what was submitted.
#include <gtest/gtest.h>

#include <cerrno>
#include <set>

#include "core/io/journal_scan.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/journal_records.h"

namespace stele::io {
namespace {

using test::FaultFileSystem;
using test::Recovered;
using Crash = FaultFileSystem::Crash;

constexpr std::uint64_t kFile = 64u << 10;
const JournalOptions kOptions{"/var/spool", kFile, 4 * kFile, "test"};

struct Scenario {
  std::uint64_t seed = 1;
  int error = EIO;
  bool forever = false;
  bool spares = false;
  Crash crash = Crash::kDropUnsynced;

  std::string text(std::uint64_t step) const {
    return fmt::format("seed {}, operation {} fails with {}{}{}, crash {}", seed, step, error,
                       forever ? " for ever" : "", spares ? ", files prepared ahead" : "", static_cast<int>(crash));
  }
};

/// A record tells its number, so that order and origin can be checked; sizes repeat, which is what makes stale records
/// look right.
std::string record_text(std::uint64_t number, std::size_t size) {
  std::string out = fmt::format("{:08}:", number);
  out.resize(std::max(size, out.size()), static_cast<char>('a' + number % 26));
  return out;
}
std::uint64_t number_of(const std::string& text) {
  return std::stoull(text.substr(0, 8));
}

struct Workload {
  FaultFileSystem fs;
  test::SeededRandom random;
  std::uint64_t next = 1;
  std::map<std::uint64_t, std::string> submitted;
  std::map<std::uint64_t, RecordId> acknowledged;
  std::uint64_t released_through = 0;

  explicit Workload(std::uint64_t seed) : fs(seed), random(seed * 31 + 5) {}

  std::unique_ptr<Journal> open(Recovered& out) {
    auto journal = Journal::open(fs, random, kOptions, out.visitor());
    return journal.ok() ? std::move(*journal) : nullptr;
  }

  bool append(Journal& journal, std::size_t records, std::size_t size) {
    std::vector<std::string> texts;
    std::uint64_t first = next;
    for (std::size_t i = 0; i < records; ++i) {
      texts.push_back(record_text(next, size));
      submitted[next++] = texts.back();
    }
    auto ids = test::append_texts(journal, texts);
    if (!ids.ok()) return false;
    for (std::size_t i = 0; i < records; ++i) acknowledged[first + i] = (*ids)[i];
    return true;
  }

  void run(bool spares) {
    Recovered nothing;
    auto journal = open(nothing);
    if (!journal) return;
    for (int i = 0; i < 24; ++i) {
      std::size_t records = 1 + random.u64() % 3;
      std::size_t size = i % 4 == 0 ? 20 : 9000;
      (void)append(*journal, records, size);
      if (spares && journal->wants_spare()) (void)journal->prepare_spare();
      // Everything but the newest few is safe elsewhere.
      auto keep = acknowledged.rbegin();
      for (int k = 0; k < 8 && keep != acknowledged.rend(); ++k) ++keep;
      if (keep != acknowledged.rend()) {
        released_through = keep->first;
        journal->release_through(keep->second);
      }
    }
  }

  void check(const Recovered& got) {
    for (const JournalDamage& damage : got.damages) ADD_FAILURE() << "false damage: " << damage.error().what;
    std::uint64_t last = 0;
    std::set<std::uint64_t> seen;
    for (const std::string& text : got.records) {
      std::uint64_t number = number_of(text);
      EXPECT_GT(number, last) << "out of order or twice";
      last = number;
      ASSERT_TRUE(submitted.contains(number)) << "never submitted";
      EXPECT_EQ(submitted[number], text);
      seen.insert(number);
    }
    std::uint64_t first_needed = seen.empty() ? released_through + 1 : std::min(*seen.begin(), released_through + 1);
    for (auto at = acknowledged.lower_bound(first_needed); at != acknowledged.end(); ++at) {
      EXPECT_TRUE(seen.contains(at->first)) << "acknowledged record " << at->first << " is lost";
    }
  }
};

/// True when the failure at `step` happened; false when the workload ended before it.
bool run_scenario(const Scenario& scenario, std::uint64_t step) {
  SCOPED_TRACE(scenario.text(step));
  Workload work(scenario.seed);
  work.fs.fail_operation(step, scenario.error, scenario.forever);
  work.run(scenario.spares);
  const bool happened = work.fs.failure_happened();
  work.fs.crash(scenario.crash);

  // Reading beside or after a dead writer sees the same.
  Recovered reader;
  if (work.fs.exists("/var/spool").value()) {
    auto read = read_journal(work.fs, "/var/spool", reader.visitor());
    EXPECT_TRUE(read.ok()) << read.error().to_string();
    work.check(reader);
  }

  // The recovery itself is disturbed, then the machine stops.
  Recovered disturbed;
  work.fs.fail_operation(1 + (step * 7 + scenario.seed) % 40, scenario.error, true);
  (void)work.open(disturbed);
  work.fs.crash(scenario.crash);

  Recovered first;
  auto journal = work.open(first);
  EXPECT_TRUE(journal != nullptr) << "cannot be opened again";
  if (!journal) return happened;
  work.check(first);
  EXPECT_GE(first.records.size(), reader.records.size()) << "what a reader saw was lost by the recovery";

  // What recovery gave counts from now on, and what follows it too.
  for (const std::string& text : first.records) work.acknowledged[number_of(text)] = {};
  if (!first.ids.empty()) {
    journal->release(first.ids[0]);  // makes no difference to what must be there below: only whole files are reused
  }
  if (!work.append(*journal, 2, 9000)) {
    EXPECT_GT(journal->live_bytes() + kFile, journal->capacity()) << "cannot append after recovery";
  }
  work.fs.crash(Crash::kDropUnsynced);
  Recovered second;
  journal.reset();
  journal = work.open(second);
  EXPECT_TRUE(journal != nullptr);
  work.check(second);
  return happened;
}

struct JournalFault : testing::TestWithParam<int> {};

TEST_P(JournalFault, LosesNothingAcknowledgedWhateverOperationFails) {
  for (bool forever : {false, true}) {
    for (Crash crash : {Crash::kDropUnsynced, Crash::kKeepSome, Crash::kProcessOnly}) {
      for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        Scenario scenario{seed, GetParam(), forever, seed == 2, crash};
        std::uint64_t step = 1;
        while (run_scenario(scenario, step) && !HasFailure()) ++step;
        EXPECT_GT(step, 60u) << "the workload did nothing";
        if (HasFailure()) return;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Errors, JournalFault, testing::Values(EIO, ENOSPC),
                         [](const auto& test) { return test.param == EIO ? "Io" : "NoSpace"; });

// The header of a file that could not be taken into use may be on the disk, with the end of the file before.
TEST(JournalFault, LosesNothingThatIsAppendedAfterAFileCouldNotBeTakenIntoUse) {
  bool failed = true;
  std::uint64_t step = 1;
  for (; failed; ++step) {
    for (Crash crash : {Crash::kDropUnsynced, Crash::kKeepSome}) {
      SCOPED_TRACE(fmt::format("operation {} fails, crash {}", step, static_cast<int>(crash)));
      Workload work(step);
      Recovered nothing;
      auto journal = work.open(nothing);
      for (int i = 0; i < 3; ++i) ASSERT_TRUE(work.append(*journal, 1, 9000));
      ASSERT_TRUE(journal->prepare_spare().ok());
      work.fs.fail_operation(step, EIO);
      failed = !work.append(*journal, 3, 9000) && work.fs.failure_happened();
      work.fs.fail_operation(0, 0);
      ASSERT_TRUE(work.append(*journal, 1, 20)) << "a batch that fits behind the others";
      work.fs.crash(crash);
      Recovered got;
      journal.reset();
      journal = work.open(got);
      ASSERT_TRUE(journal != nullptr);
      work.check(got);
      if (HasFailure()) return;
    }
  }
  EXPECT_GT(step, 4u);
}

TEST(JournalBadSector, CostsOnlyWhatLiesThereAndTheJournalOpens) {
  for (std::uint64_t offset = kJournalDataStart; offset < kFile; offset += 2048) {
    SCOPED_TRACE(offset);
    Workload work(offset);
    Recovered nothing;
    auto journal = work.open(nothing);
    for (int i = 0; i < 9; ++i) ASSERT_TRUE(work.append(*journal, 2, 6000));
    ASSERT_GT(work.acknowledged.rbegin()->second.file, 1u);
    journal.reset();
    const std::string path = "/var/spool/" + journal_file_name(1);
    ASSERT_TRUE(work.fs.set_unreadable(path, offset));
    Recovered got;
    journal = work.open(got);
    ASSERT_TRUE(journal != nullptr);
    // Files behind it are read, and what is lost is said.
    ASSERT_FALSE(got.records.empty());
    EXPECT_EQ(got.records.back(), work.submitted.rbegin()->second);
    EXPECT_EQ(got.records.size() == work.acknowledged.size(), got.damages.empty());
    for (const JournalDamage& damage : got.damages) {
      EXPECT_LE(damage.from, offset + 512);
      EXPECT_GT(damage.to, offset);
    }
    // Told and released, the file is not used again.
    for (const JournalDamage& damage : got.damages) journal->release_damage(damage);
    journal->release_through(got.ids.back());
    if (!got.damages.empty()) {
      for (int i = 0; i < 24; ++i) {
        ASSERT_TRUE(work.append(*journal, 2, 6000));
        journal->release_through(work.acknowledged.rbegin()->second);
      }
      EXPECT_FALSE(work.fs.exists(path).value());
    }
  }
}

TEST(JournalBadSector, InOneHeaderCopyCostsNothing) {
  for (std::uint64_t copy : {std::uint64_t{0}, kJournalBlock}) {
    Workload work(copy);
    Recovered nothing;
    auto journal = work.open(nothing);
    ASSERT_TRUE(work.append(*journal, 2, 3000));
    journal.reset();
    ASSERT_TRUE(work.fs.set_unreadable("/var/spool/" + journal_file_name(1), copy));
    Recovered got;
    ASSERT_TRUE(work.open(got) != nullptr);
    work.check(got);
    EXPECT_EQ(got.records.size(), 2u);
  }
}

// Rot anywhere in what was acknowledged is reported as damage, except in the last batch, where it cannot be told from a
// torn tail.
TEST(JournalRot, IsAlwaysReportedBeforeTheLastBatch) {
  for (std::uint64_t offset = kJournalDataStart; offset < kFile; offset += 509) {
    SCOPED_TRACE(offset);
    Workload work(offset);
    Recovered nothing;
    auto journal = work.open(nothing);
    for (int i = 0; i < 6; ++i) ASSERT_TRUE(work.append(*journal, 2, 3000));
    const RecordId last = work.acknowledged.rbegin()->second;
    ASSERT_EQ(last.file, 1u);
    journal.reset();
    ASSERT_TRUE(work.fs.flip("/var/spool/" + journal_file_name(1), offset));
    Recovered got;
    auto summary = read_journal(work.fs, "/var/spool", got.visitor());
    ASSERT_TRUE(summary.ok());
    const std::size_t all = work.acknowledged.size();
    if (got.records.size() == all) {
      EXPECT_TRUE(got.damages.empty());  // padding or free space
    } else if (got.records.size() >= all - 2) {
      EXPECT_TRUE(got.damages.empty());
    } else {
      ASSERT_EQ(got.damages.size(), 1u);
      EXPECT_LE(got.damages[0].from, offset);
      EXPECT_GT(got.damages[0].to, offset);
    }
    for (std::size_t i = 0; i < got.records.size(); ++i) EXPECT_EQ(got.records[i], work.submitted[i + 1]);
  }
}

// A reader that looks after every single operation of the writer never sees damage.
TEST(JournalReading, SeesNoDamageAtAnyInstantOfAWriter) {
  const std::uint64_t total = [] {
    Workload work(9);
    work.run(true);
    return work.fs.operations();
  }();
  for (std::uint64_t step = 1; step <= total; step += 3) {
    Workload work(9);
    work.fs.fail_operation(step, EIO, true);
    work.run(true);
    work.fs.fail_operation(0, 0);
    if (!work.fs.exists("/var/spool").value()) continue;
    Recovered got;
    auto summary = read_journal(work.fs, "/var/spool", got.visitor());
    ASSERT_TRUE(summary.ok()) << summary.error().to_string();
    work.check(got);
    if (HasFailure()) FAIL() << "step " << step;
  }
}

}  // namespace
}  // namespace stele::io
