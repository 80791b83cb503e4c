#include "receiver/ingest/open_runs.h"

namespace stele::receiver {

void OpenRuns::add(const format::FrameHeader& header, LandedRef ref, Timestamp received) {
  auto [it, fresh] = open_.try_emplace({header.stream, header.object});
  if (!fresh && it->second.frames.back().number + 1 != header.number) {
    ready_.push_back(std::move(it->second));
    it->second = OpenRun{};
    fresh = true;
  }
  OpenRun& run = it->second;
  if (fresh) {
    run.stream = header.stream;
    run.object = header.object;
    run.epoch = header.epoch;
    run.range.begin = header.start;
    run.first_received = received;
  }
  run.range.end = header.end;
  run.bytes += ref.size;
  bytes_ += ref.size;
  run.last_received = received;
  run.finished = header.last;
  run.frames.push_back(ref);
}

bool OpenRuns::is_due(const OpenRun& run, Timestamp now, const SealRules& rules) const {
  // A clock that was set back must not keep a run open for as long as it went back.
  return run.finished || run.bytes >= rules.max_run_bytes || now - run.first_received >= rules.after || now < run.first_received;
}

std::vector<OpenRun> OpenRuns::take(Timestamp now, const SealRules& rules, bool everything) {
  std::vector<OpenRun> out = std::move(ready_);
  ready_.clear();
  for (auto it = open_.begin(); it != open_.end();) {
    // Only whole batches land, so a run ends at a signed frame whenever it is looked at; one that does not waits.
    if (it->second.frames.back().is_signed && (everything || is_due(it->second, now, rules))) {
      out.push_back(std::move(it->second));
      it = open_.erase(it);
    } else {
      ++it;
    }
  }
  sealing_ += out.size();
  return out;
}

void OpenRuns::done(const OpenRun& run) {
  --sealing_;
  bytes_ -= run.bytes;
}

void OpenRuns::failed(OpenRun run) {
  --sealing_;
  ready_.push_back(std::move(run));
}

}  // namespace stele::receiver
