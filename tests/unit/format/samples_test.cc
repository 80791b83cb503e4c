#include <gtest/gtest.h>

#include "tests/support/format/samples.h"
#include "tests/support/test_suite.h"

namespace stele::test {
namespace {

class Samples : public testing::TestWithParam<const crypto::Suite*> {
 protected:
  FormatKeys keys{*GetParam()};
  std::map<std::string, Bytes> samples = make_samples(keys);
};

bool is_refusal(ErrorCode code) {
  return code == ErrorCode::kDamaged || code == ErrorCode::kForged || code == ErrorCode::kUnsupported || code == ErrorCode::kKeyWrong;
}

TEST_P(Samples, AreReadAsTheyWereWritten) {
  EXPECT_EQ(samples.size(), 19u);
  for (const auto& [name, bytes] : samples) {
    auto text = read_sample(name, bytes, keys);
    ASSERT_TRUE(text.ok()) << name << ": " << text.error().to_string();
    EXPECT_FALSE(text->empty());
  }
  EXPECT_EQ(samples, make_samples(keys)) << "the same keys and randomness give the same bytes";
}

TEST_P(Samples, AnyByteChangedIsNoticed) {
  for (const auto& [name, bytes] : samples) {
    const std::string original = *read_sample(name, bytes, keys);
    const std::size_t step = bytes.size() > 4096 ? 3 : 1;
    for (std::size_t i = 0; i < bytes.size(); i += step) {
      Bytes changed = bytes;
      changed[i] ^= static_cast<std::uint8_t>(1u << (i % 8));
      auto text = read_sample(name, changed, keys);
      if (text.ok()) {
        EXPECT_TRUE(!authenticates_itself(name) && *text != original) << name << ": byte " << i << " changed and was not noticed";
      } else {
        EXPECT_TRUE(is_refusal(text.error().code)) << name << ": byte " << i << ": " << text.error().to_string();
      }
    }
  }
}

TEST_P(Samples, AnyLengthThatIsTooShortOrTooLongIsNoticed) {
  for (const auto& [name, bytes] : samples) {
    const std::size_t step = bytes.size() > 4096 ? 3 : 1;
    for (std::size_t size = 0; size < bytes.size(); size += step) {
      auto text = read_sample(name, ByteView(bytes).first(size), keys);
      if (text.ok()) {
        EXPECT_EQ(name, "file_table") << "cut to " << size;
      } else {
        EXPECT_TRUE(is_refusal(text.error().code)) << name << " cut to " << size << ": " << text.error().to_string();
      }
    }
    Bytes longer = bytes;
    longer.push_back(0);
    EXPECT_FALSE(read_sample(name, longer, keys).ok()) << name;
  }
}

TEST_P(Samples, AnotherKindIsRefused) {
  for (const auto& [name, bytes] : samples) {
    for (const auto& [other, ignored] : samples) {
      if (name != other) EXPECT_FALSE(read_sample(other, bytes, keys).ok()) << name << " read as " << other;
    }
  }
}

TEST_P(Samples, AnotherWorldsSignaturesAreForged) {
  FormatKeys others(*GetParam());  // the same data keys: only the signers differ
  std::swap(others.agent, others.stranger);
  std::swap(others.authority, others.stranger);
  for (const auto& [name, bytes] : samples) {
    if (name == "chunk" || !authenticates_itself(name)) continue;
    auto text = read_sample(name, bytes, others);
    ASSERT_FALSE(text.ok()) << name;
    EXPECT_EQ(text.error().code, ErrorCode::kForged) << name << ": " << text.error().to_string();
  }
}

TEST_P(Samples, AnotherSuiteIsRefused) {
  const FormatKeys others(GetParam() == &test_suite() ? crypto::default_suite() : test_suite());
  for (const auto& [name, bytes] : samples) {
    if (authenticates_itself(name)) EXPECT_FALSE(read_sample(name, bytes, others).ok()) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Suites, Samples, testing::ValuesIn(both_suites()), suite_test_name);

}  // namespace
}  // namespace stele::test
