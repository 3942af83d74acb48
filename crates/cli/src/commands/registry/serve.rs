//! `registry serve`: a registry, in the foreground.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use boxship_distribution::{Credentials, FOLDERS, Hosts};
use boxship_registry::{AccessConfig, Anonymous, Config, MirrorConfig, gc};

use super::{STORAGE, check_count, check_period, failed, given_count, given_period, storage_path};
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::invocation::Invocation;
use crate::values::size;

/// `registry serve`.
pub const SERVE: Command = Command {
    name: "serve",
    usage: "[OPTIONS]",
    about: "Serve a registry in the foreground",
    operands: Operands::None,
    mixed: true,
    flags: &[
        Flag::value("address", "string", "Address and port to listen on")
            .short('a')
            .default("127.0.0.1:5000"),
        STORAGE,
        Flag::value("tls-cert", "string", "Certificate chain of the server (PEM)"),
        Flag::value("tls-key", "string", "Key of the certificate (PEM)"),
        Flag::value("htpasswd", "string", "File of users and bcrypt hashes (htpasswd -B)"),
        Flag::value(
            "rights",
            "string",
            "File of lines \"USER REPOSITORIES pull,push,delete\" (\"anonymous\", \"*\", globs)",
        ),
        Flag::value(
            "anonymous",
            "string",
            "What callers without a name may do (\"none\", \"pull\", \"push\", \"all\")",
        )
        .check(check_anonymous),
        Flag::value("token-key", "string", "Public keys of another token service (PEM or JWK set)"),
        Flag::value("token-realm", "string", "Where clients get tokens of that service"),
        Flag::value("token-service", "string", "The name of this registry in its tokens"),
        Flag::value("token-issuer", "string", "The name of the service in its tokens"),
        Flag::value(
            "public-url",
            "string",
            "URL by which clients reach the registry, when it is behind a proxy",
        ),
        Flag::value(
            "mirror",
            "string",
            "Serve what the registry at this URL has, keeping what was asked for",
        ),
        Flag::value("mirror-username", "string", "User of the mirrored registry"),
        Flag::value("mirror-password-file", "string", "File with the password of that user"),
        Flag::value("mirror-keep", "duration", "Keep what was asked for within this time (0 for all)")
            .default("7d")
            .check(check_period),
        Flag::switch("read-only", "Refuse to push and delete"),
        Flag::value("max-blob-size", "bytes", "Largest blob").default("100g").check(size::check),
        Flag::value("max-uploads", "int", "Most uploads at a time").default("1000").check(check_count),
        Flag::value("max-connections", "int", "Most connections at a time")
            .default("4096")
            .check(check_count),
        Flag::value("upload-age", "duration", "Remove uploads that have rested for so long")
            .default("24h")
            .check(check_period),
        Flag::value("timeout", "duration", "Cut clients that keep a connection waiting for so long")
            .default("1m")
            .check(check_period),
        Flag::value("gc-interval", "duration", "Remove unused blobs so often (0 for never)")
            .default("24h")
            .check(check_period),
        Flag::value("log-level", "string", "How much to tell (debug, info, warn, error)")
            .default("info")
            .check(check_level),
    ],
    shared: super::gc::RULES,
    aliases: &[],
    action: action!(serve),
};

async fn serve(invocation: &Invocation) -> Result<u8> {
    let config = config(invocation)?;
    let level = invocation.parsed.text("log-level").and_then(level).unwrap_or("info");
    // A server has threads of its own; this one only waits for it.
    let level = level.to_string();
    let server = std::thread::spawn(move || {
        boxship_registry::open_log(&level);
        boxship_registry::run(config)
    });
    match server.join() {
        Ok(done) => done.map(|()| 0).map_err(failed),
        Err(_) => Err(Failure::new("the server failed")),
    }
}

/// What the flags ask for.
fn config(invocation: &Invocation) -> Result<Config> {
    let parsed = &invocation.parsed;
    let path = |flag: &str| parsed.filled(flag).map(PathBuf::from);
    let tls = match (path("tls-cert"), path("tls-key")) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        _ => return Err(Failure::new("--tls-cert and --tls-key go together")),
    };
    let address = parsed.filled("address").unwrap_or_else(|| "127.0.0.1:5000".into());
    let access = AccessConfig {
        htpasswd: path("htpasswd"),
        rights: path("rights"),
        token_keys: path("token-key"),
        token_realm: parsed.filled("token-realm"),
        token_service: parsed.filled("token-service"),
        token_issuer: parsed.filled("token-issuer"),
        anonymous: parsed.text("anonymous").and_then(anonymous),
        public_url: parsed.filled("public-url"),
    };
    let seconds = Duration::from_secs;
    Ok(Config {
        address: listen_on(&address)?,
        storage: storage_path(invocation).into(),
        tls,
        access,
        mirror: mirror(invocation)?,
        read_only: parsed.on("read-only"),
        largest_blob: parsed
            .text("max-blob-size")
            .and_then(|text| size::parse(text).ok())
            .map_or(100 << 30, i64::unsigned_abs),
        most_uploads: given_count(invocation, "max-uploads").unwrap_or(1000),
        upload_age: given_period(invocation, "upload-age").unwrap_or(seconds(24 * 3600)),
        connections: given_count(invocation, "max-connections").unwrap_or(4096).max(1),
        patience: given_period(invocation, "timeout").filter(|time| !time.is_zero()).unwrap_or(seconds(60)),
        gc_interval: given_period(invocation, "gc-interval").unwrap_or(seconds(24 * 3600)),
        gc: kept(invocation)?,
    })
}

