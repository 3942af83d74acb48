//! Containers from create to remove with real shims, as root. This executable is the shim too (its own `main` looks
//! at the first argument), so that nothing but this crate need be built. Each test has folders of its own, and fails
//! if it leaves anything behind.

#![allow(clippy::print_stdout, clippy::exit, clippy::unwrap_used)]

#[path = "lifecycle/networks.rs"]
mod networks;

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::time::{Duration, Instant};

use boxship_api as api;
use boxship_engine::container::{
    AttachOptions, CreateOptions, ListOptions, LogsOptions, RemoveOptions, StatsOptions, StopOptions,
    WaitCondition,
};
use boxship_engine::events::EventsOptions;
use boxship_engine::{Engine, EngineConfig, Kind};
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;

use networks::{events_of_networks, names_and_networks, networks_survive_the_engine, published_ports};

type Test = fn(Bench) -> Pin<Box<dyn Future<Output = Bench> + Send>>;

macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        &[$((stringify!($name), (|bench| Box::pin($name(bench))) as Test)),*]
    };
}

const TESTS: &[(&str, Test)] = tests![
    run_and_remove,
    output_exit_code_and_logs,
    attach_before_start_misses_nothing,
    start_failures,
    stop_kill_and_wait,
    what_comes_during_a_start_waits_for_it,
    restart_policies,
    pause_and_freeze,
    exec_and_its_code,
    names_and_conflicts,
    events_of_a_life,
    daemon_gone_and_back,
    top_stats_changes,
    auto_remove,
    many_at_once,
    published_ports,
    names_and_networks,
    events_of_networks,
    networks_survive_the_engine,
];

fn main() {
    let mut arguments = std::env::args_os();
    let _name = arguments.next();
    match arguments.next().and_then(|word| word.into_string().ok()).as_deref() {
        Some("shim") => {
            let code = boxship_shim::main();
            std::process::exit(i32::from(code != std::process::ExitCode::SUCCESS));
        }
        Some("--list") => TESTS.iter().for_each(|(name, _)| println!("{name}: test")),
        wanted => run(wanted.filter(|word| !word.starts_with('-')).unwrap_or_default()),
    }
}

fn run(wanted: &str) {
    for (name, test) in TESTS.iter().filter(|(name, _)| name.contains(wanted)) {
        // A network of its own: bridges and rules of engines stay out of the host's, and out of each other's.
        boxship_sys::namespace::unshare(boxship_sys::namespace::Kind::Network.flag()).expect("a namespace");
        boxship_sys::namespace::bring_loopback_up().expect("loopback");
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let began = Instant::now();
        let folder = tempfile::tempdir().expect("a folder");
        let before = boxship_testkit::leaks::Snapshot::take();
        let path = folder.path().to_owned();
        runtime.block_on(async {
            let bench = Bench { engine: open(&path).await, path: path.clone() };
            load(&bench.engine).await;
            let Bench { engine, .. } = test(bench).await;
            clear(&engine).await;
            engine.shutdown().await.expect("shut down");
        });
        let left = before.left_behind(folder.path());
        assert!(left.is_empty(), "{name} left behind: {left:#?}");
        println!("test {name} ... ok ({} ms)", began.elapsed().as_millis());
    }
}

/// How long anything may take that is bound to happen.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until `so` holds.
async fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < PATIENCE, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn is_gone(pid: impl std::fmt::Display) -> bool {
    !Path::new(&format!("/proc/{pid}")).exists()
}

/// An engine of its own.
struct Bench {
    engine: Engine,
    path: std::path::PathBuf,
}

async fn open(path: &Path) -> Engine {
    try_open(path).await.expect("open")
}

async fn try_open(path: &Path) -> boxship_engine::Result<Engine> {
    let config = EngineConfig {
        data_root: path.join("data"),
        exec_root: path.join("exec"),
        exe: Some(std::env::current_exe().expect("our path")),
        ..EngineConfig::default()
    };
    Engine::open(config).await
}

