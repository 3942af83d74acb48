//! Programs that judge a link's packets, as classifiers of traffic control (`tc filter show dev LINK ingress`).

use std::os::fd::{AsRawFd, BorrowedFd};

use boxship_sys::Errno;
use boxship_sys::bpf::Side;

use crate::Result;
use crate::netlink::{Connection, Message, flags};

const RTM_NEWQDISC: u16 = 36;
const RTM_NEWTFILTER: u16 = 44;
const RTM_DELTFILTER: u16 = 45;
const RTM_GETTFILTER: u16 = 46;
const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_BPF_FD: u16 = 6;
const TCA_BPF_NAME: u16 = 7;
const TCA_BPF_FLAGS: u16 = 8;
const TCA_BPF_ID: u16 = 11;
/// What the program answers is the verdict.
const DIRECT_ACTION: u32 = 1;
const CLSACT: u32 = 0xffff_fff1;
const CLSACT_HANDLE: u32 = 0xffff_0000;
/// The place among a link's classifiers, and what it applies to: every protocol.
const PLACE: u32 = 0xb0c5 << 16 | 0x0003_u16.to_be() as u32;
const HANDLE: u32 = 1;
/// Length of the fixed part, `struct tcmsg`.
const FIXED: usize = 20;

fn fixed(link: u32, handle: u32, parent: u32, info: u32) -> [u8; FIXED] {
    let mut fixed = [0; FIXED];
    for (at, value) in [(4, link), (8, handle), (12, parent), (16, info)] {
        fixed[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }
    fixed
}

/// Sees to it that the link has places for classifiers.
pub(crate) fn prepare(connection: &Connection, link: u32) -> Result<()> {
    let flags = flags::CREATE | flags::EXCL;
    let mut message = Message::new("prepare", format!("link {link} for classifiers"), RTM_NEWQDISC, flags);
    message.raw(&fixed(link, CLSACT_HANDLE, CLSACT, 0)).text(TCA_KIND, "clsact");
    match connection.order(message) {
        Err(error) if error.errno() == Some(Errno::EXIST) => Ok(()),
        done => done,
    }
}

fn message(operation: &'static str, kind: u16, flags: u16, link: u32, side: Side) -> Message {
    let parent = match side {
        Side::Ingress => 0xffff_fff2,
        Side::Egress => 0xffff_fff3,
    };
    let mut message = Message::new(operation, format!("classifier of link {link}"), kind, flags);
    message.raw(&fixed(link, HANDLE, parent, PLACE)).text(TCA_KIND, "bpf");
    message
}

/// Puts a program on one side of a link, in place of the one that was put there so before.
pub(crate) fn set(link: u32, side: Side, program: BorrowedFd<'_>, name: &str) -> Message {
    let mut message = message("set", RTM_NEWTFILTER, flags::CREATE, link, side);
    message.nest(TCA_OPTIONS, |options| {
        options.u32(TCA_BPF_FD, program.as_raw_fd().cast_unsigned()).text(TCA_BPF_NAME, name);
        options.u32(TCA_BPF_FLAGS, DIRECT_ACTION);
    });
    message
}

/// The kernel's number of the program of a name that was put there; `None` when there is none.
pub(crate) fn get(connection: &Connection, link: u32, side: Side, name: &str) -> Result<Option<u32>> {
    let found = connection.ask(&message("look at", RTM_GETTFILTER, 0, link, side), |answer| {
        let options = answer.attributes(FIXED).find(TCA_OPTIONS)?.nested();
        let is_named = options.find(TCA_BPF_NAME).and_then(|found| found.text()) == Some(name);
        Some(if is_named { options.find(TCA_BPF_ID)?.u32() } else { None })
    });
    match found {
        // The link has no places for classifiers.
        Err(error) if error.errno() == Some(Errno::INVAL) => Ok(None),
        found => Ok(found?.flatten()),
    }
}

/// Takes the program off.
pub(crate) fn remove(link: u32, side: Side) -> Message {
    message("remove", RTM_DELTFILTER, 0, link, side)
}
