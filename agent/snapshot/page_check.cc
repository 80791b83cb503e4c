#include "agent/snapshot/page_check.h"

#include "core/pg/page.h"

namespace stele::agent {

bool pages_matter(const pg::RelationFile& file) {
  return !file.temporary && (file.fork == pg::Fork::kMain || file.fork == pg::Fork::kInit);
}

void check_pages(ByteView chunk, const PageRun& run, std::vector<SuspectPage>& out) {
  for (std::uint32_t i = 0; (i + 1) * pg::kPageSize <= chunk.size(); ++i) {
    const ByteView page = chunk.subspan(i * pg::kPageSize, pg::kPageSize);
    const std::uint32_t block = run.first_block + i;
    if (!pg::is_suspect(pg::check_page(page, block))) continue;
    const PageId id{run.file.tablespace, run.file.database, run.file.relation, static_cast<std::uint8_t>(run.file.fork),
                    block};
    out.push_back({id, pg::read_page_header(page).lsn});
  }
}

}  // namespace stele::agent
