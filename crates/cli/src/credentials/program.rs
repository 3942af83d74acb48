//! Programs that keep credentials (`docker-credential-NAME`): `get`, `store` and `erase`, told and answered over
//! standard input and output.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use boxship_api::auth::AuthConfig;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Result};

const PREFIX: &str = "docker-credential-";
/// The user's name that stands for an identity token.
const TOKEN: &str = "<token>";
/// How helpers say that they have nothing.
const NOT_FOUND: &str = "credentials not found in native keychain";
/// What a helper may answer.
const ANSWER: u64 = 1 << 20;

/// One such program.
pub struct Program {
    name: String,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Entry {
    #[serde(rename = "ServerURL")]
    server: String,
    username: String,
    secret: String,
}

impl Program {
    /// The one of this name.
    pub fn new(name: &str) -> Program {
        Program { name: format!("{PREFIX}{name}") }
    }

    /// What it keeps for a registry.
    pub fn get(&self, server: &str) -> Result<Option<AuthConfig>> {
        let answer = match self.ask("get", server.as_bytes()) {
            Ok(answer) => answer,
            Err((_, out)) if out == NOT_FOUND => return Ok(None),
            Err(why) => return Err(failed("getting", &why)),
        };
        let entry: Entry = serde_json::from_str(&answer).map_err(|error| {
            Failure::new(format!("error getting credentials from {}: {error}", self.name))
        })?;
        let mut auth = AuthConfig { serveraddress: server.to_owned(), ..AuthConfig::default() };
        match entry.username == TOKEN {
            true => auth.identitytoken = entry.secret,
            false => (auth.username, auth.password) = (entry.username, entry.secret),
        }
        Ok(Some(auth))
    }

    /// Has it keep credentials.
    pub fn store(&self, auth: &AuthConfig) -> Result<()> {
        let (username, secret) = match auth.identitytoken.is_empty() {
            true => (auth.username.clone(), auth.password.clone()),
            false => (TOKEN.to_owned(), auth.identitytoken.clone()),
        };
        let entry = Entry { server: auth.serveraddress.clone(), username, secret };
        let told = serde_json::to_vec(&entry).map_err(|error| Failure::new(error.to_string()))?;
        self.ask("store", &told).map(drop).map_err(|why| failed("storing", &why))
    }

    /// Has it forget.
    pub fn erase(&self, server: &str) -> Result<()> {
        match self.ask("erase", server.as_bytes()) {
            Err((_, out)) if out == NOT_FOUND => Ok(()),
            outcome => outcome.map(drop).map_err(|why| failed("erasing", &why)),
        }
    }

    /// Its answer; on failure why, and what it had said.
    fn ask(&self, verb: &str, told: &[u8]) -> std::result::Result<String, (String, String)> {
        let mut command = Command::new(&self.name);
        command.arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped());
        // A name with a slash would be a path of the current folder's choice.
        if self.name.contains('/') {
            return Err((format!("invalid name of a credential helper: {:?}", self.name), String::new()));
        }
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let why = format!("exec: {:?}: executable file not found in $PATH", self.name);
                return Err((why, String::new()));
            }
            Err(error) => return Err((error.to_string(), String::new())),
        };
        if let Some(mut input) = child.stdin.take() {
            // One that doesn't listen says why in its answer.
            let _ = input.write_all(told);
        }
        let mut out = Vec::new();
        if let Some(output) = child.stdout.take() {
            output.take(ANSWER).read_to_end(&mut out).map_err(|error| (error.to_string(), String::new()))?;
        }
        let status = child.wait().map_err(|error| (error.to_string(), String::new()))?;
        let out = String::from_utf8_lossy(&out).trim().to_owned();
        if status.success() {
            Ok(out)
        } else {
            Err((status.to_string().replace("exit status:", "exit status"), out))
        }
    }
}

fn failed(doing: &str, (why, out): &(String, String)) -> Failure {
    Failure::new(format!("error {doing} credentials - err: {why}, out: `{out}`"))
}

/// The helper that is used when the file says nothing, if it is there: of `pass` where that is, else of the desktop.
pub fn usual() -> Option<String> {
    let path = std::env::var_os("PATH")?;
    let there = |program: &str| std::env::split_paths(&path).any(|folder| is_program(&folder.join(program)));
    let name = if there("pass") { "pass" } else { "secretservice" };
    there(&format!("{PREFIX}{name}")).then(|| name.to_owned())
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
