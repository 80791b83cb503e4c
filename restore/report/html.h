#pragma once

#include <string>
#include <string_view>

#include "core/base/time.h"

namespace stele::restore {

enum class Language { kChinese, kEnglish };

/// & < > " ' become entities; control characters become blanks.
std::string escape_html(std::string_view text);

/// How quantities are written for people, in one language. Times: Beijing time in Chinese, UTC in English.
std::string show_time(Timestamp time, Language language);
std::string show_seconds(double seconds, Language language);

}  // namespace stele::restore
