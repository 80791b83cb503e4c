#include "restore/drill/isolation.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <utility>

#include "core/base/time.h"

namespace stele::restore {
namespace {

std::string read_text(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string network_link(pid_t process) { return fmt::format("/proc/{}/ns/net", process); }

/// 0: it cannot be seen.
std::uint64_t network_number(pid_t process) {
  struct stat info {};
  return ::stat(network_link(process).c_str(), &info) == 0 ? info.st_ino : 0;
}

}  // namespace

std::string interfaces_in(std::string_view net_dev) {
  std::string out;
  std::istringstream in{std::string(net_dev)};
  for (std::string line; std::getline(in, line);) {
    const std::size_t colon = line.find(':');  // the two lines of headings have none
    if (colon == std::string::npos) continue;
    const std::size_t first = line.find_first_not_of(' ');
    out += (out.empty() ? "" : ", ") + line.substr(first, colon - first);
  }
  return out;
}

bool only_what_every_namespace_has(std::string_view interfaces) {
  constexpr std::string_view kFallback[] = {"tunl0", "gre0", "gretap0", "erspan0", "sit0", "ip_vti0", "ip6tnl0", "ip6gre0", "ip6_vti0"};
  bool loopback = false;
  while (!interfaces.empty()) {
    const std::size_t comma = interfaces.find(", ");
    const std::string_view name = interfaces.substr(0, comma);
    interfaces.remove_prefix(comma == std::string_view::npos ? interfaces.size() : comma + 2);
    if (name == "lo") loopback = true;
    else if (std::find(std::begin(kFallback), std::end(kFallback), name) == std::end(kFallback)) return false;
  }
  return loopback;
}

int routes_in(std::string_view route, std::string_view ipv6_route) {
  int count = 0;
  std::istringstream v4{std::string(route)};
  for (std::string line; std::getline(v4, line);) count += line.starts_with("Iface") || line.starts_with("lo\t") ? 0 : 1;
  std::istringstream v6{std::string(ipv6_route)};
  for (std::string line; std::getline(v6, line);) count += line.ends_with(" lo") ? 0 : 1;
  return count;
}

IsolationProof look_at_isolation(pid_t server) {
  IsolationProof out;
  const std::uint64_t theirs = network_number(server), ours = network_number(getpid());
  out.own_network = theirs != 0 && ours != 0 && theirs != ours;
  const std::string net = fmt::format("/proc/{}/net/", server), dev = read_text(net + "dev"), route = read_text(net + "route");
  out.interfaces = interfaces_in(dev);
  if (!dev.empty()) out.routes = routes_in(route, read_text(net + "ipv6_route"));
  return out;
}

bool runs_servers(uid_t user) {
  std::error_code ec;
  for (std::filesystem::directory_iterator it("/proc", ec), end; !ec && it != end; it.increment(ec)) {
    struct stat info {};
    if (::stat(it->path().c_str(), &info) == 0 && info.st_uid == user && read_text(it->path().string() + "/comm") == "postgres\n") return true;
  }
  return false;
}

HeldNetwork::HeldNetwork(pid_t process) {
  constexpr auto kPatience = std::chrono::seconds(1);
  const std::uint64_t ours = network_number(getpid());
  const Instant end = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    const std::uint64_t theirs = network_number(process);
    if (theirs != 0 && theirs != ours) break;
    // 0: before its exec a child of an ordinary user's hardened process cannot be looked at, or it has ended.
    if (std::chrono::steady_clock::now() >= end) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  fd_ = ::open(network_link(process).c_str(), O_RDONLY | O_CLOEXEC);
}
HeldNetwork::~HeldNetwork() {
  if (fd_ >= 0) ::close(fd_);
}
HeldNetwork::HeldNetwork(HeldNetwork&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
HeldNetwork& HeldNetwork::operator=(HeldNetwork&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

int HeldNetwork::processes() const {
  struct stat info {};
  if (fd_ < 0 || ::fstat(fd_, &info) != 0) return 0;
  int count = 0;
  std::error_code ec;
  for (std::filesystem::directory_iterator it("/proc", ec), end; !ec && it != end; it.increment(ec)) {
    const std::string name = it->path().filename().string();
    int pid = 0;
    auto [last, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error == std::errc() && last == name.data() + name.size() && network_number(pid) == info.st_ino) ++count;
  }
  return count;
}

}  // namespace stele::restore
