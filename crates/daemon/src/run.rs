//! The daemon's life: check, lock, open, serve, and at the end let go of everything but the containers.

use std::sync::Arc;
use std::time::Duration;

use boxship_api::container::Ulimit;
use boxship_engine::Engine;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::config::Config;
use crate::error::Error;
use crate::http::call::Reloadable;
use crate::http::{App, server};
use crate::listen::{self, Listener};
use crate::log::Log;
use crate::{guard, notify};

/// Two are enough for what is mostly waiting, and each has a stack.
const WORKERS: usize = 2;

/// Threads for work that blocks, at most.
const BLOCKING: usize = 64;

/// Run as configured until a signal ends it.
pub(crate) fn run(mut config: Config) -> Result<(), Error> {
    let log = crate::log::open(config.level);
    raise_open_files(&mut config);
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(BLOCKING)
        .thread_keep_alive(Duration::from_secs(5))
        .enable_all()
        .build()
        .map_err(|source| Error::Process { operation: "start threads", source })?;
    let outcome = runtime.block_on(live(config, log));
    // What was acknowledged is on disk by now; a thread that sleeps or hangs must not hold up the end.
    runtime.shutdown_timeout(Duration::from_millis(100));
    outcome
}

/// Every published port, connection and forwarded query for a name is an open file, and the usual limit is 1024: some
/// hundred ports would leave none to answer the API with. Containers keep the limit as it was.
fn raise_open_files(config: &mut Config) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let before = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: before.maximum, ..before }) {
        tracing::warn!(%error, "the number of open files could not be raised");
    }
    // -1 is no limit.
    let number = |limit: Option<u64>| limit.and_then(|limit| i64::try_from(limit).ok()).unwrap_or(-1);
    config.engine.default_ulimits.entry("nofile".to_owned()).or_insert_with(|| Ulimit {
        name: "nofile".to_owned(),
        soft: number(before.current),
        hard: number(before.maximum),
    });
}

async fn live(config: Config, log: Log) -> Result<(), Error> {
    // Signals are caught before anything is made that would have to be taken back.
    let mut signals = Signals::catch()?;
    let _lock = guard::lock(&config.data_root)?;
    let _pidfile = guard::PidFile::write(&config.pidfile)?;
    guard::folder(&config.exec_root).map_err(|source| Error::WriteFile {
        what: "exec root",
        path: config.exec_root.clone(),
        source,
    })?;
    let listeners = listen::open(&config)?;
    let engine = Engine::open(config.engine.clone()).await.map_err(Error::Engine)?;
    let (stop, stopping) = watch::channel(false);
    let (reloadable, _) = watch::channel(Reloadable::of(&config));
    let app = Arc::new(App { engine, stopping, reloadable });
    let (alive, mut gone) = mpsc::channel(1);
    let mut serving = JoinSet::new();
    for listener in listeners {
        announce(&listener);
        serving.spawn(server::serve(listener, app.clone(), alive.clone()));
    }
    tracing::info!(version = env!("CARGO_PKG_VERSION"), "daemon has completed initialization");
    notify::tell("READY=1");
    let patience = wait_for_end(&mut signals, config, &log, &app).await;
    notify::tell("STOPPING=1");
    // No one is left who could have stopped listening.
    let _ = stop.send(true);
    drop(alive);
    serving.join_all().await;
    if tokio::time::timeout(patience, gone.recv()).await.is_err() {
        tracing::warn!("open requests did not end in time");
    }
    app.engine.shutdown().await.map_err(Error::Engine)?;
    tracing::info!("daemon shut down");
    Ok(())
}

fn announce(listener: &Listener) {
    match listener {
        Listener::Unix(_, Some(path)) => tracing::info!("API listen on {}", path.shown()),
        Listener::Unix(_, None) => tracing::info!("API listen on a unix socket that was handed over"),
        Listener::Tcp(listener, tls) => {
            let secured = if tls.is_some() { " (TLS)" } else { "" };
            if let Ok(address) = listener.local_addr() {
                tracing::info!("API listen on {address}{secured}");
            }
        }
    }
}

/// Serve until a signal says stop; each SIGHUP reads the configuration anew. Gives how long open requests
/// have to end.
async fn wait_for_end(signals: &mut Signals, mut config: Config, log: &Log, app: &App) -> Duration {
    loop {
        match signals.next().await {
            Word::Reload => match config.reload() {
                Ok(fresh) => {
                    log.set(fresh.level);
                    app.reloadable.send_replace(Reloadable::of(&fresh));
                    tracing::info!("configuration reloaded: log level, debug and labels are in force");
                    config = fresh;
                }
                Err(error) => tracing::error!("configuration not reloaded: {}", error.told()),
            },
            Word::Stop(name) => {
                tracing::info!("processing signal '{name}': containers run on");
                return Duration::from_secs(config.shutdown_timeout);
            }
        }
    }
}

/// What a signal says.
enum Word {
    Stop(&'static str),
    Reload,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn catch() -> Result<Signals, Error> {
        let catch =
            |kind| signal(kind).map_err(|source| Error::Process { operation: "catch signals", source });
        Ok(Signals {
            terminate: catch(SignalKind::terminate())?,
            interrupt: catch(SignalKind::interrupt())?,
            hangup: catch(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Word {
        tokio::select! {
            _ = self.terminate.recv() => Word::Stop("terminated"),
            _ = self.interrupt.recv() => Word::Stop("interrupt"),
            _ = self.hangup.recv() => Word::Reload,
        }
    }
}
