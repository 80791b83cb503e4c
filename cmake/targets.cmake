# Warnings, precompiled headers and the one way a folder becomes a library.

add_library(stele_options INTERFACE)
target_include_directories(stele_options INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
target_compile_options(stele_options INTERFACE -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
  -Werror=return-type -Werror=unused-result -Wno-missing-field-initializers)
# BOOST_ASIO_NO_DEPRECATED keeps old Asio spellings out; separate symbols keep each file cheap.
target_compile_definitions(stele_options INTERFACE BOOST_ASIO_NO_DEPRECATED SPDLOG_COMPILED_LIB SPDLOG_FMT_EXTERNAL
  STELE_VERSION="${PROJECT_VERSION}")
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  # ccache can only reuse a precompiled header that does not record its own time.
  target_compile_options(stele_options INTERFACE "SHELL:-Xclang -fno-pch-timestamp")
endif()

# Two precompiled headers: one for everything, one for files that use Asio.
add_library(stele_pch_std STATIC ${CMAKE_CURRENT_LIST_DIR}/pch.cc)
target_link_libraries(stele_pch_std PUBLIC stele_options fmt::fmt)
target_precompile_headers(stele_pch_std PUBLIC ${CMAKE_CURRENT_LIST_DIR}/pch_std.h)
add_library(stele_pch_asio STATIC ${CMAKE_CURRENT_LIST_DIR}/pch.cc)
target_link_libraries(stele_pch_asio PUBLIC stele_options fmt::fmt Boost::headers OpenSSL::SSL)
target_precompile_headers(stele_pch_asio PUBLIC ${CMAKE_CURRENT_LIST_DIR}/pch_asio.h)

# STELE_COLD_FLAGS come behind the preset's flags for what need not be fast, and compiles faster so: commands, reports, tests' own files.
set(STELE_COLD_FLAGS "" CACHE STRING "Compiler options of commands, reports and the test programs' own files")
add_library(stele_pch_cold STATIC ${CMAKE_CURRENT_LIST_DIR}/pch.cc)
target_link_libraries(stele_pch_cold PUBLIC stele_options fmt::fmt Boost::headers OpenSSL::SSL CLI11::CLI11 nlohmann_json::nlohmann_json)
target_compile_options(stele_pch_cold PRIVATE ${STELE_COLD_FLAGS})
target_precompile_headers(stele_pch_cold PUBLIC ${CMAKE_CURRENT_LIST_DIR}/pch_cold.h)

# The same for tests, with GoogleTest.
add_library(stele_test_options INTERFACE)
target_link_libraries(stele_test_options INTERFACE stele_options fmt::fmt GTest::gtest GTest::gmock)
target_compile_options(stele_test_options INTERFACE ${STELE_COLD_FLAGS})
add_library(stele_pch_test STATIC ${CMAKE_CURRENT_LIST_DIR}/pch.cc)
target_link_libraries(stele_pch_test PUBLIC stele_test_options)
target_precompile_headers(stele_pch_test PUBLIC ${CMAKE_CURRENT_LIST_DIR}/pch_test.h)
add_library(stele_pch_test_asio STATIC ${CMAKE_CURRENT_LIST_DIR}/pch.cc)
target_link_libraries(stele_pch_test_asio PUBLIC stele_test_options Boost::headers OpenSSL::SSL)
target_precompile_headers(stele_pch_test_asio PUBLIC ${CMAKE_CURRENT_LIST_DIR}/pch_test_asio.h)

# stele_library(NAME [ASIO] [COLD] [DEPS target...] [DIR dir]): every .cc of the folder (DIR, default: the current one) is the library.
# ASIO: it uses Asio. COLD: commands and reports, which use Asio, JSON and options; see STELE_COLD_FLAGS.
function(stele_library name)
  cmake_parse_arguments(ARG "ASIO;COLD" "DIR" "DEPS" ${ARGN})
  if(NOT ARG_DIR)
    set(ARG_DIR ${CMAKE_CURRENT_SOURCE_DIR})
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${ARG_DIR}/*.cc)
  if(NOT sources)
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE stele_options ${ARG_DEPS})
    return()
  endif()
  add_library(${name} STATIC ${sources})
  target_link_libraries(${name} PUBLIC stele_options fmt::fmt ${ARG_DEPS})
  if(ARG_COLD)
    stele_make_cold(${name})
  else()
    stele_use_pch(${name} "${ARG_ASIO}")
  endif()
endfunction()

function(stele_make_cold name)
  target_link_libraries(${name} PUBLIC Boost::headers OpenSSL::SSL Threads::Threads CLI11::CLI11 nlohmann_json::nlohmann_json)
  target_compile_options(${name} PRIVATE ${STELE_COLD_FLAGS})
  target_precompile_headers(${name} REUSE_FROM stele_pch_cold)
endfunction()

function(stele_use_pch name asio)
  if(asio)
    target_link_libraries(${name} PUBLIC Boost::headers OpenSSL::SSL Threads::Threads)
    target_precompile_headers(${name} REUSE_FROM stele_pch_asio)
  else()
    target_precompile_headers(${name} REUSE_FROM stele_pch_std)
  endif()
endfunction()

# stele_program(NAME main.cc DEPS ...)
function(stele_program name source)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE stele_options fmt::fmt ${ARG_DEPS})
  stele_make_cold(${name})
endfunction()
