#include "restore/drill/moment.h"

namespace stele::restore {

Result<Timestamp> random_moment(const recovery::Survey& survey, std::uint64_t seed) {
  std::vector<const recovery::Window*> windows;
  std::uint64_t total = 0;
  for (const recovery::Window& w : survey.windows) {
    if (w.head != survey.current || w.to.time < w.from.time || w.from.time.is_none()) continue;
    windows.push_back(&w);
    total += static_cast<std::uint64_t>((w.to.time - w.from.time).count()) + 1;
  }
  if (windows.empty()) return Error{ErrorCode::kUnreachable, "choose a random moment: nothing can be restored yet", "`stele-restore list` shows the windows"};
  // splitmix64: neighbouring seeds give moments far apart.
  std::uint64_t x = seed + 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  std::uint64_t at = (x ^ (x >> 31)) % total;
  for (const recovery::Window* w : windows) {
    const std::uint64_t size = static_cast<std::uint64_t>((w->to.time - w->from.time).count()) + 1;
    if (at < size) return w->from.time + Duration(static_cast<std::int64_t>(at));
    at -= size;
  }
  return windows.back()->to.time;
}

}  // namespace stele::restore
