#include "tests/tools/registry/check_digit.h"

#include <array>
#include <chrono>

namespace stele::registry {
namespace {

constexpr std::string_view kCreditAlphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY";

bool digits(std::string_view text) {
  return text.find_first_not_of("0123456789") == std::string_view::npos;
}

int number(std::string_view text) {
  int value = 0;
  for (char c : text) value = value * 10 + (c - '0');
  return value;
}

}  // namespace

char identity_check_character(std::string_view first17) {
  constexpr std::array<int, 17> kWeights = {7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2};
  if (first17.size() != kWeights.size() || !digits(first17)) return 0;
  int sum = 0;
  for (std::size_t i = 0; i < kWeights.size(); ++i) sum += (first17[i] - '0') * kWeights[i];
  return "10X98765432"[sum % 11];
}

bool valid_identity_number(std::string_view number18) {
  if (number18.size() != 18) return false;
  const char check = identity_check_character(number18.substr(0, 17));
  if (check == 0 || check != number18[17]) return false;
  using namespace std::chrono;
  const year_month_day birth{year{number(number18.substr(6, 4))},
                             month(static_cast<unsigned>(number(number18.substr(10, 2)))),
                             day(static_cast<unsigned>(number(number18.substr(12, 2))))};
  return birth.ok();
}

char organisation_code_check_character(std::string_view first8) {
  constexpr std::array<int, 8> kWeights = {3, 7, 9, 10, 5, 8, 4, 2};
  if (first8.size() != kWeights.size()) return 0;
  int sum = 0;
  for (std::size_t i = 0; i < kWeights.size(); ++i) {
    const char c = first8[i];
    int value = 0;
    if (c >= '0' && c <= '9') {
      value = c - '0';
    } else if (c >= 'A' && c <= 'Z') {
      value = c - 'A' + 10;
    } else {
      return 0;
    }
    sum += value * kWeights[i];
  }
  return "0X987654321"[sum % 11];  // 11 - sum mod 11, where 10 is X and 11 is 0
}

char credit_code_check_character(std::string_view first17) {
  if (first17.size() != 17) return 0;
  int sum = 0, weight = 1;
  for (char c : first17) {
    const auto value = kCreditAlphabet.find(c);
    if (value == std::string_view::npos) return 0;
    sum += static_cast<int>(value) * weight;
    weight = weight * 3 % 31;
  }
  return kCreditAlphabet[(31 - sum % 31) % 31];
}

bool valid_credit_code(std::string_view code) {
  if (code.size() != 18) return false;
  const char check = credit_code_check_character(code.substr(0, 17));
  return check != 0 && check == code[17] && organisation_code_check_character(code.substr(8, 8)) == code[16];
}

}  // namespace stele::registry
