//! The conversation with the kernel over one socket: orders with their acknowledgements, single questions, dumps.
//!
//! The kernel acts on a message before the send returns, so one lock around send and receive is enough, and an answer
//! that belongs to no question asked (of an order that failed half way) is simply passed over by its number.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use boxship_sys::netlink::{Protocol, RECEIVE_BUFFER, Setting, Socket};
use boxship_sys::{Errno, Error as SysError};

use super::message::{Message, flags};
use super::read::{Attributes, Received, messages};
use crate::{Error, Result};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// Attribute of an error: the kernel's words.
const NLMSGERR_ATTR_MSG: u16 = 1;
/// A dump that changes kept breaking so often is given up.
const MOST_DUMPS: usize = 20;
/// The kernel answers at once; this only keeps a lost answer from holding a thread for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// A socket with the numbers and the buffer of its conversation. Shared by reference: one exchange at a time.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
    /// A datagram is one transaction: nfnetlink.
    transactions: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    sequence: u32,
    outgoing: Vec<u8>,
    incoming: Vec<u8>,
}

impl Connection {
    /// Opens one in the network namespace of this thread.
    pub fn open(protocol: Protocol) -> Result<Self> {
        Self::prepare(protocol).map_err(|source| Error::Kernel {
            operation: "open",
            object: "netlink socket".into(),
            source,
        })
    }

    fn prepare(protocol: Protocol) -> Result<Self, SysError> {
        let socket = Socket::open(protocol)?;
        for setting in [Setting::ExtendedErrors, Setting::ShortErrors, Setting::StrictDumps] {
            match socket.turn_on(setting) {
                // An older kernel says less in its errors and filters less; all else is the same.
                Err(error) if error.errno == Errno::NOPROTOOPT => {}
                done => done?,
            }
        }
        socket.set_timeout(PATIENCE)?;
        let state = State { sequence: 0, outgoing: Vec::new(), incoming: Vec::new() };
        Ok(Self { socket, transactions: protocol == Protocol::Netfilter, state: Mutex::new(state) })
    }

    /// The socket itself, for its settings.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Gives one order and waits for its success.
    pub fn order(&self, message: Message) -> Result<()> {
        self.batch(&mut [message])
    }

    /// Gives several orders as one datagram and waits for them all. Each is carried out even when one before it
    /// failed (unless they are a transaction of nftables); the error told is that of the first that failed.
    ///
    /// Only the last message asks for an acknowledgement if none does yet: errors of the others arrive before it. A
    /// transaction asks for it in its last message before the end marker, since only newer kernels acknowledge that.
    pub fn batch(&self, orders: &mut [Message]) -> Result<()> {
        match self.batch_indexed(orders)? {
            None => Ok(()),
            Some((_, error)) => Err(error),
        }
    }

    /// Like [`batch`](Self::batch); tells which order failed. The outer error is of the conversation itself.
    pub fn batch_indexed(&self, orders: &mut [Message]) -> Result<Option<(usize, Error)>> {
        let Some(last) = orders.iter().rposition(Message::wants_ack).or(orders.len().checked_sub(1)) else {
            return Ok(None);
        };
        orders[last].add_flags(flags::ACK);
        let mut state = self.lock();
        let first_sequence = state.send(&self.socket, orders)?;
        let mut failed: Option<(usize, Error)> = None;
        loop {
            let length = state.receive(&self.socket, &orders[last])?;
            let datagram = state.incoming.get(..length).unwrap_or_default();
            for answer in messages(datagram).filter(|answer| answer.kind == NLMSG_ERROR) {
                let index = answer.sequence.wrapping_sub(first_sequence) as usize;
                let Some(order) = orders.get(index) else { continue };
                let refusal = refusal(order, &answer);
                let of_all = index == 0 && refusal.is_some();
                if let Some(error) = refusal
                    && failed.as_ref().is_none_or(|(earlier, _)| index < *earlier)
                {
                    failed = Some((index, error));
                }
                // What is wrong with a transaction as a whole is told of its first message, and nothing else follows.
                if index == last || (of_all && self.transactions) {
                    return Ok(failed);
                }
            }
        }
    }

