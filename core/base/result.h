#pragma once

#include <utility>
#include <variant>

#include "core/base/error.h"

namespace stele {

/// A value or an Error. Must be looked at: the compiler refuses a dropped result.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)), failed_(true) {}

  bool ok() const { return !failed_; }
  explicit operator bool() const { return ok(); }
  const Error& error() const& { return error_; }
  Error&& error() && { return std::move(error_); }

 private:
  Error error_;
  bool failed_ = false;
};

using Status = Result<void>;

}  // namespace stele

#define STELE_CONCAT_INNER(a, b) a##b
#define STELE_CONCAT(a, b) STELE_CONCAT_INNER(a, b)

/// `STELE_TRY(auto x, f());` gives x the value or returns f's error. `STELE_CHECK(f());` for a Status.
#define STELE_TRY_AS(ret, tmp, decl, expr) \
  auto tmp = (expr);                       \
  if (!tmp.ok()) ret std::move(tmp).error(); \
  decl = std::move(tmp).value()
#define STELE_TRY(decl, expr) STELE_TRY_AS(return, STELE_CONCAT(stele_try_, __COUNTER__), decl, expr)
#define STELE_CHECK(expr) \
  do { if (auto stele_status = (expr); !stele_status.ok()) return std::move(stele_status).error(); } while (false)

/// The same inside a coroutine that returns awaitable<Result<...>>.
#define STELE_CO_TRY(decl, expr) STELE_TRY_AS(co_return, STELE_CONCAT(stele_try_, __COUNTER__), decl, expr)
#define STELE_CO_CHECK(expr) \
  do { if (auto stele_status = (expr); !stele_status.ok()) co_return std::move(stele_status).error(); } while (false)
