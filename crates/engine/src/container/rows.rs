//! The rows of containers: made, changed and removed durably, their states written lazily by a thread of their own
//! that gathers what piles up into one transaction.

use std::collections::HashMap;
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, PoisonError};

use boxship_oci::Digest;
use boxship_store::Store;
use rusqlite::params;

use super::configuration::Configuration;
use super::state::State;
use crate::{Error, Kind, Result};

const STEPS: &[&str] = &["CREATE TABLE container (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    configuration TEXT NOT NULL,
    state TEXT NOT NULL
) STRICT, WITHOUT ROWID;"];

/// A failed statement in words.
fn failed(operation: &'static str) -> impl FnOnce(rusqlite::Error) -> Error {
    move |error| Error::caused(Kind::Internal, format!("database: {operation}"), error)
}

fn encode<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("rows have string keys only")
}

enum Message {
    State(String, Box<State>),
    Flush(Sender<()>),
}

/// The table and its lazy writer.
pub(crate) struct Rows {
    store: Store,
    lazy: Mutex<Sender<Message>>,
}

impl Rows {
    /// Brings the table up to date and starts the writer.
    pub(crate) fn open(store: Store) -> Result<Self> {
        store.db().migrate("engine", STEPS)?;
        let (sender, receiver) = mpsc::channel();
        let writer = store.clone();
        std::thread::Builder::new()
            .name("rows".into())
            .spawn(move || write_states(&writer, &receiver))
            .map_err(|error| Error::caused(Kind::Internal, "start the writer of rows", error))?;
        Ok(Self { store, lazy: Mutex::new(sender) })
    }

    /// All rows.
    pub(crate) fn load(&self) -> Result<Vec<(Configuration, State)>> {
        self.store.db().read(|connection| {
            let mut statement = connection
                .prepare("SELECT configuration, state FROM container ORDER BY id")
                .map_err(failed("list containers"))?;
            let rows = statement
                .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
                .map_err(failed("list containers"))?;
            let mut containers = Vec::new();
            for row in rows {
                let (configuration, state) = row.map_err(failed("list containers"))?;
                let corrupt = |error| Error::caused(Kind::Internal, "read a container's row", error);
                containers.push((
                    serde_json::from_str(&configuration).map_err(corrupt)?,
                    serde_json::from_str(&state).map_err(corrupt)?,
                ));
            }
            Ok(containers)
        })
    }

    /// Writes a new container and its root filesystem, durably and at once.
    pub(crate) fn insert(&self, configuration: &Configuration, image: &Digest) -> Result<()> {
        let state = encode(&State::default());
        self.store.db().write(|tx| {
            self.store.snapshots().record(tx, &configuration.id, image)?;
            let sql = "INSERT INTO container (id, name, configuration, state) VALUES (?1, ?2, ?3, ?4)";
            let mut statement = tx.prepare_cached(sql).map_err(failed("insert container"))?;
            statement
                .execute(params![configuration.id, configuration.name, encode(configuration), state])
                .map_err(failed("insert container"))?;
            Ok(())
        })
    }

    /// Writes a changed configuration (and name) durably.
    pub(crate) fn update(&self, configuration: &Configuration) -> Result<()> {
        self.store.db().write(|tx| {
            tx.execute(
                "UPDATE container SET name = ?2, configuration = ?3 WHERE id = ?1",
                params![configuration.id, configuration.name, encode(configuration)],
            )
            .map_err(failed("update container"))?;
            Ok(())
        })
    }

    /// Deletes a container and the record of its root filesystem durably.
    pub(crate) fn remove(&self, id: &str) -> Result<()> {
        self.store.db().write(|tx| {
            self.store.snapshots().forget(tx, id)?;
            tx.execute("DELETE FROM container WHERE id = ?1", params![id])
                .map_err(failed("delete container"))?;
            Ok(())
        })
    }

    /// Has a state written soon; never waits.
    pub(crate) fn save_state(&self, id: &str, state: &State) {
        self.send(Message::State(id.to_owned(), Box::new(state.clone())));
    }

    /// Waits until all states so far are written.
    pub(crate) fn flush(&self) -> Result<()> {
        let (done, wait) = mpsc::channel();
        self.send(Message::Flush(done));
        // An error says that the writer is gone, and with it what it had to write: it has told why.
        let _ = wait.recv();
        Ok(())
    }

    fn send(&self, message: Message) {
        let sender = self.lazy.lock().unwrap_or_else(PoisonError::into_inner);
        if sender.send(message).is_err() {
            tracing::error!("the writer of rows is gone: a state is not written");
        }
    }
}

/// The writer's life: gathers what is there, writes it in one transaction that does not wait for the disk.
fn write_states(store: &Store, receiver: &mpsc::Receiver<Message>) {
    while let Ok(first) = receiver.recv() {
        let mut states = HashMap::new();
        let mut flushed = Vec::new();
        for message in std::iter::once(first).chain(receiver.try_iter()) {
            match message {
                Message::State(id, state) => drop(states.insert(id, state)),
                Message::Flush(done) => flushed.push(done),
            }
        }
        let written: Result<()> = store.db().write_lazily(|tx| {
            let sql = "UPDATE container SET state = ?2 WHERE id = ?1";
            let mut statement = tx.prepare_cached(sql).map_err(failed("update state"))?;
            for (id, state) in &states {
                statement.execute(params![id, encode(state)]).map_err(failed("update state"))?;
            }
            Ok(())
        });
        if let Err(error) = written {
            tracing::error!(%error, containers = states.len(), "states not written");
        }
        for done in flushed {
            // Nobody waits any more: nothing to tell.
            let _ = done.send(());
        }
    }
}