    /// Asks for one thing: `read` reads the answer. `None`: there is no such thing (`ENOENT`, `ENODEV`).
    pub fn ask<T>(
        &self,
        question: &Message,
        mut read: impl FnMut(Received<'_>) -> Option<T>,
    ) -> Result<Option<T>> {
        let mut state = self.lock();
        let sequence = state.send(&self.socket, std::slice::from_ref(question))?;
        loop {
            let length = state.receive(&self.socket, question)?;
            let datagram = state.incoming.get(..length).unwrap_or_default();
            let Some(answer) = messages(datagram).find(|answer| answer.sequence == sequence) else {
                continue;
            };
            if answer.kind != NLMSG_ERROR {
                return read(answer).map(Some).ok_or_else(|| garbled(question));
            }
            return match refusal(question, &answer) {
                Some(error) if matches!(error.errno(), Some(Errno::NODEV | Errno::NOENT)) => Ok(None),
                Some(error) => Err(error),
                None => Ok(None),
            };
        }
    }

    /// Asks for all of something: `read` is called for every message of the answer and keeps what it wants. A dump
    /// that changes in the kernel have made inconsistent is asked for anew.
    pub fn dump<T>(
        &self,
        question: &Message,
        mut read: impl FnMut(Received<'_>) -> Option<T>,
    ) -> Result<Vec<T>> {
        let mut question = question.clone();
        question.add_flags(flags::DUMP);
        let mut state = self.lock();
        for _ in 0..MOST_DUMPS {
            if let Some(found) = dump_once(&self.socket, &mut state, &question, &mut read)? {
                return Ok(found);
            }
        }
        Err(Error::Refused {
            operation: question.operation,
            object: question.object,
            errno: Errno::AGAIN,
            detail: "it kept changing".into(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in a reader leaves numbers and buffers as good as ever.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `None`: something changed meanwhile.
fn dump_once<T>(
    socket: &Socket,
    state: &mut State,
    question: &Message,
    read: &mut impl FnMut(Received<'_>) -> Option<T>,
) -> Result<Option<Vec<T>>> {
    let sequence = state.send(socket, std::slice::from_ref(question))?;
    let mut found = Vec::new();
    let mut interrupted = false;
    loop {
        let length = state.receive(socket, question)?;
        let datagram = state.incoming.get(..length).unwrap_or_default();
        for answer in messages(datagram).filter(|answer| answer.sequence == sequence) {
            interrupted |= answer.flags & flags::DUMP_INTR != 0;
            match answer.kind {
                NLMSG_ERROR => return Err(refusal(question, &answer).unwrap_or_else(|| garbled(question))),
                NLMSG_DONE => {
                    // The end may carry an error that came up on the way.
                    return match done_error(question, &answer) {
                        Some(error) if error.errno() == Some(Errno::INTR) => Ok(None),
                        Some(error) => Err(error),
                        None if interrupted => Ok(None),
                        None => Ok(Some(found)),
                    };
                }
                _ => found.extend(read(answer)),
            }
        }
    }
}

impl State {
    /// Sends messages as one datagram; answers the sequence number of the first.
    fn send(&mut self, socket: &Socket, orders: &[Message]) -> Result<u32> {
        if let Some(order) = orders.iter().find(|order| order.is_overlong()) {
            return Err(Error::Refused {
                operation: order.operation,
                object: order.object.clone(),
                errno: Errno::MSGSIZE,
                detail: String::new(),
            });
        }
        self.outgoing.clear();
        let first = self.sequence.wrapping_add(1);
        for order in orders {
            self.sequence = self.sequence.wrapping_add(1);
            order.write(self.sequence, &mut self.outgoing);
        }
        let sent = socket.send(&self.outgoing);
        match (sent, orders.first()) {
            (Err(source), Some(order)) => Err(order.kernel_error(source)),
            _ => Ok(first),
        }
    }

    fn receive(&mut self, socket: &Socket, about: &Message) -> Result<usize> {
        self.incoming.resize(RECEIVE_BUFFER, 0);
        socket.receive(&mut self.incoming).map_err(|source| about.kernel_error(source))
    }
}

impl Message {
    fn kernel_error(&self, source: SysError) -> Error {
        Error::Kernel { operation: self.operation, object: self.object.clone(), source }
    }
}

/// The error in an NLMSG_ERROR message, if it is not an acknowledgement.
fn refusal(order: &Message, answer: &Received<'_>) -> Option<Error> {
    const REQUEST_HEADER: usize = 16;
    let code = i32::from_ne_bytes(*answer.fixed()?);
    let request_length = match answer.fixed::<8>() {
        // Unless it is capped the error repeats the whole request, whose length stands in its header.
        Some(&[_, _, _, _, a, b, c, d]) if answer.flags & flags::CAPPED == 0 => {
            u32::from_ne_bytes([a, b, c, d])
        }
        _ => REQUEST_HEADER as u32,
    };
    let words = 4 + (request_length as usize).next_multiple_of(4).max(REQUEST_HEADER);
    error_of(order, code, answer.attributes(words), answer.flags)
}

/// The error in an NLMSG_DONE message.
fn done_error(order: &Message, answer: &Received<'_>) -> Option<Error> {
    let code = i32::from_ne_bytes(*answer.fixed()?);
    error_of(order, code, answer.attributes(4), answer.flags)
}

fn error_of(order: &Message, code: i32, words: Attributes<'_>, answer_flags: u16) -> Option<Error> {
    if code >= 0 {
        return None;
    }
    let detail = match answer_flags & flags::ACK_TLVS {
        0 => None,
        _ => words.find(NLMSGERR_ATTR_MSG).and_then(|attribute| attribute.text()),
    };
    Some(Error::Refused {
        operation: order.operation,
        object: order.object.clone(),
        // A number beyond the kernel's own (4095) would be no error number.
        errno: Errno::from_raw_os_error(code.checked_neg().filter(|code| *code < 4096).unwrap_or(5)),
        detail: detail.unwrap_or_default().to_owned(),
    })
}

fn garbled(question: &Message) -> Error {
    Error::Refused {
        operation: question.operation,
        object: question.object.clone(),
        errno: Errno::BADMSG,
        detail: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RTM_GETLINK: u16 = 18;
    const RTM_DELLINK: u16 = 17;

    fn link(operation: &'static str, kind: u16, index: u32) -> Message {
        let mut message = Message::new(operation, format!("link {index}"), kind, 0);
        let mut fixed = [0; 16];
        fixed[4..8].copy_from_slice(&index.to_ne_bytes());
        message.raw(&fixed);
        message
    }

    #[test]
    fn asks_dumps_and_tells_errors() {
        let connection = Connection::open(Protocol::Route).unwrap();
        let index = |answer: Received<'_>| answer.payload.get(4..8).map(|index| index.to_vec());
        let loopback = connection.ask(&link("look up", RTM_GETLINK, 1), index).unwrap();
        assert_eq!(loopback, Some(1_u32.to_ne_bytes().to_vec()));
        assert_eq!(connection.ask(&link("look up", RTM_GETLINK, 999_999), index).unwrap(), None);
        let all = connection.dump(&link("list", RTM_GETLINK, 0), index).unwrap();
        assert!(all.contains(&1_u32.to_ne_bytes().to_vec()));

        let mut orders = [
            link("remove", RTM_GETLINK, 1),
            link("remove", RTM_DELLINK, 999_998),
            link("remove", RTM_DELLINK, 999_999),
        ];
        let (index, error) = connection.batch_indexed(&mut orders).unwrap().unwrap();
        assert_eq!(index, 1);
        assert_eq!(error.errno(), Some(Errno::NODEV));
        assert_eq!(error.to_string(), "remove link 999998: no such device");
        // What the orders left in the socket does not disturb what comes after.
        assert!(connection.ask(&link("look up", RTM_GETLINK, 1), |_| Some(())).unwrap().is_some());
        assert!(connection.batch(&mut []).is_ok());
    }

    #[test]
    fn the_kernels_words_are_told() {
        let connection = Connection::open(Protocol::Route).unwrap();
        let mut message = link("make", 16, 0);
        message.text(3, "a/b");
        let error = connection.order(message).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error:?}");
        let mut question = Message::new("list", "links", RTM_GETLINK, 0);
        question.raw(&[0xff; 16]);
        let error = connection.dump(&question, |_| Some(())).unwrap_err();
        assert!(error.to_string().starts_with("list links: invalid argument ("), "{error}");
    }

    proptest! {
        #[test]
        fn garbage_of_errors_never_panics(
            flags in any::<u16>(), payload in proptest::collection::vec(any::<u8>(), 0..128),
        ) {
            let answer = Received { kind: NLMSG_ERROR, flags, sequence: 0, payload: &payload };
            let order = Message::new("do", "it", 1, 0);
            let _ = (refusal(&order, &answer), done_error(&order, &answer));
        }
    }
}
