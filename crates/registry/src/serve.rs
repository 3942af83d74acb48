//! `boxship registry serve`: from settings to a running server, and its end.

use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::auth::{Access, AccessConfig};
use crate::error::{Error, Named, Result};
use crate::gc;
use crate::http::{App, server, tls};
use crate::mirror::{Mirror, MirrorConfig};
use crate::storage::{Storage, Uploads};

/// A server as it was asked for.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where it listens.
    pub address: SocketAddr,
    /// The storage folder; made when it is not there.
    pub storage: PathBuf,
    /// Certificate chain and key, PEM.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// Who may do what.
    pub access: AccessConfig,
    /// The registry whose content is served instead of pushed content.
    pub mirror: Option<MirrorConfig>,
    /// Whether nothing may be pushed or deleted.
    pub read_only: bool,
    /// The most bytes of a blob.
    pub largest_blob: u64,
    /// The most uploads at a time.
    pub most_uploads: usize,
    /// How long an upload may rest.
    pub upload_age: Duration,
    /// The most connections at a time.
    pub connections: usize,
    /// How long a client may keep a connection waiting.
    pub patience: Duration,
    /// How often what nobody needs is removed; never when it is zero.
    pub gc_interval: Duration,
    /// What is removed then.
    pub gc: gc::Policy,
}

/// Lets the log be written to standard error, as much as `level` says (`info` if it is no level).
pub fn open_log(level: &str) {
    let level = level.parse().unwrap_or(tracing::level_filters::LevelFilter::INFO);
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    // A process that has a log already (tests start several servers) keeps it.
    let _ = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(colours)
        .try_init();
}

/// A server that listens, and does nothing else yet.
pub struct Server {
    listener: TcpListener,
    tls: Option<tokio_rustls::TlsAcceptor>,
    app: Arc<App>,
    config: Config,
    _alone: File,
}

/// Serves until the process is told to end (SIGTERM, SIGINT).
pub fn run(config: Config) -> Result<()> {
    raise_descriptors();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(64)
        .thread_keep_alive(Duration::from_secs(5))
        .build()
        .map_err(|why| Error::Setting(format!("start the event loop: {why}")))?;
    runtime.block_on(async {
        let server = Server::bind(config).await?;
        tracing::info!(address = %server.address()?, "serving");
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(async move {
            let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
            if let (Ok(mut terminate), Ok(mut interrupt)) = signals {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            }
            tracing::info!("ending");
            let _ = stop.send(true);
        });
        server.serve(stopped).await;
        Ok(())
    })
}

/// Each connection and each file that is being read is one.
fn raise_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the number of open files could not be raised");
    }
}

impl Server {
    /// Reads what the settings name and listens.
    pub async fn bind(config: Config) -> Result<Self> {
        let tls = config.tls.as_ref().map(|(cert, key)| tls::acceptor(cert, key)).transpose()?;
        let access = Access::new(&config.access, tls.is_some())?;
        let storage = Arc::new(Storage::create(&config.storage)?);
        let alone = storage.serve_alone()?;
        let uploads = Arc::new(Uploads::new(storage.clone(), config.most_uploads, config.largest_blob)?);
        let mirror = match &config.mirror {
            Some(mirror) => Some(Arc::new(Mirror::new(mirror, storage.clone(), uploads.clone()).await?)),
            None => storage.belong_to(None).map(|()| None)?,
        };
        let listener = TcpListener::bind(config.address)
            .await
            .named("listen on", std::path::Path::new(&config.address.to_string()))?;
        let app = Arc::new(App {
            storage,
            uploads,
            access,
            mirror,
            read_only: config.read_only,
            patience: config.patience,
            pool: Arc::default(),
        });
        Ok(Self { listener, tls, app, config, _alone: alone })
    }

    /// Where it listens.
    pub fn address(&self) -> Result<SocketAddr> {
        self.listener.local_addr().named("listen on", std::path::Path::new("a socket"))
    }

    /// Serves until `stop` becomes true.
    pub async fn serve(self, stop: watch::Receiver<bool>) {
        let keeper = tokio::spawn(keep(self.app.clone(), self.config.clone()));
        server::serve(self.listener, self.tls, self.app, self.config.connections, stop).await;
        keeper.abort();
    }
}

/// How long to rest between two looks. Uploads are looked at often: they are what strangers can fill a disk with.
fn pause(upload_age: Duration, gc_interval: Duration) -> Duration {
    let asked = if gc_interval.is_zero() { upload_age } else { upload_age.min(gc_interval) };
    asked.clamp(Duration::from_secs(1), Duration::from_secs(600))
}

/// Removes what nobody needs, now and then.
async fn keep(app: Arc<App>, config: Config) {
    let step = pause(config.upload_age, config.gc_interval);
    let mut collected = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(step).await;
        let due = !config.gc_interval.is_zero() && collected.elapsed() >= config.gc_interval;
        if due {
            collected = tokio::time::Instant::now();
        }
        let (app, policy, age) = (app.clone(), config.gc.clone(), config.upload_age);
        let kept = tokio::task::spawn_blocking(move || {
            let expired = app.uploads.expire(age)?;
            let report = if due { Some(gc::collect(&app.storage, &policy)?) } else { None };
            Ok::<_, Error>((expired, report))
        });
        match kept.await {
            Ok(Ok((expired, report))) => {
                if expired > 0 {
                    tracing::info!(expired, "uploads that rested too long were removed");
                }
                if let Some(report) = report {
                    tracing::info!(%report, "collected");
                }
            }
            Ok(Err(error)) => tracing::error!(%error, "collection failed"),
            Err(error) => tracing::error!(%error, "collection failed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_come_as_often_as_the_shorter_interval_asks() {
        let second = Duration::from_secs;
        for (upload_age, gc_interval, expect) in
            [(86_400, 86_400, 600), (86_400, 60, 60), (30, 86_400, 30), (86_400, 0, 600), (0, 0, 1)]
        {
            assert_eq!(
                pause(second(upload_age), second(gc_interval)),
                second(expect),
                "{upload_age} {gc_interval}"
            );
        }
    }
}
