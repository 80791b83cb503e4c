// Writes the seed corpus: fuzz_seeds COMPAT_DIR OUT_DIR makes OUT_DIR/TARGET/*. Prints the targets' names.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "tests/fuzz/targets.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  for (const auto& target : stele::test::fuzz_targets()) {
    const std::filesystem::path out = std::filesystem::path(argv[2]) / target.name;
    std::filesystem::create_directories(out);
    for (std::string_view sample : target.samples) {
      std::filesystem::copy_file(std::filesystem::path(argv[1]) / (std::string(sample) + ".bin"), out / sample,
                                 std::filesystem::copy_options::overwrite_existing);
    }
    int number = 0;
    for (const stele::Bytes& seed : stele::test::more_seeds(target.name)) {
      std::ofstream(out / ("seed" + std::to_string(number++)), std::ios::binary)
          .write(reinterpret_cast<const char*>(seed.data()), static_cast<std::streamsize>(seed.size()));
    }
    std::printf("%s\n", std::string(target.name).c_str());
  }
}
