//! The two families of addresses, as rules speak of them.

/// The address family a rule speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    /// Both, for rules that exist twice.
    pub(crate) const BOTH: [Family; 2] = [Family::V4, Family::V6];

    /// The kernel's NFPROTO number.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Family::V4 => 2,
            Family::V6 => 10,
        }
    }

    /// Length of an address.
    pub(crate) const fn bytes(self) -> u32 {
        match self {
            Family::V4 => 4,
            Family::V6 => 16,
        }
    }

    /// Where the source stands in the header.
    pub(super) const fn source_offset(self) -> u32 {
        match self {
            Family::V4 => 12,
            Family::V6 => 8,
        }
    }
}
