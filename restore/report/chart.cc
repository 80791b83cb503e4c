#include "restore/report/chart.h"

#include <fmt/format.h>

#include <algorithm>

namespace stele::restore {
namespace {

constexpr const char* kColours[] = {"#5b6b7f", "#2f6f9f", "#4b93b8", "#2f8f7a", "#7aa95c", "#b08a3e"};

struct Text {
  const char *zh, *en;
};
constexpr Text kTitles[] = {{"计划", "Plan"}, {"读取与解密", "Fetch and decrypt"}, {"写入", "Write"}, {"日志重放", "Replay"}, {"启动", "Start"}, {"检查", "Checks"}};

}  // namespace

std::string phase_title(Phase phase, Language language) {
  const Text& t = kTitles[static_cast<std::size_t>(phase)];
  return language == Language::kChinese ? t.zh : t.en;
}

std::string phases_chart(const DrillResult& result, Language language) {
  constexpr double kLeft = 130, kWidth = 430, kRow = 26;
  double total = 0;
  for (const Phase phase : kPhases) total += result.seconds(phase);
  if (total <= 0) return "";
  std::string out = fmt::format("<svg class=\"chart\" viewBox=\"0 0 680 {}\" role=\"img\" aria-label=\"{}\">", kRow * kPhases.size() + 14,
                                language == Language::kChinese ? "各阶段用时" : "Time of each phase");
  double at = 0;
  for (std::size_t i = 0; i < kPhases.size(); ++i) {
    const double seconds = result.seconds(kPhases[i]), y = 6 + kRow * static_cast<double>(i);
    const double x = kLeft + kWidth * at / total, width = std::max(1.5, kWidth * seconds / total);
    out += fmt::format("<rect x=\"{}\" y=\"{:.0f}\" width=\"{}\" height=\"18\" fill=\"#f1f4f7\"/>", kLeft, y, kWidth);
    out += fmt::format("<rect x=\"{:.1f}\" y=\"{:.0f}\" width=\"{:.1f}\" height=\"18\" fill=\"{}\"/>", x, y, width, kColours[i]);
    out += fmt::format("<text x=\"{}\" y=\"{:.0f}\" text-anchor=\"end\">{}</text>", kLeft - 10, y + 13, phase_title(kPhases[i], language));
    out += fmt::format("<text x=\"{}\" y=\"{:.0f}\">{} · {:.0f}%</text>", kLeft + kWidth + 10, y + 13, show_seconds(seconds, language), 100 * seconds / total);
    at += seconds;
  }
  return out + "</svg>";
}

std::string history_chart(const DrillResult& result, const History& earlier, Language language) {
  constexpr std::size_t kMost = 12;
  struct Bar {
    Timestamp time;
    std::optional<double> rto;
    bool passed;
  };
  std::vector<Bar> bars;
  for (const EarlierDrill& d : earlier.drills) bars.push_back({d.finished, d.rto, d.passed});
  bars.push_back({result.finished, result.rto, result.passed()});
  if (bars.size() > kMost) bars.erase(bars.begin(), bars.end() - kMost);
  if (bars.size() < 2) return "";
  double most = 0;
  for (const Bar& b : bars) most = std::max(most, b.rto.value_or(0));
  if (most <= 0) return "";
  // A target far above every bar would flatten them: it is then only named.
  const bool show_target = result.rto_target <= most * 3;
  const double top = std::max(most, show_target ? result.rto_target : 0.0) * 1.15;
  constexpr double kHeight = 120, kBase = 140, kLeft = 60, kWidth = 600;
  const bool zh = language == Language::kChinese;
  std::string out = fmt::format("<svg class=\"chart\" viewBox=\"0 0 680 172\" role=\"img\" aria-label=\"{}\">", zh ? "历次演练的 RTO" : "RTO of the drills");
  for (const double share : {0.0, 0.5, 1.0}) {
    const double y = kBase - kHeight * share;
    out += fmt::format("<line x1=\"{}\" y1=\"{:.0f}\" x2=\"{}\" y2=\"{:.0f}\" stroke=\"#dde3e9\"/>", kLeft, y, kLeft + kWidth, y);
    out += fmt::format("<text x=\"{}\" y=\"{:.0f}\" text-anchor=\"end\">{}</text>", kLeft - 6, y + 4, show_seconds(top * share, language));
  }
  const double step = kWidth / static_cast<double>(bars.size()), width = std::min(36.0, step * 0.6);
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const Bar& b = bars[i];
    const double x = kLeft + step * (static_cast<double>(i) + 0.5), height = kHeight * b.rto.value_or(0) / top;
    const std::string day = show_time(b.time, language).substr(5, 5);
    out += fmt::format("<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" fill=\"{}\"/>", x - width / 2, kBase - height, width, height, b.passed ? "#2f6f9f" : "#b3392f");
    if (!b.rto) out += fmt::format("<text x=\"{:.1f}\" y=\"{:.0f}\" text-anchor=\"middle\" fill=\"#b3392f\">×</text>", x, kBase - 6);
    out += fmt::format("<text x=\"{:.1f}\" y=\"{:.0f}\" text-anchor=\"middle\">{}</text>", x, kBase + 16, day);
  }
  if (show_target) {
    const double y = kBase - kHeight * result.rto_target / top;
    out += fmt::format("<line x1=\"{}\" y1=\"{:.1f}\" x2=\"{}\" y2=\"{:.1f}\" stroke=\"#b08a3e\" stroke-dasharray=\"5 4\"/>", kLeft, y, kLeft + kWidth, y);
    out += fmt::format("<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\" fill=\"#8a6a25\">{} {}</text>", kLeft + kWidth, y - 4, zh ? "目标" : "target", show_seconds(result.rto_target, language));
  }
  return out + "</svg>";
}

}  // namespace stele::restore
