//! Handing the listener of a seccomp filter to the supervisor that answers for the container's calls.

use std::os::fd::{AsFd, OwnedFd};

use boxship_oci::runtime::{ContainerProcessState, Seccomp, State};
use boxship_sys::fd;

use crate::error::{Error, Result};

/// Sends the listener, with the state the specification wants beside it, to the filter's `listenerPath`.
pub(crate) fn hand_over(filter: Option<&Seccomp>, listener: &OwnedFd, pid: i32, state: State) -> Result<()> {
    let path = filter
        .and_then(|filter| filter.listener_path.as_deref())
        .ok_or_else(|| Error::Invalid("seccomp: SCMP_ACT_NOTIFY needs a listenerPath".to_owned()))?;
    let message = ContainerProcessState {
        oci_version: state.oci_version.clone(),
        fds: vec!["seccompFd".to_owned()],
        pid,
        metadata: filter.and_then(|filter| filter.listener_metadata.clone()),
        state,
    };
    let text =
        serde_json::to_vec(&message).map_err(|source| Error::Record { path: path.to_owned(), source })?;
    fd::connect(path)
        .and_then(|socket| fd::send(socket.as_fd(), &text, &[listener.as_fd()]))
        .map_err(Error::system("send seccomp listener to listenerPath"))
}
