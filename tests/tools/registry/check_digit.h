#pragma once

#include <string>
#include <string_view>

namespace stele::registry {

/// Check character of an 18-character identity number after GB 11643-1999 (ISO 7064 MOD 11-2) from its first 17 digits:
/// '0' to '9' or 'X'; 0 when the input is not 17 digits.
char identity_check_character(std::string_view first17);

/// Whether the number has 18 characters, a possible birth date at positions 7 to 14, and the right check character.
bool valid_identity_number(std::string_view number);

/// Check character of the 9-character organisation code after GB 11714-1997 from its first 8 characters (0-9, A-Z);
/// 0 when the input is something else. It is the part at positions 9 to 17 of a unified social credit code.
char organisation_code_check_character(std::string_view first8);

/// Check character of an 18-character unified social credit code after GB 32100-2015 (ISO 7064 MOD 31-3 weights) from
/// its first 17 characters; 0 when one of them is not of the code's alphabet (no I, O, S, V, Z).
char credit_code_check_character(std::string_view first17);

/// Whether the code has 18 characters of the alphabet and both check characters are right.
bool valid_credit_code(std::string_view code);

}  // namespace stele::registry
