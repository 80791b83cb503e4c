#include "core/io/journal.h"

#include <gtest/gtest.h>

#include "core/io/journal_scan.h"
#include "tests/support/fault_file_system.h"
#include "tests/support/journal_records.h"

namespace stele::io {
namespace {

using test::append_texts;
using test::FaultFileSystem;
using test::Recovered;

constexpr std::uint64_t kFile = 64u << 10;

struct JournalTest : testing::Test {
  FaultFileSystem fs{7};
  test::SeededRandom random{11};
  JournalOptions options{.directory = "/spool", .file_bytes = kFile, .max_bytes = 4 * kFile, .holder = "test"};
  Recovered recovered;
  std::unique_ptr<Journal> journal;

  void open() {
    journal.reset();
    recovered = {};
    auto opened = Journal::open(fs, random, options, recovered.visitor());
    ASSERT_TRUE(opened.ok()) << opened.error().to_string();
    journal = std::move(*opened);
  }
  RecordId add(const std::string& text) {
    auto ids = append_texts(*journal, {text});
    EXPECT_TRUE(ids.ok()) << ids.error().to_string();
    return ids.ok() ? ids->at(0) : RecordId{};
  }
  std::string path(int number) { return "/spool/" + journal_file_name(static_cast<std::uint64_t>(number)); }
  Recovered read_only() {
    Recovered out;
    auto summary = read_journal(fs, "/spool", out.visitor());
    EXPECT_TRUE(summary.ok()) << summary.error().to_string();
    return out;
  }
};

TEST_F(JournalTest, GivesBackRecordsInOrderAfterAPowerFailure) {
  open();
  ASSERT_TRUE(append_texts(*journal, {"a", "", std::string(5000, 'c')}).ok());
  add("d");
  fs.crash(FaultFileSystem::Crash::kDropUnsynced);
  open();
  EXPECT_EQ(recovered.records, (std::vector<std::string>{"a", "", std::string(5000, 'c'), "d"}));
  EXPECT_TRUE(recovered.damages.empty());
  add("e");
  EXPECT_EQ(read_only().records.back(), "e");
}

TEST_F(JournalTest, ReadsARecordByItsIdAndNotAReleasedFile) {
  open();
  Bytes head = to_bytes(as_bytes("head-"));
  std::array<ByteView, 2> pieces{head, as_bytes("payload")};
  std::array<RecordPieces, 1> records{pieces};
  auto ids = journal->append(records);
  ASSERT_TRUE(ids.ok());
  EXPECT_EQ(as_text(journal->read(ids->at(0)).value()), "head-payload");
  EXPECT_EQ(journal->read({ids->at(0).file, 4096}).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(journal->read({99, 8192}).error().code, ErrorCode::kNotFound);
  fs.flip(path(1), ids->at(0).offset + kRecordHeaderBytes);
  EXPECT_EQ(journal->read(ids->at(0)).error().code, ErrorCode::kDamaged);
}

TEST_F(JournalTest, WritesRecoveredRecordsAgainSoThatTheyAreReallyDurable) {
  open();
  add("first");
  // The write reaches the page cache, the sync fails: not acknowledged. The process dies; the pages are clean but
  // nowhere.
  fs.fail_operation(2, EIO);
  EXPECT_FALSE(append_texts(*journal, {"unsure"}).ok());
  ASSERT_TRUE(fs.failure_happened());
  fs.crash(FaultFileSystem::Crash::kProcessOnly);
  open();
  ASSERT_EQ(recovered.records, (std::vector<std::string>{"first", "unsure"}));
  fs.crash(FaultFileSystem::Crash::kDropUnsynced);
  open();
  EXPECT_EQ(recovered.records, (std::vector<std::string>{"first", "unsure"}));
}

TEST_F(JournalTest, AbandonsAFileAfterAFailedSyncAndForgetsThatBatch) {
  open();
  add("kept");
  fs.fail_operation(2, EIO);
  auto failed = append_texts(*journal, {"lost"});
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code, ErrorCode::kIo);
  EXPECT_TRUE(journal->failed());
  EXPECT_EQ(journal->abandoned_files(), 1u);
  RecordId next = add("next");
  EXPECT_FALSE(journal->failed());
  EXPECT_EQ(next.file, 2u);
  EXPECT_EQ(read_only().records, (std::vector<std::string>{"kept", "next"}));
  fs.crash(FaultFileSystem::Crash::kKeepSome);
  open();
  EXPECT_EQ(recovered.records, (std::vector<std::string>{"kept", "next"}));
  EXPECT_TRUE(recovered.damages.empty());
  // Released, the abandoned file is removed and never used again.
  journal->release_through(recovered.ids[1]);
  for (int i = 0; i < 6; ++i) journal->release(add(std::string(40000, 'x')));
  EXPECT_FALSE(fs.exists(path(1)).value());
}

TEST_F(JournalTest, ReusesFilesInOrderAndNeverShowsTheirOldRecords) {
  open();
  std::vector<RecordId> ids;
  for (int i = 0; i < 12; ++i) {
    ids.push_back(add(std::string(30000, static_cast<char>('a' + i))));
    if (i >= 2) journal->release(ids[static_cast<std::size_t>(i - 2)]);
  }
  EXPECT_LE(fs.list_directory("/spool").value().size(), 4u);  // at most three files and the lock
  for (auto crash : {FaultFileSystem::Crash::kProcessOnly, FaultFileSystem::Crash::kDropUnsynced}) {
    fs.crash(crash);
    open();
    ASSERT_GE(recovered.records.size(), 2u);
    for (std::size_t i = 0; i < recovered.records.size(); ++i) {
      EXPECT_EQ(recovered.records[i][0], static_cast<char>('a' + 12 - recovered.records.size() + i));
    }
  }
}

TEST_F(JournalTest, RefusesToGrowBeyondItsLimitUntilSomethingIsReleased) {
  open();
  std::vector<RecordId> ids;
  for (int i = 0; i < 4; ++i) ids.push_back(add(std::string(50000, 'x')));
  auto full = append_texts(*journal, {std::string(50000, 'y')});
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().code, ErrorCode::kLimit);
  EXPECT_FALSE(journal->failed());
  EXPECT_LE(journal->live_bytes(), journal->capacity());
  journal->release(ids[1]);  // not the oldest: nothing can be reused yet
  EXPECT_FALSE(append_texts(*journal, {std::string(50000, 'y')}).ok());
  journal->release(ids[0]);
  journal->release(ids[0]);  // a second time is ignored
  add(std::string(50000, 'y'));
  add(std::string(50000, 'z'));
  EXPECT_FALSE(append_texts(*journal, {std::string(50000, 'y')}).ok());
  journal->release_through(ids[3]);
  add(std::string(50000, 'y'));
}

TEST_F(JournalTest, RefusesWhatIsTooLargeWithoutWritingIt) {
  open();
  EXPECT_EQ(append_texts(*journal, {std::string(journal->max_record_bytes() + 1, 'x')}).error().code,
            ErrorCode::kLimit);
  EXPECT_EQ(append_texts(*journal, {std::string(40000, 'x'), std::string(40000, 'x')}).error().code, ErrorCode::kLimit);
  add(std::string(journal->max_record_bytes(), 'x'));
  EXPECT_FALSE(journal->failed());
}

TEST_F(JournalTest, HasOneWriterAndNamesIt) {
  open();
  Recovered other;
  auto second = Journal::open(fs, random, options, other.visitor());
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::kTemporary);
  EXPECT_NE(second.error().what.find("held by test"), std::string::npos);
}

