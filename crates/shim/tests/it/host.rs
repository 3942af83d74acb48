//! A place for containers: folders of its own, a root file system of busybox, and a container to try things on.

use std::{
    fs,
    io::Read,
    os::fd::AsFd,
    os::unix::fs::symlink,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use boxship_oci::runtime::{Linux, Mount, Namespace, NamespaceKind, Process, Root, Spec};
use boxship_shim::{
    Exit, Launched, client,
    client::Connection,
    log::{Driver, Next, ReadOptions, Reader, Target},
    protocol::{Event, LaunchRequest, Request, Response, Streams},
};

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// How long anything may take that is bound to happen.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until `so` holds.
#[track_caller]
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Folders that vanish at the end.
pub struct Host {
    pub folder: tempfile::TempDir,
}

pub const ALL: Streams = Streams { stdin: true, stdout: true, stderr: true };
pub const OUTPUT: Streams = Streams { stdin: false, stdout: true, stderr: true };

impl Host {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("rootfs");
        for name in ["bin", "proc", "dev", "tmp", "sys", "etc"] {
            fs::create_dir_all(root.join(name)).unwrap();
        }
        fs::copy("/bin/busybox", root.join("bin/busybox")).expect("install Debian's package busybox-static");
        for applet in [
            "sh", "cat", "sleep", "true", "echo", "seq", "yes", "head", "stty", "ps", "kill", "dd", "md5sum",
            "tr", "id",
        ] {
            symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A launch of `args` in a new container, to be changed at will.
    pub fn request(&self, args: &[&str]) -> LaunchRequest {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let id = format!("shimtest-{}-{number}", std::process::id());
        let directory = self.path(&format!("run/{id}"));
        fs::create_dir_all(&directory).unwrap();
        let process = Process {
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            env: vec!["PATH=/bin".to_owned(), "TERM=xterm".to_owned()],
            cwd: "/".into(),
            ..Process::default()
        };
        let linux = Linux {
            namespaces: [
                NamespaceKind::Pid,
                NamespaceKind::Mount,
                NamespaceKind::Ipc,
                NamespaceKind::Uts,
                NamespaceKind::Network,
            ]
            .map(|kind| Namespace { kind, path: None })
            .into(),
            cgroups_path: Some(format!("/boxship-shim-test/{id}").into()),
            ..Linux::default()
        };
        let mount = |kind: &str, destination: &str, options: &[&str]| Mount {
            destination: destination.into(),
            kind: Some(kind.to_owned()),
            source: Some(kind.into()),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            ..Mount::default()
        };
        let spec = Spec {
            oci_version: "1.2.1".to_owned(),
            process: Some(process),
            root: Some(Root { path: self.path("rootfs"), readonly: false }),
            mounts: vec![
                mount("proc", "/proc", &[]),
                mount("tmpfs", "/dev", &["nosuid", "mode=755", "size=65536k"]),
                mount(
                    "devpts",
                    "/dev/pts",
                    &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
                ),
            ],
            linux: Some(linux),
            ..Spec::default()
        };
        fs::write(directory.join("config.json"), serde_json::to_vec(&spec).unwrap()).unwrap();
        LaunchRequest {
            id: id.parse().unwrap(),
            bundle: directory.clone(),
            spec,
            rootfs: None,
            runtime_root: self.path("runtime"),
            directory,
            open_stdin: false,
            stdin_once: false,
            log: Target {
                driver: Driver::JsonFile,
                path: self.path(&format!("{id}.log")),
                max_files: 1,
                ..Target::default()
            },
            start: false,
        }
    }

    pub fn launch(&self, request: LaunchRequest) -> Container {
        let executable = fs::File::open("/proc/self/exe").unwrap();
        let launched = boxship_shim::launch(executable.as_fd(), &request).unwrap();
        Container { request, launched: Some(launched) }
    }

    /// Launches and starts.
    pub fn run(&self, args: &[&str]) -> Container {
        let request = LaunchRequest { start: true, ..self.request(args) };
        self.launch(request)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Left by the tests of this process only when all containers are gone.
        let Ok(cgroups) = fs::read_dir("/sys/fs/cgroup") else { return };
        for hierarchy in cgroups.flatten() {
            let _ = fs::remove_dir(hierarchy.path().join("boxship-shim-test"));
        }
        let _ = fs::remove_dir("/sys/fs/cgroup/boxship-shim-test");
    }
}

/// A launched container; killed when dropped.
pub struct Container {
    pub request: LaunchRequest,
    pub launched: Option<Launched>,
}

impl Container {
    pub fn directory(&self) -> &Path {
        &self.request.directory
    }

    pub fn pid(&self) -> i32 {
        self.launched.as_ref().unwrap().pid
    }

    pub fn shim(&self) -> u32 {
        self.launched.as_ref().unwrap().shim.id()
    }

    pub fn connect(&self) -> Connection {
        Connection::open(self.directory()).unwrap()
    }

    pub fn ask(&self, request: Request) -> Response {
        client::ask(self.directory(), &request).unwrap()
    }

    pub fn start(&self) {
        assert_eq!(self.ask(Request::Start), Response::Done);
    }

    /// Attaches: the stream, and what was received of it already.
    pub fn attach(&self, streams: Streams) -> Stream {
        let mut connection = self.connect();
        let Response::Attached { tty } = connection.ask(&Request::Attach(streams)).unwrap() else { panic!() };
        Stream::new(connection, tty)
    }

    /// Waits for the container's end and the shim's, and sees that nothing is left.
    pub fn finish(mut self) -> Exit {
        let exit = self.wait_for_exit();
        self.see_shim_gone();
        exit
    }

    pub fn wait_for_exit(&self) -> Exit {
        if let Ok(mut connection) = Connection::open(self.directory())
            && let Ok(Response::Exit(exit)) = connection.ask(&Request::Wait { exec: None })
        {
            return exit;
        }
        Exit::read(self.directory()).unwrap().expect("an exit record when nobody listens")
    }

    fn see_shim_gone(&mut self) {
        let mut launched = self.launched.take().unwrap();
        assert!(launched.shim.wait().unwrap().success(), "the shim failed");
        assert!(Exit::read(self.directory()).unwrap().is_some());
        assert!(!self.directory().join("shim.sock").exists());
        assert!(!self.request.runtime_root.join(self.request.id.as_str()).exists(), "runtime state is left");
        let below = Path::new("/sys/fs/cgroup");
        let id = self.request.id.as_str();
        let hierarchies = fs::read_dir(below).unwrap().flatten().map(|entry| entry.path());
        for hierarchy in hierarchies.chain([below.to_owned()]) {
            let left = hierarchy.join("boxship-shim-test").join(id);
            assert!(!left.exists(), "{} is left", left.display());
        }
    }

    /// What is logged, the text of both streams.
    pub fn logged(&self) -> String {
        let options = ReadOptions { stdout: true, stderr: true, ..ReadOptions::default() };
        let mut reader = Reader::open(&self.request.log, options).unwrap();
        let mut text = Vec::new();
        while let Next::Record(record) = reader.poll().unwrap() {
            text.extend(record.line);
        }
        String::from_utf8(text).unwrap()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if let Some(mut launched) = self.launched.take() {
            let _ = client::ask(self.directory(), &Request::Delete);
            let _ = launched.shim.wait();
        }
    }
}

/// An attached stream.
pub struct Stream {
    pub socket: UnixStream,
    received: Vec<u8>,
    tty: bool,
}

impl Stream {
    pub fn new(connection: Connection, tty: bool) -> Self {
        let (socket, received) = connection.into_stream();
        Self { socket, received, tty }
    }

    /// Everything to the end: standard output and error.
    pub fn read_all(mut self) -> (Vec<u8>, Vec<u8>) {
        self.socket.read_to_end(&mut self.received).unwrap();
        if self.tty { (self.received, Vec::new()) } else { unframe(&self.received) }
    }

    /// Reads until `text` has come on standard output; all that came.
    pub fn read_until(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        self.socket.set_read_timeout(Some(PATIENCE)).unwrap();
        loop {
            let bytes = if self.tty { self.received.clone() } else { unframe(&self.received).0 };
            let so_far = String::from_utf8_lossy(&bytes).into_owned();
            if so_far.contains(text) {
                self.received.clear();
                return so_far;
            }
            let mut buffer = [0; 4096];
            let length =
                self.socket.read(&mut buffer).unwrap_or_else(|e| panic!("{e}: only {so_far:?} came"));
            assert!(length > 0 && Instant::now() < deadline, "only {so_far:?} came, not {text:?}");
            self.received.extend_from_slice(&buffer[..length]);
        }
    }
}

/// Takes Docker's frames apart; an incomplete last one is left out.
pub fn unframe(mut bytes: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut streams = [Vec::new(), Vec::new()];
    while let Some((header, rest)) = bytes.split_first_chunk::<8>() {
        let length = u32::from_be_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let Some(body) = rest.get(..length) else { break };
        streams[usize::from(header[0]) - 1].extend_from_slice(body);
        bytes = &rest[length..];
    }
    let [out, err] = streams;
    (out, err)
}

/// Reads events until one matches.
pub fn await_event(events: &mut Connection, wanted: impl Fn(&Event) -> bool) -> Event {
    loop {
        let event = events.next_event().unwrap().expect("the shim is gone before the event came");
        if wanted(&event) {
            return event;
        }
    }
}

/// A launcher to be killed.
pub fn launch_and_hang(request: &Path) -> ! {
    let request = boxship_shim::protocol::decode(&fs::read(request).unwrap(), "test").unwrap();
    let executable = fs::File::open("/proc/self/exe").unwrap();
    boxship_shim::launch(executable.as_fd(), &request).unwrap();
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}
