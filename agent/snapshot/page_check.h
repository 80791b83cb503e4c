#pragma once

#include <vector>

#include "agent/snapshot/page_images.h"
#include "core/base/bytes.h"
#include "core/pg/relation_file.h"

namespace stele::agent {

/// Which pages a chunk of a relation file consists of.
struct PageRun {
  pg::RelationFile file;
  std::uint32_t first_block = 0;  ///< within the fork
};

/// A page whose checksum or header is wrong: torn while the server wrote it, or damaged.
struct SuspectPage {
  PageId page;
  Position lsn;  ///< as the page's own header says
};

/// True for forks whose pages count. The free space map and the visibility map do not: PostgreSQL reads both with
/// RBM_ZERO_ON_ERROR (freespace.c, visibilitymap.c), so a torn page there, which the log does not bring as a whole,
/// harms nothing.
bool pages_matter(const pg::RelationFile& file);

/// Appends the suspect pages of a chunk. A last piece shorter than a page (a file that grew while it was read) is no
/// page. Pure.
void check_pages(ByteView chunk, const PageRun& run, std::vector<SuspectPage>& out);

}  // namespace stele::agent
