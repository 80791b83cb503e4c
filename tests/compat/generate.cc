// Writes one sample of every format, and what a reader must find in it: compat_generate DIR. See README.md.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "tests/support/format/samples.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: compat_generate DIR\n");
    return 2;
  }
  const std::filesystem::path directory = argv[1];
  std::filesystem::create_directories(directory);
  const stele::test::FormatKeys keys;
  for (const auto& [name, bytes] : stele::test::make_samples(keys)) {
    auto text = stele::test::read_sample(name, bytes, keys);
    if (!text.ok()) {
      std::fprintf(stderr, "%s: %s\n", name.c_str(), text.error().to_string().c_str());
      return 1;
    }
    const auto path = directory / (name + ".bin");
    if (std::filesystem::exists(path)) {
      std::fprintf(stderr, "%s exists: a released sample is never replaced\n", path.c_str());
      return 1;
    }
    std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    std::ofstream(directory / (name + ".txt")) << *text;
  }
}
