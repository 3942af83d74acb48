//! Standard streams: placed at 0, 1 and 2, and given to the user who will use them.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use boxship_sys::{Errno, fd, path, pty};
use rustix::fs::{FileType, Gid, Uid};

use crate::message::{At, Done, Step};

/// Where the standard streams come from.
#[derive(Debug)]
pub(crate) enum Streams {
    /// They stay what they are.
    Inherit,
    /// These three.
    Files([OwnedFd; 3]),
    /// The terminal that the process makes.
    Terminal,
}

/// Places the streams.
pub(crate) fn place(streams: &Streams, terminal: Option<BorrowedFd<'_>>) -> Done {
    if let Some(terminal) = terminal {
        pty::make_controlling(terminal).at(Step::Console)?;
        for number in 0..3 {
            fd::place(terminal, number).at(Step::Streams)?;
        }
        return Ok(());
    }
    if let Streams::Files(files) = streams {
        for (number, file) in (0..).zip(files) {
            fd::place(file.as_fd(), number).at(Step::Streams)?;
        }
    }
    Ok(())
}

/// Gives pipes and terminals to the user, so that `/dev/stdout` and its kin can be opened by name.
pub(crate) fn give_to(uid: u32) -> Done {
    for stream in [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
        // A stream may be closed.
        let Ok(found) = path::stat(stream) else { continue };
        let is_null = FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice
            && found.st_rdev == rustix::fs::makedev(1, 3);
        if found.st_uid == uid || is_null {
            continue;
        }
        match rustix::fs::fchown(stream, Some(Uid::from_raw(uid)), None::<Gid>) {
            // Files of read-only mounts and other owners' user namespaces stay what they are.
            Ok(()) | Err(Errno::INVAL | Errno::PERM | Errno::ROFS | Errno::BADF) => {}
            Err(errno) => return Err(crate::message::Failure::new(Step::Streams, "chown", errno)),
        }
    }
    Ok(())
}
