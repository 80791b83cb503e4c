#include "restore/main/guide.h"

#include <fmt/format.h>

#include <charconv>

namespace stele::restore {

namespace {

constexpr int kMaxWrongKeys = 3;

std::string trimmed(std::string_view text) {
  const auto blank = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(blank);
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(blank) - begin + 1));
}

std::string told(const Error& error) { return error.what + (error.hint.empty() ? "\n" : "\nhint: " + error.hint + "\n"); }

}  // namespace

Guide::Guide(std::vector<Database> databases, RunOptions given) : databases_(std::move(databases)), options_(std::move(given)) {
  place_given_ = !options_.into.empty();
  start_given_ = options_.start;
  if (databases_.empty()) {
    error_ = {ErrorCode::kNotFound, "the store holds no database", "check [store] directory or [[receiver]]"};
    step_ = Step::kGivenUp;
    return;
  }
  text_ = "A restore, step by step. Nothing is written before you say yes; q ends it at any question.\n\n";
  if (databases_.size() == 1) {
    options_.store.database = databases_[0].name.to_string();
    text_ += databases_[0].description + "\n";
    go(Step::kTarget);
    return;
  }
  for (std::size_t i = 0; i < databases_.size(); ++i) text_ += fmt::format("{:3}  {}\n", i + 1, databases_[i].name.to_string());
  go(Step::kDatabase);
}

std::string Guide::take_text() { return std::exchange(text_, {}); }

void Guide::go(Step step) {
  if (step == Step::kPlace && place_given_) step = Step::kStart;
  if (step == Step::kStart && start_given_) step = Step::kPlan;
  step_ = step;
  switch (step) {
    case Step::kDatabase: text_ += "Which database (number or name)? "; break;
    case Step::kTarget:
      text_ += "To which moment? Enter is the latest. Otherwise a time (2026-11-23 15:33:45+08), an LSN (16/B374D848), \"name RESTORE_POINT\",\n\"xid TRANSACTION\" or \"immediate\" (the newest snapshot itself): ";
      break;
    case Step::kTimeline: text_ += "Which history (a timeline number, the beginning of a branch, or latest to leave abandoned ones out)? "; break;
    case Step::kPlace: text_ += "Into which new directory? "; break;
    case Step::kTablespaces: text_ += "Below which directory do the tablespaces go? "; break;
    case Step::kStart: text_ += "Start PostgreSQL when it is restored [Y/n]? "; break;
    case Step::kConfirm: text_ += "Restore now (yes or no)? "; break;
    case Step::kPlan:
    case Step::kRun:
    case Step::kGivenUp: break;
  }
}

void Guide::complain(std::string_view what) {
  text_ += fmt::format("{}\n", what);
  go(step_);
}

void Guide::give_up() { step_ = Step::kGivenUp; }

void Guide::take_target(std::string_view text) {
  TargetOptions& target = options_.target;
  const TargetOptions kept = target;
  target.time = target.lsn = target.xid = target.name = "";
  target.immediate = false;
  auto behind = [&](std::string_view word) -> std::string { return text.starts_with(word) ? trimmed(text.substr(word.size())) : std::string(); };
  if (text.empty() || text == "latest") {
  } else if (text == "immediate") {
    target.immediate = true;
  } else if (const std::string name = behind("name "); !name.empty()) {
    target.name = name;
  } else if (const std::string xid = behind("xid "); !xid.empty()) {
    target.xid = xid;
  } else if (parse_position(text).ok()) {
    target.lsn = text;
  } else {
    target.time = text;
  }
  if (auto read = to_target(target); !read.ok()) {
    target = kept;
    return complain(told(read.error()));
  }
  go(Step::kPlace);
}

void Guide::answer(std::string_view line) {
  const std::string text = trimmed(line);
  if (text == "q" || text == "quit") return give_up();
  switch (step_) {
    case Step::kDatabase: {
      std::size_t number = 0;
      const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
      const bool is_number = ec == std::errc() && end == text.data() + text.size();
      for (std::size_t i = 0; i < databases_.size(); ++i) {
        if (databases_[i].name.to_string() != text && !(is_number && number == i + 1)) continue;
        options_.store.database = databases_[i].name.to_string();
        text_ += "\n" + databases_[i].description + "\n";
        return go(Step::kTarget);
      }
      return complain(fmt::format("There is no database \"{}\".", text));
    }
    case Step::kTarget: return take_target(text);
    case Step::kTimeline:
      if (text.empty()) return complain("One of them must be chosen.");
      options_.target.timeline = text;
      return go(Step::kPlan);
    case Step::kPlace:
      if (!text.starts_with('/')) return complain("An absolute directory, please.");
      options_.into = text;
      return go(Step::kStart);
    case Step::kTablespaces:
      if (!text.starts_with('/')) return complain("An absolute directory, please.");
      options_.places.root = text;
      return go(Step::kPlan);
    case Step::kStart:
      if (text != "" && text != "y" && text != "Y" && text != "yes" && text != "n" && text != "N" && text != "no") return complain("y or n, please.");
      options_.start = text.empty() || text[0] == 'y' || text[0] == 'Y';
      start_given_ = true;
      return go(Step::kPlan);
    case Step::kConfirm:
      if (text == "yes") return go(Step::kRun);
      if (text == "no") return give_up();
      return complain("yes or no, in full, please.");
    case Step::kPlan:
    case Step::kRun:
    case Step::kGivenUp: return;
  }
}

void Guide::planned(std::string description) {
  text_ += "\n" + description + fmt::format("into       {}{}\n\n", options_.into, options_.start ? ", and started" : "");
  go(Step::kConfirm);
}

void Guide::refused(const Error& error) {
  text_ += "\n" + told(error);
  switch (error.code) {
    case ErrorCode::kUnreachable: return go(Step::kTarget);
    case ErrorCode::kAmbiguous: return go(Step::kTimeline);
    case ErrorCode::kExists:
    case ErrorCode::kNotFound:
    case ErrorCode::kDiskFull:
      place_given_ = false;
      return go(Step::kPlace);
    case ErrorCode::kKeyWrong:
      if (++wrong_keys_ < kMaxWrongKeys) return go(Step::kPlan);
      break;
    case ErrorCode::kUsage:
      if (error.what.find("tablespace") != std::string::npos) return go(Step::kTablespaces);
      break;
    default: break;
  }
  error_ = error;
  give_up();
}

}  // namespace stele::restore
