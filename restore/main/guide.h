#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "restore/main/restore_job.h"

namespace stele::restore {

/// The dialogue of `run` on a terminal, without the terminal: says what to show and ask, takes the answers as typed, and ends with the options of
/// a restore. What a plan costs or why there is none comes from outside. Pure.
class Guide {
 public:
  struct Database {
    DatabaseName name;
    std::string description;  ///< windows, branches, snapshots, gaps: shown before the target is asked for
  };
  /// `given`: what the command line said already is not asked.
  Guide(std::vector<Database> databases, RunOptions given);

  enum class Step {
    kDatabase,
    kTarget,
    kTimeline,     ///< only after a plan was refused because histories compete
    kPlace,
    kTablespaces,  ///< only after a plan was refused because a tablespace has no place
    kStart,
    kPlan,     ///< ask nothing: make the plan, and tell `planned` or `refused`
    kConfirm,
    kRun,      ///< done: restore with options()
    kGivenUp,  ///< nothing was written
  };
  Step step() const { return step_; }
  /// To be shown before the next line is read; each text once.
  std::string take_text();
  /// One line, without its end.
  void answer(std::string_view line);
  /// The terminal is gone.
  void give_up();

  void planned(std::string description);
  /// Goes back to the question that can help, or gives up with this error.
  void refused(const Error& error);

  const RunOptions& options() const { return options_; }
  /// Why, at kGivenUp.
  const Error& error() const { return error_; }

 private:
  void go(Step step);
  void complain(std::string_view what);
  void take_target(std::string_view text);
  std::vector<Database> databases_;
  RunOptions options_;
  bool place_given_ = false, start_given_ = false;
  Step step_ = Step::kDatabase;
  std::string text_;
  int wrong_keys_ = 0;
  Error error_{ErrorCode::kCancelled, "the restore was not confirmed; nothing was written", ""};
};

}  // namespace stele::restore
