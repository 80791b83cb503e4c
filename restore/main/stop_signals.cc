#include "restore/main/stop_signals.h"

#include <signal.h>

#include <initializer_list>

namespace stele::restore {

namespace {

std::atomic<bool> g_raised{false};
static_assert(std::atomic<bool>::is_always_lock_free, "a signal handler writes it");
constexpr auto kSignals = {SIGINT, SIGTERM, SIGHUP};

void set(void (*handler)(int), int flags) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  for (int number : kSignals) sigaction(number, &action, nullptr);
}

}  // namespace

StopSignals::StopSignals() {
  g_raised = false;
  set([](int) { g_raised.store(true, std::memory_order_relaxed); }, static_cast<int>(SA_RESETHAND));
}
StopSignals::~StopSignals() { set(SIG_DFL, 0); }
std::atomic<bool>& StopSignals::raised() const { return g_raised; }

}  // namespace stele::restore
