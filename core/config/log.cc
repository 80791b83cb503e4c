#include "core/config/log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <spdlog/async_logger.h>
#include <spdlog/details/null_mutex.h>
#include <spdlog/details/thread_pool.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <functional>
#include <shared_mutex>

namespace stele::log {
namespace {

constexpr std::chrono::milliseconds kPatience{
    1000};  ///< how long the log's own thread waits for a reader of standard error
constexpr std::chrono::seconds kStopWithin{2};

/// JSON text of a string; bytes that are not UTF-8 become U+FFFD.
std::string json_text(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

bool is_control(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

void append_plain(std::string& out, std::string_view text) {
  for (const char c : text) {
    if (c == '\n')
      out += "\\n";
    else if (is_control(c))
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      out += c;
  }
}

std::string_view level_word(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarning:
      return "warning";
    case Level::kError:
      return "error";
  }
  return "error";
}

/// Writes whole lines to a descriptor from the log's thread. A write that fails or cannot go on loses its line, which
/// is counted.
class DescriptorSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  DescriptorSink(int fd, bool owned, Options options) : fd_(fd), owned_(owned), options_(std::move(options)) {}
  ~DescriptorSink() override {
    if (owned_) ::close(fd_);
  }

  std::atomic<std::uint64_t> lost{0};
  std::atomic<std::int64_t> give_up_at{0};  ///< steady clock, nanoseconds; 0: never
  std::function<std::uint64_t()> overrun;   ///< lines dropped from the queue; set before the first line

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    const std::uint64_t gone = lost.load() + (overrun ? overrun() : 0);
    if (gone > reported_) {
      const Field field{"lines", gone - reported_};
      SystemClock clock;
      const std::string line = format_line(options_.format, clock.now(), Level::kWarning, options_.program,
                                           "log lines were lost", &field, 1) +
                               "\n";
      if (put(line)) reported_ = gone;
    }
    if (!put({message.payload.data(), message.payload.size()})) lost.fetch_add(1);
  }
  void flush_() override {}

 private:
  /// A piece that fits into a pipe that polls as writable (PIPE_BUF) does not block.
  bool put(std::string_view line) {
    static constexpr std::size_t kPiece = 4096;
    if (torn_) {
      if (!wait() || ::write(fd_, "\n", 1) != 1) return false;
      torn_ = false;
    }
    std::string_view rest = line;
    while (!rest.empty()) {
      const ssize_t n = wait() ? ::write(fd_, rest.data(), std::min(rest.size(), kPiece)) : -1;
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        torn_ = rest.size() != line.size();
        return false;
      }
      rest.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }

  bool wait() {
    const std::int64_t limit = give_up_at.load();
    if (limit != 0 && std::chrono::steady_clock::now().time_since_epoch().count() > limit) {
      errno = ETIMEDOUT;
      return false;
    }
    pollfd entry{fd_, POLLOUT, 0};
    if (::poll(&entry, 1, static_cast<int>(kPatience.count())) > 0) return true;
    errno = ETIMEDOUT;
    return false;
  }

  int fd_;
  bool owned_, torn_ = false;
  Options options_;
  std::uint64_t reported_ = 0;
};

/// Everything that lives between start and stop.
struct Running {
  Options options;
  std::shared_ptr<DescriptorSink> sink;
  std::shared_ptr<spdlog::details::thread_pool> pool;
  std::shared_ptr<spdlog::async_logger> logger;
};

/// Shared while a line is put into the queue (which never waits), exclusive to start and stop.
std::shared_mutex running_mutex;
std::unique_ptr<Running> running;
std::atomic<std::uint64_t> dropped_before{0};  ///< of runs that were stopped
std::atomic<int> lowest{static_cast<int>(Level::kWarning)};

void emit(Level level, std::string_view message, const Field* fields, std::size_t count) {
  SystemClock clock;
  std::shared_lock lock(running_mutex);
  const Options standard;
  const Options& options = running ? running->options : standard;
  std::string line = format_line(options.format, clock.now(), level, options.program, message, fields, count);
  line += '\n';
  if (running) {
    running->logger->log(spdlog::level::info, spdlog::string_view_t(line.data(), line.size()));
  } else if (::write(STDERR_FILENO, line.data(), line.size()) < 0) {
    dropped_before.fetch_add(1);
  }
}

}  // namespace

