//! What engine and shim say to each other. Pure: types, encoding, decoding; no I/O.
//!
//! * Over the inherited socket, once: [`LaunchRequest`] to the shim, [`LaunchResponse`] back, each one JSON line.
//! * Over `shim.sock` ([`socket_path`]), for each connection: one [`Request`] line, one [`Response`] line. Then
//!   - after [`Response::Attached`] and [`Response::ExecStarted`] (of an exec that attaches anything) the connection is
//!     a byte stream: to the shim goes input, raw, its half-close being the end of input; from it comes output:
//!     Docker's frames (8 bytes of header), raw with a terminal; its end is the end of output;
//!   - after [`Response::State`] to [`Request::Events`] it is a stream of [`Event`] lines, until the shim is gone;
//!   - else it is closed by the shim.
//!
//!   Descriptors that belong to a request ([`Request::Relay`]) come with its line. A shim older than a request answers
//!   that it doesn't understand it ([`FailureKind::Internal`]).
//!
//! The end of an Events stream says that cgroup and runtime state are removed too: only then can the same container be
//! launched again, or its folders be removed. An exec's end is told by [`Event::ExecExit`] before its stream ends.

mod event;
mod launch;
mod relay;
mod request;

use std::{
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

pub use event::{Event, Phase, State};
pub use launch::{LaunchRequest, LaunchResponse};
pub use relay::{RelayedPort, RelayedProtocol};
pub use request::{ExecRequest, Failure, FailureKind, Request, Response, Streams};

use crate::{Error, Result};

/// The longest line accepted: an argument list and environment at the kernel's limit, escaped, fit.
pub const MAX_LINE: usize = 16 << 20;

/// Length of the header of an output frame.
pub const FRAME_HEADER: usize = 8;

/// The shim's socket in the container's folder below the exec root.
pub fn socket_path(directory: &Path) -> PathBuf {
    directory.join("shim.sock")
}

/// The shim's socket through the open folder of the container: a socket's address holds 108 bytes, which a long path may
/// exceed. Good for this process, while `directory` is open.
pub fn short_socket_path(directory: &impl AsRawFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/shim.sock", directory.as_raw_fd()))
}

/// The exit record in the container's folder below the exec root.
pub fn exit_path(directory: &Path) -> PathBuf {
    directory.join("exit.json")
}

/// A message as a line.
pub fn encode<T: Serialize>(message: &T) -> Vec<u8> {
    let mut line = serde_json::to_vec(message).expect("messages have string keys only");
    line.push(b'\n');
    line
}

/// A message from a line (with or without its line feed).
pub fn decode<T: DeserializeOwned>(line: &[u8], object: &'static str) -> Result<T> {
    serde_json::from_slice(line).map_err(|source| Error::Decode { object, source })
}

/// Cuts a whole line from the front of `received`, `None` if there is none so far. What remains in `received` belongs to
/// the stream after the line.
pub fn take_line(received: &mut Vec<u8>) -> Result<Option<Vec<u8>>> {
    // Asked again with every few bytes that come: the fastest search there is.
    let Some(end) = memchr::memchr(b'\n', received) else {
        if received.len() > MAX_LINE {
            return Err(Error::TooLong { limit: MAX_LINE });
        }
        return Ok(None);
    };
    let rest = received.split_off(end + 1);
    Ok(Some(std::mem::replace(received, rest)))
}

/// The header of a frame of `length` bytes of standard output (1) or error (2).
pub fn frame_header(stream: u8, length: u32) -> [u8; FRAME_HEADER] {
    let [a, b, c, d] = length.to_be_bytes();
    [stream, 0, 0, 0, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let mut received = encode(&Request::Start);
        received.extend_from_slice(b"input");
        let line = take_line(&mut received).unwrap().unwrap();
        assert!(matches!(decode(&line, "request").unwrap(), Request::Start));
        assert_eq!(received, b"input");
        assert!(take_line(&mut received).unwrap().is_none());
        assert!(take_line(&mut vec![b'x'; MAX_LINE + 1]).is_err());
    }

    #[test]
    fn every_request_survives_its_encoding() {
        let requests = [
            Request::Kill { signal: 15, all: false },
            Request::Resize { exec: Some("e".into()), height: 24, width: 80 },
            Request::Attach(Streams { stdin: true, stdout: true, stderr: false }),
            Request::Exec(Box::new(ExecRequest { id: "e".into(), ..ExecRequest::default() })),
            Request::Wait { exec: None },
            Request::Relay(vec![RelayedPort {
                protocol: RelayedProtocol::Udp,
                host: "[::]:53".parse().unwrap(),
                target: "172.17.0.2:53".parse().unwrap(),
            }]),
        ];
        for request in requests {
            let again: Request = decode(&encode(&request), "request").unwrap();
            assert_eq!(again, request);
        }
    }
}
