//! Configuration in two stages: `arguments` and `file` say exactly what was typed ([`Settings`]),
//! [`Config`] says what it means, checked. `directive` is the table both read.
//!
//! It must never touch the system beyond reading the named files: opening sockets and making folders
//! come later, so that `--validate` changes nothing.

mod arguments;
mod directive;
mod file;
mod help;
mod level;
mod network;
mod registries;
mod settings;
mod ulimit;

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub(crate) use help::text as help;
pub(crate) use level::Level;
use settings::Settings;

use crate::error::Error;
use crate::listen::Address;

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Wish {
    /// Run as configured.
    Run(Box<Config>),
    /// Only say whether the configuration is right.
    Validate,
    /// Print the usage.
    Help,
    /// Print the version.
    Version,
}

/// The daemon's configuration, resolved.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The flags alone: joined with the file anew at each reload.
    flags: Settings,
    /// Where to listen.
    pub hosts: Vec<Address>,
    /// The group of unix sockets, and whether it was asked for.
    pub group: (String, bool),
    /// Persistent state.
    pub data_root: PathBuf,
    /// State that a reboot may take.
    pub exec_root: PathBuf,
    /// Where the process id is written.
    pub pidfile: PathBuf,
    /// How much is logged.
    pub level: Level,
    /// TLS for TCP listeners.
    pub tls: Tls,
    /// Seconds open requests get at the end.
    pub shutdown_timeout: u64,
    /// Everything the engine wants to know.
    pub engine: boxship_engine::EngineConfig,
}

/// What the configuration says about TLS.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tls {
    /// Whether it is on; `None` if nobody said anything.
    pub enabled: Option<bool>,
    /// Whether clients must show a certificate.
    pub verify: bool,
    /// The authority of clients' certificates.
    pub ca: PathBuf,
    /// Our certificate chain.
    pub cert: PathBuf,
    /// Our key.
    pub key: PathBuf,
}

/// Read the arguments that follow `boxship daemon`, and the file they name.
pub(crate) fn read(args: Vec<OsString>) -> Result<Wish, Error> {
    let flags = arguments::parse(args)?;
    if flags.switch("help") == Some(true) {
        return Ok(Wish::Help);
    }
    if flags.switch("version") == Some(true) {
        return Ok(Wish::Version);
    }
    let validate = flags.switch("validate") == Some(true);
    let config = load(flags)?;
    Ok(if validate { Wish::Validate } else { Wish::Run(Box::new(config)) })
}

fn load(flags: Settings) -> Result<Config, Error> {
    let named = flags.text("config-file").map(PathBuf::from);
    let path = named.clone().unwrap_or_else(|| file::DEFAULT_PATH.into());
    let joined = Settings::join(flags.clone(), file::read(&path, named.is_some())?)?;
    resolve(&joined, flags)
}

impl Config {
    /// The configuration as the file says it now (SIGHUP).
    pub(crate) fn reload(&self) -> Result<Config, Error> {
        load(self.flags.clone())
    }
}

fn resolve(settings: &Settings, flags: Settings) -> Result<Config, Error> {
    let path = |name: &str, default: &str| absolute(name, settings.text(name).unwrap_or(default));
    let exec_root = path("exec-root", "/run/boxship")?;
    let tls = tls(settings)?;
    if settings.switch("live-restore") == Some(false) {
        return Err(wrong("live-restore can't be turned off: containers always run on without the daemon"));
    }
    Ok(Config {
        hosts: hosts(settings, &tls)?,
        group: match settings.text("group") {
            Some(group) => (group.to_owned(), true),
            None => ("docker".to_owned(), false),
        },
        data_root: path("data-root", "/var/lib/boxship")?,
        pidfile: match settings.text("pidfile") {
            Some(pidfile) => absolute("pidfile", pidfile)?,
            None => exec_root.with_extension("pid"),
        },
        level: level(settings)?,
        shutdown_timeout: number(settings, "shutdown-timeout", 15)?,
        engine: engine(settings, &path("data-root", "/var/lib/boxship")?, &exec_root)?,
        exec_root,
        tls,
        flags,
    })
}

fn hosts(settings: &Settings, tls: &Tls) -> Result<Vec<Address>, Error> {
    let given = settings.list("hosts");
    if given.is_empty() {
        return Ok(vec![Address::Unix("/run/boxship.sock".into())]);
    }
    let parse = |host: &String| {
        let address = Address::parse(host, tls.is_on()).map_err(wrong)?;
        if let Address::Tcp(socket) = &address {
            crate::listen::refuse_open_door(*socket, tls)?;
        }
        Ok(address)
    };
    given.iter().map(parse).collect()
}

fn level(settings: &Settings) -> Result<Level, Error> {
    let level = settings.text("log-level").map_or(Ok(Level::Info), Level::parse).map_err(wrong)?;
    Ok(if settings.switch("debug") == Some(true) { Level::Debug } else { level })
}

