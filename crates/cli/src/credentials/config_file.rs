//! `config.json`: read for credentials, changed in nothing else. It is replaced as a whole, never half-written, keeps
//! its owner and its rights, and a link to it stays a link.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use boxship_api::auth::AuthConfig;
use serde::Serialize;
use serde_json::{Map, Value};

use super::hostname;
use crate::failure::{Failure, Result};
use crate::values::environment::reason;

const AUTHS: &str = "auths";

/// The file's content.
pub struct ConfigFile {
    path: PathBuf,
    root: Map<String, Value>,
    trouble: Option<String>,
}

impl ConfigFile {
    /// Reads it; one that isn't there, or has nothing in it, is empty.
    pub fn load(path: &Path) -> ConfigFile {
        let (mut root, mut trouble) = (Map::new(), None);
        match fs::read(path) {
            Ok(bytes) if bytes.trim_ascii().is_empty() => {}
            Ok(bytes) => match serde_json::from_slice::<Option<_>>(&bytes) {
                Ok(read) => root = read.unwrap_or_default(),
                Err(error) => trouble = Some(format!("parsing config file ({}): {error}", path.display())),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                trouble = Some(format!("loading config file: open {}: {}", path.display(), reason(&error)));
            }
        }
        ConfigFile { path: path.to_owned(), root, trouble }
    }

    /// Why it couldn't be read.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// The program that keeps a registry's credentials.
    pub fn helper(&self, server: &str) -> Option<String> {
        let own = self.root.get("credHelpers").and_then(|helpers| helpers.get(server));
        let named = own.or(self.root.get("credsStore"))?.as_str()?;
        (!named.is_empty()).then(|| named.to_owned())
    }

    /// Whether it says anything about credentials.
    pub fn has_any(&self) -> bool {
        [AUTHS, "credsStore", "credHelpers"].iter().any(|key| match self.root.get(*key) {
            Some(Value::Object(map)) => !map.is_empty(),
            Some(Value::String(text)) => !text.is_empty(),
            _ => false,
        })
    }

    /// The credentials for a registry; older files have addresses where newer ones have names.
    pub fn get(&self, server: &str) -> AuthConfig {
        let Some(Value::Object(auths)) = self.root.get(AUTHS) else { return AuthConfig::default() };
        let older = || auths.iter().find(|(address, _)| hostname(address) == server).map(|(_, value)| value);
        let found = auths.get(server).or_else(older);
        found.map_or_else(AuthConfig::default, |value| decode(server, value))
    }

    /// Keeps credentials; gives the file when a password stands in it now that didn't before.
    pub fn store(&mut self, auth: &AuthConfig) -> Result<Option<PathBuf>> {
        let entry = encode(auth);
        let auths = self.root.entry(AUTHS).or_insert_with(|| Value::Object(Map::new()));
        if !auths.is_object() {
            *auths = Value::Object(Map::new());
        }
        if let Value::Object(auths) = auths {
            if auths.get(&auth.serveraddress) == Some(&entry) {
                return Ok(None);
            }
            auths.insert(auth.serveraddress.clone(), entry);
        }
        self.save()?;
        Ok((!auth.password.is_empty()).then(|| self.path.clone()))
    }

    /// Forgets the credentials for a registry.
    pub fn erase(&mut self, server: &str) -> Result<()> {
        let auths = self.root.get_mut(AUTHS).and_then(Value::as_object_mut);
        if auths.is_some_and(|auths| auths.remove(server).is_some()) { self.save() } else { Ok(()) }
    }

    fn save(&self) -> Result<()> {
        if let Some(trouble) = &self.trouble {
            return Err(Failure::new(format!("the configuration file is left as it is: {trouble}")));
        }
        self.replace()
            .map_err(|error| Failure::new(format!("write {}: {}", self.path.display(), reason(&error))))
    }

    fn replace(&self) -> std::io::Result<()> {
        let mut bytes = Vec::new();
        let tabs = serde_json::ser::PrettyFormatter::with_indent(b"\t");
        self.root.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, tabs))?;
        if let Some(folder) = self.path.parent() {
            let made = !folder.exists();
            fs::create_dir_all(folder)?;
            if made {
                fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
            }
        }
        let target = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let draft = target.with_extension(format!("json.{}", std::process::id()));
        let written = write(&draft, &bytes, &target).and_then(|()| fs::rename(&draft, &target));
        if written.is_err() {
            // The failure is told; a draft that stays does no harm.
            let _ = fs::remove_file(&draft);
        }
        written
    }
}

fn write(draft: &Path, bytes: &[u8], like: &Path) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(bytes)?;
    if let Ok(before) = fs::metadata(like) {
        file.set_permissions(before.permissions())?;
        // Only root can give a file away; for others it is theirs already.
        let _ = std::os::unix::fs::fchown(&file, Some(before.uid()), Some(before.gid()));
    }
    file.sync_all()
}

fn decode(server: &str, value: &Value) -> AuthConfig {
    let mut auth: AuthConfig = serde_json::from_value(value.clone()).unwrap_or_default();
    let plain = STANDARD.decode(&auth.auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    if let Some((user, password)) = plain.as_deref().and_then(|text| text.split_once(':')) {
        auth.username = user.to_owned();
        auth.password = password.trim_matches('\0').to_owned();
    }
    auth.auth.clear();
    auth.serveraddress = server.to_owned();
    auth
}

fn encode(auth: &AuthConfig) -> Value {
    let mut entry = Map::new();
    let mut put = |key: &str, text: String| {
        if !text.is_empty() {
            entry.insert(key.to_owned(), Value::String(text));
        }
    };
    if !auth.username.is_empty() || !auth.password.is_empty() {
        put("auth", STANDARD.encode(format!("{}:{}", auth.username, auth.password)));
    }
    put("identitytoken", auth.identitytoken.clone());
    put("registrytoken", auth.registrytoken.clone());
    Value::Object(entry)
}
