//! An engine of its own for a test, and what tests do with one.

use super::*;

/// How long anything may take that is bound to happen.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until `so` holds.
pub(super) async fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !so() {
        assert!(began.elapsed() < PATIENCE, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(super) fn is_gone(pid: impl std::fmt::Display) -> bool {
    !Path::new(&format!("/proc/{pid}")).exists()
}

/// An engine of its own.
pub(super) struct Bench {
    pub(super) engine: Engine,
    pub(super) path: std::path::PathBuf,
}

pub(super) async fn open(path: &Path) -> Engine {
    try_open(path).await.expect("open")
}

pub(super) async fn try_open(path: &Path) -> boxship_engine::Result<Engine> {
    let config = EngineConfig {
        data_root: path.join("data"),
        exec_root: path.join("exec"),
        exe: Some(std::env::current_exe().expect("our path")),
        ..EngineConfig::default()
    };
    Engine::open(config).await
}

pub(super) async fn load(engine: &Engine) {
    let archive = tokio::fs::File::open(boxship_testkit::images::busybox()).await.expect("busybox");
    let mut progress = engine.image_load(Box::pin(archive), true, None).await.expect("load");
    while let Some(message) = progress.next().await {
        assert_eq!(message.error, "", "load busybox");
    }
}

pub(super) async fn clear(engine: &Engine) {
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
    pub(super) async fn create(
        &self,
        command: &[&str],
        change: impl FnOnce(&mut api::container::CreateRequest),
    ) -> String {
        self.create_named(None, command, change).await.expect("create")
    }

    pub(super) async fn create_named(
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

    pub(super) async fn run(&self, command: &[&str]) -> String {
        let id = self.create(command, |_| {}).await;
        self.engine.container_start(&id).await.expect("start");
        id
    }

    pub(super) async fn wait(&self, id: &str) -> i64 {
        let wait = self.engine.container_wait(id, WaitCondition::NotRunning).await.expect("wait");
        tokio::time::timeout(PATIENCE, wait.finish()).await.expect("in time").expect("wait").status_code
    }

    pub(super) async fn state(&self, id: &str) -> api::container::State {
        self.engine.container_inspect(id, false).await.expect("inspect").state.expect("a state")
    }

    pub(super) async fn until(
        &self,
        id: &str,
        so: impl Fn(&api::container::State) -> bool,
    ) -> api::container::State {
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

    pub(super) async fn logs(&self, id: &str, options: LogsOptions) -> String {
        let mut logs = self.engine.container_logs(id, options).await.expect("logs");
        let mut bytes = Vec::new();
        while let Some(chunk) = logs.chunks.next().await {
            bytes.extend_from_slice(&chunk.expect("a chunk"));
        }
        plain(&bytes)
    }

    pub(super) async fn exec(&self, id: &str, command: &[&str]) -> (String, Option<i64>) {
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
pub(super) fn plain(bytes: &[u8]) -> String {
    let (mut input, mut out) = (bytes, Vec::new());
    let mut decoder = api::framing::Decoder::default();
    while let Some((_, payload)) = decoder.next(&mut input).expect("frames") {
        out.extend_from_slice(payload);
    }
    String::from_utf8(out).expect("text")
}

pub(super) fn both() -> LogsOptions {
    LogsOptions { stdout: true, stderr: true, ..Default::default() }
}

/// The lock of the data root is free as soon as the last driver has ended.
pub(super) async fn open_again(path: &Path) -> Engine {
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
