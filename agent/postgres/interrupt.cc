#include "agent/postgres/interrupt.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace stele::agent {
namespace {

void signal_fd(int fd) {
  const std::uint64_t one = 1;
  // EAGAIN means that the counter is full: the reader is woken all the same.
  while (::write(fd, &one, sizeof(one)) < 0 && errno == EINTR) {
  }
}

}  // namespace

Result<std::shared_ptr<Interrupt>> Interrupt::create() {
  const int wake_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_fd < 0) return system_error("create", "an eventfd", errno);
  const int stop_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (stop_fd < 0) {
    const int number = errno;
    ::close(wake_fd);
    return system_error("create", "an eventfd", number);
  }
  return std::shared_ptr<Interrupt>(new Interrupt(wake_fd, stop_fd));
}

Interrupt::~Interrupt() {
  ::close(wake_fd_);
  ::close(stop_fd_);
}

void Interrupt::wake() {
  signal_fd(wake_fd_);
}

void Interrupt::stop() {
  stopped_.store(true, std::memory_order_release);
  signal_fd(stop_fd_);
}

bool Interrupt::take_wake() {
  std::uint64_t count = 0;
  ssize_t got;
  do {
    got = ::read(wake_fd_, &count, sizeof(count));
  } while (got < 0 && errno == EINTR);
  return got == static_cast<ssize_t>(sizeof(count));
}

}  // namespace stele::agent
