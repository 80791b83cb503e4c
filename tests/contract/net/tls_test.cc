// TLS over real loopback sockets: who gets in, who does not, and what each side is told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include "core/net/connector.h"
#include "core/net/listener.h"
#include "core/net/tls_connection.h"
#include "tests/contract/net/loopback.h"

namespace stele::net {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using test::CertificateRequest;
using test::TestCa;

/// A receiver r1 that accepts agents and echoes, and an authority.
class Tls : public ::testing::Test {
 protected:
  test::TempDir dir_;
  TestCa ca_{dir_.path()};
  test::Loopback loop_;
  std::shared_ptr<SessionRegistry> server_sessions_ = std::make_shared<SessionRegistry>();
  std::shared_ptr<SessionRegistry> client_sessions_ = std::make_shared<SessionRegistry>();
  std::shared_ptr<TlsContext> server_tls_;
  std::unique_ptr<Listener> listener_;
  ListenerOptions options_;
  const PeerPolicy want_r1_{{Role::kReceiver}, "r1"};

  Tls() { options_.policy.roles = {Role::kAgent}; }
  ~Tls() override { stop(); }

  void stop() {
    if (!listener_) return;
    const auto stopping = [](Listener& listener) -> Task<Status> {
      co_await listener.stop();
      co_return Status();
    };
    ASSERT_TRUE(loop_.run(stopping(*listener_)).ok());
    listener_.reset();
  }

  void serve(const TlsConfig& config) {
    auto loaded = TlsContext::load(config);
    ASSERT_TRUE(loaded.ok()) << loaded.error().to_string();
    server_tls_ = *loaded;
    listener_ = std::make_unique<Listener>(loop_.executor(), server_tls_, server_sessions_, options_);
    Status started = listener_->start([](std::unique_ptr<ByteStream> s) { return test::echo(std::move(s)); },
                                      [this](const std::string&, const Error& e) { loop_.note(e); });
    ASSERT_TRUE(started.ok()) << started.error().to_string();
  }
  void serve_r1() { serve(ca_.identity("server", "stele:receiver:r1")); }
  TlsConfig agent() { return ca_.identity("agent", "stele:agent:440000"); }

  Result<std::unique_ptr<ByteStream>> connect_to(std::uint16_t port, const TlsConfig& config, PeerPolicy policy,
                                                 std::chrono::milliseconds deadline = 5s) {
    auto tls = TlsContext::load(config);
    if (!tls.ok()) return tls.error();
    ConnectOptions options;
    options.address = "127.0.0.1:" + std::to_string(port);
    options.policy = std::move(policy);
    options.deadline = deadline;
    return loop_.run(connect_tls(loop_.executor(), *tls, client_sessions_, options));
  }
  Result<std::unique_ptr<ByteStream>> connect(const TlsConfig& config) { return connect_to(listener_->port(), config, want_r1_); }

  Result<Bytes> echo_once(ByteStream& stream, std::size_t size) {
    return loop_.run(run_on(stream.executor(), test::send_and_receive(stream, size)));
  }

  /// The client's view of a refusal; in TLS 1.3 it may come after the client's own handshake.
  Error refusal(const TlsConfig& config) {
    auto stream = connect(config);
    if (!stream.ok()) return stream.error();
    auto got = echo_once(**stream, 10);
    return got.ok() ? Error{ErrorCode::kInternal, "was not refused", ""} : got.error();
  }

