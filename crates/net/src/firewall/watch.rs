//! Watching over the table: when another program flushes it, deletes it or changes something in it, it is made anew.
//!
//! The kernel tells every change of every table, and after each transaction which process it was. What is not ours and
//! touched a table of our name leads to a look at the table; only when it isn't what it should be is it made again, so
//! that a repair never calls for the next one.

use std::sync::{Arc, Weak};

use boxship_sys::Errno;
use boxship_sys::netlink::{RECEIVE_BUFFER, Socket};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::surroundings::needs_regard;
use super::{Firewall, State, table};
use crate::netlink::{Protocol, attributes, messages};
use crate::nft::attribute::Attributes;
use crate::nft::object::TableFamily;
use crate::nft::read::{self, Item, Notice};
use crate::nft::set::Element;
use crate::{Error, Result};

const NFNLGRP_NFTABLES: u32 = 7;
/// How long the thread waits for news before it looks for itself: whether the programs on bridges are there, of which the
/// kernel tells nobody, and whether the firewall is, which it outlives by so long at most.
const GLANCE: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

impl Firewall {
    /// Watches over the table on a thread of its own, until the firewall is dropped. `on_repaired` hears a sentence
    /// each time the table had to be made anew: who changed what. Call it where the table lives (its network
    /// namespace).
    pub fn watch(self: &Arc<Self>, on_repaired: impl Fn(&str) + Send + 'static) -> Result<()> {
        let listen = || {
            let socket = Socket::listen(Protocol::Netfilter, &[NFNLGRP_NFTABLES])?;
            // Small buffers lose notices sooner, which is noticed and only costs a look.
            let _ = socket.set_buffers(4 << 20);
            Ok(socket)
        };
        let socket = listen().map_err(|source| Error::Kernel {
            operation: "listen to",
            object: "nftables".into(),
            source,
        })?;
        let watched = Arc::downgrade(self);
        let thread = std::thread::Builder::new().name("firewall-watch".into());
        let spawned = thread.spawn(move || keep_watch(&socket, &watched, &on_repaired));
        spawned.map(drop).map_err(|error| Error::Invalid(format!("start firewall-watch: {error}")))
    }

    /// Makes the table anew if it isn't what it should be, or if others' rules begin to need regard; tells what was
    /// wrong.
    pub fn repair(&self) -> Result<Option<String>> {
        let mut state = self.state();
        if !state.made {
            return Ok(None);
        }
        let lacking = self.last_resort.set(state.wanted.networks.values());
        let bridges =
            (!lacking.is_empty()).then(|| format!("programs of {} were removed", lacking.join(", ")));
        let Some(wrong) = self.what_is_wrong(&state)? else {
            if state.wanted.regard.and(self.regard()?) != state.wanted.regard {
                self.rebuild(&mut state)?;
            }
            return Ok(bridges);
        };
        self.rebuild(&mut state)?;
        Ok(Some(wrong))
    }

    fn what_is_wrong(&self, state: &State) -> Result<Option<String>> {
        let fixed = self.fixed_parts()?;
        if fixed.first().is_none_or(Option::is_none) {
            return Ok(Some(format!("table inet {} was deleted", self.table)));
        }
        if fixed != state.fixed {
            return Ok(Some(format!("chains or rules of table {} were changed", self.table)));
        }
        let wanted = self.all_elements(&state.wanted);
        for set in table::sets(&self.shape(&state.wanted)) {
            let mut expected: Vec<Item> =
                wanted.iter().filter(|element| element.set == set.name).flat_map(items_of).collect();
            expected.sort();
            if read::items(&self.connection, TableFamily::Inet, &self.table, &set.name)? != expected {
                return Ok(Some(format!(
                    "elements of {} in table inet {} were changed",
                    set.name, self.table
                )));
            }
        }
        Ok(None)
    }

    /// What never changes of the table, and of the small ones of honest mode.
    pub(super) fn fixed_parts(&self) -> Result<Vec<Option<Vec<Vec<u8>>>>> {
        let families = [TableFamily::Inet, TableFamily::Ip, TableFamily::Ip6];
        let count = if self.mode == super::Mode::Honest { 3 } else { 1 };
        let looks = families.into_iter().take(count);
        looks.map(|family| read::fixed_parts(&self.connection, family, &self.table)).collect()
    }
}

/// An element as the kernel will tell it.
fn items_of(element: &Element) -> Vec<Item> {
    let mut written = Attributes::default();
    element.write(&mut written, true);
    attributes(&written.0).filter_map(|item| read::item_of(item.nested())).collect()
}

fn keep_watch(socket: &Socket, watched: &Weak<Firewall>, on_repaired: &impl Fn(&str)) {
    let mut buffer = vec![0; RECEIVE_BUFFER];
    let mut heard = Heard::default();
    while watched.strong_count() > 0 {
        let mut waiting = [PollFd::new(socket, PollFlags::IN)];
        if !matches!(poll(&mut waiting, Some(&GLANCE)), Ok(1..)) {
            if let Some(firewall) = watched.upgrade() {
                firewall.secure();
            }
            continue;
        }
        let suspect = match socket.receive(&mut buffer) {
            Ok(length) => {
                let Some(firewall) = watched.upgrade() else { return };
                heard.suspect(&firewall.table, &buffer[..length])
            }
            Err(error) if error.errno == Errno::AGAIN => None,
            // Notices were lost: anything may have happened.
            Err(_) => Some("another program".to_owned()),
        };
        if let (Some(suspect), Some(firewall)) = (suspect, watched.upgrade()) {
            match firewall.repair() {
                Ok(Some(wrong)) => on_repaired(&format!("{wrong} by {suspect}; it was made anew")),
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "the firewall's table cannot be repaired"),
            }
        }
    }
}

/// What was heard of a transaction that isn't over.
#[derive(Debug, Default)]
struct Heard {
    /// It touched tables of our name.
    touched: bool,
    /// It brought rules of others that the table has to regard.
    asked: bool,
}

impl Heard {
    /// Who, if somebody else than this process finished a transaction that is a reason to look at the table.
    fn suspect(&mut self, table: &str, datagram: &[u8]) -> Option<String> {
        let mut who = None;
        for message in messages(datagram) {
            match read::notice(&message) {
                Some(Notice::Changed(name)) => {
                    self.touched |= name == table;
                    self.asked |= name != table && needs_regard(message.payload);
                }
                Some(Notice::Done { process, name }) => {
                    let heard = std::mem::take(self);
                    if (heard.touched || heard.asked) && process != std::process::id() {
                        who = Some(format!("{name} (process {process})"));
                    }
                }
                None => {}
            }
        }
        who
    }
}
