#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "core/config/receiver_config.h"
#include "core/format/trust_records.h"
#include "core/io/durable_file.h"
#include "restore/main/commands.h"
#include "restore/main/context.h"
#include "restore/main/key_output.h"
#include "restore/main/output.h"
#include "restore/main/recipients.h"

namespace stele::restore {

namespace {

struct Options {
  std::string request, authority_key, directory = ".";
  std::vector<std::string> recipients;
  std::uint64_t first_generation = 1, serial = 0;
  int passphrase_fd = -1;
};

Result<int> enroll(const Options& options, bool json) {
  STELE_TRY(const Bytes request_bytes, read_small_file(options.request, format::kMaxRecordBytes));
  auto record = format::parse_record(request_bytes, format::RecordKind::kEnrolmentRequest);
  if (!record.ok()) return record.error().in(options.request);
  STELE_TRY(const format::EnrolmentRequest request, format::EnrolmentRequest::read(*record));
  STELE_CHECK(check_database_name(request.database));
  STELE_TRY(const crypto::Suite* suite, crypto::find_suite(record->suite));
  STELE_TRY(const crypto::VerifyKey agent, crypto::VerifyKey::from(*suite, request.agent_key));
  // The request is signed by the key that it asks for: whoever made it has it.
  if (Status own = format::verify_record(*record, agent); !own.ok()) return own.error().in(options.request);

  STELE_TRY(const std::vector<format::Recipient> recipients, read_recipients(options.recipients));

  PassphraseSource passphrases(options.passphrase_fd);
  STELE_TRY(const crypto::AuthorityKey authority, open_authority_key(options.authority_key, passphrases));

  SystemClock clock;
  const Timestamp now = clock.now();
  const std::uint64_t serial = options.serial != 0 ? options.serial : static_cast<std::uint64_t>(now.micros);
  format::Enrolment enrolment;
  enrolment.database = request.database;
  enrolment.agent_key = request.agent_key;
  enrolment.first_generation = {options.first_generation};
  enrolment.serial = serial;
  enrolment.issued = now;
  STELE_TRY(const format::SignedRecord signed_enrolment, enrolment.sign(authority.key));
  format::RecipientList list{request.database, serial, now, recipients};
  STELE_TRY(const format::SignedRecord signed_list, list.sign(authority.key));

  io::PosixFileSystem fs;
  STELE_CHECK(io::make_directories_durably(fs, options.directory));
  const std::string enrolment_file = options.directory + "/enrolment.rec", list_file = options.directory + "/recipients.rec";
  STELE_CHECK(write_new_file(enrolment_file, signed_enrolment.bytes, false));
  STELE_CHECK(write_new_file(list_file, signed_list.bytes, false));
  if (json) {
    print(nlohmann::json{{"database", request.database.to_string()}, {"enrolment", enrolment_file}, {"recipients", list_file}, {"enrolment_id", signed_enrolment.id().hex()}, {"serial", serial}}.dump() + "\n");
    return 0;
  }
  std::string text = fmt::format("enrolled {} with agent key {}\n  {}\n  {}\ncopy both to the agent's host\n", request.database.to_string(), to_hex(request.agent_key).substr(0, 16), enrolment_file, list_file);
  for (const format::Recipient& r : recipients) text += fmt::format("  {} key \"{}\"\n", r.kind == format::RecipientKind::kDrill ? "drill" : "recovery", r.label);
  if (count_recovery(recipients) < 2) text += "warning: only one recovery key; if it is lost, everything is lost. Enrol with two.\n";
  print(text);
  return 0;
}

}  // namespace

Command add_enroll(CLI::App& app, const cli::Common& common) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("enroll", "Sign an agent's enrolment request and its recipient list with the authority key");
  command->add_option("--request", options->request, "The request that `stele-agent enroll` made")->required()->type_name("FILE");
  command->add_option("--authority-key", options->authority_key, "authority.key of keygen")->required()->type_name("FILE");
  command->add_option("--recipient", options->recipients, "A public key file (recovery.pub, drill.pub); give it several times")->required()->type_name("FILE");
  command->add_option("--directory", options->directory, "Where enrolment.rec and recipients.rec go")->capture_default_str();
  command->add_option("--first-generation", options->first_generation, "The first generation that may sign (after a theft: the last good one + 1)")->capture_default_str();
  command->add_option("--serial", options->serial, "Grows with every enrolment of a database; default: the time");
  command->add_option("--passphrase-fd", options->passphrase_fd, "Read the passphrase from this file descriptor")->type_name("N");
  cli::add_examples(*command, {"stele-restore enroll --request enrolment.req --authority-key authority.key --recipient safe1/recovery.pub --recipient safe2/recovery.pub --directory out"});
  return [options, &common] { return enroll(*options, common.json); };
}

}  // namespace stele::restore
