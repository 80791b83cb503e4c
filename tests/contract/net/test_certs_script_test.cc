#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "core/net/tls.h"
#include "tests/contract/net/loopback.h"

namespace stele::net {
namespace {

TEST(MakeTestCerts, MakesFilesThatTheProgramsAccept) {
  test::TempDir dir;
  const std::string where = (dir.path() / "certs").string();
  const std::string script = std::string(STELE_SOURCE_DIR) + "/scripts/make-test-certs.sh " + where;
  ASSERT_EQ(std::system((script + " --receiver r1 --agent 440000 --operator '*' >/dev/null").c_str()), 0);
  ASSERT_EQ(std::system((script + " --operator 440000 >/dev/null").c_str()), 0) << "adds to what is there";
  const std::pair<std::string, std::string> files[] = {{"receiver-r1", "stele:receiver:r1"},
                                                       {"agent-440000", "stele:agent:440000"},
                                                       {"operator-all", "stele:operator:*"},
                                                       {"operator-440000", "stele:operator:440000"}};
  for (const auto& [file, uri] : files) {
    TlsConfig config;
    config.ca_file = where + "/ca.pem";
    config.crl_file = where + "/ca.crl";
    config.certificate_file = where + "/" + file + ".pem";
    config.key_file = where + "/" + file + ".key";
    auto tls = TlsContext::load(config);
    ASSERT_TRUE(tls.ok()) << tls.error().to_string();
    EXPECT_EQ((*tls)->facts({}).own.to_string(), uri);
    EXPECT_FALSE((*tls)->facts(SystemClock().now()).crl_outdated);
    struct stat info {};
    ASSERT_EQ(::stat(config.key_file.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u);
  }
  EXPECT_NE(std::system((script + " --agent ../x 2>/dev/null").c_str()), 0);
}

}  // namespace
}  // namespace stele::net