TEST_F(JournalTest, ReportsRotBeforeALaterBatchAsDamageAndKeepsTheFile) {
  open();
  add("one");
  RecordId two = add("two");
  RecordId three = add("three");
  fs.flip(path(1), two.offset + kRecordHeaderBytes);
  Recovered seen = read_only();
  EXPECT_EQ(seen.records, std::vector<std::string>{"one"});
  ASSERT_EQ(seen.damages.size(), 1u);
  EXPECT_EQ(seen.damages[0].file, 1u);
  EXPECT_LE(seen.damages[0].from, two.offset);
  EXPECT_EQ(seen.damages[0].to, three.offset + kRecordHeaderBytes + 5);
  EXPECT_EQ(seen.damages[0].error().code, ErrorCode::kDamaged);
  for (int round = 0; round < 2; ++round) {  // it stays reported
    fs.crash(FaultFileSystem::Crash::kDropUnsynced);
    open();
    ASSERT_EQ(recovered.damages.size(), 1u);
    EXPECT_EQ(recovered.damages[0].from, seen.damages[0].from);
    EXPECT_EQ(add("later").file, 2u);
  }
  // Records behind it follow, and the file is reused only after the damage was released.
  EXPECT_EQ(read_only().records, (std::vector<std::string>{"one", "later", "later"}));
  EXPECT_EQ(read_only().damages.size(), 1u);
  journal->release(recovered.ids[0]);
  journal->release_through({2, ~std::uint64_t{0}});
  std::uint64_t before = journal->live_bytes();
  journal->release_damage(recovered.damages[0]);
  EXPECT_LT(journal->live_bytes(), before);
}

TEST_F(JournalTest, OffersTheIntactRecordsOfADamagedBatch) {
  open();
  auto ids = append_texts(*journal, {"one", "two", "three"});
  add("four");
  fs.flip(path(1), ids->at(1).offset + kRecordHeaderBytes);
  Recovered seen = read_only();
  EXPECT_EQ(seen.records, std::vector<std::string>{"one"});
  ASSERT_EQ(seen.damages.size(), 1u);
  EXPECT_EQ(seen.damages[0].from, ids->at(1).offset);
}

