#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <fstream>

#include "tests/contract/receiver/receiver_process.h"
#include "tests/support/free_port.h"
#include "tests/support/programs/stele_programs.h"

namespace stele::test {
namespace {

using protocol::Purpose;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

/// A browser that does only what it is told.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port) : socket_(io_) { socket_.connect({boost::asio::ip::make_address("127.0.0.1"), port}, error_); }
  void send(const std::string& bytes) { boost::asio::write(socket_, boost::asio::buffer(bytes), error_); }
  std::string read_all() {
    std::string out;
    boost::asio::read(socket_, boost::asio::dynamic_buffer(out), error_);
    return out;
  }

 private:
  boost::asio::io_context io_;
  boost::asio::ip::tcp::socket socket_;
  boost::system::error_code error_;
};

/// A receiver with its page on, and `sites` further sites that nobody writes.
struct PageTest : testing::Test {
  ScriptedAgent agent;
  ClientThread net;
  std::uint16_t page_port = static_cast<std::uint16_t>(must(free_port()));
  std::unique_ptr<ReceiverProcess> receiver;

  void serve(int sites = 0, bool tls = false) {
    std::string more = "[page]\nlisten = \"127.0.0.1:" + std::to_string(page_port) + "\"\n" + (tls ? "tls = true\n" : "");
    for (int i = 0; i < sites; ++i) more += "[[site]]\nname = \"s" + std::to_string(i) + "\"\ntitle = \"站点\"\ndatabases = [\"registry\"]\nauthorities = [\"office\"]\n";
    receiver = std::make_unique<ReceiverProcess>(agent, more);
    receiver->start();
  }
  std::string ask(const std::string& request) {
    RawClient client(page_port);
    client.send(request);
    return client.read_all();
  }
  std::string get(const std::string& path, const std::string& headers = "", const std::string& host = "127.0.0.1") {
    return ask("GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n" + headers + "\r\n");
  }
  static std::string header(const std::string& answer, const std::string& name) {
    const std::size_t at = answer.find("\r\n" + name + ": ");
    return at == std::string::npos ? "" : answer.substr(at + name.size() + 4, answer.find("\r\n", at + 2) - at - name.size() - 4);
  }
  static std::string body(const std::string& answer) { return answer.substr(std::min(answer.size(), answer.find("\r\n\r\n") + 4)); }
};

TEST_F(PageTest, ServesItsFilesUnderAStrictPolicy) {
  serve();
  for (const char* path : {"/", "/index.html", "/app.js", "/style.css", "/uPlot.esm.js", "/licences.html", "/uplot-licence.txt", "/data/fleet.json", "/data/lines.json"}) {
    const std::string answer = get(path);
    EXPECT_THAT(answer, AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("default-src 'none'"), HasSubstr("X-Content-Type-Options: nosniff"))) << path;
    EXPECT_THAT(header(answer, "Content-Security-Policy"), Not(HasSubstr("unsafe"))) << path;
    // What has not changed is not sent again.
    EXPECT_THAT(get(path, "If-None-Match: " + header(answer, "ETag") + "\r\n"), AllOf(StartsWith("HTTP/1.1 304 "), Not(HasSubstr("Content-Length")))) << path;
  }
  for (const char* path : {"/..", "/../etc/passwd", "/app.js/..", "//app.js", "/%61pp.js", "/data/../app.js", "/data/database.json?site=../..&database=x", "/data/database.json",
                           "/web/app.js", "/app.js%00"}) {
    EXPECT_THAT(get(path), StartsWith("HTTP/1.1 404 ")) << path;
  }
  EXPECT_THAT(ask("POST /data/fleet.json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"), StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(get("/app.js", "X: " + std::string(9000, 'a') + "\r\n"), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"), StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(ask("rubbish\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
}

TEST_F(PageTest, AForeignNameThatLeadsHereGetsNothing) {
  serve();
  for (const char* host : {"evil.example", "evil.example:9553", "127.0.0.1.evil.example", "[::1", ""}) EXPECT_THAT(get("/data/fleet.json", "", host), StartsWith("HTTP/1.1 403 ")) << host;
  for (const char* host : {"localhost", "localhost:9553", "127.0.0.1:1", "[::1]:9553"}) EXPECT_THAT(get("/data/fleet.json", "", host), StartsWith("HTTP/1.1 200 ")) << host;
}

TEST_F(PageTest, NeitherPageNorMetricsHoldKeysOrPaths) {
  serve();
  AgentLine line(net, *receiver, receiver->identity("stele:agent:440000"), Purpose::kLog);
  must(line.introduce(agent));
  must(line.open_stream(agent));
  must(line.send_frame(agent.log_frame(5000)));
  ASSERT_TRUE(line.wait_acknowledged(agent.position()));
  std::vector<std::string> secrets = {receiver->directory.string(), "PRIVATE", "BEGIN "};
  for (const auto& entry : std::filesystem::recursive_directory_iterator(receiver->directory)) {
    if (entry.path().extension() != ".key") continue;
    std::ifstream in(entry.path());
    for (std::string text; std::getline(in, text);) {
      if (text.size() >= 16) secrets.push_back(text);
    }
  }
  ASSERT_GT(secrets.size(), 5u);
  for (const std::string& text : {get("/data/fleet.json"), get("/data/lines.json"), get("/data/database.json?site=440000&database=registry"), receiver->get("/metrics"),
                                  receiver->get("/status")}) {
    ASSERT_THAT(text, StartsWith("HTTP/1.1 200 "));
    for (const std::string& secret : secrets) EXPECT_EQ(text.find(secret), std::string::npos) << secret;
  }
}

TEST_F(PageTest, ManyScrapersAtOnceAndTenTimesASecondDoNotHoldUpTheLog) {
  serve(200);
  AgentLine line(net, *receiver, receiver->identity("stele:agent:440000"), Purpose::kLog);
  must(line.introduce(agent));
  must(line.open_stream(agent));
  std::atomic<bool> stop{false};
  std::atomic<int> good{0}, bad{0};
  std::vector<std::thread> scrapers;
  for (int i = 0; i < 12; ++i) {
    scrapers.emplace_back([&, i] {
      while (!stop) {
        const std::string answer = i % 3 == 0 ? get("/data/fleet.json") : i % 3 == 1 ? receiver->get("/metrics") : receiver->get("/status");
        ++(answer.starts_with("HTTP/1.1 200 ") ? good : bad);
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
    });
  }
  bool acknowledged = true;
  for (int i = 0; i < 60 && acknowledged; ++i) {
    must(line.send_frame(agent.log_frame(20'000)));
    acknowledged = line.wait_acknowledged(agent.position());
  }
  // Some of them were answered while the log went on, however slow the machine is.
  while (good < 24 && bad == 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  stop = true;
  for (std::thread& t : scrapers) t.join();
  EXPECT_TRUE(acknowledged);
  EXPECT_EQ(bad, 0);
}

TEST_F(PageTest, ClientsThatDoNotReadShareOneBody) {
  serve(300);
  const std::string answer = get("/data/fleet.json");
  const std::size_t size = body(answer).size();
  ASSERT_GT(size, 50'000u);
  auto resident = [&] {
    std::ifstream in("/proc/" + std::to_string(receiver->pid()) + "/statm");
    std::size_t total = 0, pages = 0;
    in >> total >> pages;
    return pages * 4096;
  };
  const std::size_t before = resident();
  std::vector<std::unique_ptr<RawClient>> clients;
  std::string many;
  for (int i = 0; i < 100; ++i) many += "GET /data/fleet.json HTTP/1.1\r\nHost: localhost\r\n\r\n";
  for (int i = 0; i < 60; ++i) {
    clients.push_back(std::make_unique<RawClient>(page_port));
    clients.back()->send(many);
  }
  // The page still answers somebody who reads, and the receiver has not taken 60 x 100 bodies.
  EXPECT_THAT(get("/data/fleet.json"), StartsWith("HTTP/1.1 200 "));
  EXPECT_LT(resident(), before + (48u << 20)) << "60 clients asked for " << 6000 * size << " bytes";
  clients.clear();
  EXPECT_THAT(receiver->get("/readyz"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(PageTest, TheReportSaysWhatItCouldNotKnow) {
  serve(2);
  const std::string directory = (receiver->directory / "reports/november").string();
  const auto [code, text] = receiver->command({"status", "--report", directory, "--json"});
  EXPECT_EQ(code, 0) << text;
  auto read = [&](const char* name) { return read_file_text(directory + "/" + name); };
  EXPECT_THAT(read("assessment.html"), AllOf(HasSubstr("440000/registry"), HasSubstr("站点"), HasSubstr("not known"), HasSubstr("shaoguan")));
  EXPECT_THAT(read("assessment.csv"), HasSubstr("\"s1\",\"registry\""));
  EXPECT_THAT(read("incidents.csv"), HasSubstr("site,database,level,code"));
  EXPECT_EQ(receiver->command({"status", "--report", directory, "--from", "2026-13-45"}).first, 2);
  EXPECT_EQ(receiver->command({"status", "--report", directory, "--from", "2023-11-02", "--to", "2023-11-01"}).first, 2);
  EXPECT_EQ(receiver->command({"status", "--from", "2023-11-02"}).first, 2) << "a period without a report";
}

TEST_F(PageTest, OverTlsAnOperatorSeesItsSiteAndAnAgentNothing) {
  serve(3, true);
  auto read = [&](const std::string& uri, const std::string& path) -> net::Task<Result<std::string>> {
    return [](std::shared_ptr<net::TlsContext> tls, std::uint16_t port, std::string request) -> net::Task<Result<std::string>> {
      auto executor = co_await boost::asio::this_coro::executor;
      boost::asio::ip::tcp::socket socket(boost::asio::make_strand(executor));
      socket.connect({boost::asio::ip::make_address("127.0.0.1"), port});
      net::PeerPolicy policy;
      policy.roles = {net::Role::kReceiver};
      auto strand = socket.get_executor();
      co_return co_await net::run_on(strand, [](boost::asio::ip::tcp::socket s, std::shared_ptr<net::TlsContext> t, net::PeerPolicy p, std::string q) -> net::Task<Result<std::string>> {
        auto opened = co_await net::tls_connect(std::move(s), std::move(t), std::move(p), nullptr, net::deadline_in(std::chrono::seconds(20)));
        if (!opened.ok()) co_return opened.error();
        auto stream = std::move(*opened);
        stream->set_read_deadline(net::deadline_in(std::chrono::seconds(20)));
        std::vector<ByteView> pieces = {as_bytes(q)};
        Status sent = co_await stream->write_all(pieces);
        if (!sent.ok()) co_return sent.error();
        std::string out;
        Bytes piece(16384);
        for (;;) {
          auto n = co_await stream->read_some(piece);
          if (!n.ok()) {
            if (out.empty()) co_return n.error();
            co_return out;
          }
          out.append(reinterpret_cast<const char*>(piece.data()), *n);
        }
      }(std::move(socket), std::move(tls), std::move(policy), std::move(request)));
    }(receiver->identity(uri), page_port, "GET " + path + " HTTP/1.1\r\nHost: receiver.example\r\nConnection: close\r\n\r\n");
  };
  const std::string everything = must(net.run(read("stele:operator:*", "/data/fleet.json")));
  EXPECT_THAT(everything, AllOf(HasSubstr("\"440000\""), HasSubstr("\"s1\"")));
  const std::string own = must(net.run(read("stele:operator:s1", "/data/fleet.json")));
  EXPECT_THAT(own, AllOf(HasSubstr("\"s1\""), Not(HasSubstr("\"440000\"")), Not(HasSubstr("\"s2\""))));
  EXPECT_THAT(must(net.run(read("stele:operator:s1", "/data/database.json?site=440000&database=registry"))), StartsWith("HTTP/1.1 404 "));
  EXPECT_THAT(must(net.run(read("stele:operator:elsewhere", "/data/fleet.json"))), StartsWith("HTTP/1.1 403 "));
  EXPECT_FALSE(net.run(read("stele:agent:440000", "/data/fleet.json")).ok());
  EXPECT_THAT(get("/data/fleet.json"), Not(HasSubstr("200"))) << "plain text is not served";
}

}  // namespace
}  // namespace stele::test
