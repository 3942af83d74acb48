//! The engines of `bench run`, each with storage and sockets of its own in a temporary folder.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use boxship_testkit::netns::Namespace;
use boxship_testkit::{images, require_program};

/// One engine, started and ready.
pub struct Engine {
    /// What the tables call it.
    pub name: String,
    /// Its daemon's process id, when it has a daemon.
    pub daemon: Option<u32>,
    program: std::path::PathBuf,
    globals: Vec<String>,
    children: Vec<Child>,
    dir: tempfile::TempDir,
}

impl Engine {
    /// Our own daemon from the release executable. No network is measured with it: it is given none.
    pub fn boxship(exe: &Path) -> Result<Engine, String> {
        let mut command = Command::new(exe);
        command.args(["daemon", "--bridge=none"]);
        Engine::boxship_by(exe, command)
    }

    /// The same in a network namespace, with all that belongs to networks.
    pub fn boxship_in(exe: &Path, home: &Namespace) -> Result<Engine, String> {
        let mut command = home.command(exe);
        command.arg("daemon");
        Engine::boxship_by(exe, command)
    }

    fn boxship_by(exe: &Path, mut command: Command) -> Result<Engine, String> {
        let dir = folder()?;
        let socket = dir.path().join("boxship.sock");
        command.arg("-H").arg(format!("unix://{}", socket.display()));
        command
            .arg("--data-root")
            .arg(dir.path().join("data"))
            .arg("--exec-root")
            .arg(dir.path().join("exec"));
        command.arg("--pidfile").arg(dir.path().join("pid"));
        with_daemon("boxship", exe.to_path_buf(), command, &socket, dir)
    }

    /// Debian's dockerd, without a bridge: containers are compared without network set-up.
    pub fn docker() -> Result<Engine, String> {
        let mut command = Command::new(require_program("dockerd", "docker.io"));
        command.args(["--bridge=none", "--iptables=false"]);
        Engine::docker_by(command)
    }

    /// The same in a network namespace, with all that belongs to networks.
    pub fn docker_in(home: &Namespace) -> Result<Engine, String> {
        Engine::docker_by(home.command(require_program("dockerd", "docker.io")))
    }

    fn docker_by(mut command: Command) -> Result<Engine, String> {
        let dir = folder()?;
        let socket = dir.path().join("docker.sock");
        command.arg("-H").arg(format!("unix://{}", socket.display()));
        command
            .arg("--data-root")
            .arg(dir.path().join("data"))
            .arg("--exec-root")
            .arg(dir.path().join("exec"));
        command.arg("-p").arg(dir.path().join("pid"));
        with_daemon("docker", require_program("docker", "docker.io"), command, &socket, dir)
    }

    /// Debian's podman; it has no daemon.
    pub fn podman() -> Result<Engine, String> {
        let dir = folder()?;
        let mut globals = vec!["--cgroup-manager=cgroupfs".to_string(), "--runtime=runc".to_string()];
        for (flag, below) in [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
            globals.push(format!("{flag}={}", dir.path().join(below).display()));
        }
        let program = require_program("podman", "podman");
        Ok(Engine { name: "podman".into(), daemon: None, program, globals, children: Vec::new(), dir })
    }

    /// Loads the test image.
    pub fn load_busybox(&self) -> Result<(), String> {
        let archive = images::busybox();
        self.quiet(&["load", "-i", &archive.display().to_string()]);
        if self.name == "podman" {
            self.quiet(&["tag", "localhost/busybox:latest", "busybox:latest"]);
        }
        Ok(())
    }

    /// A command of this engine's command line.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.globals);
        // Without CAP_SYS_RESOURCE podman can't raise limits to what it takes for granted.
        let limits: &[&str] = match (self.name.as_str(), arguments.first()) {
            ("podman", Some(&"run" | &"create")) => {
                &["--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000"]
            }
            _ => &[],
        };
        command.args(arguments.first()).args(limits).args(arguments.iter().skip(1));
        command
    }

    /// Runs a command to its end without output; its last words when it fails.
    pub fn attempt(&self, arguments: &[&str]) -> Result<(), String> {
        super::attempt(&mut self.command(arguments))
    }

    /// Runs a command to its end without output.
    pub fn quiet(&self, arguments: &[&str]) {
        super::must(&mut self.command(arguments));
    }

    /// Runs a command and gives back what it printed.
    pub fn read(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).stdin(Stdio::null()).output().expect("run the engine's client");
        String::from_utf8_lossy(&output.stdout).trim().to_string()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let ids = self.read(&["ps", "-aq"]);
        if !ids.is_empty() {
            let words: Vec<&str> = ["rm", "-f"].into_iter().chain(ids.split_whitespace()).collect();
            let _ = self.command(&words).output();
        }
        for child in &mut self.children {
            let _ = rustix::process::kill_process(
                rustix::process::Pid::from_child(child),
                rustix::process::Signal::TERM,
            );
            let _ = child.wait();
        }
        let storage = self.dir.path().join("root/overlay");
        let _ = rustix::mount::unmount(&storage, rustix::mount::UnmountFlags::DETACH);
    }
}

fn folder() -> Result<tempfile::TempDir, String> {
    tempfile::Builder::new()
        .prefix("boxship-bench-")
        .tempdir()
        .map_err(|e| format!("make a temporary folder: {e}"))
}

fn with_daemon(
    name: &str,
    program: std::path::PathBuf,
    mut command: Command,
    socket: &Path,
    dir: tempfile::TempDir,
) -> Result<Engine, String> {
    let log = std::fs::File::create(dir.path().join("log")).map_err(|e| format!("the log of {name}: {e}"))?;
    let errors = log.try_clone().map_err(|e| format!("the log of {name}: {e}"))?;
    let child = command.stdin(Stdio::null()).stdout(log).stderr(errors).spawn();
    let child = child.map_err(|e| format!("start {name}'s daemon: {e}"))?;
    let deadline = Instant::now() + Duration::from_secs(60);
    while std::os::unix::net::UnixStream::connect(socket).is_err() {
        if Instant::now() > deadline {
            return Err(format!("{name}'s daemon does not answer; see {}", dir.keep().display()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let globals = vec!["-H".to_string(), format!("unix://{}", socket.display())];
    Ok(Engine { name: name.into(), daemon: Some(child.id()), program, globals, children: vec![child], dir })
}
