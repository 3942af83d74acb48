//! A temporary host: one daemon with folders, a socket and a network namespace of its own, and
//! the two command lines that speak to it, `boxship` and the stock `docker`.
//!
//! ```text
//! outside (198.51.100.1, 2001:db8:51::1) ──eth0──eth0── home (198.51.100.2, 2001:db8:51::2): the daemon
//! ```
//! The cable and the outside are there when a test asks for them ([`Host::on_network`]).
//!
//! Dropping it removes every container, stops the daemon and checks that nothing is left.

use std::ffi::OsStr;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::leaks::Snapshot;
use crate::netns::{self, Namespace};
pub use crate::ran::Ran;
use crate::{images, ran, require_program, require_root};

/// How long a daemon may take to answer its first ping, and to end, before a test gives up on it.
const DAEMON_PATIENCE: Duration = Duration::from_secs(120);

/// The host's own addresses, when it is on a network.
pub const HOME: [&str; 2] = ["198.51.100.2", "2001:db8:51::2"];
/// The addresses of the other host.
pub const OUTSIDE: [&str; 2] = ["198.51.100.1", "2001:db8:51::1"];
/// Whether the home may have this link when all containers and networks are gone: it was there, or is the daemon's own
/// (`boxship0`, the default bridge; `boxship…-a` and `-b`, the firewall's private pair).
fn lasts(link: &str) -> bool {
    ["eth0", "lo"].contains(&link) || link.starts_with("boxship")
}

/// One daemon with its data root, exec root and socket in a temporary folder.
pub struct Host {
    exe: PathBuf,
    dir: Option<tempfile::TempDir>,
    daemon: Option<Child>,
    arguments: Vec<String>,
    before: Snapshot,
    home: Namespace,
    outside: Option<Namespace>,
}

impl Host {
    /// Starts a daemon from the executable `exe` (a test passes `env!("CARGO_BIN_EXE_boxship")`).
    pub fn start(exe: impl Into<PathBuf>) -> Host {
        Host::start_with(exe, &[])
    }

    /// The same with more arguments for `boxship daemon`.
    pub fn start_with(exe: impl Into<PathBuf>, arguments: &[&str]) -> Host {
        Host::in_namespace(exe.into(), arguments, Namespace::new(), None)
    }

    /// The same on a network: with an address on a link of its own, a default route, and another host behind it.
    pub fn on_network(exe: impl Into<PathBuf>, arguments: &[&str]) -> Host {
        require_root();
        let (home, outside) = (Namespace::new(), Namespace::new());
        let with = |[v4, v6]: [&str; 2]| [format!("{v4}/24"), format!("{v6}/64")];
        let (here, there) = (with(HOME), with(OUTSIDE));
        home.cable("eth0", &[&here[0], &here[1]], &outside, &[&there[0], &there[1]]);
        home.run(&format!("ip route add default via {}", OUTSIDE[0])).ok();
        home.run(&format!("ip -6 route add default via {}", OUTSIDE[1])).ok();
        Host::in_namespace(exe.into(), arguments, home, Some(outside))
    }

    fn in_namespace(exe: PathBuf, arguments: &[&str], home: Namespace, outside: Option<Namespace>) -> Host {
        require_root();
        let mut arguments: Vec<String> = arguments.iter().map(|a| a.to_string()).collect();
        if !netns::has_firewall(&home) {
            arguments.push("--iptables=false".into());
        }
        let dir =
            tempfile::Builder::new().prefix("boxship-test-").tempdir().expect("make a temporary folder");
        let mut host =
            Host { exe, dir: Some(dir), daemon: None, arguments, before: Snapshot::take(), home, outside };
        host.start_daemon();
        host
    }

    /// The temporary folder that holds all of this host.
    pub fn dir(&self) -> &Path {
        self.dir.as_ref().expect("the folder lives as long as the host").path()
    }

    /// The daemon's data root.
    pub fn data_root(&self) -> PathBuf {
        self.dir().join("data")
    }

    /// The daemon's exec root.
    pub fn exec_root(&self) -> PathBuf {
        self.dir().join("exec")
    }

    /// The address of the socket, as `DOCKER_HOST` takes it.
    pub fn address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The path of the socket.
    pub fn socket(&self) -> PathBuf {
        self.dir().join("boxship.sock")
    }

    /// The network namespace that the daemon runs in.
    pub fn home(&self) -> &Namespace {
        &self.home
    }

    /// The other host; there is one when this one is on a network.
    pub fn outside(&self) -> &Namespace {
        self.outside.as_ref().expect("the host was started with Host::on_network")
    }

    /// The daemon's process id.
    pub fn daemon_pid(&self) -> u32 {
        self.daemon.as_ref().expect("the daemon runs").id()
    }

