#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "restore/report/chart.h"
#include "restore/report/page.h"
#include "restore/report/signed_report.h"
#include "restore/report/standards.h"
#include "tests/support/seeded_random.h"
#include "tests/unit/drill/sample_result.h"

namespace stele::restore {
namespace {

using testing::HasSubstr;
using testing::Not;

crypto::RestoreHostKey host(std::uint64_t seed) {
  test::SeededRandom random(seed);
  return {"drill host 1", crypto::SigningKey::generate(crypto::default_suite(), random)};
}

class Directory {
 public:
  Directory() {
    path_ = std::filesystem::temp_directory_path() / "stele-reports-XXXXXX";
    EXPECT_NE(mkdtemp(path_.data()), nullptr);
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(path_ + "/" + name) << text; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(Report, IsOneFileThatLoadsNothing) {
  const std::string page = report_page(test::sample_drill(), test::sample_history(), {"x.json", "abc", "stele-restore-host-public:1:00"});
  for (const char* never : {"http://", "https://", "<script", "<img", "<link", "url(", "@import", "src="}) EXPECT_THAT(page, Not(HasSubstr(never)));
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  for (const char* text : {"灾难恢复演练报告", "Disaster recovery drill report", "1 分 25 秒", "1 min 25 s", "每名会员都属于一个存在的工会组织", "GB/T 22239-2019", "GB/T 20988-2025", "8.1.4.9 b)",
                           "random moment of the window, seed 4711", "guangzhou-1", "<svg"}) {
    EXPECT_THAT(page, HasSubstr(text));
  }
}

TEST(Report, EscapesWhatComesFromOutside) {
  DrillResult r = test::sample_drill();
  r.notes = {"<script>alert(1)</script>"};
  r.checks[0].detail = r.checks[0].detail_zh = "a < b & \"c\"";
  r.objects[0].name = "<b>";
  const std::string page = report_page(r, {}, {});
  EXPECT_THAT(page, Not(HasSubstr("<script")));
  EXPECT_THAT(page, Not(HasSubstr("<b></code>")));
  EXPECT_THAT(page, HasSubstr("a &lt; b &amp; &quot;c&quot;"));
}

TEST(Report, OfADrillThatDidNotRunClaimsNothing) {
  DrillResult r;
  r.database = {"440000", "registry"};
  r.id = "0123456789abcdef0123456789abcdef";
  r.asked = "latest";
  r.started = {1'790'000'000'000'000};
  r.finished = {1'790'000'001'000'000};
  r.problem = "the disk is full";
  r.problem_code = "disk_full";
  const std::string page = report_page(r, {}, {});
  EXPECT_THAT(page, HasSubstr("did not run to its end: the disk is full"));
  EXPECT_THAT(page, HasSubstr("未通过"));
  EXPECT_THAT(page, Not(HasSubstr("class=\"verdict good\"")));
  for (const StandardItem& item : standard_items(r, {}, Language::kEnglish)) EXPECT_THAT(item.fact, Not(HasSubstr("restored to")));
  EXPECT_EQ(phases_chart(r, Language::kEnglish), "");
}

TEST(Report, SaysWhenATargetIsNotKept) {
  DrillResult r = test::sample_drill();
  r.rpo = 1000;
  const std::string page = report_page(r, {}, {});
  EXPECT_THAT(page, HasSubstr("over its RTO or RPO target"));
  EXPECT_THAT(page, HasSubstr("card over"));
}

TEST(Report, ShowsCountsByDatabaseAndWhatDeviates) {
  DrillResult r = test::sample_drill();
  std::string page = report_page(r, {}, {});
  for (const char* text : {"2,804,117 / 2,810,004", "152 / 153", "未封存计数", "not sealed"}) EXPECT_THAT(page, HasSubstr(text));
  EXPECT_THAT(page, Not(HasSubstr("不符的对象")));
  r.counts.databases[0].deviating = 1;
  r.counts.deviations = {{CountDeviation::Problem::kFewerRows, "registry", "registry", "member<1>", 2'000'000, 0}};
  page = report_page(r, {}, {});
  for (const char* text : {"registry: registry.member&lt;1&gt;", "fewer rows", "行数偏少", "2,000,000"}) EXPECT_THAT(page, HasSubstr(text));
  const nlohmann::json json = report_json(r)["counts"];
  EXPECT_EQ(json["deviations"][0]["problem"], "fewer_rows");
  EXPECT_EQ(json["databases"][0]["rows"]["found"], 2'810'004);
  EXPECT_EQ(json["databases"][1]["sealed"], false);
}

TEST(SignedReport, IsBelievedOnlyUnchangedAndFromTheRightHost) {
  const crypto::RestoreHostKey mine = host(1), other = host(2);
  const std::string json = report_json(test::sample_drill()).dump(1) + "\n";
  auto signature = sign_report(as_bytes(json), mine);
  ASSERT_TRUE(signature.ok());
  EXPECT_TRUE(verify_report(as_bytes(json), *signature, &mine.key.verify_key()).ok());
  EXPECT_EQ(verify_report(as_bytes(json), *signature, &other.key.verify_key()).error().code, ErrorCode::kForged);
  std::string changed = json;
  changed.replace(changed.find("\"passed\": true"), 14, "\"passed\": 1   ");
  EXPECT_EQ(verify_report(as_bytes(changed), *signature, nullptr).error().code, ErrorCode::kForged);
  EXPECT_FALSE(verify_report(as_bytes(json), "nonsense", nullptr).ok());
}

TEST(History, CountsOnlyReportsThatThisHostSigned) {
  const crypto::RestoreHostKey mine = host(1), other = host(2);
  Directory directory;
  DrillResult r = test::sample_drill();
  for (const auto& [name, key] : {std::pair("440000-registry-1.json", &mine), std::pair("440000-registry-2.json", &other)}) {
    const std::string json = report_json(r).dump(1);
    directory.write(name, json);
    directory.write(std::string(name) + ".sig", *sign_report(as_bytes(json), *key));
  }
  directory.write("440000-registry-3.json", report_json(r).dump(1));  // without a signature
  directory.write("110000-registry-1.json", "another site");
  const History history = read_history(directory.path(), r.database, mine.key.verify_key());
  ASSERT_EQ(history.drills.size(), 1u);
  EXPECT_EQ(history.refused, 2u);
  EXPECT_TRUE(history.drills[0].passed);
  EXPECT_EQ(history.drills[0].rto, 85);
  EXPECT_EQ(history.last_success(), r.finished);
  EXPECT_EQ(history.drills[0].keys.at("440000 drill host"), r.keys[0].newest_epoch);
  EXPECT_TRUE(read_history("/nonexistent", r.database, mine.key.verify_key()).drills.empty());
}

TEST(SignedReport, HoldsNoPersonalData) {
  // Nothing of a row has a field to go to: the words of the report are all of the drill itself.
  const nlohmann::json report = report_json(test::sample_drill());
  for (const auto& check : report.at("checks")) {
    EXPECT_EQ(check.size(), 5u);
    for (const char* key : {"name", "title", "result", "detail", "seconds"}) EXPECT_TRUE(check.contains(key));
  }
}

}  // namespace
}  // namespace stele::restore
