#pragma once

#include <string>
#include <vector>

#include "core/base/random.h"
#include "core/base/time.h"
#include "core/crypto/aead.h"
#include "core/format/epoch.h"

namespace stele::format {

/// A list of chunk names, in the order in which the snapshot's bytes need them. Named by the hash of its bytes.
struct ChunkList {
  std::vector<ChunkName> names;
  Bytes encode() const;
  static Result<ChunkList> decode(ByteView bytes);
};
inline constexpr std::size_t kMaxListNames = 8192;

/// The clear, signed part of a manifest: enough for a receiver to check completeness and to collect garbage without keys.
struct ManifestReference {
  DatabaseName database;
  StreamId stream;
  Generation generation;
  EpochId epoch;
  ObjectId object;      ///< names the key of the sealed part; make_manifest draws it
  SnapshotId snapshot;
  Digest previous;      ///< hash of the previous manifest of this database; zero: none known
  Position start, stop; ///< backup start and stop
  Timestamp started, finished;
  std::uint64_t raw_bytes = 0;      ///< of all files
  std::uint64_t new_bytes = 0;      ///< sealed chunks sent for this snapshot
  std::uint64_t chunk_count = 0;    ///< names in all lists together, repeats included
  std::uint32_t damaged_pages = 0;  ///< not zero: the snapshot is marked damaged
  bool full = false;                ///< made without looking at the index
  std::vector<Digest> lists;        ///< chunk lists, in order
};
inline constexpr std::size_t kMaxLists = 200'000;

enum class FileType : std::uint8_t {
  kFile = 1,
  kDirectory = 2,
  kSymlink = 3,      ///< only a tablespace's link in pg_tblspc; its target is a tablespace below
  kExtraFile = 4,    ///< from outside the data directory; the path is relative to `extra_files` in the restore
};

/// One entry of the file table. A file's chunks follow those of the file before it in the list order.
struct FileEntry {
  FileType type = FileType::kFile;
  std::uint32_t tablespace = 0;  ///< OID; 0 is the data directory itself
  std::string path;              ///< relative, '/'-separated, no '.' or '..' component; at most 1024 bytes
  std::uint32_t mode = 0;        ///< at most 07777; a restore takes the low nine bits
  Timestamp modified;
  std::uint64_t size = 0;
  std::uint32_t chunks = 0;
};

struct TablespaceEntry {
  std::uint32_t oid = 0;
  std::string location;  ///< where it was on the source
};

/// A named text that travels with a snapshot: settings, collation versions, the backup_label.
struct NamedText {
  std::string name, text;
};

/// The sealed part: what only a restore host reads. The file table is itself cut into chunks, the last ones of the lists.
struct ManifestSealed {
  std::uint64_t system_identifier = 0;
  std::uint32_t server_version = 0;
  std::uint32_t timeline = 0;
  Position start, stop;           ///< these and chunk_count: as in the reference part
  std::uint64_t chunk_count = 0;
  std::uint64_t file_table_first = 0;  ///< index of the file table's first chunk in the list order
  std::uint64_t file_table_bytes = 0;
  std::uint64_t file_count = 0;
  Digest lists_digest;  ///< hash of the list digests: ties this part to the reference part
  std::string backup_label;
  std::vector<TablespaceEntry> tablespaces;
  std::vector<NamedText> texts;
};

/// Canonical bytes of the file table, in pieces of whole entries.
void encode_file_entry(const FileEntry& entry, Bytes& out);
/// Reads one entry at a time; refuses hostile paths (TRUST section 4) with kDamaged.
Result<FileEntry> read_file_entry(ByteReader& reader);
/// True for a relative path without empty, '.' or '..' components, NUL or backslash.
bool is_safe_relative_path(std::string_view path);

Digest digest_of_lists(const std::vector<Digest>& lists, const crypto::Suite& suite = crypto::default_suite());

struct Manifest {
  ManifestReference reference;
  Bytes clear;   ///< the reference part as stored: what the sealed part is bound to
  Bytes sealed;  ///< ciphertext of the sealed part
};

/// Compresses, seals and signs. `data_key` is the epoch's. Draws the object id (no two sealings may share one) and copies into the sealed
/// part what ties it to the reference part. kInternal over the limits.
Result<SignedRecord> make_manifest(ManifestReference reference, ManifestSealed sealed, const crypto::SecretBytes& data_key,
                                   const crypto::SigningKey& agent, RandomSource& random);
Result<Manifest> read_manifest(const SignedRecord& record);
/// `suite` is the record's. Opens the sealed part and compares it with the reference part; kDamaged or kForged where they differ.
Result<ManifestSealed> open_manifest(const Manifest& manifest, const crypto::Suite& suite, const crypto::SecretBytes& data_key);

}  // namespace stele::format
