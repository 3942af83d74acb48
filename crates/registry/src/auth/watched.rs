//! A file of settings that is read again when it has changed. What cannot be read changes nothing: a slip of an
//! editor neither locks everybody out nor lets everybody in.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use crate::error::{Error, Named, Result};

/// How often the file's time is looked at.
const INTERVAL: Duration = Duration::from_secs(1);

/// The largest file.
const LARGEST: u64 = 16 << 20;

type Parse<T> = fn(&str) -> std::result::Result<T, String>;

pub(super) struct Watched<T> {
    path: PathBuf,
    parse: Parse<T>,
    state: Mutex<State<T>>,
}

struct State<T> {
    value: Arc<T>,
    modified: Option<SystemTime>,
    looked: Instant,
}

impl<T> Watched<T> {
    pub(super) fn open(path: &Path, parse: Parse<T>) -> Result<Self> {
        let (value, modified) = read(path, parse)?;
        let state = State { value: Arc::new(value), modified, looked: Instant::now() };
        Ok(Self { path: path.to_owned(), parse, state: Mutex::new(state) })
    }

    /// What the file says now.
    pub(super) fn get(&self) -> Arc<T> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= INTERVAL {
            state.looked = Instant::now();
            let modified = fs::metadata(&self.path).and_then(|file| file.modified()).ok();
            if modified != state.modified {
                state.modified = modified;
                match read(&self.path, self.parse) {
                    Ok((value, _)) => state.value = Arc::new(value),
                    Err(error) => tracing::error!(%error, "what was read before goes on to hold"),
                }
            }
        }
        state.value.clone()
    }
}

fn read<T>(path: &Path, parse: Parse<T>) -> Result<(T, Option<SystemTime>)> {
    let found = fs::metadata(path).named("open", path)?;
    if found.len() > LARGEST {
        return Err(Error::Setting(format!("{}: more than {LARGEST} bytes", path.display())));
    }
    let text = fs::read_to_string(path).named("read", path)?;
    let value = parse(&text).map_err(|why| Error::Setting(format!("{}: {why}", path.display())))?;
    Ok((value, found.modified().ok()))
}