/// What is mirrored.
fn mirror(invocation: &Invocation) -> Result<Option<MirrorConfig>> {
    let parsed = &invocation.parsed;
    let (user, file) = (parsed.filled("mirror-username"), parsed.filled("mirror-password-file"));
    let Some(url) = parsed.filled("mirror") else {
        let lost = ["mirror-username", "mirror-password-file", "mirror-keep"];
        return match lost.iter().find(|flag| parsed.given(flag)) {
            None => Ok(None),
            Some(flag) => Err(Failure::new(format!("--{flag} needs --mirror"))),
        };
    };
    let credentials = match (user, file) {
        (None, None) => Credentials::Anonymous,
        (Some(user), Some(file)) => {
            let text = std::fs::read_to_string(&file)
                .map_err(|why| Failure::new(format!("read --mirror-password-file {file}: {why}")))?;
            Credentials::Password { user, password: text.trim_end_matches(['\r', '\n']).to_owned() }
        }
        _ => return Err(Failure::new("--mirror-username and --mirror-password-file go together")),
    };
    let hosts = Hosts { folders: FOLDERS.iter().map(PathBuf::from).collect(), ..Hosts::default() };
    let proxies = crate::commands::proxies()?;
    Ok(Some(MirrorConfig { url, credentials, hosts, proxies }))
}

/// What collection leaves. Of a mirror, what is used: its tags' times are those of their last use.
fn kept(invocation: &Invocation) -> Result<gc::Policy> {
    let parsed = &invocation.parsed;
    let policy = gc::Policy { dry_run: false, ..super::gc::policy(invocation) };
    if parsed.filled("mirror").is_none() {
        return Ok(policy);
    }
    if let Some(flag) = super::gc::RULES.iter().map(|flag| flag.name).find(|flag| parsed.given(flag)) {
        let why = format!("--{flag} is for pushed images: what a mirror keeps, --mirror-keep says");
        return Err(Failure::new(why));
    }
    let keep = given_period(invocation, "mirror-keep").filter(|keep| !keep.is_zero());
    Ok(match keep {
        None => gc::Policy { grace: Duration::MAX, ..policy },
        Some(keep) => gc::Policy { grace: keep, keep_age: Some(keep), untagged: true, ..policy },
    })
}

/// `HOST:PORT` or `:PORT`. Names are not looked up: which of its addresses was meant would be a guess.
fn listen_on(text: &str) -> Result<SocketAddr> {
    let whole = match text.strip_prefix(':') {
        Some(port) => format!("[::]:{port}"),
        None => text.replacen("localhost:", "127.0.0.1:", 1),
    };
    whole.parse().map_err(|_| Failure::new(format!("--address {text}: expected an IP address and a port")))
}

fn check_anonymous(text: &str) -> std::result::Result<(), String> {
    anonymous(text).map(drop).ok_or_else(|| "must be one of: none, pull, push, all".into())
}

fn anonymous(text: &str) -> Option<Anonymous> {
    Some(match text {
        "none" => Anonymous::Nothing,
        "pull" => Anonymous::Pull,
        "push" => Anonymous::Push,
        "all" => Anonymous::Everything,
        _ => return None,
    })
}

fn check_level(text: &str) -> std::result::Result<(), String> {
    level(text).map(drop).ok_or_else(|| "must be one of: debug, info, warn, error".into())
}

fn level(text: &str) -> Option<&str> {
    ["trace", "debug", "info", "warn", "error"].into_iter().find(|level| *level == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags;
    use crate::globals::Globals;

    fn read(line: &str) -> Result<Config> {
        let words: Vec<String> = line.split_whitespace().map(String::from).collect();
        let parsed = flags::parse(&SERVE.all_flags(), true, &words)?;
        config(&Invocation::new("boxship".into(), "registry serve".into(), parsed, Globals::default()))
    }

    #[test]
    fn flags_become_settings() {
        let config = read("").unwrap();
        assert_eq!(config.address.to_string(), "127.0.0.1:5000");
        assert_eq!(config.storage.to_str(), Some("/var/lib/boxship-registry"));
        assert_eq!(config.gc.grace, Duration::from_secs(24 * 3600));
        let line = "-a :443 -s /x --tls-cert c --tls-key k --anonymous pull --keep-tags 3 --older-than 30d --untagged \
                    --timeout 5s --max-blob-size 1g";
        let config = read(line).unwrap();
        assert_eq!(config.address.to_string(), "[::]:443");
        assert_eq!(config.access.anonymous, Some(Anonymous::Pull));
        assert_eq!((config.gc.keep_tags, config.gc.untagged), (Some(3), true));
        assert_eq!(config.gc.keep_age, Some(Duration::from_secs(30 * 86_400)));
        assert_eq!(config.largest_blob, 1 << 30);
        assert!(config.mirror.is_none());
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("password");
        std::fs::write(&password, "secret\n").unwrap();
        let line = format!(
            "--mirror https://r.example --mirror-username u --mirror-password-file {} --mirror-keep 2d",
            password.display()
        );
        let config = read(&line).unwrap();
        let credentials = Credentials::Password { user: "u".into(), password: "secret".into() };
        assert!(config.mirror.is_some_and(|mirror| mirror.credentials == credentials));
        assert_eq!((config.gc.grace, config.gc.untagged), (Duration::from_secs(2 * 86_400), true));
        assert_eq!(read("--mirror http://r --mirror-keep 0").unwrap().gc.keep_age, None);
        for bad in [
            "--mirror-username u",
            "--mirror http://r --mirror-username u",
            "--mirror http://r --keep-tags 3",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
        for bad in
            ["--tls-cert c", "--address example.com:1", "--anonymous some", "--timeout x", "--max-uploads -1"]
        {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
