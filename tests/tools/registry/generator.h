#pragma once

#include <cstdint>
#include <string>

namespace stele::registry {

/// An employer and its union. Numbers begin at 1. Dates are "YYYY-MM-DD".
struct Organisation {
  std::int64_t id = 0;
  std::string name, credit_code, economic_type, address;
  int headcount = 0;
  std::string union_name, union_founded, union_type, union_leader, union_phone;
  std::int64_t parent = 0;  ///< 0: none; always less than id, so that rows can be loaded in order
};

struct Member {
  std::int64_t id = 0;
  std::string name, sex, identity_number, birth_date, phone, household_type;
  std::int64_t organisation = 0;
};

/// An invented member registry, a pure function of its seed: the same seed and number give the same row on every
/// machine. Identity numbers never repeat for ids up to `kMostMembers`, credit codes for ids up to 30^7.
class Generator {
 public:
  static constexpr std::int64_t kMembersPerOrganisation = 120;
  static constexpr std::int64_t kMostMembers = 300'000'000;

  /// `members`: how many the registry begins with, at least 1; the number of organisations follows from it.
  Generator(std::uint64_t seed, std::int64_t members);

  std::int64_t members() const { return members_; }
  std::int64_t organisations() const { return organisations_; }
  /// Any id from 1 to organisations().
  Organisation organisation(std::int64_t id) const;
  /// Any id from 1 to kMostMembers: those after members() are the ones who join later.
  Member member(std::int64_t id) const;

 private:
  std::uint64_t seed_;
  std::int64_t members_, organisations_;
};

/// A well-mixed 64-bit value for (seed, number, purpose): splitmix64 over the three.
std::uint64_t mix(std::uint64_t seed, std::uint64_t number, std::uint64_t purpose);

}  // namespace stele::registry
