//! The rules inside a container's namespace that bring port 53 of 127.0.0.11 to the resolver's own sockets.

use crate::{Error, Result};

/// Makes them in the namespace of the calling thread, in place of those of a resolver before.
pub(super) fn redirect(_udp: u16, _tcp: u16) -> Result<()> {
    Err(Error::Invalid("unfinished".into()))
}
