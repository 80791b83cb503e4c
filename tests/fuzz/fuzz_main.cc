// One libFuzzer program for all targets: the target is named by the environment variable STELE_FUZZ_TARGET (run.sh sets it).
#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const stele::test::FuzzTarget* const target = [] {
    const char* name = std::getenv("STELE_FUZZ_TARGET");
    for (const auto& t : stele::test::fuzz_targets()) {
      if (name != nullptr && t.name == name) return &t;
    }
    std::fprintf(stderr, "set STELE_FUZZ_TARGET to one of:");
    for (const auto& t : stele::test::fuzz_targets()) std::fprintf(stderr, " %s", std::string(t.name).c_str());
    std::fprintf(stderr, "\n");
    std::exit(2);
  }();
  target->run({data, size});
  return 0;
}
