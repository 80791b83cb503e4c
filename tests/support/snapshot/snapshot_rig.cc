#include "tests/support/snapshot/snapshot_rig.h"

#include <stdlib.h>

#include <stdexcept>

namespace stele::test {

SnapshotRig::SnapshotRig() : signing(crypto::SigningKey::generate(crypto::default_suite(), random)) {
  secrets.data = crypto::SecretBytes::random(32, random);
  secrets.chunk_name = crypto::SecretBytes::random(32, random);
  secrets.join = crypto::SecretBytes::random(32, random);
  std::string name = (std::filesystem::temp_directory_path() / "stele-snapshot-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
  directory_ = name;
  ca_ = std::make_unique<TestCa>(directory_);
  tls_ = net::TlsContext::load(ca_->identity("agent", "stele:agent:440000")).value();
  work_.emplace(io_.get_executor());
  for (int i = 0; i < 2; ++i) threads_.emplace_back([this] { io_.run(); });
}

SnapshotRig::~SnapshotRig() {
  receivers_.clear();
  work_.reset();
  io_.stop();
  for (std::thread& thread : threads_) thread.join();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

ScriptedReceiver& SnapshotRig::add_receiver(const std::string& name) {
  receivers_.push_back(std::make_unique<ScriptedReceiver>(name, ca_->identity(name, "stele:receiver:" + name), database,
                                                          signing.verify_key()));
  if (Status started = receivers_.back()->start(); !started.ok()) throw std::runtime_error(started.error().what);
  return *receivers_.back();
}

agent::SnapshotContext SnapshotRig::context(std::size_t quorum) {
  agent::SnapshotContext c;
  c.database = database;
  c.system_identifier = system_identifier;
  c.timeline = timeline;
  c.generation = {1};
  auto own = std::make_shared<format::EpochSecrets>();
  own->data = secrets.data.clone();
  own->chunk_name = secrets.chunk_name.clone();
  own->join = secrets.join.clone();
  c.secrets = own;
  c.signing = std::shared_ptr<const crypto::SigningKey>(&signing, [](const crypto::SigningKey*) {});
  format::BranchRecord branch;
  branch.database = database;
  branch.lineage = system_identifier;
  branch.timeline = timeline;
  branch.nonce.data.fill(9);
  branch.generation = {1};
  branch.segment_size = 16 << 20;
  branch.server_version = 150000;
  branch.created = clock.now();
  c.stream = branch.stream();
  c.branch = branch.sign(signing).value().bytes;
  const auto recipient = crypto::RecipientKeyPair::generate(crypto::default_suite(), random);
  format::RecipientList list;
  list.database = database;
  list.recipients.push_back({format::RecipientKind::kRecovery, to_bytes(recipient.public_key().bytes()), "safe"});
  list.issued = clock.now();
  c.recipients = list.sign(signing).value().bytes;
  format::Enrolment enrolment;
  enrolment.database = database;
  enrolment.agent_key = to_bytes(signing.verify_key().bytes());
  enrolment.issued = clock.now();
  c.enrolment = enrolment.sign(signing).value().bytes;
  format::EpochRecord base;
  base.database = database;
  base.stream = c.stream;
  base.generation = {1};
  base.created = clock.now();
  const format::SignedRecord epoch =
      format::seal_epoch(base, list, secrets, crypto::default_suite(), random).value().sign(signing).value();
  c.epoch = format::epoch_id(epoch);
  c.epoch_record = epoch.bytes;
  c.instance = random.draw<protocol::InstanceId>();
  for (const auto& receiver : receivers_) c.receivers.push_back({receiver->name(), receiver->address()});
  c.quorum = quorum;
  c.tls = tls_;
  c.sessions = sessions_;
  c.pool = io_.get_executor();
  c.bandwidth = std::make_shared<agent::SharedBandwidth>(plan, clock);
  c.page_images = page_images;
  return c;
}

}  // namespace stele::test
