#pragma once

#include <array>

#include "core/crypto/suite.h"

namespace stele::test {

/// A suite with other algorithms and other sizes everywhere (48-byte tag, 64-byte hash, 80-byte signature, ...), so
/// that nothing in the product can rely on those of suite 1. Registered on first use. Only for tests: its extra bytes
/// are there for their size.
const crypto::Suite& test_suite();

/// Suite 1 and the test suite, for tests that run with both:
/// `INSTANTIATE_TEST_SUITE_P(Suites, MyTest, testing::ValuesIn(both_suites()), suite_test_name);`
std::array<const crypto::Suite*, 2> both_suites();

struct SuiteTestName {
  template <typename Info>
  std::string operator()(const Info& info) const {
    return info.param->id() == crypto::SuiteId::kAes256GcmSha256 ? "Suite1" : "TestSuite";
  }
};
inline constexpr SuiteTestName suite_test_name{};

}  // namespace stele::test
