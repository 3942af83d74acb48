//! Sockets that systemd opened for us (`sd_listen_fds`): `LISTEN_PID` names us, `LISTEN_FDS` counts
//! descriptors from 3 on.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use boxship_sys::inherited;

use crate::error::Error;

/// The first descriptor handed over.
const FIRST: u32 = 3;

/// A socket that somebody else opened.
pub(crate) enum Inherited {
    /// A unix socket.
    Unix(UnixListener),
    /// A TCP socket.
    Tcp(TcpListener),
}

/// Take all sockets, or the one with this number.
pub(crate) fn adopt(which: Option<u32>) -> Result<Vec<Inherited>, Error> {
    let handed = handed_over();
    let wanted = match which {
        None if handed == 0 => {
            return Err(refused(
                "no sockets found via socket activation: make sure the service was started by systemd",
            ));
        }
        None => FIRST..FIRST + handed,
        Some(number) if (FIRST..FIRST + handed).contains(&number) => number..number + 1,
        Some(number) => {
            return Err(refused(format!("descriptor {number} was not handed over by socket activation")));
        }
    };
    wanted.map(one).collect()
}

fn handed_over() -> u32 {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u32>().ok());
    match number("LISTEN_PID") {
        Some(pid) if pid == std::process::id() => number("LISTEN_FDS").unwrap_or(0).min(64),
        _ => 0,
    }
}

fn one(number: u32) -> Result<Inherited, Error> {
    let listen = |source| Error::Listen { address: format!("fd://{number}"), source };
    let descriptor = inherited::take(number as i32).map_err(|error| refused(error.to_string()))?;
    let unix = UnixListener::from(descriptor);
    if unix.local_addr().is_ok() {
        unix.set_nonblocking(true).map_err(listen)?;
        return Ok(Inherited::Unix(unix));
    }
    let tcp = TcpListener::from(std::os::fd::OwnedFd::from(unix));
    tcp.local_addr().map_err(listen)?;
    tcp.set_nonblocking(true).map_err(listen)?;
    Ok(Inherited::Tcp(tcp))
}

fn refused(why: impl Into<String>) -> Error {
    Error::Configuration { why: why.into() }
}
