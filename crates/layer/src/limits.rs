//! Bounds on what one archive may cost, whoever made it.

/// Bounds on one archive. Exceeding one is an error and the unpacked part is the caller's to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the uncompressed stream.
    pub max_bytes: u64,
    /// Entries in the archive.
    pub max_entries: u64,
    /// Components of a name.
    pub max_depth: u32,
    /// Uncompressed bytes per compressed byte, once more than [`Limits::ratio_from`] bytes came out.
    pub max_ratio: u64,
    /// Small streams may be compressed as well as they like: the ratio is looked at from here on.
    pub ratio_from: u64,
    /// Bytes of all extended headers of one entry (long names, xattrs, sparse maps).
    pub max_header: u64,
    /// Looks into the layers below for folders that the archive only implies: each of them costs as many as it is deep,
    /// times the layers.
    pub max_lookups: u64,
    /// Logical length of a single file, holes included.
    pub max_file: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_bytes: 256 << 30,
            max_entries: 10_000_000,
            max_depth: 256,
            max_ratio: 2000,
            ratio_from: 4 << 30,
            max_lookups: 50_000_000,
            max_header: 4 << 20,
            max_file: 4 << 40,
        }
    }
}
