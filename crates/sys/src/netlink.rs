//! Netlink sockets (netlink(7)): open, send to the kernel, receive from the kernel. What the bytes mean is the
//! caller's; messages that come from anybody but the kernel are dropped here.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recvfrom, sendto, socket_with,
    sockopt,
};

use crate::error::{Errno, Error, Named, Result, last_errno};

/// Which part of the kernel answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Links, addresses, routes, neighbours.
    Route,
    /// nftables, connection tracking.
    Netfilter,
    /// Sockets and their states.
    SockDiag,
    /// Policies of IPsec.
    Xfrm,
}

/// What a netlink socket can be told to do; each is an on/off option of the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// Errors carry the kernel's words (NETLINK_EXT_ACK).
    ExtendedErrors,
    /// Errors do not repeat the request (NETLINK_CAP_ACK).
    ShortErrors,
    /// Dumps honour their filters and refuse unknown ones (NETLINK_GET_STRICT_CHK).
    StrictDumps,
}

/// The kernel makes no datagram of more than 32 KiB for a dump; answers to one question are smaller still.
pub const RECEIVE_BUFFER: usize = 64 * 1024;

/// A netlink socket of the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
}

impl Socket {
    /// Opens a blocking socket with a port of its own.
    pub fn open(protocol: Protocol) -> Result<Self> {
        Self::with_flags(protocol, SocketFlags::CLOEXEC)
    }

    /// Opens a non-blocking socket that hears the multicast groups (numbers of `RTNLGRP_*` or `NFNLGRP_*`).
    pub fn listen(protocol: Protocol, groups: &[u32]) -> Result<Self> {
        let socket = Self::with_flags(protocol, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
        for group in groups {
            socket.option(libc::NETLINK_ADD_MEMBERSHIP, *group as libc::c_int, "NETLINK_ADD_MEMBERSHIP")?;
        }
        Ok(socket)
    }

    fn with_flags(protocol: Protocol, flags: SocketFlags) -> Result<Self> {
        let number = match protocol {
            Protocol::Route => None, // NETLINK_ROUTE is 0
            Protocol::Netfilter => Some(netlink::NETFILTER),
            Protocol::SockDiag => Some(netlink::SOCK_DIAG),
            Protocol::Xfrm => Some(netlink::XFRM),
        };
        let fd =
            socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, number).named("socket", "netlink")?;
        bind(&fd, &SocketAddrNetlink::new(0, 0)).named("bind", "netlink")?;
        Ok(Self { fd })
    }

    /// Turns an option on; `ENOPROTOOPT` tells that the kernel is too old for it.
    pub fn turn_on(&self, setting: Setting) -> Result<()> {
        match setting {
            Setting::ExtendedErrors => self.option(libc::NETLINK_EXT_ACK, 1, "NETLINK_EXT_ACK"),
            Setting::ShortErrors => self.option(libc::NETLINK_CAP_ACK, 1, "NETLINK_CAP_ACK"),
            Setting::StrictDumps => self.option(libc::NETLINK_GET_STRICT_CHK, 1, "NETLINK_GET_STRICT_CHK"),
        }
    }

    /// How long [`receive`](Self::receive) waits at most before it fails with `EAGAIN`.
    pub fn set_timeout(&self, timeout: Duration) -> Result<()> {
        set_socket_timeout(&self.fd, Timeout::Recv, Some(timeout)).named("setsockopt", "SO_RCVTIMEO")
    }

    /// Room for what is sent at once and for what waits to be received, beyond the limits of unprivileged users.
    pub fn set_buffers(&self, bytes: usize) -> Result<()> {
        sockopt::set_socket_send_buffer_size_force(&self.fd, bytes).named("setsockopt", "SO_SNDBUFFORCE")?;
        sockopt::set_socket_recv_buffer_size_force(&self.fd, bytes).named("setsockopt", "SO_RCVBUFFORCE")
    }

    /// Sends one or more messages to the kernel as one datagram. The kernel has acted on them when this returns.
    pub fn send(&self, messages: &[u8]) -> Result<()> {
        let kernel = SocketAddrNetlink::new(0, 0);
        loop {
            match sendto(&self.fd, messages, SendFlags::empty(), &kernel) {
                Ok(sent) if sent == messages.len() => return Ok(()),
                Ok(_) => return Err(Error::new("sendto", "netlink", Errno::MSGSIZE)),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::new("sendto", "netlink", errno)),
            }
        }
    }

    /// Receives one datagram of the kernel, which may hold several messages, and tells its length. The buffer should
    /// have [`RECEIVE_BUFFER`] bytes: what does not fit is an error (`EMSGSIZE`), never cut off silently. `ENOBUFS`
    /// tells that the kernel had to drop messages before.
    pub fn receive(&self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            let (_, length, from) = match recvfrom(&self.fd, &mut *buffer, RecvFlags::TRUNC) {
                Ok(received) => received,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(Error::new("recvfrom", "netlink", errno)),
            };
            let from = from.and_then(|address| SocketAddrNetlink::try_from(address).ok());
            if from.is_none_or(|address| address.pid() != 0) {
                continue; // another process wrote to our port
            }
            if length > buffer.len() {
                return Err(Error::new("recvfrom", "netlink", Errno::MSGSIZE));
            }
            return Ok(length);
        }
    }

    fn option(&self, option: libc::c_int, value: libc::c_int, name: &'static str) -> Result<()> {
        // SAFETY: every option used here reads one int, which the pointer points to for the length of the call.
        let done = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_NETLINK,
                option,
                (&raw const value).cast(),
                std::mem::size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        if done == 0 { Ok(()) } else { Err(Error::new("setsockopt", name, last_errno())) }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_answers() {
        let socket = Socket::open(Protocol::Route).unwrap();
        for setting in [Setting::ExtendedErrors, Setting::ShortErrors, Setting::StrictDumps] {
            socket.turn_on(setting).unwrap();
        }
        socket.set_timeout(Duration::from_secs(60)).unwrap();
        // RTM_GETLINK of a link that cannot be: header (length, kind, flags, sequence, port), struct ifinfomsg.
        let mut message = Vec::new();
        message.extend(32_u32.to_ne_bytes());
        message.extend(18_u16.to_ne_bytes());
        message.extend(1_u16.to_ne_bytes());
        message.extend(77_u32.to_ne_bytes());
        message.extend(0_u32.to_ne_bytes());
        message.extend([0, 0, 0, 0]);
        message.extend(i32::MAX.to_ne_bytes());
        message.extend([0; 8]);
        socket.send(&message).unwrap();
        let mut buffer = vec![0; RECEIVE_BUFFER];
        let length = socket.receive(&mut buffer).unwrap();
        assert!(length >= 20);
        assert_eq!(buffer[4..6], 2_u16.to_ne_bytes(), "an NLMSG_ERROR");
        assert_eq!(buffer[8..12], 77_u32.to_ne_bytes());
        assert_eq!(buffer[16..20], (-libc::ENODEV).to_ne_bytes());
    }

    #[test]
    fn what_does_not_fit_is_an_error_and_nothing_to_hear_blocks_not() {
        let socket = Socket::open(Protocol::Route).unwrap();
        socket.send(&[20, 0, 0, 0, 18, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        assert_eq!(socket.receive(&mut [0; 8]).unwrap_err().errno, Errno::MSGSIZE);
        let quiet = Socket::listen(Protocol::Netfilter, &[]).unwrap();
        assert_eq!(quiet.receive(&mut [0; 64]).unwrap_err().errno, Errno::AGAIN);
    }
}