async fn load(engine: &Engine) {
    let archive = tokio::fs::File::open(boxship_testkit::images::busybox()).await.expect("busybox");
    let mut progress = engine.image_load(Box::pin(archive), true).await.expect("load");
    while let Some(message) = progress.next().await {
        assert_eq!(message.error, "", "load busybox");
    }
}

async fn clear(engine: &Engine) {
    for container in
        engine.container_list(ListOptions { all: true, ..Default::default() }).await.expect("list")
    {
        let options = RemoveOptions { force: true, ..Default::default() };
        match engine.container_remove(&container.id, options).await {
            Ok(()) => {}
            Err(error) if error.kind() == Kind::NotFound => {}
            Err(error) => panic!("remove {}: {error}", container.id),
        }
    }
}

impl Bench {
    async fn create(
        &self,
        command: &[&str],
        change: impl FnOnce(&mut api::container::CreateRequest),
    ) -> String {
        self.create_named(None, command, change).await.expect("create")
    }

    async fn create_named(
        &self,
        name: Option<&str>,
        command: &[&str],
        change: impl FnOnce(&mut api::container::CreateRequest),
    ) -> boxship_engine::Result<String> {
        let mut request = api::container::CreateRequest::default();
        request.config.image = "busybox".into();
        request.config.cmd = Some(command.into());
        let host_config = api::container::HostConfig { network_mode: "none".into(), ..Default::default() };
        request.host_config = Some(host_config);
        change(&mut request);
        let options = CreateOptions { name: name.map(str::to_owned), platform: None };
        Ok(self.engine.container_create(options, request).await?.id)
    }

    async fn run(&self, command: &[&str]) -> String {
        let id = self.create(command, |_| {}).await;
        self.engine.container_start(&id).await.expect("start");
        id
    }

    async fn wait(&self, id: &str) -> i64 {
        let wait = self.engine.container_wait(id, WaitCondition::NotRunning).await.expect("wait");
        tokio::time::timeout(PATIENCE, wait.finish()).await.expect("in time").expect("wait").status_code
    }

    async fn state(&self, id: &str) -> api::container::State {
        self.engine.container_inspect(id, false).await.expect("inspect").state.expect("a state")
    }

    async fn until(&self, id: &str, so: impl Fn(&api::container::State) -> bool) -> api::container::State {
        let began = Instant::now();
        loop {
            let state = self.state(id).await;
            if so(&state) {
                return state;
            }
            assert!(began.elapsed() < PATIENCE, "never so: {state:?}");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }

    async fn logs(&self, id: &str, options: LogsOptions) -> String {
        let mut logs = self.engine.container_logs(id, options).await.expect("logs");
        let mut bytes = Vec::new();
        while let Some(chunk) = logs.chunks.next().await {
            bytes.extend_from_slice(&chunk.expect("a chunk"));
        }
        plain(&bytes)
    }

    async fn exec(&self, id: &str, command: &[&str]) -> (String, Option<i64>) {
        let config = api::exec::ExecCreateRequest {
            cmd: Some(command.iter().map(|word| (*word).to_owned()).collect()),
            attach_stdout: true,
            attach_stderr: true,
            ..Default::default()
        };
        let exec = self.engine.exec_create(id, config).await.expect("exec create").id;
        let attachment = self.engine.exec_start(&exec, Default::default()).await.expect("exec start");
        let mut output = Vec::new();
        attachment.run(tokio::io::empty(), &mut output).await.expect("run");
        let code = self.engine.exec_inspect(&exec).await.expect("inspect").exit_code;
        (plain(&output), code)
    }
}

/// The payload of frames.
fn plain(bytes: &[u8]) -> String {
    let (mut input, mut out) = (bytes, Vec::new());
    let mut decoder = api::framing::Decoder::default();
    while let Some((_, payload)) = decoder.next(&mut input).expect("frames") {
        out.extend_from_slice(payload);
    }
    String::from_utf8(out).expect("text")
}

fn both() -> LogsOptions {
    LogsOptions { stdout: true, stderr: true, ..Default::default() }
}

async fn run_and_remove(bench: Bench) -> Bench {
    let id = bench.run(&["true"]).await;
    assert_eq!(bench.wait(&id).await, 0);
    let state = bench.state(&id).await;
    assert_eq!((state.status.as_str(), state.pid), ("exited", 0));
    bench.engine.container_remove(&id, RemoveOptions::default()).await.expect("remove");
    let error = bench.engine.container_inspect(&id, false).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (Kind::NotFound, format!("No such container: {id}")));
    bench
}

