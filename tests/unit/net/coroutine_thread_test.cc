#include <gtest/gtest.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <semaphore>
#include <thread>
#include <vector>

namespace stele::net {
namespace {

namespace asio = boost::asio;

constexpr int kTurns = 6;

asio::awaitable<void> look_around(asio::io_context& io, std::vector<bool>& at_home) {
  for (int turn = 0; turn < kTurns; ++turn) {
    co_await asio::post(io, asio::use_awaitable);
    at_home.push_back(io.get_executor().running_in_this_thread());
  }
}

// The compiler may keep nothing of a thread across a co_await (cmake/dependencies.cmake).
TEST(Coroutine, KnowsTheThreadOfEachTurnOfItsLoop) {
  asio::io_context io;
  std::vector<bool> at_home;
  asio::co_spawn(io, look_around(io, at_home), asio::detached);
  std::binary_semaphore mine{1}, others{0};
  auto every_second_handler = [&io](std::binary_semaphore& turn, std::binary_semaphore& next) {
    for (int step = 0; step < 2 * kTurns; ++step) {
      turn.acquire();
      io.poll_one();
      next.release();
    }
  };
  std::thread a([&] { every_second_handler(mine, others); }), b([&] { every_second_handler(others, mine); });
  a.join();
  b.join();
  EXPECT_EQ(at_home, std::vector<bool>(kTurns, true));
}

}  // namespace
}  // namespace stele::net
