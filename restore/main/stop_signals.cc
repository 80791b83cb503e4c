#include "restore/main/stop_signals.h"

namespace stele::restore {

namespace {

std::atomic<bool> g_raised{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler writes it");
constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};

}  // namespace

StopSignals::StopSignals() {
  static_assert(std::tuple_size_v<decltype(before_)> == kSignals.size());
  g_raised = false;
  struct sigaction action {};
  action.sa_handler = [](int) { g_raised.store(true, std::memory_order_relaxed); };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    sigaction(kSignals[i], nullptr, &before_[i]);
    if (before_[i].sa_handler != SIG_IGN) sigaction(kSignals[i], &action, nullptr);
  }
}

StopSignals::~StopSignals() {
  for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &before_[i], nullptr);
}

std::atomic<bool>& StopSignals::raised() const { return g_raised; }

}  // namespace stele::restore
