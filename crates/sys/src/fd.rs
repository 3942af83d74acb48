//! Descriptors: placing them at fixed numbers, closing all others, passing them over a socket, pipes.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use crate::error::{Errno, Error, Named, Result, last_errno};

/// How many descriptors one message may carry.
pub const MAX_PASSED: usize = 16;

/// A pipe: what is written to the second comes out of the first. Both are closed by an exec.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).named("pipe2", "pair")
}

/// Two connected sockets that keep the borders of messages; both are closed by an exec.
pub fn message_pair() -> Result<(OwnedFd, OwnedFd)> {
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
        .named("socketpair", "pair")
}

/// Connects to a unix stream socket by its path.
pub fn connect(path: &std::path::Path) -> Result<OwnedFd> {
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .named("socket", path.display())?;
    let address = rustix::net::SocketAddrUnix::new(path).named("connect", path.display())?;
    rustix::net::connect(&socket, &address).named("connect", path.display())?;
    Ok(socket)
}

/// Sends a message with descriptors. The far side gets duplicates.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], passed: &[BorrowedFd<'_>]) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_PASSED))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !passed.is_empty() && !control.push(SendAncillaryMessage::ScmRights(passed)) {
        return Err(Error::new("sendmsg", "descriptors", Errno::TOOMANYREFS));
    }
    loop {
        let sent = rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL);
        match sent {
            Err(Errno::INTR) => {}
            Ok(length) if length == bytes.len() => return Ok(()),
            Ok(_) => return Err(Error::new("sendmsg", "socket", Errno::MSGSIZE)),
            Err(errno) => return Err(Error::new("sendmsg", "socket", errno)),
        }
    }
}

/// Receives a message of at most `buffer.len()` bytes with the descriptors that came along (closed by an exec).
/// Nothing received means that the far side has closed.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_PASSED))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let flags = RecvFlags::CMSG_CLOEXEC;
        match rustix::net::recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, flags) {
            Err(Errno::INTR) => {}
            other => break other.named("recvmsg", "socket")?,
        }
    };
    let mut passed = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            passed.extend(descriptors);
        }
    }
    Ok((received.bytes, passed))
}

/// Makes `source` also known as number `target` (an open descriptor there is closed), not closed by an exec.
///
/// The number becomes the process's to pass on: only a process about to exec should do this.
pub fn place(source: BorrowedFd<'_>, target: i32) -> Result<()> {
    if source.as_raw_fd() == target {
        return keep_on_exec(source);
    }
    // SAFETY: dup2 takes two numbers; whatever was at `target` is replaced, which is this function's contract.
    let done = unsafe { libc::dup2(source.as_raw_fd(), target) };
    if done == target { Ok(()) } else { Err(Error::new("dup2", target, last_errno())) }
}

/// Lets a descriptor live through an exec.
pub fn keep_on_exec(descriptor: BorrowedFd<'_>) -> Result<()> {
    rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::empty()).named("fcntl", "F_SETFD")
}

/// Lets descriptor number `descriptor`, which this process was given by its parent, live through an exec.
pub fn keep_number_on_exec(descriptor: i32) -> Result<()> {
    // SAFETY: F_SETFD changes a flag of whatever is there, or fails.
    let done = unsafe { libc::fcntl(descriptor, libc::F_SETFD, 0) };
    if done == 0 { Ok(()) } else { Err(Error::new("fcntl F_SETFD", descriptor, last_errno())) }
}

/// Moves a descriptor to a number of at least `lowest` (closed by an exec), out of the way of fixed numbers.
pub fn raise(descriptor: OwnedFd, lowest: i32) -> Result<OwnedFd> {
    if descriptor.as_raw_fd() >= lowest {
        return Ok(descriptor);
    }
    rustix::io::fcntl_dupfd_cloexec(&descriptor, lowest).named("fcntl", "F_DUPFD_CLOEXEC")
}

/// Closes every descriptor from number `lowest` on, but those in `kept` (close_range).
///
/// For a forked child about to exec: whatever owned a closed descriptor in its copy of the memory must never be dropped.
pub fn close_others(lowest: u32, kept: &[BorrowedFd<'_>]) -> Result<()> {
    let mut numbers: Vec<u32> = kept.iter().map(|kept| kept.as_raw_fd() as u32).collect();
    numbers.sort_unstable();
    let mut next = lowest;
    for number in numbers.into_iter().filter(|number| *number >= lowest) {
        if next < number {
            close_range(next, number - 1)?;
        }
        next = number + 1;
    }
    close_range(next, u32::MAX)
}

fn close_range(first: u32, last: u32) -> Result<()> {
    // SAFETY: closing numbers that nobody uses any more is this module's caller's promise.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if done == 0 { Ok(()) } else { Err(Error::new("close_range", first, last_errno())) }
}

/// Whether number `descriptor` is open in this process.
pub fn is_open(descriptor: i32) -> bool {
    // SAFETY: F_GETFD only asks.
    descriptor >= 0 && unsafe { libc::fcntl(descriptor, libc::F_GETFD) } >= 0
}

/// Lets go of a descriptor that the process keeps until it ends or execs.
pub fn leak(descriptor: OwnedFd) -> i32 {
    descriptor.into_raw_fd()
}

/// A duplicate of descriptor number `descriptor`, which this process was given by its parent.
pub fn duplicate_number(descriptor: i32) -> Result<OwnedFd> {
    if !is_open(descriptor) {
        return Err(Error::new("fcntl", descriptor, Errno::BADF));
    }
    // SAFETY: the number is open (just asked) and is only borrowed while duplicating.
    let borrowed = unsafe { BorrowedFd::borrow_raw(descriptor) };
    rustix::io::fcntl_dupfd_cloexec(borrowed, 3).named("fcntl", descriptor)
}

/// Takes over descriptor number `descriptor` from whoever started this process; it is closed when dropped.
/// To be called once for each number, early, by the process that was told the number.
pub fn adopt_number(descriptor: i32) -> Result<OwnedFd> {
    let duplicate = duplicate_number(descriptor)?;
    // SAFETY: the number was inherited and no OwnedFd of this process holds it, by this function's contract.
    unsafe { libc::close(descriptor) };
    Ok(duplicate)
}

/// In a child just forked: closes its copy of a descriptor that only its parent uses. Holding on to, say, the parent's
/// end of a socket would hide the parent's death.
pub fn close_copy(descriptor: BorrowedFd<'_>) {
    // SAFETY: the owner is in the parent's memory; this process's copy of it is never dropped, as the child ends by
    // exec or _exit, and never used, by this function's contract.
    unsafe { libc::close(descriptor.as_raw_fd()) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn descriptors_travel_with_their_message() {
        let (left, right) = message_pair().unwrap();
        let (reader, writer) = pipe().unwrap();
        send(left.as_fd(), b"here", &[writer.as_fd()]).unwrap();
        drop(writer);
        let mut buffer = [0; 16];
        let (length, passed) = receive(right.as_fd(), &mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"here");
        rustix::io::write(&passed[0], b"x").unwrap();
        assert_eq!(rustix::io::read(&reader, &mut buffer[..]).unwrap(), 1);
        drop(left);
        assert_eq!(receive(right.as_fd(), &mut buffer).unwrap().0, 0);
    }

    #[test]
    fn raised_out_of_the_way() {
        let (reader, _writer) = pipe().unwrap();
        assert!(raise(reader, 100).unwrap().as_raw_fd() >= 100);
    }
}
