//! Raw Ethernet frames out of a link (packet(7)). Nothing is ever received.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::error::{Error, Named, Result, last_errno};

/// A socket to send frames with. It should be kept: closing one waits for a grace period of the kernel.
#[derive(Debug)]
pub struct Sender {
    fd: OwnedFd,
}

impl Sender {
    /// Opens one in the network namespace of this thread. With no protocol it hears nothing.
    pub fn open() -> Result<Self> {
        let fd = socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, None)
            .named("socket", "packet")?;
        Ok(Self { fd })
    }

    /// Sends a whole frame, its Ethernet header included, out of the link of this index. Never waits.
    pub fn send(&self, link: u32, frame: &[u8]) -> Result<()> {
        // SAFETY: all-zero is a valid sockaddr_ll.
        let mut to: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        to.sll_family = libc::AF_PACKET as u16;
        to.sll_ifindex = link as libc::c_int;
        to.sll_halen = 6;
        // SAFETY: the frame and the address are valid for reading for the length of the call, with the lengths given.
        let sent = unsafe {
            libc::sendto(
                self.fd.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                libc::MSG_DONTWAIT,
                (&raw const to).cast(),
                std::mem::size_of::<libc::sockaddr_ll>() as libc::socklen_t,
            )
        };
        if sent < 0 { Err(Error::new("sendto", format!("link {link}"), last_errno())) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_is_not_there_is_told() {
        let error = Sender::open().unwrap().send(999_999, &[0; 42]).unwrap_err();
        assert_eq!(error.to_string(), "sendto link 999999: no such device or address");
    }
}
