#pragma once

#include "core/io/file_system.h"
#include "core/store/object_store.h"

namespace stele::store {

/// ROOT/objects.
std::string objects_directory(const std::string& root);

/// The reading half of a local directory; changes nothing.
class LocalReader final : public ObjectReader {
 public:
  LocalReader(io::FileSystem& fs, const std::string& root) : fs_(fs), objects_(objects_directory(root)) {}

  Result<std::vector<ObjectInfo>> list(std::string_view prefix) override;
  Result<Bytes> read(std::string_view name, std::uint64_t offset, std::size_t length) override;
  Result<std::uint64_t> size(std::string_view name) override;

 private:
  Status walk(const std::string& directory, const std::string& name, std::string_view prefix,
              std::vector<ObjectInfo>& out);

  io::FileSystem& fs_;
  const std::string objects_;
};

}  // namespace stele::store
