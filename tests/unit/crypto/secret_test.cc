#include "core/crypto/secret.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "core/base/identity.h"
#include "core/crypto/init.h"
#include "core/crypto/padding.h"
#include "core/crypto/random.h"

namespace stele::crypto {
namespace {

/// Runs `body` in a child process, since it changes limits for ever; gives its exit status.
int in_child(const std::function<bool()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body() ? 0 : 1);
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

TEST(SecretBytes, MovesAndLeavesNothing) {
  SecretBytes a = SecretBytes::copy_of(as_bytes("key"));
  const std::uint8_t* where = a.view().data();
  SecretBytes b = std::move(a);
  EXPECT_TRUE(a.empty());
  EXPECT_EQ(b.view().data(), where) << "views survive a move of their owner";
  SecretBytes c(10);
  c = std::move(b);
  EXPECT_EQ(as_text(c.view()), "key");
  EXPECT_EQ(as_text(c.clone().view()), "key");
  EXPECT_EQ(to_bytes(SecretBytes(4).view()), Bytes(4, 0));
}

TEST(SecretBytes, ReadingPastTheEndStopsTheProgram) {
  const SecretBytes secret(32);
  const volatile std::uint8_t* end = secret.view().data() + 32;
  // The signal's own way: a sanitizer's handler would report what is meant to happen.
  EXPECT_EXIT({ std::signal(SIGSEGV, SIG_DFL); [[maybe_unused]] auto byte = *end; }, testing::KilledBySignal(SIGSEGV), "");
}

TEST(ConstantTime, ComparesBytesAndSizes) {
  EXPECT_TRUE(equal_constant_time(as_bytes("abc"), as_bytes("abc")));
  EXPECT_FALSE(equal_constant_time(as_bytes("abc"), as_bytes("abd")));
  EXPECT_FALSE(equal_constant_time(as_bytes("abc"), as_bytes("ab")));
  EXPECT_TRUE(equal_constant_time({}, {}));
}

TEST(Random, DoesNotRepeat) {
  SodiumRandom random;
  EXPECT_NE(random.draw<Digest>(), random.draw<Digest>());
}

TEST(Process, HardenedProcessesLeaveNoCore) {
  EXPECT_EQ(in_child([] {
              rlimit limit{};
              return init().ok() && harden_process().ok() && getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0;
            }),
            0);
}

TEST(Process, SaysWhenMemoryCannotBeLocked) {
  EXPECT_EQ(in_child([] {
              const rlimit none{4096, 4096};
              setrlimit(RLIMIT_MEMLOCK, &none);
              // The superuser may lock without limit.
              if (geteuid() == 0 && setuid(65534) != 0) return false;
              const Status status = probe_mlock(1 << 20);
              return !status.ok() && status.error().code == ErrorCode::kLimit &&
                     status.error().hint.find("LimitMEMLOCK") != std::string::npos;
            }),
            0);
}

TEST(Padding, StepsThenPadme) {
  EXPECT_EQ(padded_size(0), 256u);
  EXPECT_EQ(padded_size(1), 256u);
  EXPECT_EQ(padded_size(256), 256u);
  EXPECT_EQ(padded_size(257), 512u);
  EXPECT_EQ(padded_size(4096), 4096u);
  EXPECT_EQ(padded_size(4097), 4352u);
  EXPECT_EQ(padded_size(262145), 270336u);  // exponent 18, 5 bits kept: steps of 8 KiB
  EXPECT_EQ(padded_size(std::uint64_t{1} << 62), std::uint64_t{1} << 62);
}

TEST(Padding, GrowsWithTheSizeAndAddsAtMostTwelvePercent) {
  std::uint64_t last = 0;
  for (std::uint64_t size = 0; size < 300000; ++size) {
    const std::uint64_t padded = padded_size(size);
    ASSERT_GE(padded, size);
    ASSERT_GE(padded, last) << size;
    ASSERT_EQ(padded_size(padded), padded) << size;
    if (size > 4096) {
      ASSERT_LE((padded - size) * 100, size * 12) << size;
    } else {
      ASSERT_LE(padded - size, 256u);
    }
    last = padded;
  }
  for (unsigned bit = 12; bit < 62; ++bit) {
    const std::uint64_t worst = (std::uint64_t{1} << bit) + 1;
    EXPECT_LE(static_cast<double>(padded_size(worst) - worst), 0.12 * static_cast<double>(worst)) << bit;
  }
}

}  // namespace
}  // namespace stele::crypto
