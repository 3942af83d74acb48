//! Pulls and pushes whose daemon is killed, or whose disk is full: they go on where they were, nothing half-made is
//! visible, and space is given back. The way to the registry lets through as many bytes as a test says.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use boxship_testkit::host::{Host, Ran};
use boxship_testkit::require_program;

use crate::eventually;
use crate::server::Server;

/// The registry as the daemon knows it: behind the throttle.
const NAME: &str = "127.0.0.1:5001/app:1";
/// Bytes of the image's one layer, which can't be compressed.
const SIZE: u64 = 40 << 20;
/// No limit.
const ALL: u64 = u64::MAX >> 1;

/// A registry beside a host's daemon, and the way there.
struct Way {
    _server: Server,
    throttle: Option<Child>,
    folder: tempfile::TempDir,
}

impl Way {
    fn new(host: &Host) -> Way {
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        let command = host.home().command(env!("CARGO_BIN_EXE_boxship"));
        let server = Server::start(command, "127.0.0.1:5000", &folder.path().join("storage"), &[]);
        let mut way = Way { _server: server, throttle: None, folder };
        way.open(host, ALL);
        way
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A new way, on which nothing has passed yet.
    fn open(&mut self, host: &Host, limit: u64) {
        self.close();
        self.limit(limit);
        fs::write(self.path("passed"), "0").unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/throttle.py");
        let mut command = host.home().command(require_program("python3", "python3"));
        command.args([script, "5001", "5000"]).arg(self.folder.path());
        self.throttle = Some(command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        eventually("the way is open", || knock(host, 5001));
    }

    fn close(&mut self) {
        if let Some(mut throttle) = self.throttle.take() {
            throttle.kill().unwrap();
            throttle.wait().unwrap();
        }
    }

    fn limit(&self, limit: u64) {
        fs::write(self.path("new"), limit.to_string()).unwrap();
        fs::rename(self.path("new"), self.path("limit")).unwrap();
    }

    fn passed(&self) -> u64 {
        fs::read_to_string(self.path("passed")).unwrap().parse().unwrap_or(0)
    }

    /// What the registry's own commands say.
    fn registry(&self, verb: &str) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_boxship"));
        let command = command.args(["registry", verb, "--storage"]).arg(self.path("storage"));
        Ran::of(command).ok().to_string()
    }

    /// Gives the host an image of one layer.
    fn import(&self, host: &Host) {
        let folder = self.folder.path().display();
        let make = format!("head -c {SIZE} /dev/urandom > data && tar -cf image.tar data && rm data");
        host.home().shell(&format!("cd '{folder}' && {make}")).ok();
        let archive = self.path("image.tar").display().to_string();
        host.boxship(["import", &archive, NAME]).ok();
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.close();
    }
}

fn knock(host: &Host, port: u16) -> bool {
    host.home()
        .shell(&format!("python3 -c \"import socket; socket.create_connection(('127.0.0.1', {port}))\""))
        .code
        == 0
}

fn start(host: &Host, verb: &str) -> Child {
    let mut command = host.boxship_command();
    command.args([verb, "-q", NAME]).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Bytes on disk of what is being fetched.
fn fetched(host: &Host) -> u64 {
    let entries = fs::read_dir(host.data_root().join("content/ingest")).unwrap();
    entries.flatten().filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.blocks() * 512).sum()
}

#[test]
fn killed_pulls_and_pushes_go_on() {
    let mut host = Host::start(env!("CARGO_BIN_EXE_boxship"));
    let mut way = Way::new(&host);
    way.import(&host);
    way.open(&host, SIZE / 4);
    let push = start(&host, "push");
    eventually("a part is sent", || way.passed() > SIZE / 5);
    host.kill_daemon();
    assert_ne!(Ran::to_end(push).code, 0);
    assert_eq!(way.registry("ls"), "", "nobody sees half an image");
    host.start_daemon();
    way.open(&host, ALL);
    host.run(&format!("push -q {NAME}")).ok();
    assert_eq!(way.registry("ls"), "app");
    host.run(&format!("rmi {NAME}")).ok();

    let (half, hundredth) = (SIZE / 2, SIZE / 100);
    way.open(&host, half);
    let pull = start(&host, "pull");
    eventually("a half is fetched", || fetched(&host) > half - hundredth);
    host.kill_daemon();
    assert_ne!(Ran::to_end(pull).code, 0);
    host.start_daemon();
    assert_eq!(host.run("images -aq").ok(), "");
    way.open(&host, ALL);
    host.run(&format!("pull -q {NAME}")).ok();
    let again = way.passed();
    assert!(again < SIZE - half + 2 * hundredth, "{again} bytes came the second time");
    host.run(&format!("rmi {NAME}")).ok();
    assert_eq!(fetched(&host), 0);
}

/// A file system of its own for a host's data, small.
struct Small(PathBuf);

impl Small {
    fn mount(path: &Path, size: u64) -> Small {
        let words = ["-t", "tmpfs", "-o", &format!("size={size}"), "boxship-test"];
        assert!(Command::new("mount").args(words).arg(path).status().unwrap().success());
        Small(path.to_owned())
    }

