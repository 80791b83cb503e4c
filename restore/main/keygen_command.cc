#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/crypto/random.h"
#include "core/io/durable_file.h"
#include "restore/main/commands.h"
#include "restore/main/context.h"
#include "restore/main/key_output.h"
#include "restore/main/output.h"

namespace stele::restore {

namespace {

struct Options {
  std::string directory = ".", name, label, authority;
  bool drill = false, restore_host = false, no_passphrase = false;
  int passphrase_fd = -1;
};

struct Written {
  std::string kind, key_file, public_file, public_line, public_hex;
};

/// Writes NAME.key and NAME.pub.
Result<Written> write_pair(const std::string& directory, const std::string& name, const crypto::SecretBytes& key, const crypto::PublicKeyLine& line) {
  STELE_TRY(const std::string text, crypto::encode_public_key(line));
  Written out{std::string(crypto::key_kind_name(line.kind)), fmt::format("{}/{}.key", directory, name), fmt::format("{}/{}.pub", directory, name), text, to_hex(line.public_key)};
  STELE_CHECK(write_new_file(out.key_file, key.view(), true));
  STELE_CHECK(write_new_file(out.public_file, as_bytes(text + "\n"), false));
  return out;
}

Result<int> keygen_restore_host(const Options& options, bool json) {
  if (options.drill || !options.authority.empty()) return Error{ErrorCode::kUsage, "--restore-host makes a signing key: no --drill, no --authority", ""};
  crypto::SodiumRandom random;
  io::PosixFileSystem fs;
  STELE_CHECK(io::make_directories_durably(fs, options.directory));
  const crypto::RestoreHostKey key{options.label, crypto::SigningKey::generate(crypto::default_suite(), random)};
  STELE_TRY(const crypto::SecretBytes file, crypto::encode_restore_host_key(key));
  STELE_TRY(const Written w, write_pair(options.directory, options.name.empty() ? "restore-host" : options.name, file, crypto::public_line_of(key)));
  print(json ? nlohmann::json{{"keys", {{{"kind", w.kind}, {"key_file", w.key_file}, {"public_file", w.public_file}, {"public", w.public_line}, {"public_key", w.public_hex}}}}}.dump() + "\n"
             : fmt::format("{} key: {} (stays on this host), public half, for those who read its reports: {}\n  {}\n", w.kind, w.key_file, w.public_file, w.public_line));
  return 0;
}

Result<crypto::VerifyKey> read_authority(const std::string& path) {
  STELE_TRY(const Bytes bytes, read_small_file(path, crypto::kMaxKeyFileBytes));
  auto line = crypto::decode_public_key(as_text(bytes));
  if (!line.ok()) return line.error().in(path);
  if (line->kind != crypto::KeyKind::kAuthority) return Error{ErrorCode::kConfig, fmt::format("{}: not an authority's public key", path), ""};
  return crypto::as_verify_key(*line);
}

Result<int> keygen(const Options& options, bool json) {
  if (options.drill && options.authority.empty()) {
    return Error{ErrorCode::kUsage, "a drill key needs the authority whose enrolments it believes", "--authority authority.pub"};
  }
  if (options.no_passphrase && !options.drill) return Error{ErrorCode::kUsage, "only a drill key may be without a passphrase", ""};
  crypto::SodiumRandom random;
  PassphraseSource passphrases(options.passphrase_fd);
  io::PosixFileSystem fs;
  STELE_CHECK(io::make_directories_durably(fs, options.directory));
  std::vector<Written> written;
  std::optional<crypto::VerifyKey> authority;
  const std::string name = options.name.empty() ? (options.drill ? "drill" : "recovery") : options.name;
  // Before anybody thinks of a passphrase.
  for (const std::string& pair : options.authority.empty() ? std::vector<std::string>{name, "authority"} : std::vector<std::string>{name}) {
    for (const char* suffix : {".key", ".pub"}) {
      const std::string path = fmt::format("{}/{}{}", options.directory, pair, suffix);
      STELE_TRY(const bool taken, fs.exists(path));
      if (taken) return Error{ErrorCode::kExists, fmt::format("{} exists", path), "keys are never overwritten: choose another directory or --name"};
    }
  }
  if (!options.authority.empty()) {
    STELE_TRY(authority, read_authority(options.authority));
  } else {
    STELE_TRY(const crypto::SecretBytes passphrase, passphrases.ask_new("new passphrase of the authority key"));
    const crypto::AuthorityKey key{options.label, crypto::SigningKey::generate(crypto::default_suite(), random)};
    authority = key.key.verify_key();
    STELE_TRY(const crypto::SecretBytes file, crypto::encode_authority_key(key, {passphrase, random}));
    STELE_TRY(Written pair, write_pair(options.directory, "authority", file, crypto::public_line_of(key)));
    written.push_back(std::move(pair));
  }
  const crypto::RecoveryKey key{options.drill ? crypto::KeyKind::kDrill : crypto::KeyKind::kRecovery, options.label,
                                crypto::RecipientKeyPair::generate(crypto::default_suite(), random), *authority};
  crypto::SecretBytes file;
  if (options.no_passphrase) {
    STELE_TRY(file, crypto::encode_drill_key_unprotected(key));
  } else {
    STELE_TRY(const crypto::SecretBytes passphrase, passphrases.ask_new(fmt::format("new passphrase of the {} key", crypto::key_kind_name(key.kind))));
    STELE_TRY(file, crypto::encode_recovery_key(key, {passphrase, random}));
  }
  STELE_TRY(Written pair, write_pair(options.directory, name, file, crypto::public_line_of(key)));
  written.push_back(std::move(pair));

  nlohmann::json keys = nlohmann::json::array();
  std::string text;
  for (const Written& w : written) {
    keys.push_back({{"kind", w.kind}, {"key_file", w.key_file}, {"public_file", w.public_file}, {"public", w.public_line}, {"public_key", w.public_hex}});
    text += fmt::format("{} key: {} (keep it offline), public half: {}\n  {}\n", w.kind, w.key_file, w.public_file, w.public_line);
    if (w.kind == "authority") text += fmt::format("  in receiver.toml and restore.toml: [[authority]] public_key = \"{}\"\n", w.public_hex);
  }
  text += "Print the key files or copy them to two places. Without a recovery key and its passphrase nothing can be restored.\n";
  print(json ? nlohmann::json{{"keys", keys}}.dump() + "\n" : text);
  return 0;
}

}  // namespace

Command add_keygen(CLI::App& app, const cli::Common& common) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("keygen", "Make a recovery key and (unless --authority names one) an authority key, each protected by a passphrase");
  command->add_option("--directory", options->directory, "Where the key files go")->capture_default_str();
  command->add_option("--name", options->name, "Name of the key files: NAME.key and NAME.pub (default: recovery, with --drill: drill)");
  command->add_option("--label", options->label, "For people, up to 64 characters, e.g. \"440000 safe 2\"");
  command->add_option("--authority", options->authority, "An existing authority's public key file; no new authority is made")->type_name("FILE");
  command->add_flag("--drill", options->drill, "A drill key: for an isolated drill host, not for the safe");
  command->add_flag("--restore-host", options->restore_host, "This host's signing key for drill reports and records; nothing is opened with it");
  command->add_flag("--no-passphrase", options->no_passphrase, "With --drill: the file is not protected by a passphrase");
  command->add_option("--passphrase-fd", options->passphrase_fd, "Read the passphrases from this file descriptor, one a line")->type_name("N");
  cli::add_examples(*command, {"stele-restore keygen --directory /media/safe1 --label \"440000 safe 1\"",
                               "stele-restore keygen --directory /media/safe2 --authority /media/safe1/authority.pub --label \"440000 safe 2\"",
                               "stele-restore keygen --restore-host --directory /etc/stele/keys --label \"drill host 1\""});
  return [options, &common] { return options->restore_host ? keygen_restore_host(*options, common.json) : keygen(*options, common.json); };
}

}  // namespace stele::restore
