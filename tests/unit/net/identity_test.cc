#include "core/net/identity.h"

#include <gtest/gtest.h>

namespace stele::net {
namespace {

using namespace std::string_literals;

TEST(Identity, ReadsTheFourForms) {
  EXPECT_EQ(*parse_identity("stele:agent:440000"), (PeerIdentity{Role::kAgent, "440000"}));
  EXPECT_EQ(*parse_identity("stele:receiver:store-1.gz"), (PeerIdentity{Role::kReceiver, "store-1.gz"}));
  EXPECT_EQ(*parse_identity("stele:operator:440000"), (PeerIdentity{Role::kOperator, "440000"}));
  EXPECT_EQ(*parse_identity("stele:operator:*"), (PeerIdentity{Role::kOperator, "*"}));
  EXPECT_EQ(parse_identity("stele:operator:*")->to_string(), "stele:operator:*");
}

TEST(Identity, RefusesEverythingElse) {
  const std::string hostile[] = {"", "stele:", "stele:agent", "stele:agent:", "stele:agent:*", "stele:receiver:*", "stele:operator:**",
                                 "stele:admin:440000", "stele:Agent:440000", "STELE:agent:440000", "stele:agent:440000:x",
                                 "stele:agent:-1", "stele:agent:44 0000", "stele:agent:../x", "stele:agent:440000\0"s,
                                 "stele:agent:440000\0.evil"s, "stele:agent:440000\n", "stele::440000", " stele:agent:440000",
                                 "stele:agent:%34", "stele:receiver:.hidden", "stele:receiver:a/b", "stele:receiver:Store",
                                 "stele:agent:\xe5\xb9\xbf", "stele:agent:" + std::string(33, 'a'),
                                 "stele:receiver:" + std::string(65, 'a'), "stele:agent:" + std::string(1 << 20, 'a')};
  for (const std::string& uri : hostile) {
    Result<PeerIdentity> got = parse_identity(uri);
    ASSERT_FALSE(got.ok()) << uri.substr(0, 60);
    EXPECT_EQ(got.error().code, ErrorCode::kUnauthorised);
    EXPECT_LT(got.error().what.size(), 200u) << "a peer's bytes do not flood the log";
    for (char c : got.error().what) EXPECT_TRUE(c >= 0x20 && c < 0x7f);
  }
}

TEST(Identity, IsExactlyOneOfACertificatesUris) {
  EXPECT_EQ(identity_from_uris({"https://example.org", "stele:agent:440000", "spiffe://x/y"})->name, "440000");
  for (const std::vector<std::string>& uris :
       {std::vector<std::string>{}, {"https://example.org"}, {"stele:agent:440000", "stele:agent:440000"},
        {"stele:agent:440000", "stele:operator:*"}, {"stele:agent:440000", "stele:rubbish"}, {"stele:agent:440000", "Stele:operator:*"},
        {"stele:rubbish"}, {"xstele:agent:440000"}}) {
    Result<PeerIdentity> got = identity_from_uris(uris);
    ASSERT_FALSE(got.ok());
    EXPECT_EQ(got.error().code, ErrorCode::kUnauthorised);
    EXPECT_FALSE(got.error().hint.empty());
  }
}

TEST(PeerPolicy, WantsRoleAndName) {
  const PeerPolicy policy{{Role::kReceiver}, "r1"};
  EXPECT_TRUE(policy.check({Role::kReceiver, "r1"}).ok());
  EXPECT_EQ(policy.check({Role::kReceiver, "r2"}).error().code, ErrorCode::kUnauthorised);
  EXPECT_EQ(policy.check({Role::kAgent, "r1"}).error().code, ErrorCode::kUnauthorised);
  const PeerPolicy any_name{{Role::kAgent, Role::kOperator}, std::nullopt};
  EXPECT_TRUE(any_name.check({Role::kOperator, "*"}).ok());
  EXPECT_FALSE(any_name.check({Role::kReceiver, "r1"}).ok());
  EXPECT_FALSE(PeerPolicy{}.check({Role::kAgent, "440000"}).ok()) << "an empty policy accepts nobody";
}

TEST(PeerIdentity, ReadsOnlyItsOwnSiteUnlessOperatorOfAll) {
  EXPECT_TRUE((PeerIdentity{Role::kOperator, "*"}.may_read_site("440000")));
  EXPECT_TRUE((PeerIdentity{Role::kOperator, "440000"}.may_read_site("440000")));
  EXPECT_FALSE((PeerIdentity{Role::kOperator, "440000"}.may_read_site("440001")));
  EXPECT_TRUE((PeerIdentity{Role::kAgent, "440000"}.may_read_site("440000")));
  EXPECT_FALSE((PeerIdentity{Role::kAgent, "440000"}.may_read_site("440001")));
  EXPECT_FALSE((PeerIdentity{Role::kReceiver, "440000"}.may_read_site("440000")));
}

}  // namespace
}  // namespace stele::net
