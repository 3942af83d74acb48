//! Giving freed memory back to the kernel: for processes that do much once and then little for long.

/// Returns what the allocator keeps of freed memory.
pub fn trim() {
    // SAFETY: malloc_trim only moves the allocator's own boundaries, under its own locks.
    unsafe { libc::malloc_trim(0) };
}

/// Keeps the allocator from growing with what passes through it: blocks from 64 KiB on are the kernel's own and go back
/// when freed, and so does free memory at the end of the heap.
pub fn stay_small() {
    // SAFETY: mallopt sets parameters of the allocator; the values are in its documented ranges.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 64 * 1024);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 64 * 1024);
        libc::mallopt(libc::M_TOP_PAD, 16 * 1024);
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}