async fn output_exit_code_and_logs(bench: Bench) -> Bench {
    let id = bench.run(&["sh", "-c", "echo out; echo err >&2; sleep 0.3; echo last; exit 7"]).await;
    let followed = bench.logs(&id, LogsOptions { follow: true, ..both() }).await;
    assert_eq!(followed.lines().count(), 3, "{followed}");
    assert!(followed.ends_with("last\n"));
    assert_eq!(bench.wait(&id).await, 7);
    let errors = LogsOptions { stderr: true, ..Default::default() };
    assert_eq!(bench.logs(&id, errors).await, "err\n");
    assert_eq!(bench.logs(&id, LogsOptions { tail: Some("1".into()), ..both() }).await, "last\n");
    bench
}

async fn attach_before_start_misses_nothing(bench: Bench) -> Bench {
    let id = bench
        .create(&["cat"], |request| {
            request.config.open_stdin = true;
            request.config.stdin_once = true;
        })
        .await;
    let options =
        AttachOptions { stream: true, stdin: true, stdout: true, stderr: true, ..Default::default() };
    let attachment = bench.engine.container_attach(&id, options).await.expect("attach");
    let (mut client, input) = tokio::io::duplex(1024);
    let moving = tokio::spawn(async move {
        let mut output = Vec::new();
        attachment.run(input, &mut output).await.expect("run");
        output
    });
    client.write_all(b"hello").await.expect("write");
    drop(client);
    bench.engine.container_start(&id).await.expect("start");
    let output = tokio::time::timeout(PATIENCE, moving).await.expect("in time").expect("moved");
    assert_eq!(plain(&output), "hello");
    assert_eq!(bench.wait(&id).await, 0);
    bench
}

async fn start_failures(bench: Bench) -> Bench {
    for (command, code, words) in [
        ("nowhere", 127, "executable file not found in $PATH"),
        ("/nowhere", 127, "no such file or directory"),
        ("/etc", 126, "permission denied"),
    ] {
        let id = bench.create(&[command], |_| {}).await;
        let error = bench.engine.container_start(&id).await.unwrap_err();
        assert!(error.to_string().contains(words), "{command}: {error}");
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
        let state = bench.state(&id).await;
        assert_eq!((state.exit_code, state.status.as_str()), (code, "created"), "{command}");
        assert!(state.error.contains(words));
    }
    let homeless = bench
        .create(&["true"], |request| request.host_config.as_mut().expect("set").network_mode = "mine".into())
        .await;
    let error = bench.engine.container_start(&homeless).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string()),
        (Kind::NotFound, "failed to set up container networking: network mine not found".to_owned())
    );
    assert_eq!(bench.state(&homeless).await.status, "created");
    let error = bench
        .create_named(None, &["true"], |request| request.config.image = "missing".into())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string()),
        (Kind::NotFound, "No such image: missing:latest".to_owned())
    );
    bench
}

