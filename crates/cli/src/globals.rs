//! The flags before the command, the environment, and the client that they describe.

use std::env;
use std::path::PathBuf;

use boxship_client::{Address, Client, TlsFiles};

use crate::autostart;
use crate::failure::{Failure, Result};
use crate::flags::{Flag, Parsed};

/// Where the daemon listens unless something else is said.
pub const DEFAULT_SOCKET: &str = "/run/boxship.sock";

/// The flags before the command.
pub const FLAGS: &[Flag] = &[
    Flag::value("config", "string", "Folder of the client's configuration").default("~/.docker"),
    Flag::value("context", "string", "Name of the context to use (only \"default\" is there)").short('c'),
    Flag::switch("debug", "Tell more").short('D'),
    Flag::value("host", "string", "Daemon to speak to: unix://, tcp:// or ssh://").short('H'),
    Flag::value("log-level", "string", "How much to tell (debug, info, warn, error, fatal)")
        .short('l')
        .default("info"),
    Flag::switch("tls", "Use TLS; implied by --tlsverify"),
    Flag::value("tlscacert", "string", "Trust certificates signed by this CA only")
        .default("~/.docker/ca.pem"),
    Flag::value("tlscert", "string", "TLS certificate to show").default("~/.docker/cert.pem"),
    Flag::value("tlskey", "string", "Key of the TLS certificate").default("~/.docker/key.pem"),
    Flag::switch("tlsverify", "Use TLS and verify the daemon's certificate"),
    Flag::switch("version", "Print the version and end").short('v'),
    Flag::switch("help", "Print usage").short('h'),
];

/// What was said before the command.
#[derive(Debug, Default)]
pub struct Globals {
    parsed: Parsed,
}

impl Globals {
    /// Takes over the parsed flags.
    pub fn new(parsed: Parsed) -> Globals {
        Globals { parsed }
    }

    /// Judges what only running a command asks for: the name of the level.
    pub fn check(&self) -> Result<()> {
        const LEVELS: &[&str] = &["trace", "debug", "info", "warn", "warning", "error", "fatal", "panic"];
        match self.parsed.filled("log-level") {
            Some(level) if !LEVELS.contains(&level.to_ascii_lowercase().as_str()) => {
                Err(Failure::new(format!("Unable to parse logging level: {level}")))
            }
            _ => Ok(()),
        }
    }

    /// The parsed flags.
    pub fn parsed(&self) -> &Parsed {
        &self.parsed
    }

    /// The folder of the client's configuration: `--config`, `DOCKER_CONFIG`, else `~/.docker`.
    pub fn config_folder(&self) -> PathBuf {
        let home = || PathBuf::from(env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".docker");
        let named = self.parsed.filled("config").or_else(|| env::var("DOCKER_CONFIG").ok());
        named.map_or_else(home, PathBuf::from)
    }

    /// The address that was asked for, if any: `-H`, `BOXSHIP_HOST`, `DOCKER_HOST`.
    fn wanted(&self) -> Option<String> {
        let variable = |name| env::var(name).ok().filter(|value: &String| !value.is_empty());
        self.parsed.filled("host").or_else(|| variable("BOXSHIP_HOST")).or_else(|| variable("DOCKER_HOST"))
    }

    /// A client of the daemon that was asked for, or of the one at the default socket, which is started when there
    /// is none.
    pub async fn client(&self, program: &str) -> Result<Client> {
        let context = self.parsed.filled("context").or_else(|| env::var("DOCKER_CONTEXT").ok());
        if let Some(name) = context.filter(|name| name != "default" && !name.is_empty()) {
            return Err(Failure::new(format!(
                "context {name:?} not found: {program} keeps no contexts; name the daemon with -H or DOCKER_HOST"
            )));
        }
        let version = match env::var("DOCKER_API_VERSION") {
            Ok(text) if !text.is_empty() => {
                let version = text.trim_start_matches('v').parse();
                Some(version.map_err(|e| Failure::new(format!("DOCKER_API_VERSION {text:?}: {e}")))?)
            }
            _ => None,
        };
        let address = match self.wanted() {
            Some(text) => text.parse::<Address>()?,
            None => Address::Unix(DEFAULT_SOCKET.into()),
        };
        let usual = address == Address::Unix(DEFAULT_SOCKET.into());
        if usual {
            autostart::ensure(program).await?;
        }
        let client = Client::new(address, self.tls(), version);
        if !usual {
            return Ok(client);
        }
        // A daemon on its way out may have taken the connection that showed it: asked again, there is another.
        let program = program.to_string();
        Ok(client.reviving(move || Box::pin(async move { autostart::ensure(&program).await.is_ok() })))
    }

    fn tls(&self) -> Option<TlsFiles> {
        let verify = self
            .parsed
            .on_or("tlsverify", env::var("DOCKER_TLS_VERIFY").is_ok_and(|value| !value.is_empty()));
        if !verify && !self.parsed.on_or("tls", env::var("DOCKER_TLS").is_ok_and(|value| !value.is_empty())) {
            return None;
        }
        let folder = env::var_os("DOCKER_CERT_PATH").filter(|path| !path.is_empty());
        let folder = folder.map_or_else(|| self.config_folder(), PathBuf::from);
        let file = |flag, name| self.parsed.filled(flag).map_or_else(|| folder.join(name), PathBuf::from);
        Some(TlsFiles {
            ca: file("tlscacert", "ca.pem"),
            cert: file("tlscert", "cert.pem"),
            key: file("tlskey", "key.pem"),
            verify,
        })
    }
}
