#include <fmt/format.h>

#include "receiver/ingest/keeper.h"

namespace stele::receiver {

namespace {
Error not_yours(std::string_view name, std::string_view site) {
  return Error{ErrorCode::kUnauthorised, fmt::format("{}: the certificate is for site {}", name, site), ""};
}
}  // namespace

Result<protocol::ObjectList> Keeper::list_objects(std::string_view site, const protocol::ListObjects& request) {
  std::string prefix = request.prefix;
  if (site != "*") {
    const std::string own = std::string(site) + "/";
    if (own.starts_with(prefix)) prefix = own;
    else if (!prefix.starts_with(own)) return not_yours(prefix, site);
  }
  protocol::ObjectList out;
  STELE_TRY(auto entries, parts_.catalog.objects(prefix, request.start_after,
                                                 std::min<std::size_t>(request.limit, protocol::kMaxListEntries), out.more));
  for (ObjectEntry& entry : entries) out.objects.push_back({std::move(entry.name), entry.size});
  return out;
}

Result<Bytes> Keeper::read_object(std::string_view site, const protocol::ReadObject& request) {
  STELE_CHECK(store::check_object_name(request.name));
  if (site != "*" && !request.name.starts_with(std::string(site) + "/")) return not_yours(request.name, site);
  if (request.length > protocol::kMaxRead) return Error{ErrorCode::kProtocol, fmt::format("a read of {} bytes is over the limit", request.length), ""};
  return parts_.store.read(request.name, request.offset, request.length);
}

}  // namespace stele::receiver