async fn stop_kill_and_wait(bench: Bench) -> Bench {
    let stubborn = bench.run(&["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]).await;
    let next = bench.engine.container_wait(&stubborn, WaitCondition::NextExit).await.expect("wait");
    let began = Instant::now();
    let stop = {
        let (engine, id) = (bench.engine.clone(), stubborn.clone());
        tokio::spawn(async move {
            engine.container_stop(&id, StopOptions { timeout: Some(1), signal: None }).await
        })
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    let state = bench.state(&stubborn).await;
    // On a machine that stood still meanwhile, the second may be over.
    let late = began.elapsed() >= Duration::from_secs(1);
    assert!(late || state.status == "running", "inspect does not wait for the stop: {state:?}");
    stop.await.expect("joined").expect("stopped");
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(next.finish().await.expect("wait").status_code, 137);
    let again = bench.engine.container_stop(&stubborn, StopOptions::default()).await.unwrap_err();
    assert_eq!(again.kind(), Kind::NotModified);

    let script = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done";
    let polite = bench.run(&["sh", "-c", script]).await;
    while bench.logs(&polite, both()).await != "ready\n" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bench.engine.container_stop(&polite, StopOptions::default()).await.expect("stop");
    assert_eq!(bench.wait(&polite).await, 3);
    let error = bench.engine.container_kill(&polite, None).await.unwrap_err();
    assert_eq!(error.to_string(), format!("container {polite} is not running"));
    bench.engine.container_restart(&polite, StopOptions::default()).await.expect("restart a stopped one");
    bench
        .engine
        .container_restart(&polite, StopOptions { timeout: Some(0), ..Default::default() })
        .await
        .expect("restart");
    let error = bench.engine.container_remove(&polite, RemoveOptions::default()).await.unwrap_err();
    assert!(
        error.to_string().contains("container is running: stop the container before removing"),
        "{error}"
    );
    bench
}

async fn what_comes_during_a_start_waits_for_it(bench: Bench) -> Bench {
    let engine = &bench.engine;
    let force = RemoveOptions { force: true, ..Default::default() };
    let sleep = ["sleep", "1000"];

    let id = bench.create(&sleep, |_| {}).await;
    let now = StopOptions { timeout: Some(0), ..Default::default() };
    let (started, stopped) = tokio::join!(engine.container_start(&id), engine.container_stop(&id, now));
    started.expect("start");
    stopped.expect("stop");
    assert_eq!(bench.state(&id).await.status, "exited");

    let (started, killed) = tokio::join!(engine.container_start(&id), engine.container_kill(&id, None));
    started.expect("start");
    killed.expect("kill");
    assert_eq!(bench.state(&id).await.status, "exited");

    let (started, removed) = tokio::join!(engine.container_start(&id), engine.container_remove(&id, force));
    started.expect("start");
    removed.expect("remove");
    assert_eq!(engine.container_inspect(&id, false).await.unwrap_err().kind(), Kind::NotFound);

    let failing = bench.create(&["nowhere"], |_| {}).await;
    let (started, removed) =
        tokio::join!(engine.container_start(&failing), engine.container_remove(&failing, force));
    started.expect_err("start");
    removed.expect("remove");

    // The start of an engine that comes back.
    let always = bench
        .create(&sleep, |request| {
            request.host_config.as_mut().expect("set").restart_policy.name = "always".into();
        })
        .await;
    engine.container_start(&always).await.expect("start");
    let pid = bench.state(&always).await.pid;
    engine.shutdown().await.expect("shut down");
    let Bench { engine, path } = bench;
    drop(engine);
    let killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().expect("kill");
    assert!(killed.success());
    let bench = Bench { engine: open_again(&path).await, path };
    bench.engine.container_remove(&always, force).await.expect("remove");
    assert_eq!(bench.engine.container_inspect(&always, false).await.unwrap_err().kind(), Kind::NotFound);
    bench
}

async fn restart_policies(bench: Bench) -> Bench {
    let policy = |name: &'static str, count| {
        move |request: &mut api::container::CreateRequest| {
            let host_config = request.host_config.as_mut().expect("set");
            host_config.restart_policy =
                api::container::RestartPolicy { name: name.into(), maximum_retry_count: count };
        }
    };
    let failing = bench.create(&["false"], policy("on-failure", 2)).await;
    bench.engine.container_start(&failing).await.expect("start");
    bench.until(&failing, |state| state.status == "exited").await;
    let inspected = bench.engine.container_inspect(&failing, false).await.expect("inspect");
    assert_eq!(inspected.restart_count, 2);

    let always = bench.create(&["sleep", "0.05"], policy("always", 0)).await;
    bench.engine.container_start(&always).await.expect("start");
    bench.until(&always, |state| state.restarting).await;
    bench.engine.container_stop(&always, StopOptions::default()).await.expect("stop");
    assert_eq!(bench.until(&always, |state| !state.running).await.status, "exited");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(bench.state(&always).await.status, "exited", "a stopped one stays so");
    bench
}

async fn pause_and_freeze(bench: Bench) -> Bench {
    let id = bench.run(&["sleep", "100"]).await;
    bench.engine.container_pause(&id).await.expect("pause");
    assert_eq!(bench.state(&id).await.status, "paused");
    assert_eq!(bench.engine.container_pause(&id).await.unwrap_err().kind(), Kind::Conflict);
    let error = bench.engine.container_start(&id).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot start a paused container, try unpause instead");
    bench.engine.container_unpause(&id).await.expect("unpause");
    bench.engine.container_pause(&id).await.expect("pause");
    bench.engine.container_kill(&id, None).await.expect("killed though frozen");
    assert_eq!(bench.wait(&id).await, 137);
    bench
}

async fn exec_and_its_code(bench: Bench) -> Bench {
    let id = bench.run(&["sleep", "100"]).await;
    let (output, code) = bench.exec(&id, &["sh", "-c", "echo here; exit 5"]).await;
    assert_eq!((output.as_str(), code), ("here\n", Some(5)));
    let config = api::exec::ExecCreateRequest { cmd: Some(vec!["nowhere".into()]), ..Default::default() };
    let exec = bench.engine.exec_create(&id, config).await.expect("create").id;
    let error = bench.engine.exec_start_detached(&exec, Default::default()).await.unwrap_err();
    assert!(error.to_string().contains("executable file not found"), "{error}");
    assert_eq!(bench.engine.exec_inspect(&exec).await.expect("inspect").exit_code, Some(127));
    bench.engine.container_kill(&id, None).await.expect("kill");
    let error = bench.engine.exec_create(&id, Default::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "No exec command specified");
    bench
}

async fn names_and_conflicts(bench: Bench) -> Bench {
    let id = bench.create_named(Some("web"), &["true"], |_| {}).await.expect("create");
    let error = bench.create_named(Some("web"), &["true"], |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.to_string().contains(&id));
    bench.engine.container_rename("web", "site").await.expect("rename");
    assert_eq!(bench.engine.container_inspect("site", false).await.expect("inspect").name, "/site");
    bench.create_named(Some("web"), &["true"], |_| {}).await.expect("the old name is free");
    let (first, second) = tokio::join!(
        bench.create_named(Some("race"), &["true"], |_| {}),
        bench.create_named(Some("race"), &["true"], |_| {}),
    );
    assert!(first.is_ok() != second.is_ok(), "exactly one gets the name");
    assert_eq!(bench.engine.container_inspect(&id[..12], false).await.expect("short id").id, id);
    bench
}

async fn events_of_a_life(bench: Bench) -> Bench {
    let events = bench.engine.events(EventsOptions::default()).expect("events");
    let id = bench.run(&["sh", "-c", "exit 4"]).await;
    bench.wait(&id).await;
    bench.engine.container_remove(&id, RemoveOptions::default()).await.expect("remove");
    let actions: Vec<_> = events.take(6).collect().await;
    let names: Vec<_> = actions.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(names, ["create", "connect", "start", "die", "disconnect", "destroy"]);
    assert_eq!(actions[3].actor.attributes["exitCode"], "4");
    assert_eq!(actions[3].actor.attributes["image"], "busybox");
    bench
}

async fn daemon_gone_and_back(bench: Bench) -> Bench {
    let runs = bench.run(&["sh", "-c", "while :; do echo tick; sleep 0.05; done"]).await;
    let ends = bench.run(&["sh", "-c", "sleep 0.5; exit 9"]).await;
    let always = bench
        .create(&["sleep", "0.3"], |request| {
            request.host_config.as_mut().expect("set").restart_policy.name = "always".into();
        })
        .await;
    bench.engine.container_start(&always).await.expect("start");
    let pid = bench.state(&runs).await.pid;
    let mut ending = Vec::new();
    for id in [&ends, &always] {
        ending.push(bench.state(id).await.pid);
    }
    bench.engine.shutdown().await.expect("shut down");
    let Bench { engine, path } = bench;
    drop(engine);
    eventually("they end", || ending.iter().all(|pid| *pid == 0 || is_gone(pid))).await;
    let bench = Bench { engine: open_again(&path).await, path };
    let state = bench.state(&runs).await;
    assert_eq!((state.status.as_str(), state.pid), ("running", pid));
    let state = bench.until(&ends, |state| !state.running).await;
    assert_eq!((state.status.as_str(), state.exit_code), ("exited", 9));
    bench.until(&always, |state| state.running).await;
    bench.engine.container_kill(&runs, None).await.expect("kill what was met again");
    assert_eq!(bench.wait(&runs).await, 137);
    bench
}

/// The lock of the data root is free as soon as the last driver has ended.
async fn open_again(path: &Path) -> Engine {
    let began = Instant::now();
    loop {
        match try_open(path).await {
            Ok(engine) => return engine,
            Err(error) if error.kind() == Kind::Unavailable && began.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => panic!("open again: {error}"),
        }
    }
}

async fn top_stats_changes(bench: Bench) -> Bench {
    let id = bench.run(&["sh", "-c", "echo x > /new; exec sleep 100"]).await;
    // The shell becomes the sleep when it has written.
    for attempt in 0.. {
        let top = bench.engine.container_top(&id, "-o pid,args").await.expect("top");
        let rows = top.processes.expect("rows");
        if rows.iter().any(|row| row[1] == "sleep 100") {
            break;
        }
        assert!(attempt < 4000, "{rows:?}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let mut stats = bench
        .engine
        .container_stats(&id, StatsOptions { stream: false, one_shot: true })
        .await
        .expect("stats");
    let sample = stats.next().await.expect("one").expect("good");
    assert!(sample.cpu_stats.system_cpu_usage > 0 && sample.pids_stats.current >= 1, "{sample:?}");
    let changes = bench.engine.container_changes(&id).await.expect("changes").expect("some");
    let paths: Vec<_> = changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(paths, ["/new"], "nothing but what it did");
    let listed =
        bench.engine.container_list(ListOptions { size: true, ..Default::default() }).await.expect("list");
    assert!(listed[0].size_rw >= 2 && listed[0].status.starts_with("Up "), "{listed:?}");
    bench
}

async fn auto_remove(bench: Bench) -> Bench {
    let id = bench
        .create(&["true"], |request| request.host_config.as_mut().expect("set").auto_remove = true)
        .await;
    let removed = bench.engine.container_wait(&id, WaitCondition::Removed).await.expect("wait");
    let began = Instant::now();
    bench.engine.container_start(&id).await.expect("start");
    let started = began.elapsed();
    assert_eq!(removed.finish().await.expect("removed").status_code, 0);
    println!("    start {started:?}, run and remove {:?}", began.elapsed());
    assert_eq!(bench.engine.container_inspect(&id, false).await.unwrap_err().kind(), Kind::NotFound);

    for kill in [true, false, true, false] {
        let create = bench.create_named(Some("again"), &["sleep", "1000"], |request| {
            request.host_config.as_mut().expect("set").auto_remove = true;
        });
        let id = create.await.expect("the name is free");
        bench.engine.container_start(&id).await.expect("start");
        let now = StopOptions { timeout: Some(0), ..Default::default() };
        match kill {
            true => bench.engine.container_kill(&id, None).await.expect("kill"),
            false => bench.engine.container_stop(&id, now).await.expect("stop"),
        }
    }
    bench
}

async fn many_at_once(bench: Bench) -> Bench {
    let began = Instant::now();
    let runs = (0..50).map(|n| {
        let bench = &bench;
        async move {
            let id = bench.run(&["sh", "-c", &format!("exit {}", n % 7)]).await;
            assert_eq!(bench.wait(&id).await, n % 7);
        }
    });
    futures_util::future::join_all(runs).await;
    println!("    50 at once {:?}", began.elapsed());
    let began = Instant::now();
    let listed =
        bench.engine.container_list(ListOptions { all: true, ..Default::default() }).await.expect("list");
    println!("    list of {} {:?}", listed.len(), began.elapsed());
    assert_eq!(listed.len(), 50);
    bench
}
