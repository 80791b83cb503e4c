#include <gtest/gtest.h>

#include <fstream>

#include "core/format/frame.h"

namespace stele::format {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream in(STELE_SOURCE_DIR "/" + path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(FormatsMd, TheFrameHeaderInItIsOne) {
  const std::string text = read_file("core/format/FORMATS.md");
  const std::size_t begin = text.find("```hex\n");
  ASSERT_NE(begin, std::string::npos);
  std::string digits = text.substr(begin + 7, text.find("```", begin + 7) - begin - 7);
  std::erase(digits, '\n');
  const Bytes header = *from_hex(digits);
  std::size_t size = 0;
  auto h = parse_frame_header(header, size);
  ASSERT_TRUE(h.ok()) << h.error().to_string();
  EXPECT_EQ(size, header.size());
  EXPECT_EQ(encode_frame_header(*h), header);
  EXPECT_EQ(h->start, Position{0x3000000});
  EXPECT_EQ(h->generation.value, 3u);
  const std::string sample = read_file("tests/compat/v1/frames.bin");
  EXPECT_TRUE(equal(header, as_bytes(sample).first(header.size())));
}

}  // namespace
}  // namespace stele::format
