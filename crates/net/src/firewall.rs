//! The house's one nftables table: isolation, outgoing NAT and published ports.

use ipnet::IpNet;

use crate::ports::Published;
use crate::{Error, Result};

/// How published ports meet the host's own input rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// As Docker: they bypass them.
    #[default]
    Docker,
    /// A new connection has to pass the host's input rules first.
    Honest,
}

/// What the table has to know of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The bridge's interface name.
    pub bridge: String,
    /// Its subnets.
    pub subnets: Vec<IpNet>,
    /// Cut off: nothing goes in or out, only among its members.
    pub internal: bool,
    /// Members may talk to each other.
    pub icc: bool,
    /// Outgoing packets take the host's address, per family.
    pub masquerade4: bool,
    /// See `masquerade4`.
    pub masquerade6: bool,
    /// What others may reach without publishing (`gateway_mode` routed / nat-unprotected).
    pub unprotected: bool,
}

/// The table as it should be: every change is one transaction.
pub struct Firewall {
    _private: (),
}

impl Firewall {
    /// Looks for the kernel's nftables; touches nothing yet. `table` names the table (one for each daemon).
    pub fn open(_table: &str, _mode: Mode) -> Result<Self> {
        Err(Error::Invalid("unfinished".into()))
    }

    /// Makes the table anew, with these networks and ports and nothing else.
    pub fn replace(&self, _networks: &[Network], _ports: &[Published]) -> Result<()> {
        Err(Error::Invalid("unfinished".into()))
    }

    /// Adds or changes a network.
    pub fn set_network(&self, _network: &Network) -> Result<()> {
        Err(Error::Invalid("unfinished".into()))
    }

    /// Takes a network away.
    pub fn remove_network(&self, _bridge: &str) -> Result<()> {
        Err(Error::Invalid("unfinished".into()))
    }

    /// Publishes ports, all or none.
    pub fn publish(&self, _ports: &[Published]) -> Result<()> {
        Err(Error::Invalid("unfinished".into()))
    }

    /// Takes published ports away; those that are gone already are fine. Flows of them end (conntrack).
    pub fn unpublish(&self, _ports: &[Published]) -> Result<()> {
        Err(Error::Invalid("unfinished".into()))
    }

    /// Takes the whole table away (the daemon's last act when nothing runs any more).
    pub fn clear(&self) -> Result<()> {
        Err(Error::Invalid("unfinished".into()))
    }
}
