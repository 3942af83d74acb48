//! Giving memory back to the kernel: for processes that do much once and then little for long.

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

/// Lets go of the executable's code and constants; what is needed again comes back from the page cache page by page.
/// Where many processes run the same executable this saves nothing, where one is alone it is nearly all it holds.
pub fn forget_code() {
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else { return };
    for (start, end) in maps.lines().filter_map(code) {
        // SAFETY: the range is one whole mapping of a file that is not writable and, being code or the file's first
        // (constant) segment, never was: its pages are as in the file, so dropping them changes nothing but when
        // they are read. (Data made read-only after relocation is neither code nor at the file's beginning.)
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
    }
}

/// The range of a line of /proc/self/maps that is code, or constants at the beginning of the file.
fn code(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let (rights, offset, _device, inode) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let constant = rights == "r--p" && offset.bytes().all(|digit| digit == b'0');
    if inode == "0" || !(rights == "r-xp" || constant) {
        return None;
    }
    Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_and_constants() {
        for (line, expect) in [
            ("00200000-003b9000 r--p 00000000 08:01 123 /x", Some((0x20_0000, 0x3b_9000))),
            ("003b9000-008c1000 r-xp 001b8000 08:01 123 /x (deleted)", Some((0x3b_9000, 0x8c_1000))),
            ("008c1000-008c9000 r--p 006bf000 08:01 123 /x", None),
            ("008c9000-008ca000 rw-p 006c6000 08:01 123 /x", None),
            ("7ffc0000-7ffc2000 r-xp 00000000 00:00 0 [vdso]", None),
            ("7f000000-7f001000 r--p 00000000 00:00 0", None),
            ("nonsense", None),
        ] {
            assert_eq!(code(line), expect, "{line}");
        }
    }

    #[test]
    fn life_goes_on() {
        stay_small();
        let kept = vec![7_u8; 1 << 20];
        trim();
        forget_code();
        assert!(kept.iter().all(|byte| *byte == 7));
    }
}
