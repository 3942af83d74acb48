//! The rows of networks. A row is there before anything of its network is in the kernel, and goes after it: what a
//! crash interrupts is found by its phase and taken back.

use boxship_store::Store;
use rusqlite::params;

use super::Network;
use crate::{Error, Kind, Result};

const STEPS: &[&str] = &["CREATE TABLE network (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    configuration TEXT NOT NULL,
    phase TEXT NOT NULL CHECK (phase IN ('making', 'made', 'removing'))
) STRICT, WITHOUT ROWID;"];

/// Where in its life a network's row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its link may be there or not; nobody was told that it is made.
    Making,
    /// It is there.
    Made,
    /// Somebody may have been told that it is gone.
    Removing,
}

impl Phase {
    fn word(self) -> &'static str {
        match self {
            Self::Making => "making",
            Self::Made => "made",
            Self::Removing => "removing",
        }
    }

    fn parse(word: &str) -> Self {
        match word {
            "making" => Self::Making,
            "removing" => Self::Removing,
            _ => Self::Made,
        }
    }
}

fn failed(operation: &'static str) -> impl FnOnce(rusqlite::Error) -> Error {
    move |error| Error::caused(Kind::Internal, format!("database: {operation}"), error)
}

/// The table.
pub(super) struct Rows {
    store: Store,
}

impl Rows {
    /// Brings the table up to date.
    pub(super) fn open(store: Store) -> Result<Self> {
        store.db().migrate("engine-network", STEPS)?;
        Ok(Self { store })
    }

    /// All rows.
    pub(super) fn load(&self) -> Result<Vec<(Network, Phase)>> {
        self.store.db().read(|connection| {
            let mut statement = connection
                .prepare("SELECT configuration, phase FROM network ORDER BY id")
                .map_err(failed("list networks"))?;
            let rows = statement
                .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
                .map_err(failed("list networks"))?;
            let mut networks = Vec::new();
            for row in rows {
                let (configuration, phase) = row.map_err(failed("list networks"))?;
                let network = serde_json::from_str(&configuration)
                    .map_err(|error| Error::caused(Kind::Internal, "read a network's row", error))?;
                networks.push((network, Phase::parse(&phase)));
            }
            Ok(networks)
        })
    }

    /// Writes a network, new or changed, durably.
    pub(super) fn put(&self, network: &Network, phase: Phase) -> Result<()> {
        let configuration = serde_json::to_string(network).expect("networks have string keys only");
        self.store.db().write(|tx| {
            let sql = "INSERT INTO network (id, name, configuration, phase) VALUES (?1, ?2, ?3, ?4)
                ON CONFLICT (id) DO UPDATE SET configuration = ?3, phase = ?4";
            tx.execute(sql, params![network.id, network.name, configuration, phase.word()])
                .map_err(failed("write network"))?;
            Ok(())
        })
    }

    /// Deletes a network durably.
    pub(super) fn remove(&self, id: &str) -> Result<()> {
        self.store.db().write(|tx| {
            tx.execute("DELETE FROM network WHERE id = ?1", params![id]).map_err(failed("delete network"))?;
            Ok(())
        })
    }
}
