//! Credentials for registries as the user keeps them: in `config.json` of the client's configuration, or in a program
//! that the file names (`credsStore`, `credHelpers`). Both are Docker's, so whoever has logged in with `docker` is
//! logged in here, and the other way round.
//!
//! Passwords are never printed, and never in an argument or the environment of another program.

mod config_file;
mod program;

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use boxship_api::auth::AuthConfig;
use boxship_oci::reference::DEFAULT_DOMAIN;

use crate::failure::{Failure, Result};
use config_file::ConfigFile;
use program::Program;

/// What Docker's Hub is called where credentials are kept.
pub const HUB: &str = "https://index.docker.io/v1/";

/// A user's credentials.
pub struct Credentials {
    file: ConfigFile,
}

impl Credentials {
    /// Those that the configuration in `folder` describes. A file that can't be read is told and taken for empty.
    pub fn open(folder: &Path) -> Credentials {
        let file = ConfigFile::load(&folder.join("config.json"));
        if let Some(why) = file.trouble() {
            eprintln!("WARNING: Error {why}");
        }
        Credentials { file }
    }

    /// What is kept for a registry; empty when nothing is.
    pub fn get(&self, server: &str) -> Result<AuthConfig> {
        let Some(program) = self.program(server) else { return Ok(self.file.get(server)) };
        Ok(program.get(server)?.unwrap_or_default())
    }

    /// Keeps credentials for the registry that they name. Gives the file in which they stand in the clear, if so.
    pub fn store(&mut self, auth: &AuthConfig) -> Result<Option<PathBuf>> {
        match self.program(&auth.serveraddress) {
            None => self.file.store(auth),
            Some(program) => {
                program.store(auth)?;
                // The name stays in the file: it shows where one is logged in.
                let name = AuthConfig { serveraddress: auth.serveraddress.clone(), ..AuthConfig::default() };
                self.file.store(&name).map(|_| None)
            }
        }
    }

    /// Forgets those for a registry; that there are none is fine.
    pub fn erase(&mut self, server: &str) -> Result<()> {
        if let Some(program) = self.program(server) {
            program.erase(server)?;
        }
        self.file.erase(server)
    }

    /// The credentials for a registry by its domain, as requests to the daemon carry them.
    pub fn header(&self, domain: &str) -> Result<String> {
        encode(&self.get(key(domain))?)
    }

    fn program(&self, server: &str) -> Option<Program> {
        let name =
            self.file.helper(server).or_else(|| (!self.file.has_any()).then(program::usual).flatten())?;
        Some(Program::new(&name))
    }
}

/// What credentials for a registry are kept under.
pub fn key(domain: &str) -> &str {
    if domain == DEFAULT_DOMAIN || domain == "index.docker.io" { HUB } else { domain }
}

/// The host of an address that may have a scheme and a path.
pub fn hostname(address: &str) -> &str {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

/// Credentials as a header carries them.
pub fn encode(auth: &AuthConfig) -> Result<String> {
    let json = serde_json::to_vec(auth).map_err(|error| Failure::new(error.to_string()))?;
    Ok(URL_SAFE.encode(json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_hosts() {
        assert_eq!(key("docker.io"), HUB);
        assert_eq!(key("localhost:5000"), "localhost:5000");
        for (address, host) in [
            ("https://reg.example:5000/v2/", "reg.example:5000"),
            ("reg.example/x", "reg.example"),
            ("a", "a"),
        ] {
            assert_eq!(hostname(address), host);
        }
        assert_eq!(encode(&AuthConfig::default()).map_err(|f| f.message()).unwrap(), "e30=");
    }

    #[test]
    fn files_without_content_are_empty_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let auth = AuthConfig { serveraddress: "reg.example".into(), ..AuthConfig::default() };
        for (content, trouble) in
            [("", false), (" \n", false), ("null", false), ("{}", false), ("{", true), ("[]", true)]
        {
            std::fs::write(&path, content).unwrap();
            let mut file = ConfigFile::load(&path);
            assert_eq!(
                (file.trouble().is_some(), file.store(&auth).is_err()),
                (trouble, trouble),
                "{content:?}"
            );
        }
    }

    #[test]
    fn kept_in_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let before = "{\"HttpHeaders\": {\"a\": \"b\"}, \"credHelpers\": {\"with.helper\": \"x\"}, \"auths\": \
                      {\"https://old.example/v1/\": {\"auth\": \"dTpwOnc=\"}}}";
        std::fs::write(&path, before).unwrap();
        let open = || Credentials::open(folder.path());
        let old = open().get("old.example").map_err(|f| f.message()).unwrap();
        assert_eq!((old.username.as_str(), old.password.as_str()), ("u", "p:w"));
        let auth = AuthConfig {
            username: "me".into(),
            password: "secret".into(),
            serveraddress: "reg.example".into(),
            ..AuthConfig::default()
        };
        let in_the_clear = open().store(&auth).map_err(|f| f.message()).unwrap();
        assert_eq!(in_the_clear.as_deref(), Some(path.as_path()));
        assert_eq!(open().store(&auth).map_err(|f| f.message()).unwrap(), None, "nothing has changed");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("\"reg.example\": {\n\t\t\t\"auth\": \"bWU6c2VjcmV0\"\n\t\t}"), "{text}");
        assert!(text.contains("HttpHeaders") && !text.contains("secret"), "{text}");
        assert_eq!(open().get("reg.example").map_err(|f| f.message()).unwrap(), auth);
        open().erase("reg.example").map_err(|f| f.message()).unwrap();
        assert_eq!(open().get("reg.example").map_err(|f| f.message()).unwrap(), AuthConfig::default());
    }

    #[test]
    fn a_broken_file_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, "{\"auths\": ").unwrap();
        let auth = AuthConfig { serveraddress: "a".into(), username: "u".into(), ..AuthConfig::default() };
        assert!(ConfigFile::load(&path).store(&auth).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"auths\": ");
    }
}
