#include <fmt/format.h>
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "tests/scenario/end_to_end/world.h"
#include "tests/scenario/monitoring/watch.h"

namespace stele::scenario {
namespace {

namespace fs = std::filesystem;

/// Gives the agent a certificate that ends after this many seconds; it finds the changed file by itself.
Status issue_certificate(const test::StelePrograms& stele, int seconds) {
  const std::string script = fmt::format(
      "cd {}/tls && openssl req -new -key agent-440000.key -subj '/CN=stele agent' -addext subjectAltName=URI:stele:agent:440000 -out new.csr && "
      "openssl ca -batch -notext -config ca.cnf -enddate $(date -u -d '+{} seconds' +%Y%m%d%H%M%SZ) -in new.csr -out new.pem && "
      "mv new.pem agent-440000.pem",
      stele.root(), seconds);
  STELE_TRY([[maybe_unused]] const std::string out, test::run_checked({"bash", "-c", script}));
  return {};
}

/// One sealed run of the change log.
std::string a_run(const test::StelePrograms& stele) {
  for (const auto& entry : fs::recursive_directory_iterator(stele.store_directory())) {
    const std::string path = entry.path();
    if (entry.is_regular_file() && path.find("/log/") != std::string::npos && path.find("/journal/") == std::string::npos) return path;
  }
  return "";
}

class Alerts : public ::testing::Test {
 protected:
  void SetUp() override {
    World::Options options;
    options.members = 200;
    options.synchronous = false;
    options.through_relay = true;
    options.programs.ack = "spool";
    options.programs.spool_max_bytes = "64MiB";
    options.programs.agent_extra = "[targets]\nrpo = \"2s\"\nrto = \"4h\"\nsnapshot_interval = \"26h\"\nwindow = \"30d\"\n";
    auto world = World::start(std::move(options));
    ASSERT_OK(world);
    world_ = std::move(*world);
    ASSERT_OK(world_.snapshot());
    auto watch = Watch::start(*world_.stele);
    ASSERT_OK(watch);
    watch_ = std::move(*watch);
  }

  /// The deadline is for a busy machine; it is a few seconds otherwise.
  std::string waited(const std::string& what, const std::function<bool()>& done) {
    Status status = test::wait_for(what, 90, done);
    return status.ok() ? "" : status.error().what + "\n" + watch_->notes() + watch_->logs() + world_.stele->logs();
  }
  std::string fires(const std::string& alert) {
    return waited(alert + " fires at the sink", [&] { return watch_->fires(alert); });
  }
  std::string resolves(const std::string& alert) {
    return waited(alert + " is resolved at the sink", [&] { return watch_->resolved(alert); });
  }

  World world_;
  std::unique_ptr<Watch> watch_;
};

TEST_F(Alerts, FireAndResolveForWhatReallyBreaks) {
  test::StelePrograms& stele = *world_.stele;
  ASSERT_EQ("", fires("SteleDeadMansSwitch"));

  // A certificate near its end, then a new one. What the file says counts, without a restart.
  ASSERT_OK(issue_certificate(stele, 200));
  ASSERT_EQ("", fires("SteleCertificateExpiring"));
  ASSERT_OK(issue_certificate(stele, 365 * 86400));

  // The agent is stopped.
  ASSERT_OK(stele.agent_process().stop());
  ASSERT_EQ("", fires("SteleAgentSilent"));
  ASSERT_EQ("", fires("SteleExporterDown"));
  ASSERT_OK(stele.start_agent());
  ASSERT_EQ("", resolves("SteleAgentSilent"));
  ASSERT_EQ("", resolves("SteleExporterDown"));
  ASSERT_EQ("", resolves("SteleCertificateExpiring"));

  // The receiver hangs while the database is written.
  ASSERT_OK(stele.wait_streaming(*world_.source, false));
  kill(stele.receiver_process().pid(), SIGSTOP);
  ASSERT_OK(world_.source->psql("CREATE TABLE noise (line text)"));
  ASSERT_EQ("", fires("SteleRpoOverTarget"));
  kill(stele.receiver_process().pid(), SIGCONT);
  ASSERT_EQ("", resolves("SteleRpoOverTarget"));

  // The line is cut, and more is written than the spool holds. One dead line is one alert: what follows from it fires in Prometheus and
  // is not told; a full spool is another matter.
  const std::size_t told_before = watch_->notes().size();
  world_.relay->cut(true);
  ASSERT_EQ("", fires("SteleAgentSilent"));
  ASSERT_OK(world_.source->psql("COPY noise FROM PROGRAM 'head -c 80000000 /dev/urandom | base64 -w 1000'"));
  ASSERT_EQ("", fires("SteleSpoolFull"));
  for (const char* alert : {"SteleQuorumLost", "SteleReceiverAway"}) {
    ASSERT_EQ("", waited(std::string(alert) + " fires in Prometheus", [&] { return watch_->firing_in_prometheus().contains(alert); }));
    EXPECT_EQ(watch_->notes().find(alert, told_before), std::string::npos) << watch_->notes();
  }
  world_.relay->cut(false);
  ASSERT_EQ("", resolves("SteleAgentSilent"));
  ASSERT_EQ("", resolves("SteleSpoolFull"));
  ASSERT_OK(stele.wait_caught_up(*world_.source));

  // An object of the store is gone.
  ASSERT_OK(stele.receiver_process().stop());
  const std::string run = a_run(stele);
  ASSERT_NE("", run);
  fs::rename(run, stele.root() + "/taken-away");
  ASSERT_OK(stele.start_receiver());
  ASSERT_EQ("", fires("SteleDamageFound"));
  // As the runbook says: the object is brought back from elsewhere, and the receiver takes it in again.
  ASSERT_OK(stele.receiver_process().stop());
  fs::rename(stele.root() + "/taken-away", run);
  ASSERT_OK(stele.start_receiver());
  ASSERT_EQ("", resolves("SteleDamageFound"));

  const std::string notes = watch_->notes();
  EXPECT_EQ(notes.find("no value"), std::string::npos) << "an annotation's template found no label\n" << notes;
  EXPECT_EQ(notes.find("error expanding"), std::string::npos) << notes;
}

}  // namespace
}  // namespace stele::scenario