  void expect_agent_refused(const TlsConfig& config, const std::string& servers_words) {
    const Error client = refusal(config);
    EXPECT_EQ(client.code, ErrorCode::kUnauthorised) << client.to_string();
    EXPECT_FALSE(client.hint.empty());
    const Error server = loop_.noted();
    EXPECT_EQ(server.code, ErrorCode::kUnauthorised) << server.to_string();
    EXPECT_THAT(server.to_string(), HasSubstr(servers_words));
    EXPECT_FALSE(server.hint.empty());
    EXPECT_EQ(server_sessions_->size(), 0u);
  }
};

TEST_F(Tls, TheRightPeersTalk) {
  serve_r1();
  auto stream = connect(agent());
  ASSERT_TRUE(stream.ok()) << stream.error().to_string();
  EXPECT_EQ((*stream)->peer(), (PeerIdentity{Role::kReceiver, "r1"}));
  for (std::size_t size : {1, 100, 16'384, 16'385, 1'000'000}) {
    auto got = echo_once(**stream, size);
    ASSERT_TRUE(got.ok()) << size << ": " << got.error().to_string();
  }
  EXPECT_EQ(server_sessions_->size(), 1u);
  EXPECT_EQ(client_sessions_->size(), 1u);
}

TEST_F(Tls, TheKeyIsChangedAfterTheConfiguredBytes) {
  serve_r1();
  TlsConfig config = agent();
  config.key_update_bytes = 40'000;
  auto tls = TlsContext::load(config);
  ASSERT_TRUE(tls.ok());
  const auto talk = [](test::Loopback& loop, std::uint16_t port, std::shared_ptr<TlsContext> context, PeerPolicy policy) -> Task<Result<std::uint64_t>> {
    boost::asio::ip::tcp::socket socket(co_await boost::asio::this_coro::executor);
    co_await socket.async_connect({boost::asio::ip::address_v4::loopback(), port}, boost::asio::use_awaitable);
    STELE_CO_TRY(auto connection, TlsConnection::make(std::move(socket), context, policy, TlsConnection::Side::kClient));
    STELE_CO_CHECK(co_await connection->handshake(nullptr, deadline_in(5s)));
    auto stream = as_byte_stream(connection);
    STELE_CO_CHECK(co_await test::send_and_receive(*stream, 1'000'000));
    (void)loop;
    co_return connection->key_updates();
  };
  boost::asio::any_io_executor strand = boost::asio::make_strand(loop_.executor());
  auto updates = loop_.run(run_on(strand, talk(loop_, listener_->port(), *tls, want_r1_)));
  ASSERT_TRUE(updates.ok()) << updates.error().to_string();
  EXPECT_GE(*updates, 15u);
}

TEST_F(Tls, TheServerRefusesAnotherRole) {
  serve_r1();
  expect_agent_refused(ca_.identity("operator", "stele:operator:*"), "only the role agent");
}

TEST_F(Tls, TheServerRefusesAnUnknownAuthority) {
  serve_r1();
  TestCa other(dir_.path(), "other");
  TlsConfig config = other.identity("agent", "stele:agent:440000");
  config.ca_file = ca_.ca_file();
  expect_agent_refused(config, "ca_file");
}

TEST_F(Tls, TheServerRefusesExpiredAndComingCertificates) {
  serve_r1();
  CertificateRequest request;
  request.uris = {"stele:agent:440000"};
  request.valid_until = -60s;
  ca_.issue("old", request);
  expect_agent_refused(ca_.config("old"), "expired");
  request.valid_from = 3600s;
  request.valid_until = 7200s;
  ca_.issue("new", request);
  expect_agent_refused(ca_.config("new"), "not yet valid");
}

TEST_F(Tls, TheServerRefusesARevokedCertificate) {
  const TlsConfig config = agent();
  ca_.revoke("agent");
  ca_.write_crl();
  serve_r1();
  expect_agent_refused(config, "revoked");
}

TEST_F(Tls, TheClientRefusesAnotherNameRoleAndAuthority) {
  serve_r1();
  const TlsConfig mine = agent();
  for (const PeerPolicy& policy : {PeerPolicy{{Role::kReceiver}, "r2"}, PeerPolicy{{Role::kAgent}, std::nullopt}}) {
    auto stream = connect_to(listener_->port(), mine, policy);
    ASSERT_FALSE(stream.ok());
    EXPECT_EQ(stream.error().code, ErrorCode::kUnauthorised) << stream.error().to_string();
    EXPECT_THAT(stream.error().what, HasSubstr("stele:receiver:r1"));
    EXPECT_EQ(loop_.noted().code, ErrorCode::kUnauthorised) << "the server is told by an alert";
  }
  TestCa other(dir_.path(), "other");
  TlsConfig config = mine;
  config.ca_file = other.ca_file();
  auto stream = connect(config);
  ASSERT_FALSE(stream.ok());
  EXPECT_EQ(stream.error().code, ErrorCode::kUnauthorised);
  EXPECT_THAT(stream.error().hint, HasSubstr("ca_file"));
}

TEST_F(Tls, HostileNamesInACertificateAreRefused) {
  serve_r1();
  using namespace std::string_literals;
  for (const std::vector<std::string>& uris :
       {std::vector<std::string>{}, {"stele:agent:440000", "stele:agent:440001"}, {"stele:agent:440000\0.x"s}, {"https://x"}, {"stele:agent:*"}}) {
    CertificateRequest request;
    request.uris = {"stele:agent:440000"};
    request.uris = uris;
    request.common_name = "stele:agent:440000";
    ca_.issue("hostile", request);
    // Our own client would not load such a certificate, so OpenSSL shows it.
    Result<std::shared_ptr<TlsContext>> loaded = TlsContext::load(ca_.config("hostile"));
    ASSERT_FALSE(loaded.ok());
    EXPECT_EQ(loaded.error().code, ErrorCode::kConfig);
    std::unique_ptr<SSL_CTX, OpensslFree> context(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_use_certificate_file(context.get(), ca_.certificate_file("hostile").c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(context.get(), ca_.key_file("hostile").c_str(), SSL_FILETYPE_PEM);
    std::unique_ptr<BIO, void (*)(BIO*)> bio(BIO_new_ssl_connect(context.get()), BIO_free_all);
    BIO_set_conn_hostname(bio.get(), ("127.0.0.1:" + std::to_string(listener_->port())).c_str());
    char byte = 0;
    EXPECT_TRUE(BIO_do_connect(bio.get()) != 1 || BIO_do_handshake(bio.get()) != 1 || BIO_read(bio.get(), &byte, 1) <= 0);
    const Error server = loop_.noted();
    EXPECT_EQ(server.code, ErrorCode::kUnauthorised) << server.to_string();
  }
}

TEST_F(Tls, OlderTlsAndMissingCertificatesAreRefused) {
  serve_r1();
  for (bool old : {true, false}) {
    std::unique_ptr<SSL_CTX, OpensslFree> context(SSL_CTX_new(TLS_client_method()));
    if (old) SSL_CTX_set_max_proto_version(context.get(), TLS1_2_VERSION);
    std::unique_ptr<BIO, void (*)(BIO*)> bio(BIO_new_ssl_connect(context.get()), BIO_free_all);
    BIO_set_conn_hostname(bio.get(), ("127.0.0.1:" + std::to_string(listener_->port())).c_str());
    char byte = 0;
    EXPECT_TRUE(BIO_do_connect(bio.get()) != 1 || BIO_do_handshake(bio.get()) != 1 || BIO_read(bio.get(), &byte, 1) <= 0);
    const Error server = loop_.noted();
    EXPECT_EQ(server.code, old ? ErrorCode::kProtocol : ErrorCode::kUnauthorised) << server.to_string();
    EXPECT_THAT(server.hint, HasSubstr(old ? "TLS 1.3" : "certificate"));
  }
}

TEST_F(Tls, PlainTextAndGarbageEndAtOnceWithAHint) {
  serve_r1();
  std::string garbage(3000, '\0');
  for (std::size_t i = 0; i < garbage.size(); ++i) garbage[i] = static_cast<char>(i * 7919 >> 3);
  for (const std::string& bytes : {std::string("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), std::string("hello hello hello\n"), garbage}) {
    test::RawClient client(listener_->port());
    ASSERT_TRUE(client.send(bytes));
    bool ended = false;
    (void)client.read_all(ended);
    EXPECT_TRUE(ended);
    const Error server = loop_.noted();
    EXPECT_EQ(server.code, ErrorCode::kProtocol) << server.to_string();
    EXPECT_FALSE(server.hint.empty());
  }
}

TEST_F(Tls, AHalfHandshakeEndsAtTheDeadline) {
  options_.handshake_deadline = 300ms;
  serve_r1();
  for (const std::string& bytes : {std::string(), std::string("\x16\x03\x01\x02\x00\x01", 6)}) {
    test::RawClient client(listener_->port());
    ASSERT_TRUE(client.send(bytes));
    EXPECT_EQ(loop_.noted().code, ErrorCode::kTimeout);
    bool ended = false;
    (void)client.read_all(ended);
    EXPECT_TRUE(ended);
  }
}

TEST_F(Tls, AClientGivesUpOnAServerThatSaysNothingOrIsNotThere) {
  boost::asio::io_context io;
  boost::asio::ip::tcp::acceptor silent(io, {boost::asio::ip::address_v4::loopback(), 0});
  const std::uint16_t port = silent.local_endpoint().port();
  auto stream = connect_to(port, agent(), want_r1_, 300ms);
  ASSERT_FALSE(stream.ok());
  EXPECT_EQ(stream.error().code, ErrorCode::kTimeout) << stream.error().to_string();
  silent.close();
  stream = connect_to(port, agent(), want_r1_);
  ASSERT_FALSE(stream.ok());
  EXPECT_EQ(stream.error().code, ErrorCode::kUnreachable) << stream.error().to_string();
}

TEST_F(Tls, AChangedRevocationListClosesALiveSession) {
  const TlsConfig mine = agent();
  const TlsConfig other = ca_.identity("other", "stele:agent:440001");
  ca_.write_crl();
  serve_r1();
  std::promise<std::vector<PeerIdentity>> closed;
  boost::asio::co_spawn(loop_.executor(),
                        watch_tls_files(server_tls_, server_sessions_, 20ms,
                                        [&](const Status& status, const std::vector<PeerIdentity>& peers) {
                                          if (status.ok() && !peers.empty()) closed.set_value(peers);
                                        }),
                        [](std::exception_ptr) {});
  auto revoked = connect(mine);
  auto kept = connect(other);
  ASSERT_TRUE(revoked.ok() && kept.ok());
  ASSERT_TRUE(echo_once(**revoked, 10).ok());
  ASSERT_TRUE(echo_once(**kept, 10).ok());
  ca_.revoke("agent");
  ca_.write_crl();
  auto future = closed.get_future();
  ASSERT_EQ(future.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(future.get(), (std::vector<PeerIdentity>{{Role::kAgent, "440000"}}));
  EXPECT_FALSE(echo_once(**revoked, 10).ok());
  EXPECT_TRUE(echo_once(**kept, 10).ok());
  EXPECT_EQ(refusal(mine).code, ErrorCode::kUnauthorised);
}

TEST_F(Tls, AnOutdatedRevocationListIsAllowedOrRefusedAsConfigured) {
  const TlsConfig mine = agent();
  const TlsConfig bad = ca_.identity("bad", "stele:agent:440001");
  ca_.revoke("bad");
  ca_.write_crl(-60s);
  TlsConfig config = ca_.identity("server", "stele:receiver:r1");
  serve(config);
  EXPECT_TRUE(server_tls_->facts(SystemClock().now()).crl_outdated);
  TlsConfig without_list = mine;
  without_list.crl_file.clear();
  auto stream = connect(without_list);
  ASSERT_TRUE(stream.ok() && echo_once(**stream, 10).ok());
  stream->reset();
  expect_agent_refused(bad, "revoked");
  stop();
  config.crl_stale = CrlStale::kRefuse;
  serve(config);
  EXPECT_EQ(refusal(without_list).code, ErrorCode::kUnauthorised);
  EXPECT_THAT(loop_.noted().hint, HasSubstr("crl_stale"));
}

TEST_F(Tls, ReloadTakesNewFilesAndKeepsTheOldOnesWhenTheNewAreWrong) {
  serve_r1();
  const std::string before = server_tls_->facts({}).certificate_serial;
  EXPECT_FALSE(*server_tls_->reload_if_changed());
  (void)ca_.identity("server", "stele:receiver:r1");
  EXPECT_TRUE(*server_tls_->reload_if_changed());
  const std::string after = server_tls_->facts({}).certificate_serial;
  EXPECT_NE(before, after);
  std::filesystem::resize_file(ca_.certificate_file("server"), 100);
  EXPECT_EQ(server_tls_->reload_if_changed().error().code, ErrorCode::kConfig);
  EXPECT_FALSE(server_tls_->facts({}).reload_error.empty());
  EXPECT_EQ(server_tls_->facts({}).certificate_serial, after);
  auto stream = connect(agent());
  EXPECT_TRUE(stream.ok() && echo_once(**stream, 10).ok());
}

TEST_F(Tls, WrongFilesAreConfigurationErrorsThatNameTheFile) {
  const TlsConfig good = agent();
  (void)ca_.identity("other", "stele:agent:440001");
  TestCa foreign(dir_.path(), "foreign");
  auto expect = [](const TlsConfig& config, const std::string& words) {
    auto got = TlsContext::load(config);
    ASSERT_FALSE(got.ok()) << words;
    EXPECT_EQ(got.error().code, ErrorCode::kConfig);
    EXPECT_THAT(got.error().to_string(), HasSubstr(words));
  };
  TlsConfig c = good;
  c.ca_file += ".missing";
  expect(c, "ca_file");
  c = good;
  c.ca_file = good.certificate_file;
  expect(c, "not an authority");
  c = good;
  c.key_file = ca_.key_file("other");
  expect(c, "not the key of");
  c = good;
  c.crl_file = foreign.write_crl();
  expect(c, "no authority of ca_file signed");
  c = good;
  c.certificate_file = good.key_file;
  expect(c, "certificate_file");
  ::chmod(good.key_file.c_str(), 0640);
  expect(good, "chmod 0600");
}

TEST_F(Tls, ConnectionsBeyondTheLimitAreClosedAndLaterOnesServed) {
  options_.limits = {2, 2};
  serve_r1();
  const TlsConfig mine = agent();
  auto a = connect(mine);
  auto b = connect(mine);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_FALSE(connect(mine).ok());
  EXPECT_EQ(listener_->refused_by_limit(), 1u);
  a->reset();
  for (int i = 0; i < 1000 && listener_->connections() > 1; ++i) std::this_thread::sleep_for(5ms);
  auto c = connect(mine);
  EXPECT_TRUE(c.ok() && echo_once(**c, 10).ok());
}

TEST_F(Tls, AReadGivesUpAtItsDeadlineAndMayBeRepeated) {
  serve_r1();
  auto stream = connect(agent());
  ASSERT_TRUE(stream.ok());
  const auto read = [](ByteStream& s) -> Task<Result<std::size_t>> {
    s.set_read_deadline(deadline_in(50ms));
    Bytes buffer(10);
    co_return co_await s.read_some(buffer);
  };
  auto got = loop_.run(run_on((*stream)->executor(), read(**stream)));
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code, ErrorCode::kTimeout);
  EXPECT_TRUE(echo_once(**stream, 100'000).ok());
}

TEST_F(Tls, StopClosesSessionsAndWaitsForTheirHandlers) {
  serve_r1();
  auto stream = connect(agent());
  ASSERT_TRUE(stream.ok() && echo_once(**stream, 10).ok());
  test::RawClient half(listener_->port());
  stop();
  EXPECT_EQ(server_sessions_->size(), 0u);
  EXPECT_EQ(echo_once(**stream, 10).error().code, ErrorCode::kClosed);
  bool ended = false;
  (void)half.read_all(ended);
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace stele::net
