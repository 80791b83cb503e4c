#include "tests/tools/registry/generator.h"

#include <fmt/format.h>

#include <chrono>
#include <numeric>

#include "tests/tools/registry/check_digit.h"
#include "tests/tools/registry/words.h"

namespace stele::registry {
namespace {

using namespace words;

// Births from 1958-01-01 on, 18,000 days: members are of working age.
constexpr std::int64_t kBirthDays = 18'000;
constexpr std::int64_t kSequences = 999;  // 001 to 999 at positions 15 to 17; odd is male
constexpr std::int64_t kNumbers = static_cast<std::int64_t>(kAreas.size()) * kBirthDays * kSequences;
static_assert(kNumbers >= Generator::kMostMembers);
// Steps through all numbers before one comes again.
constexpr std::int64_t kStride = 266'734'577;
static_assert(std::gcd(kStride, kNumbers) == 1);

std::string date_after(std::chrono::sys_days first, std::int64_t days) {
  const std::chrono::year_month_day d{first + std::chrono::days(days)};
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(d.year()), static_cast<unsigned>(d.month()),
                     static_cast<unsigned>(d.day()));
}

template <typename List>
const auto& pick(const List& list, std::uint64_t random) {
  return list[random % list.size()];
}

std::string person(std::uint64_t random, bool male) {
  const auto& given = male ? kMaleGiven : kFemaleGiven;
  std::string name(pick(kSurnames, random));
  name += pick(given, random >> 8);
  if ((random >> 16) % 4 != 0) name += pick(given, random >> 24);
  return name;
}

std::string mobile(std::uint64_t random) {
  return fmt::format("{}{:08}", pick(kMobilePrefixes, random), (random >> 8) % 100'000'000);
}

std::string credit_code(std::int64_t id, std::uint64_t seed, const EconomicType& type, const Area& area) {
  // The organisation code counts in base 30 of the alphabet's characters without '0' in front, stepping so that
  // neighbours look unlike.
  constexpr std::string_view kAlphabet = "123456789ABCDEFGHJKLMNPQRTUWXY";
  constexpr std::uint64_t kAll = 21'870'000'000;  // 30^7
  std::uint64_t number = (static_cast<std::uint64_t>(id) * 9'176'543'213ULL % kAll + seed % kAll) % kAll;
  std::string body = "M";
  for (int i = 0; i < 7; ++i, number /= kAlphabet.size()) body += kAlphabet[number % kAlphabet.size()];
  body += organisation_code_check_character(body);
  std::string code = fmt::format("{}{}{}", type.credit_prefix, area.code, body);
  return code + credit_code_check_character(code);
}

}  // namespace

std::uint64_t mix(std::uint64_t seed, std::uint64_t number, std::uint64_t purpose) {
  std::uint64_t z = seed + number * 0x9E3779B97F4A7C15ULL + purpose * 0xD1B54A32D192ED03ULL;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

Generator::Generator(std::uint64_t seed, std::int64_t members)
    : seed_(seed), members_(members), organisations_(members / kMembersPerOrganisation + 1) {}

Organisation Generator::organisation(std::int64_t id) const {
  using namespace std::chrono;
  const auto number = static_cast<std::uint64_t>(id);
  const std::uint64_t a = mix(seed_, number, 1), b = mix(seed_, number, 2), c = mix(seed_, number, 3);
  const Area& area = pick(kAreas, a);
  const EconomicType& type = pick(kEconomicTypes, a >> 8);
  Organisation out;
  out.id = id;
  out.name = fmt::format("{}{}{}{}", area.city, pick(kFirmNames, a >> 16), pick(kTrades, a >> 24), type.suffix);
  out.credit_code = credit_code(id, seed_, type, area);
  out.economic_type = type.name;
  out.address = fmt::format("广东省{}{}{}{}号", area.city, area.district, pick(kRoads, b), (b >> 8) % 900 + 1);
  out.headcount = static_cast<int>(20 + (b >> 20) % 2000);
  out.union_name = out.name + "工会委员会";
  out.union_founded = date_after(sys_days{year{1985} / 1 / 1}, static_cast<std::int64_t>(c % 14'000));
  out.union_type = type.credit_prefix == "12" ? kInstitutionUnion : pick(kUnionTypes, c >> 16);
  out.union_leader = person(mix(seed_, number, 4), (c >> 24) % 2 == 0);
  out.union_phone = fmt::format("020-{:08}", 20'000'000 + (c >> 32) % 70'000'000);
  // Ten unions at the top, then a tree in which each has about twenty below it.
  out.parent = id <= 10 ? 0 : (id - 11) / 20 + 1;
  return out;
}

Member Generator::member(std::int64_t id) const {
  using namespace std::chrono;
  const auto number = static_cast<std::uint64_t>(id);
  const std::uint64_t a = mix(seed_, number, 11), b = mix(seed_, number, 12);
  // A walk over all (area, day, sequence): no two members meet. 128 bits, since the product does not fit 64.
  const auto place = static_cast<std::int64_t>(
      (static_cast<unsigned __int128>(number) * kStride + mix(seed_, 0, 10) % static_cast<std::uint64_t>(kNumbers)) %
      kNumbers);
  const Area& area = kAreas[static_cast<std::size_t>(place / (kBirthDays * kSequences))];
  const std::int64_t sequence = place % kSequences + 1;
  const bool male = sequence % 2 == 1;
  Member out;
  out.id = id;
  out.name = person(a, male);
  out.sex = male ? "男" : "女";
  out.birth_date = date_after(sys_days{year{1958} / 1 / 1}, place / kSequences % kBirthDays);
  std::string digits = fmt::format("{}{}{}{}{:03}", area.code, out.birth_date.substr(0, 4), out.birth_date.substr(5, 2),
                                   out.birth_date.substr(8, 2), sequence);
  digits += identity_check_character(digits);
  out.identity_number = std::move(digits);
  out.phone = mobile(b);
  out.household_type = pick(kHouseholdTypes, a >> 40);
  out.organisation = static_cast<std::int64_t>(mix(seed_, number, 13) % static_cast<std::uint64_t>(organisations_)) + 1;
  return out;
}

}  // namespace stele::registry
