#include "agent/check/gather.h"

#include "agent/log/agent_keys.h"
#include "core/client/receiver_connection.h"
#include "core/crypto/init.h"
#include "core/net/runtime.h"

namespace stele::agent {

namespace {

constexpr auto kConnectDeadline = std::chrono::seconds(5);
constexpr auto kQueryDeadline = std::chrono::seconds(5);

CheckedKeys gather_keys(const config::AgentConfig& config) {
  CheckedKeys out;
  for (const auto& file : config.secret_files()) {
    if (Status mode = config::check_secret_file_mode(file); !mode.ok()) {
      out.error = mode.error();
      return out;
    }
  }
  auto keys = AgentKeys::load(config.name, config.keys.agent_key, config.keys.enrolment, config.keys.recipients);
  if (!keys.ok()) {
    out.error = keys.error();
    return out;
  }
  for (const format::Recipient& recipient : keys->recipients.recipients) {
    ++(recipient.kind == format::RecipientKind::kRecovery ? out.recovery : out.drill);
  }
  return out;
}

CheckedTls describe(const net::TlsFacts& facts, const config::AgentConfig& config) {
  CheckedTls out;
  if (facts.own.role != net::Role::kAgent || facts.own.name != config.name.site) {
    out.error = Error{ErrorCode::kUnauthorised, fmt::format("the certificate is for {}, this agent is stele:agent:{}", facts.own.to_string(), config.name.site),
                      "use the certificate of this site's agent"};
  }
  out.certificate_not_after = facts.certificate_not_after;
  out.ca_not_after = facts.ca_not_after;
  out.has_crl = facts.has_crl;
  out.crl_outdated = facts.crl_outdated;
  out.crl_next_update = facts.crl_next_update;
  return out;
}

/// Greets, and asks for this database: a receiver that does not list it would refuse every frame.
net::Task<Status> ask_receivers(const DatabaseName& database, std::vector<CheckedReceiver>& receivers, net::Runtime& runtime,
                                std::shared_ptr<net::TlsContext> tls, protocol::InstanceId instance) {
  auto sessions = std::make_shared<net::SessionRegistry>();
  for (CheckedReceiver& receiver : receivers) {
    client::ConnectionOptions options;
    options.address = receiver.address;
    options.receiver = receiver.name;
    options.instance = instance;
    options.software = "stele-agent " STELE_VERSION;
    options.open_deadline = kConnectDeadline;
    auto opened = co_await client::ReceiverConnection::open(runtime.executor(), tls, sessions, options, client::ConnectionEvents{});
    if (!opened.ok()) {
      receiver.error = opened.error();
      continue;
    }
    receiver.software = (*opened)->greeting().software;
    receiver.protocol = (*opened)->greeting().version;
    auto held = co_await (*opened)->call(protocol::MessageType::kQueryDatabase, protocol::encode_database(database), protocol::MessageType::kDatabaseState,
                                         net::deadline_in(kQueryDeadline));
    if (!held.ok()) receiver.error = held.error().in("ask for " + database.to_string());
    co_await (*opened)->shutdown();
  }
  co_return Status{};
}

void gather_network(const config::AgentConfig& config, RandomSource& random, CheckFacts& out) {
  for (const config::ReceiverEndpoint& receiver : config.receivers) out.receivers.push_back({receiver.name, receiver.address.to_string(), {}, "", 0});
  net::TlsConfig files;
  files.ca_file = config.tls.ca.string();
  files.certificate_file = config.tls.certificate.string();
  files.key_file = config.tls.key.string();
  files.crl_file = config.tls.crl.string();
  files.crl_stale = config.tls.crl_stale == config::CrlStale::kRefuse ? net::CrlStale::kRefuse : net::CrlStale::kAllow;
  auto tls = net::TlsContext::load(files);
  if (!tls.ok()) {
    out.tls.error = tls.error();
    for (CheckedReceiver& receiver : out.receivers) receiver.error = Error{ErrorCode::kConfig, "not tried, because of the certificate", ""};
    return;
  }
  out.tls = describe((*tls)->facts(out.now), config);
  net::Runtime runtime(1);
  const auto instance = random.draw<protocol::InstanceId>();
  Status asked = runtime.run([&] { return ask_receivers(config.name, out.receivers, runtime, *tls, instance); }, [](int) {});
  if (asked.ok()) return;
  for (CheckedReceiver& receiver : out.receivers) {
    if (receiver.software.empty() && !receiver.error) receiver.error = asked.error();
  }
}

CheckedSpool gather_spool(const config::AgentConfig& config, io::FileSystem& fs) {
  CheckedSpool out;
  if (config.spool.mode == config::SpoolMode::kNone) return out;
  // The directory may not be there yet: then the disk of its nearest parent counts.
  std::filesystem::path at = std::filesystem::absolute(config.spool.directory);
  while (at.has_relative_path() && !fs.info(at.string()).ok()) at = at.parent_path();
  auto free = fs.free_bytes(at.string());
  if (!free.ok()) {
    out.error = free.error();
    return out;
  }
  out.free_bytes = *free;
  const std::string journal = (config.spool.directory / "journal").string();
  auto files = fs.list_directory(journal);
  if (!files.ok()) return out;  // no spool yet
  for (const io::DirectoryEntry& file : *files) {
    if (auto info = fs.info(journal + "/" + file.name); info.ok()) out.used_bytes += info->size;
  }
  return out;
}

}  // namespace

CheckedHost gather_host(const ServerAddress& address, const config::AgentConfig& config, Clock& clock) {
  CheckedHost out;
  out.label = address.label();
  const std::string* user = address.keyword("user");
  const std::string* database = address.keyword("dbname");
  out.role = user != nullptr ? *user : "stele";
  out.database = database != nullptr ? *database : "postgres";
  if (const std::string* mode = address.keyword("sslmode")) out.tls = *mode == "require" || *mode == "verify-ca" || *mode == "verify-full";
  auto interrupt = Interrupt::create();
  if (!interrupt.ok()) {
    out.sql_error = out.replication_error = interrupt.error();
    return out;
  }
  ConnectOptions options;
  options.application_name = config.postgres.application_name + "-check";
  auto sql = PgConnection::connect(address, options, clock.steady_now() + kConnectDeadline, *interrupt);
  if (sql.ok()) {
    if (auto client = sql->query("SELECT coalesce(host(inet_client_addr()), '')", clock.steady_now() + kQueryDeadline); client.ok()) {
      if (auto value = client->single("inet_client_addr"); value.ok()) out.client_address = *value;
    }
    auto facts = read_database_facts(*sql, clock, clock.steady_now() + kQueryDeadline);
    if (facts.ok()) {
      out.role = facts->role;
      out.facts = std::move(*facts);
    } else {
      out.facts_error = facts.error();
    }
    auto slot = read_slot(*sql, config.postgres.slot, clock.steady_now() + kQueryDeadline);
    if (slot.ok()) {
      out.slot = std::move(*slot);
    } else {
      out.slot_error = slot.error();
    }
  } else {
    out.sql_error = sql.error();
  }
  options.mode = ConnectionMode::kReplication;
  auto replication = PgConnection::connect(address, options, clock.steady_now() + kConnectDeadline, *interrupt);
  if (!replication.ok()) {
    out.replication_error = replication.error();
    return out;
  }
  auto info = read_server_info(*replication, clock.steady_now() + kQueryDeadline);
  if (info.ok()) {
    out.info = std::move(*info);
  } else {
    out.replication_error = info.error();
  }
  return out;
}

CheckFacts gather_facts(const config::AgentConfig& config, io::FileSystem& fs, Clock& clock, RandomSource& random) {
  CheckFacts out;
  out.now = clock.now();
  auto hosts = split_hosts(config.postgres.conninfo);
  if (hosts.ok()) {
    for (const ServerAddress& host : *hosts) out.hosts.push_back(gather_host(host, config, clock));
  } else {
    CheckedHost host;
    host.label = "the server";
    host.sql_error = host.replication_error = hosts.error();
    out.hosts.push_back(std::move(host));
  }
  out.keys = gather_keys(config);
  gather_network(config, random, out);
  out.spool = gather_spool(config, fs);
  if (Status locked = crypto::probe_mlock(); !locked.ok()) out.locked_memory = locked.error();
  return out;
}

}  // namespace stele::agent
