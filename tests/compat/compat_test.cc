#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/format/samples.h"

namespace stele::test {
namespace {

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(Compat, EveryReleasedSampleIsReadToTheSameContent) {
  const FormatKeys keys;
  int versions = 0;
  for (const auto& version : std::filesystem::directory_iterator(STELE_SOURCE_DIR "/tests/compat")) {
    if (!version.is_directory()) continue;
    ++versions;
    int files = 0;
    for (const auto& file : std::filesystem::directory_iterator(version)) {
      if (file.path().extension() != ".bin") continue;
      ++files;
      auto text = read_sample(file.path().stem(), as_bytes(read_file(file.path())), keys);
      ASSERT_TRUE(text.ok()) << file.path() << ": " << text.error().to_string();
      EXPECT_EQ(*text, read_file(std::filesystem::path(file.path()).replace_extension(".txt"))) << file.path();
    }
    EXPECT_GE(files, 17) << version.path();
  }
  EXPECT_GE(versions, 1);
}

TEST(Compat, EveryFormatHasASample) {
  for (const auto& [name, bytes] : make_samples(FormatKeys())) {
    EXPECT_TRUE(std::filesystem::exists(STELE_SOURCE_DIR "/tests/compat/v1/" + name + ".bin")) << name;
  }
}

}  // namespace
}  // namespace stele::test
