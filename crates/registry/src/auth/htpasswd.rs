//! Passwords: Apache's file, bcrypt only. Checking one is slow on purpose, so what was right is remembered for some
//! minutes (as a keyed hash), and few are checked at a time: strangers who guess don't keep the rest waiting.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use tokio::sync::Semaphore;

use super::watched::Watched;
use crate::error::{Error, Result};

/// How long a right password is remembered.
const REMEMBERED: Duration = Duration::from_secs(300);
/// How many are remembered.
const MOST: usize = 4096;
/// How many passwords are checked at once.
const AT_ONCE: usize = 2;
/// The hash of no password: unknown names take as long as known ones.
const NOBODY: &str = "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";

type Users = HashMap<String, String>;

pub(super) struct Htpasswd {
    users: Watched<Users>,
    key: hmac::Key,
    right: Mutex<HashMap<Vec<u8>, Instant>>,
    checking: Arc<Semaphore>,
}

impl Htpasswd {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|why| Error::Setting(format!("random numbers: {why}")))?;
        Ok(Self {
            users: Watched::open(path, parse)?,
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
            right: Mutex::default(),
            checking: Arc::new(Semaphore::new(AT_ONCE)),
        })
    }

    /// Whether there is such a user.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.users.get().contains_key(name)
    }

    /// Whether this is the user's password.
    pub(super) async fn verify(&self, name: &str, password: &str) -> bool {
        let users = self.users.get();
        let hash = users.get(name);
        // The hash is part of what is remembered: a changed password is asked for at once.
        let said = format!("{name}\0{password}\0{}", hash.map_or("", String::as_str));
        let said = hmac::sign(&self.key, said.as_bytes()).as_ref().to_vec();
        if self.remembers(&said) {
            return true;
        }
        let Ok(_place) = self.checking.acquire().await else { return false };
        let (hash, password) = (hash.cloned(), password.to_owned());
        let checked = tokio::task::spawn_blocking(move || match hash {
            Some(hash) => bcrypt::verify(password, &hash).unwrap_or(false),
            None => {
                let _ = bcrypt::verify(password, NOBODY);
                false
            }
        });
        let right = checked.await.unwrap_or(false);
        if right {
            self.remember(said);
        }
        right
    }

    fn remembers(&self, said: &[u8]) -> bool {
        let right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        right.get(said).is_some_and(|since| since.elapsed() < REMEMBERED)
    }

    fn remember(&self, said: Vec<u8>) {
        let mut right = self.right.lock().unwrap_or_else(PoisonError::into_inner);
        if right.len() >= MOST {
            right.retain(|_, since| since.elapsed() < REMEMBERED);
        }
        if right.len() < MOST {
            right.insert(said, Instant::now());
        }
    }
}

fn parse(text: &str) -> Result<Users, String> {
    let mut users = HashMap::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        if line.starts_with('#') {
            continue;
        }
        let wrong = |why: &str| format!("line {}: {why}", number + 1);
        let (name, hash) = line.trim().split_once(':').ok_or_else(|| wrong("expected NAME:HASH"))?;
        let known = ["$2a$", "$2b$", "$2y$"].iter().any(|start| hash.starts_with(start));
        if !known || name.is_empty() {
            return Err(wrong("only bcrypt hashes are accepted (htpasswd -B)"));
        }
        users.insert(name.to_owned(), hash.to_owned());
    }
    Ok(users)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn passwords() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("htpasswd");
        let hash = bcrypt::hash("secret", 4).unwrap();
        std::fs::write(&file, format!("# users\nalice:{hash}\n")).unwrap();
        let users = Htpasswd::open(&file).unwrap();
        for (name, password, right) in [
            ("alice", "secret", true),
            ("alice", "secret", true),
            ("alice", "wrong", false),
            ("bob", "secret", false),
        ] {
            assert_eq!(users.verify(name, password).await, right, "{name} {password}");
        }
        assert!(users.knows("alice") && !users.knows("bob"));
        assert!(parse("alice:{SHA}x").unwrap_err().contains("bcrypt"));
        assert!(parse("alice").is_err());
        bcrypt::verify("x", NOBODY).unwrap();
    }
}