TEST_F(JournalTest, TakesAnUnfinishedLastBatchForATornTail) {
  open();
  add("one");
  RecordId two = add("two");
  fs.flip(path(1), two.offset + kRecordHeaderBytes);
  Recovered seen;
  auto summary = read_journal(fs, "/spool", seen.visitor());
  ASSERT_TRUE(summary.ok());
  EXPECT_TRUE(summary->torn_tail);
  EXPECT_EQ(seen.records, std::vector<std::string>{"one"});
  EXPECT_TRUE(seen.damages.empty());
  fs.crash(FaultFileSystem::Crash::kDropUnsynced);
  open();
  EXPECT_TRUE(journal->recovered().torn_tail);
  EXPECT_EQ(add("three"), two);
  EXPECT_EQ(read_only().records, (std::vector<std::string>{"one", "three"}));
}

TEST_F(JournalTest, KnowsFromTheNextFileThatAnEarlierTailWasSynced) {
  open();
  add("one");
  RecordId two = add(std::string(40000, 'b'));
  add(std::string(40000, 'c'));
  fs.flip(path(1), two.offset + 20000);
  Recovered seen = read_only();
  ASSERT_EQ(seen.damages.size(), 1u);
  EXPECT_EQ(seen.damages[0].file, 1u);
  EXPECT_EQ(seen.records, (std::vector<std::string>{"one", std::string(40000, 'c')}));
}

TEST_F(JournalTest, SurvivesRotInOneHeaderCopyAndReportsBoth) {
  open();
  add("one");
  add(std::string(50000, 'b'));
  add(std::string(50000, 'c'));
  fs.flip(path(1), 20);
  EXPECT_EQ(read_only().records.size(), 3u);
  fs.flip(path(1), kJournalBlock + 20);
  Recovered seen = read_only();
  EXPECT_EQ(seen.records, std::vector<std::string>{std::string(50000, 'c')});
  ASSERT_EQ(seen.damages.size(), 2u);  // the unreadable file, and the one that the chain misses
  fs.crash(FaultFileSystem::Crash::kDropUnsynced);
  open();
  ASSERT_EQ(recovered.damages.size(), 2u);
  journal->release_damage(recovered.damages[0]);
  EXPECT_FALSE(fs.exists(path(1)).value());
}

TEST_F(JournalTest, ReportsAMissingFile) {
  open();
  for (int i = 0; i < 3; ++i) add(std::string(50000, static_cast<char>('a' + i)));
  ASSERT_TRUE(fs.unlink(path(2)).ok());
  Recovered seen = read_only();
  EXPECT_EQ(seen.records.size(), 2u);
  ASSERT_EQ(seen.damages.size(), 1u);
  EXPECT_EQ(seen.damages[0].file, 2u);
}

TEST_F(JournalTest, StopsWhereTheVisitorRefuses) {
  open();
  add("one");
  fs.crash(FaultFileSystem::Crash::kDropUnsynced);
  journal.reset();
  JournalVisitor visitor{[](RecordId, ByteView) -> Status {
                           return Error{ErrorCode::kForged, "no", ""};
                         },
                         [](const JournalDamage&) -> Status { return {}; }};
  EXPECT_EQ(Journal::open(fs, random, options, visitor).error().code, ErrorCode::kForged);
}

TEST_F(JournalTest, RefusesImpossibleOptionsAndOtherVersions) {
  Recovered out;
  for (JournalOptions bad : {JournalOptions{"/j", 5000, 1u << 20, ""}, JournalOptions{"/j", 4096, 1u << 20, ""},
                             JournalOptions{"/j", kFile, kFile, ""}}) {
    EXPECT_EQ(Journal::open(fs, random, bad, out.visitor()).error().code, ErrorCode::kConfig);
  }
  EXPECT_EQ(read_journal(fs, "/nowhere", out.visitor()).error().code, ErrorCode::kNotFound);
}

TEST_F(JournalTest, PreparesAFileAheadAndUsesIt) {
  open();
  EXPECT_TRUE(journal->wants_spare());
  ASSERT_TRUE(journal->prepare_spare().ok());
  EXPECT_FALSE(journal->wants_spare());
  std::uint64_t before = fs.operations();
  add("x");
  EXPECT_LE(fs.operations() - before, 8u);  // two header copies with syncs, one batch with its sync: no zero-filling
}

TEST_F(JournalTest, WritesEverythingAlsoWhenTheSystemTakesLittleAtATime) {
  fs.set_short_writes(true);
  open();
  ASSERT_TRUE(append_texts(*journal, {std::string(20000, 'a'), "b", std::string(9000, 'c')}).ok());
  fs.crash(FaultFileSystem::Crash::kDropUnsynced);
  open();
  EXPECT_EQ(recovered.records, (std::vector<std::string>{std::string(20000, 'a'), "b", std::string(9000, 'c')}));
}

}  // namespace
}  // namespace stele::io
