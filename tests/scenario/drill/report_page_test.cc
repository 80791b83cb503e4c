// The report as a browser shows it: Chromium, without network, in both languages and on paper.
#include <gmock/gmock.h>

#include "restore/report/page.h"
#include "tests/scenario/drill/drill_world.h"
#include "tests/unit/drill/sample_result.h"

namespace stele::scenario {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

class ReportPage : public testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() / "stele-page-XXXXXX";
    ASSERT_NE(mkdtemp(root_.data()), nullptr);
    ASSERT_OK(test::write_file_text(file(), restore::report_page(test::sample_drill(), test::sample_history(), {"440000-registry-1.json", "00ff", "stele-restore-host-public:1:00"})));
  }
  void TearDown() override {
    if (std::getenv("STELE_KEEP") == nullptr) fs::remove_all(root_);
  }
  std::string file() const { return root_ + "/report.html"; }

  /// Runs the browser with its own profile; gives what it printed.
  std::string browser(std::vector<std::string> arguments, const std::string& fragment) {
    arguments.insert(arguments.begin(), {"chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--user-data-dir=" + root_ + "/profile",
                                         "--no-first-run", "--host-resolver-rules=MAP * ~NOTFOUND"});
    arguments.push_back("file://" + file() + fragment);
    auto done = test::run_process(arguments, {.input = "", .environment = {{"HOME", root_}}});
    EXPECT_EQ("", problem_of(done));
    if (!done.ok()) return "";
    EXPECT_EQ(done->exit_code, 0) << done->err;
    return done->out;
  }

  /// A page as an image; its size in pixels is asked for, its bytes tell whether anything was drawn.
  std::string screenshot(const std::string& name, const std::string& fragment) {
    const std::string image = root_ + "/" + name + ".png";
    browser({"--window-size=900,3300", "--screenshot=" + image}, fragment);
    return test::read_file_text(image);
  }
  std::string root_;
};

TEST_F(ReportPage, ChromiumReadsEveryPartOfIt) {
  const std::string dom = browser({"--dump-dom"}, "#en");
  for (const char* text : {"灾难恢复演练报告", "Disaster recovery drill report", "No identity number twice", "居民身份证号码无重复", "8.1.10.13 c)", "stele-restore drill --verify-report 440000-registry-1.json"}) {
    EXPECT_THAT(dom, HasSubstr(text));
  }
  // A parser that had to repair the page would have moved or doubled these.
  std::size_t articles = 0, charts = 0;
  for (std::size_t at = 0; (at = dom.find("<article", at)) != std::string::npos; ++at) ++articles;
  for (std::size_t at = 0; (at = dom.find("<svg", at)) != std::string::npos; ++at) ++charts;
  EXPECT_EQ(articles, 2u);
  EXPECT_EQ(charts, 4u) << "phases and history, in both languages";
}

TEST_F(ReportPage, ShowsOneLanguageAtATimeAndPrintsOnPaper) {
  const std::string zh = screenshot("zh", ""), en = screenshot("en", "#en");
  EXPECT_TRUE(zh.starts_with("\x89PNG"));
  EXPECT_TRUE(en.starts_with("\x89PNG"));
  EXPECT_GT(zh.size(), 100'000u) << "nearly empty";
  EXPECT_GT(en.size(), 100'000u) << "nearly empty";
  EXPECT_NE(zh, en);
  const std::string paper = root_ + "/report.pdf";
  browser({"--no-pdf-header-footer", "--print-to-pdf=" + paper}, "");
  const std::string pdf = test::read_file_text(paper);
  EXPECT_TRUE(pdf.starts_with("%PDF"));
  // A4 in points, as the page asks for it.
  EXPECT_TRUE(pdf.find("/MediaBox [0 0 595") != std::string::npos || pdf.find("/MediaBox [0 0 594") != std::string::npos);
}

}  // namespace
}  // namespace stele::scenario
