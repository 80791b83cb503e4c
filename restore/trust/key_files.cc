#include "restore/trust/key_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>

namespace stele::restore {

namespace {

constexpr std::size_t kMaxPassphrase = 1024;

/// Reads one line from the descriptor into locked memory. Empty at its end.
Result<crypto::SecretBytes> read_line(int fd, bool& end) {
  crypto::SecretBytes buffer(kMaxPassphrase);
  std::size_t size = 0;
  end = false;
  while (true) {
    std::uint8_t byte = 0;
    const ssize_t n = ::read(fd, &byte, 1);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return system_error("read a passphrase from", fmt::format("descriptor {}", fd), errno);
    if (n == 0) {
      end = true;
      break;
    }
    if (byte == '\n') break;
    if (size == kMaxPassphrase) return Error{ErrorCode::kUsage, fmt::format("a passphrase of more than {} bytes", kMaxPassphrase), ""};
    buffer.mutable_view()[size++] = byte;
  }
  return crypto::SecretBytes::copy_of(buffer.view().first(size));
}

/// Switches the echo of a terminal off while it lives.
class SilentTerminal {
 public:
  explicit SilentTerminal(int fd) : fd_(fd) {
    known_ = tcgetattr(fd_, &before_) == 0;
    if (!known_) return;
    termios silent = before_;
    silent.c_lflag &= static_cast<tcflag_t>(~ECHO);
    tcsetattr(fd_, TCSAFLUSH, &silent);
  }
  ~SilentTerminal() {
    if (known_) tcsetattr(fd_, TCSAFLUSH, &before_);
  }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;

 private:
  int fd_;
  bool known_ = false;
  termios before_{};
};

Result<crypto::SecretBytes> ask_terminal(std::string_view prompt) {
  const int fd = ::open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) {
    return Error{ErrorCode::kKeyMissing, fmt::format("{}: there is no terminal to ask on", prompt), "give --passphrase-fd N, a descriptor with the passphrase"};
  }
  const std::string question = fmt::format("{}: ", prompt);
  bool end = false;
  Result<crypto::SecretBytes> line = [&] {
    // Silent before it asks: who types at once is neither shown nor lost.
    const SilentTerminal silent(fd);
    (void)!::write(fd, question.data(), question.size());
    return read_line(fd, end);
  }();
  (void)!::write(fd, "\n", 1);
  ::close(fd);
  return line;
}

}  // namespace

Result<crypto::SecretBytes> PassphraseSource::ask(std::string_view prompt) {
  if (fd_ < 0) return ask_terminal(prompt);
  if (!read_) {
    for (bool end = false; !end && lines_.size() < 16;) {
      STELE_TRY(crypto::SecretBytes line, read_line(fd_, end));
      if (!line.empty()) lines_.push_back(std::move(line));
    }
    read_ = true;
  }
  if (lines_.empty()) return Error{ErrorCode::kKeyMissing, fmt::format("{}: descriptor {} holds no passphrase", prompt, fd_), ""};
  const std::size_t index = std::min(next_++, lines_.size() - 1);
  return lines_[index].clone();
}

Result<crypto::SecretBytes> PassphraseSource::ask_new(std::string_view prompt) {
  STELE_TRY(crypto::SecretBytes first, ask(prompt));
  if (first.empty()) return Error{ErrorCode::kUsage, "an empty passphrase protects nothing", "use several words"};
  if (fd_ >= 0) return first;
  STELE_TRY(crypto::SecretBytes second, ask("the same again"));
  if (!crypto::equal_constant_time(first.view(), second.view())) return Error{ErrorCode::kUsage, "the two passphrases differ", "try again"};
  return first;
}

Result<std::vector<crypto::VerifyKey>> load_authorities(const config::RestoreConfig& config) {
  std::vector<crypto::VerifyKey> out;
  auto add = [&](crypto::VerifyKey key) {
    if (std::find(out.begin(), out.end(), key) == out.end()) out.push_back(std::move(key));
  };
  for (const config::AuthorityConfig& authority : config.authorities) {
    STELE_TRY(const std::string text, config::load_authority_text(authority));
    auto key = crypto::read_authority_key(text);
    if (!key.ok()) return key.error().in("authority " + authority.label);
    add(std::move(*key));
  }
  for (const auto& path : config.recovery_keys) {
    STELE_TRY(const crypto::SecretBytes file, crypto::read_key_file(path.string()));
    auto info = crypto::inspect_key_file(file.view());
    if (!info.ok()) return info.error().in(path.string());
    if (info->authority) add(std::move(*info->authority));
  }
  if (out.empty()) return Error{ErrorCode::kConfig, "no authority is configured, so nothing can be believed", "configure [[authority]] or [keys] recovery_keys"};
  return out;
}

Status load_keys(const config::RestoreConfig& config, PassphraseSource& passphrases, bool ask, KeyRing& ring) {
  std::optional<Error> failed;
  for (const auto& path : config.recovery_keys) {
    auto open = [&]() -> Status {
      STELE_TRY(const crypto::SecretBytes file, crypto::read_key_file(path.string()));
      STELE_TRY(const crypto::KeyFileInfo info, crypto::inspect_key_file(file.view()));
      crypto::SecretBytes passphrase;
      if (info.is_protected) {
        if (!ask) return {};
        STELE_TRY(passphrase, passphrases.ask(fmt::format("passphrase of {} ({})", path.string(), info.label)));
      }
      STELE_TRY(crypto::RecoveryKey key, crypto::decode_recovery_key(file.view(), passphrase));
      ring.add(std::move(key));
      return {};
    };
    if (Status opened = open(); !opened.ok()) failed = opened.error().in(path.string());
  }
  if (ring.empty() && failed) return *failed;
  if (ring.empty() && ask) return Error{ErrorCode::kKeyMissing, "no recovery key is configured", "configure [keys] recovery_keys"};
  return {};
}

}  // namespace stele::restore
