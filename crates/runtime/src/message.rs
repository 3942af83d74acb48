//! What the container's process and its maker say to each other over a socket: small binary records, never free text.

use std::fmt;

/// A step of the container's process on its way to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Step {
    Setup,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("setup")
    }
}
