#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/bytes.h"

namespace stele::store {

inline constexpr std::size_t kMaxNameBytes = 512;
inline constexpr std::size_t kMaxComponentBytes = 128;
inline constexpr std::size_t kMaxReadBytes = 64u << 20;  ///< one `read`

/// Object names: components of [A-Za-z0-9._-]+ joined by '/', none of them "." or "..", none longer than 128 bytes, 512
/// bytes in all. kUsage otherwise.
Status check_object_name(std::string_view name);

struct ObjectInfo {
  std::string name;
  std::uint64_t size = 0;
  auto operator<=>(const ObjectInfo&) const = default;
};

/// Reads immutable objects. Thread-safe; calls block on the disk or the network.
class ObjectReader {
 public:
  virtual ~ObjectReader() = default;
  /// All objects whose name starts with `prefix` (any text, such as "440000/registry/" or ""), sorted by name. Only
  /// committed objects.
  virtual Result<std::vector<ObjectInfo>> list(std::string_view prefix) = 0;
  /// `length` bytes (at most kMaxReadBytes, else kLimit) from `offset`; kNotFound without such an object, kDamaged when
  /// it ends before.
  virtual Result<Bytes> read(std::string_view name, std::uint64_t offset, std::size_t length) = 0;
  virtual Result<std::uint64_t> size(std::string_view name) = 0;

  /// A whole small object; kLimit when it is larger than `limit`.
  Result<Bytes> read_all(std::string_view name, std::size_t limit);
  /// kNotFound becomes false.
  Result<bool> contains(std::string_view name);
};

/// An object being written: invisible until `ObjectStore::commit`. Destroyed before that, its bytes are removed. One
/// thread at a time.
class StagedObject {
 public:
  virtual ~StagedObject() = default;
  /// After a failure the object is useless: destroy it.
  virtual Status append(ByteView bytes) = 0;
  virtual std::uint64_t size() const = 0;
  virtual const std::string& name() const = 0;
};

/// Writes objects once, under names that are never reused. One owner process; thread-safe within it. No operation
/// changes an object.
class ObjectStore : public ObjectReader {
 public:
  /// Stores one object durably: after success it survives a power failure. When the name is taken: success if the
  /// content is the same (a repeated put), else kExists and the existing object stays as it is. After another error the
  /// object is there completely or not at all.
  virtual Status put(std::string_view name, std::span<const ByteView> pieces) = 0;
  Status put(std::string_view name, ByteView bytes) { return put(name, std::span<const ByteView>(&bytes, 1)); }

  /// Begins an object. It must not outlive the store.
  virtual Result<std::unique_ptr<StagedObject>> stage(std::string_view name) = 0;
  /// Makes staged objects durable and visible: syncs all of them, then names them in the given order, then syncs the
  /// directories. Names that are taken follow the rule of `put`. After an error some may be visible, none partly; the
  /// objects are used up in any case.
  virtual Status commit(std::vector<std::unique_ptr<StagedObject>> objects) = 0;

  /// Retention only. Durable after success; kNotFound when there is no such object.
  virtual Status remove(std::string_view name) = 0;
  /// Bytes that may still be written.
  virtual Result<std::uint64_t> free_bytes() = 0;
};

}  // namespace stele::store
