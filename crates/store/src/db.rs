//! The one database: SQLite in WAL mode, `synchronous=FULL`, so that what a call acknowledged survives.
//!
//! One writer at a time (a lock in the process, so nobody ever sees "database is locked"), readers in
//! parallel from a small pool. Each room owns its tables and registers their history with [`Db::migrate`].

use std::path::Path;

use rusqlite::{Connection, Transaction};

use crate::Result;

/// The database, shared by all of the process.
pub struct Db {}

impl Db {
    /// Opens (or makes) the database.
    pub fn open(path: &Path) -> Result<Db> {
        let _ = path;
        todo!()
    }

    /// Brings the tables of `room` up to date: `steps[n]` is SQL that leads from version n to n + 1. Steps are
    /// only ever appended. All missing steps run in one transaction; a database from the future is an error.
    pub fn migrate(&self, room: &str, steps: &[&str]) -> Result<()> {
        let _ = (room, steps);
        todo!()
    }

    /// Runs `change` in one transaction, durable when this returns `Ok`; rolled back when `change` fails.
    /// Must not be nested. `E` is the caller's own error.
    pub fn write<T, E: From<crate::Error>>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let _ = change;
        todo!()
    }

    /// As [`Db::write`], but the commit doesn't wait for the disk: for state that shims and kernel can tell
    /// again after a crash of the machine. A crash of the process loses nothing.
    pub fn write_lazily<T, E: From<crate::Error>>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let _ = change;
        todo!()
    }

    /// Runs `query` on a reading connection, in parallel to writers.
    pub fn read<T, E: From<crate::Error>>(
        &self,
        query: impl FnOnce(&Connection) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let _ = query;
        todo!()
    }
}
