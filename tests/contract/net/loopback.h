#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <future>
#include <thread>

#include "core/net/spawn.h"
#include "tests/support/net/test_ca.h"

namespace stele::test {

class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "stele-net-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = name;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Two threads that run coroutines; run() waits for one from the test's thread and refuses to hang.
class Loopback {
 public:
  Loopback() : work_(io_.get_executor()) {
    for (int i = 0; i < 2; ++i) threads_.emplace_back([this] { io_.run(); });
  }
  ~Loopback() {
    work_.reset();
    io_.stop();
    for (auto& thread : threads_) thread.join();
  }
  boost::asio::any_io_executor executor() { return io_.get_executor(); }

  template <typename T>
  T run(net::Task<T> task) {
    auto promise = std::make_shared<std::promise<std::optional<T>>>();
    auto future = promise->get_future();
    boost::asio::co_spawn(io_, net::as_optional(std::move(task)), [promise](std::exception_ptr e, std::optional<T> value) {
      if (e) {
        promise->set_exception(e);
      } else {
        promise->set_value(std::move(value));
      }
    });
    if (future.wait_for(std::chrono::seconds(20)) != std::future_status::ready) throw std::runtime_error("hangs");
    return std::move(*future.get());
  }

  void note(const Error& error) {
    std::lock_guard lock(mutex_);
    notes_.push_back(error);
  }
  /// Waits for the next refusal that was noted.
  Error noted() {
    for (int i = 0; i < 1000; ++i) {
      {
        std::lock_guard lock(mutex_);
        if (!notes_.empty()) {
          Error out = notes_.front();
          notes_.erase(notes_.begin());
          return out;
        }
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return Error{ErrorCode::kInternal, "nothing was refused", ""};
  }

 private:
  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::vector<Error> notes_;
};

/// Sends back what comes, until the stream ends.
inline net::Task<void> echo(std::unique_ptr<net::ByteStream> stream) {
  Bytes buffer(100'000);
  for (;;) {
    auto got = co_await stream->read_some(buffer);
    if (!got.ok()) co_return;
    const ByteView piece = ByteView(buffer).first(*got);
    if (!(co_await stream->write_all(std::span(&piece, 1))).ok()) co_return;
  }
}

/// Sends `size` patterned bytes in one write and reads as many back.
inline net::Task<Result<Bytes>> send_and_receive(net::ByteStream& stream, std::size_t size) {
  Bytes sent(size);
  for (std::size_t i = 0; i < size; ++i) sent[i] = static_cast<std::uint8_t>(i * 131 + i / 65536);
  const std::array<ByteView, 3> pieces{ByteView(sent).first(size / 3), ByteView(), ByteView(sent).subspan(size / 3)};
  stream.set_read_deadline(net::deadline_in(std::chrono::seconds(10)));
  stream.set_write_deadline(net::deadline_in(std::chrono::seconds(10)));
  STELE_CO_CHECK(co_await stream.write_all(pieces));
  Bytes back(size);
  for (std::size_t have = 0; have < size;) {
    STELE_CO_TRY(const std::size_t n, co_await stream.read_some(MutableByteView(back).subspan(have)));
    have += n;
  }
  if (back != sent) co_return Error{ErrorCode::kDamaged, "other bytes came back", ""};
  co_return back;
}

/// A blocking plain TCP client for rubbish: connects, sends, and reads until the end or the deadline.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port);
  ~RawClient();
  bool send(std::string_view bytes);
  /// What came until the peer closed; `ended` tells whether it did within 10 s.
  std::string read_all(bool& ended);

 private:
  int fd_;
};

}  // namespace stele::test
