#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>

#include "core/net/byte_stream.h"

namespace stele::net {

/// Asio's co_spawn wants results that can be made from nothing, which Result<T> cannot: this makes one that can.
template <typename T>
[[nodiscard]] Task<std::optional<T>> as_optional(Task<T> task) {
  co_return std::optional<T>(co_await std::move(task));
}

/// Runs a task on another executor (a stream's strand) and waits for it there: `co_await run_on(stream->executor(), f(...))`.
template <typename T>
[[nodiscard]] Task<T> run_on(boost::asio::any_io_executor executor, Task<T> task) {
  std::optional<T> result = co_await boost::asio::co_spawn(executor, as_optional(std::move(task)), boost::asio::use_awaitable);
  co_return std::move(*result);
}

}  // namespace stele::net