Field::Field(std::string_view n, double v)
    : name(n), value(std::isfinite(v) ? fmt::format("{}", v) : "null"), quoted(false) {}

std::string format_line(Format format, Timestamp time, Level level, std::string_view program, std::string_view message,
                        const Field* fields, std::size_t count) {
  std::string out;
  if (format == Format::kJson) {
    out = fmt::format("{{\"time\":\"{}\",\"level\":\"{}\",\"program\":{},\"message\":{}", to_iso8601(time),
                      level_word(level), json_text(program), json_text(message));
    for (std::size_t i = 0; i < count; ++i) {
      out += fmt::format(",{}:{}", json_text(fields[i].name),
                         fields[i].quoted ? json_text(fields[i].value) : fields[i].value);
    }
    return out + "}";
  }
  out = fmt::format("{} {:<7} ", to_iso8601(time), level_word(level));
  append_plain(out, message);
  for (std::size_t i = 0; i < count; ++i) {
    const std::string& value = fields[i].value;
    const bool plain = !value.empty() && value.find_first_of(" \"=\\") == std::string::npos &&
                       std::none_of(value.begin(), value.end(), is_control);
    out += fmt::format(" {}={}", fields[i].name, plain ? value : json_text(value));
  }
  return out;
}

Status start(const Options& options) {
  // Whoever reads standard error may go away; that loses lines, not the program.
  ::signal(SIGPIPE, SIG_IGN);
  int fd = STDERR_FILENO;
  if (!options.file.empty()) {
    fd = ::open(options.file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0) return system_error("open log file", options.file.string(), errno);
  }
  auto made = std::make_unique<Running>();
  made->options = options;
  made->sink = std::make_shared<DescriptorSink>(fd, fd != STDERR_FILENO, options);
  try {
    made->pool = std::make_shared<spdlog::details::thread_pool>(std::max<std::size_t>(options.queue_lines, 1), 1);
    // Called on the pool's own thread, which the pool's destructor joins: never an owner, or it would join itself.
    made->sink->overrun = [pool = made->pool.get()] { return static_cast<std::uint64_t>(pool->overrun_counter()); };
    made->logger = std::make_shared<spdlog::async_logger>("stele", made->sink, made->pool,
                                                          spdlog::async_overflow_policy::overrun_oldest);
    made->logger->set_level(spdlog::level::trace);
    made->logger->set_error_handler([sink = made->sink.get()](const std::string&) { sink->lost.fetch_add(1); });
  } catch (const std::exception& error) {
    return Error{ErrorCode::kInternal, fmt::format("start the log: {}", error.what()), ""};
  }
  std::unique_lock lock(running_mutex);
  if (running) return Error{ErrorCode::kInternal, "the log was started twice", ""};
  running = std::move(made);
  lowest.store(static_cast<int>(options.level));
  return {};
}

void stop() {
  std::unique_ptr<Running> ending;
  {
    std::unique_lock lock(running_mutex);
    ending.swap(running);
    lowest.store(static_cast<int>(Level::kWarning));
  }
  if (!ending) return;
  ending->sink->give_up_at.store((std::chrono::steady_clock::now() + kStopWithin).time_since_epoch().count());
  const std::uint64_t overrun = ending->pool->overrun_counter();
  ending->pool.reset();  // writes the queue and joins the thread
  dropped_before.fetch_add(overrun + ending->sink->lost.load());
}

std::uint64_t dropped_lines() {
  std::shared_lock lock(running_mutex);
  return dropped_before.load() + (running ? running->pool->overrun_counter() + running->sink->lost.load() : 0);
}

bool enabled(Level level) {
  return static_cast<int>(level) >= lowest.load(std::memory_order_relaxed);
}

void write(Level level, std::string_view message, Fields fields) {
  if (enabled(level)) emit(level, message, fields.begin(), fields.size());
}

void log_error(const Error& error, Fields fields) {
  if (!enabled(Level::kError)) return;
  std::vector<Field> all(fields);
  all.emplace_back("code", error_name(error.code));
  if (!error.hint.empty()) all.emplace_back("hint", error.hint);
  emit(Level::kError, error.what, all.data(), all.size());
}

}  // namespace stele::log
