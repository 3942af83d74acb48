//! What a driver can be asked; each answered once.

use boxship_api as api;
use tokio::sync::oneshot;

use crate::Result;

type Reply<T = ()> = oneshot::Sender<Result<T>>;

/// A request to a container's driver.
pub(crate) enum Request {
    /// Start it (by a user, not by its policy).
    Start(Reply),
    /// Signal it.
    Signal {
        /// The signal's number.
        signal: i32,
        /// Answered when it was sent, with the number of exits before it.
        reply: Reply<u64>,
    },
    /// Nothing: answered when all that was asked before is done, and a start by its policy that is under way.
    Settle(Reply),
    /// Freeze it.
    Pause(Reply),
    /// Thaw it.
    Unpause(Reply),
    /// A user restarts it: its coming exit neither removes it nor wakes its policy.
    ExpectRestart(Reply),
    /// Another name.
    Rename {
        /// The new one, as typed.
        name: String,
        /// Answered when it is durable.
        reply: Reply,
    },
    /// One more network.
    Connect {
        /// The network, as named.
        network: String,
        /// What is asked for there.
        settings: Box<api::network::EndpointSettings>,
        /// Answered when it is durable and, of a running container, attached.
        reply: Reply,
    },
    /// One legacy link less.
    Unlink {
        /// The link's alias.
        alias: String,
        /// Answered when it is durable.
        reply: Reply,
    },
    /// A container that it links to has other addresses or another name.
    Refresh,
    /// One network less.
    Disconnect {
        /// The network, as named.
        network: String,
        /// Even if the network isn't there any more.
        force: bool,
        /// Answered when it is durable and, of a running container, detached.
        reply: Reply,
    },
    /// Other limits or another policy.
    Update {
        /// What changes.
        update: Box<api::container::UpdateConfig>,
        /// Answered when it is durable and applied.
        reply: Reply,
    },
    /// A probe of its health has ended, in the run that began then.
    Probed {
        /// Its outcome.
        probe: super::health::Probe,
        /// Which run.
        started_at: i64,
    },
    /// Remove it; it must not run.
    Remove(Reply),
    /// The engine closes: the driver ends, the container runs on.
    Quit(Reply),
}
