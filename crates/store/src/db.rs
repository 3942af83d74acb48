//! The one database: SQLite in WAL mode, `synchronous=FULL`, so that what a call acknowledged survives.
//!
//! One writer at a time (a lock in the process, so nobody ever sees "database is locked"), readers in
//! parallel from a small pool. Each room owns its tables and registers their history with [`Db::migrate`].

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use crate::error::io;
use crate::{Error, Result};

/// Reading connections kept for the next reader.
const SPARE_READERS: usize = 8;
/// Only a program from outside (a backup) can hold the database's own lock; wait for it.
const BUSY: Duration = Duration::from_secs(10);

/// The database, shared by all of the process.
pub struct Db {
    path: PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
}

impl Db {
    /// Opens (or makes) the database.
    pub fn open(path: &Path) -> Result<Db> {
        make_private(path)?;
        let writer = connect(path)?;
        writer
            .execute_batch(
                "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;
                 CREATE TABLE IF NOT EXISTS rooms (name TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT;",
            )
            .map_err(|source| Error::Database { operation: "open", source })?;
        Ok(Db { path: path.to_owned(), writer: Mutex::new(writer), readers: Mutex::default() })
    }

    /// Brings the tables of `room` up to date: `steps[n]` is SQL that leads from version n to n + 1. Steps are
    /// only ever appended. All missing steps run in one transaction; a database from the future is an error.
    pub fn migrate(&self, room: &str, steps: &[&str]) -> Result<()> {
        self.write(|tx| {
            let version: Option<u32> = tx
                .query_row("SELECT version FROM rooms WHERE name = ?1", [room], |row| row.get(0))
                .optional()?;
            let version = version.unwrap_or(0) as usize;
            if version > steps.len() {
                return Err(Error::Newer { room: room.to_owned(), found: version, known: steps.len() });
            }
            for step in &steps[version..] {
                tx.execute_batch(step)?;
            }
            tx.execute("INSERT OR REPLACE INTO rooms VALUES (?1, ?2)", (room, steps.len() as u32))?;
            Ok(())
        })
    }

    /// Runs `change` in one transaction, durable when this returns `Ok`; rolled back when `change` fails.
    /// Must not be nested. `E` is the caller's own error.
    pub fn write<T, E: From<Error>>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        transact(&mut self.writer(), change)
    }

    /// As [`Db::write`], but the commit doesn't wait for the disk: for state that shims and kernel can tell
    /// again after a crash of the machine. A crash of the process loses nothing.
    pub fn write_lazily<T, E: From<Error>>(
        &self,
        change: impl FnOnce(&Transaction<'_>) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let mut writer = self.writer();
        set_synchronous(&writer, "NORMAL")?;
        let outcome = transact(&mut writer, change);
        set_synchronous(&writer, "FULL")?;
        outcome
    }

    /// Runs `query` on a reading connection, in parallel to writers; it sees one state of the database throughout.
    pub fn read<T, E: From<Error>>(
        &self,
        query: impl FnOnce(&Connection) -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        let mut reader = self.reader()?;
        let tx = begin(&mut reader, TransactionBehavior::Deferred)?;
        let outcome = query(&tx);
        // Nothing was written: ending the transaction can't fail in a way that matters.
        drop(tx);
        let mut spare = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_READERS {
            spare.push(reader);
        }
        outcome
    }

    fn writer(&self) -> MutexGuard<'_, Connection> {
        // After a panic inside of a transaction its guard has rolled it back: the connection is sound.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reader(&self) -> Result<Connection> {
        let spare = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match spare {
            Some(reader) => Ok(reader),
            None => {
                let reader = connect(&self.path)?;
                reader
                    .execute_batch("PRAGMA query_only=ON")
                    .map_err(|source| Error::Database { operation: "open", source })?;
                Ok(reader)
            }
        }
    }
}

/// Makes the file for its owner only: rows hold containers' environments, and others may pass through the data root.
/// SQLite gives its side files the same mode.
fn make_private(path: &Path) -> Result<()> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path);
    let file = file.map_err(io("open", path))?;
    // One that an earlier version made may be readable still.
    file.set_permissions(Permissions::from_mode(0o600)).map_err(io("change mode of", path))
}

fn connect(path: &Path) -> Result<Connection> {
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    };
    open().map_err(|source| Error::Database { operation: "open", source })
}

fn begin(connection: &mut Connection, behavior: TransactionBehavior) -> Result<Transaction<'_>> {
    connection
        .transaction_with_behavior(behavior)
        .map_err(|source| Error::Database { operation: "begin a transaction", source })
}

fn transact<T, E: From<Error>>(
    connection: &mut Connection,
    change: impl FnOnce(&Transaction<'_>) -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    let tx = begin(connection, TransactionBehavior::Immediate)?;
    let value = change(&tx)?;
    tx.commit().map_err(|source| Error::Database { operation: "commit", source })?;
    Ok(value)
}

fn set_synchronous(connection: &Connection, level: &str) -> Result<()> {
    connection
        .pragma_update(None, "synchronous", level)
        .map_err(|source| Error::Database { operation: "set synchronous", source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open() -> (tempfile::TempDir, Db) {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("db")).unwrap();
        (dir, db)
    }

    fn count(db: &Db) -> i64 {
        db.read(|c| Ok::<_, Error>(c.query_row("SELECT count(*) FROM t", [], |row| row.get(0))?)).unwrap()
    }

    #[test]
    fn migrations_run_once_and_in_order() {
        let (_dir, db) = open();
        let first = "CREATE TABLE t (a INTEGER)";
        db.migrate("room", &[first]).unwrap();
        db.migrate("room", &[first]).unwrap();
        db.migrate("room", &[first, "INSERT INTO t VALUES (1)"]).unwrap();
        assert_eq!(count(&db), 1);
        assert!(matches!(db.migrate("room", &[first]), Err(Error::Newer { found: 2, known: 1, .. })));
        // A step that fails leaves nothing of those before it.
        let failed = db.migrate("other", &["INSERT INTO t VALUES (2)", "nonsense"]);
        assert!(failed.is_err());
        assert_eq!(count(&db), 1);
    }

    #[test]
    fn a_failed_change_is_rolled_back() {
        let (_dir, db) = open();
        db.migrate("room", &["CREATE TABLE t (a INTEGER)"]).unwrap();
        let insert = |tx: &Transaction<'_>| tx.execute("INSERT INTO t VALUES (1)", []);
        let failed: Result<()> = db.write(|tx| {
            insert(tx)?;
            Err(Error::NoSuchImage("x".to_owned()))
        });
        assert!(failed.is_err());
        assert_eq!(count(&db), 0);
        db.write_lazily(|tx| Ok::<_, Error>(insert(tx).map(drop)?)).unwrap();
        db.write(|tx| Ok::<_, Error>(insert(tx).map(drop)?)).unwrap();
        assert_eq!(count(&db), 2);
        let level: i64 = db.writer().query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
        assert_eq!(level, 2, "FULL");
    }
}
