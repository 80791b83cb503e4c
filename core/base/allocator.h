#pragma once

namespace stele {

/// Tells the C library's allocator to keep freed buffers of chunks and messages for the next ones. By default every buffer of 128 KiB and
/// more is fresh memory from the kernel, whose pages are cleared and mapped one by one: an eighth of a snapshot's CPU time. Up to 128 MiB
/// at the top of each arena stay with the program. Once, before the first thread.
void keep_freed_memory();

}  // namespace stele