    /// Starts the daemon again after [`Host::kill_daemon`] or [`Host::stop_daemon`].
    pub fn start_daemon(&mut self) {
        assert!(self.daemon.is_none(), "the daemon runs already");
        let log = fs::File::options().create(true).append(true).open(self.dir().join("daemon.log"));
        let log = log.expect("open the daemon's log");
        let child = self
            .home
            .command(&self.exe)
            .arg("daemon")
            .args(["-H", &self.address()])
            .arg("--data-root")
            .arg(self.data_root())
            .arg("--exec-root")
            .arg(self.exec_root())
            .arg("--pidfile")
            .arg(self.dir().join("boxship.pid"))
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("share the log"))
            .stderr(log)
            .spawn()
            .expect("start the daemon");
        self.daemon = Some(child);
        self.await_daemon();
    }

    fn await_daemon(&mut self) {
        let deadline = Instant::now() + DAEMON_PATIENCE;
        while std::os::unix::net::UnixStream::connect(self.socket()).is_err() {
            let child = self.daemon.as_mut().expect("the daemon was started");
            let ended = child.try_wait().expect("look at the daemon");
            assert!(ended.is_none(), "the daemon ended: {ended:?}\n{}", self.daemon_log());
            assert!(Instant::now() < deadline, "the daemon doesn't answer:\n{}", self.daemon_log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the daemon has logged.
    pub fn daemon_log(&self) -> String {
        fs::read_to_string(self.dir().join("daemon.log")).unwrap_or_default()
    }

    /// Kills the daemon with SIGKILL: nothing it holds in memory survives.
    pub fn kill_daemon(&mut self) {
        let mut child = self.daemon.take().expect("the daemon runs");
        child.kill().expect("kill the daemon");
        child.wait().expect("reap the daemon");
    }

    /// Stops the daemon with SIGTERM and waits until it has ended.
    pub fn stop_daemon(&mut self) {
        let mut child = self.daemon.take().expect("the daemon runs");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("signal the daemon");
        let status = ran::end(&mut child, Instant::now() + DAEMON_PATIENCE);
        let success = status.is_some_and(|status| status.success());
        assert!(success, "the daemon ended with {status:?}:\n{}", self.daemon_log());
    }

    /// A `boxship` command that speaks to this daemon.
    pub fn boxship_command(&self) -> Command {
        let mut command = Command::new(&self.exe);
        self.point(&mut command);
        command
    }

    /// A `docker` command (the stock client) that speaks to this daemon.
    pub fn docker_command(&self) -> Command {
        let mut command = Command::new(require_program("docker", "docker.io"));
        self.point(&mut command);
        command
    }

    fn point(&self, command: &mut Command) {
        command.env("DOCKER_HOST", self.address()).env_remove("BOXSHIP_HOST").env_remove("DOCKER_CONTEXT");
        command.env("BOXSHIP_NO_AUTOSTART", "1").env("DOCKER_CONFIG", self.dir().join("client"));
        command.env("DOCKER_CLI_HINTS", "false").stdin(Stdio::null());
    }

    /// Runs `boxship` with these arguments to its end.
    #[track_caller]
    pub fn boxship<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        Ran::of(self.boxship_command().args(arguments))
    }

    /// Runs the stock `docker` with these arguments to its end.
    #[track_caller]
    pub fn docker<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        Ran::of(self.docker_command().args(arguments))
    }

    /// Splits `line` at spaces and runs it with `boxship`.
    #[track_caller]
    pub fn run(&self, line: &str) -> Ran {
        self.boxship(line.split_whitespace())
    }

    /// Loads busybox into this host.
    pub fn load_busybox(&self) {
        self.load(&images::busybox());
    }

    /// Loads an archive into this host.
    pub fn load(&self, archive: &Path) {
        self.boxship([OsStr::new("load"), OsStr::new("-i"), archive.as_os_str()]).ok();
    }

    fn remove_containers(&self) {
        let ids = self.boxship(["ps", "-aq"]);
        let ids: Vec<&str> = ids.stdout.split_whitespace().collect();
        if !ids.is_empty() {
            self.boxship(["rm", "-f"].iter().chain(ids.iter())).ok();
        }
    }

    /// Links that should have gone with the containers and networks; the kernel takes a moment for that.
    fn links_left(&self) -> Vec<String> {
        let left = || self.home.links().into_iter().filter(|name| !lasts(name));
        let deadline = Instant::now() + Duration::from_secs(60);
        while left().next().is_some() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        left().map(|link| format!("link {link}")).collect()
    }

    /// Ends the host and checks that nothing of it is left; what dropping does.
    fn finish(&mut self) {
        if self.daemon.is_none() {
            self.start_daemon();
        }
        self.remove_containers();
        self.boxship(["network", "prune", "-f"]).ok();
        self.stop_daemon();
        let mut left = self.before.left_behind(self.dir());
        left.extend(self.links_left());
        assert!(left.is_empty(), "left behind:\n{}", left.join("\n"));
        self.dir.take().expect("finished once").close().expect("remove the temporary folder");
    }

    /// A failing test still must not leave a daemon or containers to the next one; what the daemon said explains it.
    fn give_up(&mut self) {
        eprintln!("--- daemon.log ---\n{}", self.daemon_log());
        // The daemon may be what hangs, and who panics now ends all tests.
        let run = |words: &[&str]| Ran::within(DAEMON_PATIENCE, self.boxship_command().args(words));
        if self.daemon.is_some()
            && let Ok(listed) = run(&["ps", "-aq"])
        {
            let ids: Vec<&str> = listed.stdout.split_whitespace().collect();
            let _ = run(&[&["rm", "-f"], &ids[..]].concat());
        }
        if let Some(mut child) = self.daemon.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return self.give_up();
        }
        if let Err(why) = catch_unwind(AssertUnwindSafe(|| self.finish())) {
            self.give_up();
            resume_unwind(why);
        }
    }
}