fn tls(settings: &Settings) -> Result<Tls, Error> {
    let verify = settings.switch("tlsverify") == Some(true);
    let enabled = settings.switch("tls");
    if verify && enabled == Some(false) {
        return Err(wrong("tlsverify needs TLS, which tls=false turns off"));
    }
    let folder = std::env::var_os("DOCKER_CERT_PATH").map(PathBuf::from).unwrap_or_else(|| {
        Path::new(&std::env::var_os("HOME").unwrap_or_else(|| "/root".into())).join(".docker")
    });
    let file =
        |name: &str, default: &str| settings.text(name).map_or_else(|| folder.join(default), PathBuf::from);
    Ok(Tls {
        enabled: if verify { Some(true) } else { enabled },
        verify,
        ca: file("tlscacert", "ca.pem"),
        cert: file("tlscert", "cert.pem"),
        key: file("tlskey", "key.pem"),
    })
}

impl Tls {
    /// Whether TCP listeners speak TLS.
    pub(crate) fn is_on(&self) -> bool {
        self.enabled == Some(true)
    }
}

fn engine(
    settings: &Settings,
    data_root: &Path,
    exec_root: &Path,
) -> Result<boxship_engine::EngineConfig, Error> {
    let defaults = boxship_engine::EngineConfig::default();
    let text = |name: &str, default: &str| settings.text(name).unwrap_or(default).to_owned();
    let mut config = boxship_engine::EngineConfig {
        data_root: data_root.to_owned(),
        exec_root: exec_root.to_owned(),
        labels: labels(settings)?,
        debug: settings.switch("debug") == Some(true),
        log_driver: one_of("log-driver", text("log-driver", "json-file"), &["json-file", "local", "none"])?,
        log_opts: log_opts(settings)?,
        default_ulimits: ulimits(settings)?,
        default_shm_size: match settings.text("default-shm-size") {
            Some(size) => boxship_oci::go::size(size, 1024).map_err(wrong)?,
            None => defaults.default_shm_size,
        },
        default_ipc_mode: one_of(
            "default-ipc-mode",
            text("default-ipc-mode", "private"),
            &["private", "shareable"],
        )?,
        default_cgroupns_mode: one_of(
            "default-cgroupns-mode",
            text("default-cgroupns-mode", ""),
            &["", "private", "host"],
        )?,
        init: settings.switch("init") == Some(true),
        seccomp_profile: match settings.text("seccomp-profile") {
            None | Some("builtin") => String::new(),
            Some(profile) => profile.to_owned(),
        },
        no_new_privileges: settings.switch("no-new-privileges") == Some(true),
        network: network::resolve(settings)?,
        dns: dns(settings)?,
        dns_search: settings.list("dns-search"),
        dns_opts: settings.list("dns-opts"),
        git_commit: option_env!("BOXSHIP_GIT_COMMIT").unwrap_or_default().to_owned(),
        build_time: option_env!("BOXSHIP_BUILD_TIME").unwrap_or_default().to_owned(),
        ..defaults
    };
    registries::resolve(settings, &mut config)?;
    Ok(config)
}

fn labels(settings: &Settings) -> Result<Vec<String>, Error> {
    let labels = settings.list("labels");
    match labels.iter().find(|label| !label.contains('=') || label.starts_with('=')) {
        Some(label) => Err(wrong(format!("bad attribute format: {label}"))),
        None => Ok(labels),
    }
}

fn dns(settings: &Settings) -> Result<Vec<String>, Error> {
    let servers = settings.list("dns");
    match servers.iter().find(|server| server.parse::<std::net::IpAddr>().is_err()) {
        Some(server) => Err(wrong(format!("{server} is not an ip address"))),
        None => Ok(servers),
    }
}

fn log_opts(settings: &Settings) -> Result<HashMap<String, String>, Error> {
    let pairs = settings.pairs("log-opts").into_iter().flatten();
    pairs
        .map(|(name, value)| match value.as_str() {
            Some(value) => Ok((name.clone(), value.to_owned())),
            None => Err(wrong(format!("log-opts: the value of {name} must be a text"))),
        })
        .collect()
}

fn ulimits(settings: &Settings) -> Result<BTreeMap<String, boxship_api::container::Ulimit>, Error> {
    let pairs = settings.pairs("default-ulimits").into_iter().flatten();
    pairs.map(|(name, value)| Ok((name.clone(), ulimit::parse(name, value).map_err(wrong)?))).collect()
}

fn one_of(name: &str, value: String, allowed: &[&str]) -> Result<String, Error> {
    if allowed.contains(&value.as_str()) {
        return Ok(value);
    }
    let allowed: Vec<&str> = allowed.iter().copied().filter(|name| !name.is_empty()).collect();
    Err(wrong(format!("{name} {value:?} is not supported: it is one of {}", allowed.join(", "))))
}

fn number(settings: &Settings, name: &str, default: u64) -> Result<u64, Error> {
    let number = settings.number(name).map_or(Ok(default), u64::try_from);
    number.map_err(|_| wrong(format!("{name} must not be negative")))
}

fn absolute(name: &str, path: &str) -> Result<PathBuf, Error> {
    if path.is_empty() {
        return Err(wrong(format!("{name} must not be empty")));
    }
    std::path::absolute(path).map_err(|error| wrong(format!("{name} {path:?}: {error}")))
}

fn wrong(why: impl Into<String>) -> Error {
    Error::Configuration { why: why.into() }
}

#[cfg(test)]
mod tests;
