#include "core/crypto/suite.h"

#include <fmt/format.h>

#include <atomic>

#include "core/crypto/library.h"
#include "core/crypto/suite1.h"

namespace stele::crypto {

namespace {
std::atomic<const Suite*> test_suite{nullptr};
}

const Suite& default_suite() {
  return suite1();
}

Result<const Suite*> find_suite(SuiteId id) {
  if (id == SuiteId::kAes256GcmSha256) return &suite1();
  const Suite* other = test_suite.load();
  if (other != nullptr && other->id() == id) return other;
  return Error{ErrorCode::kUnsupported,
               fmt::format("cipher suite {} is not known to this program", static_cast<unsigned>(id)),
               "use a newer version of Stele"};
}

void register_suite_for_tests(const Suite& suite) {
  require(static_cast<std::uint16_t>(suite.id()) >= kFirstTestSuite, "register_suite_for_tests");
  test_suite.store(&suite);
}

}  // namespace stele::crypto