    fn grow(&self, size: u64) {
        let words = ["-o", &format!("remount,size={size}")];
        assert!(Command::new("mount").args(words).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_gives_back_what_it_took() {
    let mut host = Host::start(env!("CARGO_BIN_EXE_boxship"));
    let way = Way::new(&host);
    way.import(&host);
    host.run(&format!("push -q {NAME}")).ok();
    host.stop_daemon();
    // Either the archive or its content finds room, never both.
    let small = Small::mount(&host.data_root(), SIZE * 3 / 2);
    host.start_daemon();
    let before = taken(&host);
    let failed = host.run(&format!("pull {NAME}"));
    assert!(
        failed.code != 0 && failed.stderr.to_lowercase().contains("no space left on device"),
        "{failed:?}"
    );
    assert_eq!(host.run("images -aq").ok(), "");
    eventually("space is given back", || taken(&host) < before + SIZE / 20);
    let told = host.docker(["system", "df", "--format", "{{.Type}} {{.Size}}"]).ok().to_string();
    assert!(told.starts_with("Images 0B"), "{told}");
    small.grow(SIZE * 4);
    host.run(&format!("pull -q {NAME}")).ok();
    host.run(&format!("rmi {NAME}")).ok();
    eventually("all is given back", || taken(&host) < before + SIZE / 20);
    host.stop_daemon();
    drop(small);
    host.start_daemon();
}

/// What `GET /system/df` tells, summed up, is what the disk says: after a load, a pull, a container that wrote, and with
/// the half of a pull that was cut.
#[test]
fn every_byte_is_accounted_for() {
    const NEAR: u64 = 1 << 20;
    let host = crate::host();
    let mut way = Way::new(&host);
    let check = |when: &str| {
        let mut last = (0, 0);
        eventually(&format!("{when}: what is told is what is taken"), || {
            last = (told(&host), taken(&host));
            let near = last.0.abs_diff(last.1) < NEAR;
            if !near {
                eprintln!("{when}: told {}, taken {}", last.0, last.1);
                std::thread::sleep(std::time::Duration::from_secs(1));
            }
            near
        });
    };
    check("loaded");
    way.import(&host);
    host.run(&format!("push -q {NAME}")).ok();
    check("pushed");
    host.run("run --name wrote busybox dd if=/dev/urandom of=/data bs=1M count=8").ok();
    check("written");
    host.run(&format!("rmi {NAME}")).ok();
    check("removed");
    way.open(&host, SIZE / 2);
    let mut pull = start(&host, "pull");
    eventually("half of it is here", || fetched(&host) > SIZE / 4);
    pull.kill().unwrap();
    pull.wait().unwrap();
    check("cut");
    assert!(told(&host) > SIZE / 4);
    way.open(&host, ALL);
    host.run(&format!("pull -q {NAME}")).ok();
    check("pulled");
}

/// The sum of what the daemon tells of its disk.
fn told(host: &Host) -> u64 {
    let socket = host.socket();
    let asked = format!("curl -sS --unix-socket '{}' http://boxship/v1.51/system/df", socket.display());
    let ran = host.home().shell(&asked);
    let usage: serde_json::Value = serde_json::from_str(ran.ok()).unwrap();
    let sum = |list: &str, size: &str| -> u64 {
        let items = usage[list].as_array().map(Vec::as_slice).unwrap_or_default();
        items.iter().filter_map(|item| item[size].as_u64()).sum()
    };
    usage["LayersSize"].as_u64().unwrap() + sum("Containers", "SizeRw") + sum("BoxshipOthers", "Size")
}

/// Bytes below the data root.
fn taken(host: &Host) -> u64 {
    let told = host.home().shell(&format!("du -s -B1 '{}' | cut -f1", host.data_root().display()));
    told.ok().parse().unwrap()
}
