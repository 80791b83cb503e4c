#pragma once

#include <map>
#include <string>
#include <vector>

#include "core/io/file_system.h"
#include "restore/postgres/config_file.h"

namespace stele::restore {

/// postgresql.conf of a data directory with every file that it includes from inside the data directory, in PostgreSQL's
/// order. Lines that reach outside, or that would keep the server from starting, are found and can be made comments.
class ConfigTree {
 public:
  /// One setting where it stands.
  struct Place {
    std::string name, value;
    std::string file;      ///< below the data directory
    std::size_t line = 0;  ///< from 1
    std::string where() const { return file + ":" + std::to_string(line); }
  };
  /// A line that must not count.
  struct Disabled {
    Place place;
    std::string reason;
  };

  /// kNotFound when there is no postgresql.conf; kLimit for a file that is too large or too many files.
  static Result<ConfigTree> load(io::FileSystem& fs, const std::string& data_directory);

  /// The settings in the order in which they count (the last one wins), without the disabled ones.
  const std::vector<Place>& settings() const { return settings_; }
  const std::vector<Disabled>& disabled() const { return disabled_; }
  /// Writes the files that have disabled lines again, these lines as comments; the original stays as FILE.stele-source.
  /// Gives their names.
  Result<std::vector<std::string>> rewrite(io::FileSystem& fs, const std::string& data_directory) const;

 private:
  Status read(io::FileSystem& fs, const std::string& data_directory, const std::string& file, int depth);
  Status follow(io::FileSystem& fs, const std::string& data_directory, const std::string& file, const ConfigLine& line,
                int depth);
  void disable(const std::string& file, const ConfigLine& line, std::string reason);
  std::map<std::string, std::vector<ConfigLine>> files_;
  std::vector<Place> settings_;
  std::vector<Disabled> disabled_;
  int reads_ = 0;
};

/// Settings that say where the cluster's own files are. Nothing written later can take back what they do, or only by an
/// absolute path.
bool is_location_setting(std::string_view name);

}  // namespace stele::restore
