#pragma once

#include <span>
#include <string_view>

namespace stele::receiver {

/// A file of the page, embedded when the program was built.
struct PageAsset {
  std::string_view path;  ///< "/app.js"
  std::string_view content_type;
  std::string_view bytes;
};
/// All of them; empty when the program was built without Node's npm.
std::span<const PageAsset> page_assets();

}  // namespace stele::receiver
