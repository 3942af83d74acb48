//! A bundle with a busybox root, and containers made from it that clean up after themselves.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use boxship_oci::runtime::{Process, Spec};
use boxship_runtime::{Container, CreateOptions, Error, ExecOptions, Started, Stdio, create};
use boxship_sys::process::{self, Exit};
use boxship_sys::signal::Signal;
use tempfile::TempDir;

/// What Docker gives a container.
const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A folder with a root of busybox, and the specification of a container in it.
pub struct Bundle {
    pub folder: TempDir,
    pub spec: Spec,
    pub id: String,
}

/// A test that failed half way leaves nothing either; above all no mount below a folder that is about to be removed.
impl Drop for Bundle {
    fn drop(&mut self) {
        if let Ok(container) = Container::load(&self.state_root(), &self.id) {
            let _ = container.delete(true);
        }
    }
}

/// What came of a container.
#[derive(Debug)]
pub struct Outcome {
    pub exit: Exit,
    pub out: String,
    pub err: String,
}

impl Bundle {
    /// A container as Docker would make it, with an `sh -c` of this script.
    pub fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("rootfs");
        for name in ["bin", "dev", "etc", "proc", "sys", "tmp", "root", "home/ann", "run"] {
            std::fs::create_dir_all(root.join(name)).unwrap();
        }
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::set_permissions(root.join("tmp"), PermissionsExt::from_mode(0o1777)).unwrap();
        std::fs::copy("/bin/busybox", root.join("bin/busybox")).unwrap();
        for applet in [
            "sh", "true", "cat", "id", "ls", "sleep", "mount", "stat", "echo", "readlink", "tty", "hostname",
            "env", "touch", "ps", "grep", "mkdir", "umount", "kill", "wc", "test", "head", "od", "stty",
            "chmod",
        ] {
            symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        std::fs::write(
            root.join("etc/passwd"),
            "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1001::/home/ann:/bin/sh\n",
        )
        .unwrap();
        std::fs::write(root.join("etc/group"), "root:x:0:\nann:x:1001:\naudio:x:63:ann\nvideo:x:64:\n")
            .unwrap();
        let id = format!("test-{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        Self { folder, spec: spec(&id, script), id }
    }

    pub fn process(&mut self) -> &mut Process {
        self.spec.process.as_mut().unwrap()
    }

    pub fn linux(&mut self) -> &mut boxship_oci::runtime::Linux {
        self.spec.linux.as_mut().unwrap()
    }

    pub fn rootfs(&self) -> PathBuf {
        self.folder.path().join("rootfs")
    }

    pub fn state_root(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Adds a mount of the specification, as JSON.
    pub fn mount(&mut self, json: &str) {
        self.spec.mounts.push(serde_json::from_str(json).unwrap());
    }

    pub fn options(&self) -> CreateOptions {
        let text = serde_json::to_vec(&self.spec).unwrap();
        std::fs::write(self.folder.path().join("config.json"), text).unwrap();
        CreateOptions {
            root: self.state_root(),
            id: self.id.clone(),
            bundle: self.folder.path().to_owned(),
            spec: self.spec.clone(),
            ..CreateOptions::default()
        }
    }

    pub fn container(&self) -> Container {
        Container::load(&self.state_root(), &self.id).unwrap()
    }

    /// Creates with pipes for output; answers the process and the pipes' far ends.
    pub fn create(&self) -> Result<(Started, OwnedFd, OwnedFd), Error> {
        let (out, stdout) = boxship_sys::fd::pipe().unwrap();
        let (err, stderr) = boxship_sys::fd::pipe().unwrap();
        let stdio = Stdio::Files { stdin: None, stdout: Some(stdout), stderr: Some(stderr) };
        create(CreateOptions { stdio, ..self.options() }).map(|started| (started, out, err))
    }

    /// Creates, starts, waits, deletes, and looks for what is left.
    pub fn run(&self) -> Outcome {
        let outcome = self.run_anyhow();
        self.assert_clean();
        outcome
    }

    /// Creates, starts, waits, deletes.
    pub fn run_anyhow(&self) -> Outcome {
        let (started, out, err) = self.create().unwrap_or_else(|error| panic!("create: {}", error.chain()));
        self.container().start().unwrap();
        let outcome = finish(&started, out, err);
        self.container().delete(false).unwrap();
        outcome
    }

    /// Runs, expects exit code 0 and answers the output.
    pub fn output(&self) -> String {
        let outcome = self.run();
        assert_eq!(outcome.exit, Exit::Code(0), "{outcome:?}");
        outcome.out
    }

    /// The error of a container that cannot be created; nothing may be left of it.
    pub fn refusal(&self) -> Error {
        let error = self.create().expect_err("should not be possible");
        self.assert_clean();
        error
    }

    /// Creates and starts a container that stays.
    pub fn start(&self) -> (Started, OwnedFd, OwnedFd) {
        let made = self.create().unwrap_or_else(|error| panic!("create: {}", error.chain()));
        self.container().start().unwrap();
        made
    }

    /// Ends a container that stays, and reaps it.
    pub fn stop(&self, started: &Started) {
        self.container().kill(Signal::KILL, false).unwrap();
        process::wait(started.pidfd.as_fd()).unwrap();
        self.container().delete(false).unwrap();
        self.assert_clean();
    }

    /// Runs a script in the running container.
    pub fn exec(&self, script: &str) -> Outcome {
        let mut process = self.container().process().unwrap();
        process.args = ["sh", "-c", script].map(str::to_owned).to_vec();
        self.exec_process(process).unwrap_or_else(|error| panic!("exec: {}", error.chain()))
    }

    pub fn exec_process(&self, process: Process) -> Result<Outcome, Error> {
        let (out, stdout) = boxship_sys::fd::pipe().unwrap();
        let (err, stderr) = boxship_sys::fd::pipe().unwrap();
        let stdio = Stdio::Files { stdin: None, stdout: Some(stdout), stderr: Some(stderr) };
        let started = self.container().exec(ExecOptions { process, stdio, ..ExecOptions::default() })?;
        Ok(finish(&started, out, err))
    }

    /// No state, no control group, and nothing mounted on the host.
    pub fn assert_clean(&self) {
        assert!(!self.state_root().join(&self.id).exists(), "state is left");
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let own = self.folder.path().to_str().unwrap();
        assert!(!mounts.contains(own), "a mount is left: {mounts}");
        for hierarchy in std::fs::read_dir("/sys/fs/cgroup").unwrap() {
            let folder = hierarchy.unwrap().path().join("boxship-test").join(&self.id);
            assert!(!folder.exists(), "{} is left", folder.display());
        }
    }
}

fn finish(started: &Started, out: OwnedFd, err: OwnedFd) -> Outcome {
    let (out, err) = (read(out), read(err));
    Outcome { exit: process::wait(started.pidfd.as_fd()).unwrap(), out, err }
}

/// Everything that comes out of a descriptor until its other end closes (a terminal's closing is an error).
pub fn read(file: OwnedFd) -> String {
    let mut bytes = Vec::new();
    let _ = std::fs::File::from(file).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

pub fn exists(path: impl AsRef<Path>) -> bool {
    path.as_ref().symlink_metadata().is_ok()
}

fn spec(id: &str, script: &str) -> Spec {
    let json = serde_json::json!({
        "ociVersion": "1.2.0",
        "process": {
            "user": {"uid": 0, "gid": 0},
            "args": ["sh", "-c", script],
            "env": ["PATH=/bin:/usr/bin"],
            "cwd": "/",
            "capabilities": {
                "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES
            },
            "noNewPrivileges": true
        },
        "root": {"path": "rootfs"},
        "hostname": "inside",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["ro", "nosuid", "noexec", "nodev"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=64m"]}
        ],
        "linux": {
            "cgroupsPath": format!("/boxship-test/{id}"),
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "namespaces": [
                {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "cgroup"}
            ],
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/scsi", "/sys/firmware", "/nowhere"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
        }
    });
    serde_json::from_value(json).unwrap()
}
