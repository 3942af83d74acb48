//! The rest of a refused archive is read and dropped: a client that is still sending would otherwise see its
//! connection break instead of the reason.

use std::io::{ErrorKind, Read};

/// More than this is not waited for.
const MAX: u64 = 1 << 30;

/// Reads on until the stream ends, fails, or goes on for too long.
pub(crate) fn drop_rest(archive: &mut dyn Read) {
    let mut buffer = vec![0; 256 << 10];
    let mut left = MAX;
    while left > 0 {
        match archive.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => left = left.saturating_sub(count as u64),
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            // The sender has a reason of its own then.
            Err(_) => return,
        }
    }
}
