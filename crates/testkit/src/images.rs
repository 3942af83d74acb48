//! Real images, made on this machine from Debian's packages and kept between runs.
//!
//! * `busybox`: Debian's static busybox with a link for each applet.
//! * `debian`: a Debian userland by debootstrap with python3, bash and procps.
//! * `nginx`: a Debian userland with nginx, which it starts; python3, iperf3 and curl beside it.
//! * `hello-world`: our own greeting, the copy that is built into the executable.
//!
//! Each is a docker-archive below [`cache`]; making one again gives the same bytes for the
//! same packages. A lock file keeps two test processes from making one at the same time.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::require_program;

/// What a test image starts when nothing is said.
struct Recipe<'a> {
    name: &'a str,
    cmd: &'a [&'a str],
    env: &'a [&'a str],
    ports: &'a [&'a str],
}

const PATH_ENV: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Where the images are kept: `BOXSHIP_TEST_CACHE`, else `/var/cache/boxship-test`.
pub fn cache() -> PathBuf {
    let dir = std::env::var_os("BOXSHIP_TEST_CACHE").map(PathBuf::from);
    let dir = dir.unwrap_or_else(|| PathBuf::from("/var/cache/boxship-test"));
    fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("create {}: {e}", dir.display()));
    dir
}

/// The archive of `busybox:latest`.
pub fn busybox() -> PathBuf {
    let recipe = Recipe { name: "busybox", cmd: &["sh"], env: &[PATH_ENV], ports: &[] };
    cached("busybox", busybox_root, &recipe)
}

/// The archive of `debian:latest`: bash, coreutils, procps, python3.
pub fn debian() -> PathBuf {
    let recipe = Recipe { name: "debian", cmd: &["bash"], env: &[PATH_ENV], ports: &[] };
    cached("debian", |root| debian_root(root, "procps,python3-minimal"), &recipe)
}

/// The archive of `nginx:latest`: a web server on port 80 that answers with the client's address.
pub fn nginx() -> PathBuf {
    let recipe =
        Recipe { name: "nginx", cmd: &["nginx", "-g", "daemon off;"], env: &[PATH_ENV], ports: &["80/tcp"] };
    cached("nginx", nginx_root, &recipe)
}

fn nginx_root(root: &Path) {
    debian_root(root, "nginx-light,curl,iperf3,iproute2,procps,python3-minimal");
    write_file(&root.join("etc/nginx/nginx.conf"), NGINX_CONF.as_bytes(), 0o644);
}

/// One worker, no access log: `/` tells the client's address, `/static` is for measurements.
const NGINX_CONF: &str = "user www-data;\nworker_processes 1;\npid /run/nginx.pid;\nerror_log stderr;\n\
    events { worker_connections 1024; }\n\
    http {\n  access_log off;\n  default_type text/plain;\n  keepalive_requests 1000000;\n\
    server {\n    listen 80;\n    listen [::]:80;\n\
    location / { return 200 \"hello $remote_addr\\n\"; }\n\
    location /static { return 200 \"0123456789abcdef\\n\"; }\n  }\n}\n";

/// The archive of `hello-world:latest`, as built into the executable.
pub fn hello_world() -> PathBuf {
    let target = cache().join("hello-world.tar");
    let archive = boxship_image::hello::archive();
    if fs::read(&target).ok().as_deref() != Some(&archive) {
        let part = cache().join(format!("hello-world.{}.part", std::process::id()));
        write_file(&part, &archive, 0o644);
        fs::rename(&part, &target).unwrap_or_else(|e| panic!("rename {}: {e}", part.display()));
    }
    target
}

fn cached(name: &str, make: impl Fn(&Path), recipe: &Recipe) -> PathBuf {
    let target = cache().join(format!("{name}.tar"));
    let lock = File::create(cache().join(format!("{name}.lock"))).expect("create the lock file");
    lock.lock().expect("lock the image cache");
    if target.exists() {
        return target;
    }
    let root = tempfile::tempdir_in(cache()).expect("create a folder in the image cache");
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("open up the root folder");
    make(root.path());
    let part = cache().join(format!("{name}.part"));
    archive(root.path(), recipe, &part).unwrap_or_else(|e| panic!("pack {name}: {e}"));
    fs::rename(&part, &target).unwrap_or_else(|e| panic!("rename {}: {e}", part.display()));
    target
}

/// Fills `root` with busybox and the usual folders.
pub fn busybox_root(root: &Path) {
    let busybox = require_program("busybox", "busybox-static");
    for dir in ["bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "usr/bin", "var/spool"] {
        fs::create_dir_all(root.join(dir)).expect("create a folder");
    }
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777)).expect("open up /tmp");
    fs::set_permissions(root.join("root"), fs::Permissions::from_mode(0o700)).expect("close /root");
    let target = root.join("bin/busybox");
    place_program(&busybox, &target);
    let applets = Command::new(&busybox).arg("--list").output().expect("list busybox's applets");
    for applet in String::from_utf8_lossy(&applets.stdout).lines().filter(|a| *a != "busybox") {
        symlink("busybox", root.join("bin").join(applet)).expect("link an applet");
    }
    write_file(&root.join("etc/passwd"), BUSYBOX_PASSWD.as_bytes(), 0o644);
    write_file(&root.join("etc/group"), BUSYBOX_GROUP.as_bytes(), 0o644);
}

const BUSYBOX_PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n\
    daemon:x:1:1:daemon:/usr/sbin:/bin/false\n\
    www-data:x:33:33:www-data:/var/www:/bin/false\n\
    operator:x:37:37:Operator:/var:/bin/false\n\
    nobody:x:65534:65534:nobody:/home:/bin/false\n";
const BUSYBOX_GROUP: &str = "root:x:0:\ndaemon:x:1:\nadm:x:4:\naudio:x:29:\nwww-data:x:33:\n\
    operator:x:37:\nusers:x:100:\nnobody:x:65534:\n";

/// Debian's base with these further packages, without documentation and package lists.
fn debian_root(root: &Path, packages: &str) {
    let debootstrap = require_program("debootstrap", "debootstrap");
    let (release, mirror) = debian_mirror();
    let mut command = Command::new(debootstrap);
    command.args(["--variant=minbase", &format!("--include={packages}")]).arg(release).arg(root).arg(mirror);
    let output = command.output().expect("run debootstrap");
    assert!(output.status.success(), "debootstrap failed:\n{}", String::from_utf8_lossy(&output.stdout));
    for dir in ["var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale"] {
        let dir = root.join(dir);
        fs::remove_dir_all(&dir).unwrap_or_else(|e| panic!("empty {}: {e}", dir.display()));
        fs::create_dir_all(&dir).expect("make the folder again");
    }
}

/// The release and the package mirror that this machine's own apt is configured to use.
fn debian_mirror() -> (String, String) {
    let wanted = ["Origin: Debian", "Label: Debian", "Component: main", "Created-By: Packages"];
    let mut command = Command::new(require_program("apt-get", "apt"));
    let output = command.args(["indextargets", "--format", "$(CODENAME) $(REPO_URI)"]).args(wanted).output();
    let text = String::from_utf8(output.expect("ask apt for its mirrors").stdout).expect("apt prints text");
    let first = text.lines().filter(|line| !line.contains("-updates")).find_map(|line| line.split_once(' '));
    let (release, mirror) = first.expect("apt knows no Debian mirror: check /etc/apt, run apt-get update");
    (release.to_string(), mirror.to_string())
}

/// Copies a program to where it will be run. By a process of its own: a descriptor of ours, open for writing, could be
/// inherited by what other threads are just starting, and a file that is open for writing can't be executed.
pub fn place_program(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg(from).arg(to).status().expect("run cp");
    assert!(copied.success(), "copy {} to {}", from.display(), to.display());
}

fn write_file(path: &Path, bytes: &[u8], mode: u32) {
    fs::write(path, bytes).unwrap_or_else(|e| panic!("write {}: {e}", path.display()));
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set the mode");
}

/// Packs `root` as a one-layer docker-archive.
fn archive(root: &Path, recipe: &Recipe, target: &Path) -> io::Result<()> {
    let bytes = pack(root);
    let diff_id = hex(&Sha256::digest(&bytes));
    let mut what = json!({ "Cmd": recipe.cmd, "Env": recipe.env, "WorkingDir": "/" });
    for port in recipe.ports {
        what["ExposedPorts"][port] = json!({});
    }
    let config = json!({
        "architecture": architecture(), "os": "linux", "created": "2026-01-01T00:00:00Z",
        "config": what,
        "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{diff_id}")] },
        "history": [{ "created": "2026-01-01T00:00:00Z", "created_by": "cargo xtask images" }],
    })
    .to_string();
    let config_name = format!("{}.json", hex(&Sha256::digest(&config)));
    let manifest = json!([{ "Config": config_name, "RepoTags": [format!("{}:latest", recipe.name)],
        "Layers": [format!("{diff_id}/layer.tar")] }])
    .to_string();
    let mut outer = tar::Builder::new(File::create(target)?);
    append_bytes(&mut outer, &config_name, config.as_bytes())?;
    append_bytes(&mut outer, &format!("{diff_id}/layer.tar"), &bytes)?;
    append_bytes(&mut outer, "manifest.json", manifest.as_bytes())?;
    outer.into_inner()?.sync_all()
}

/// The platform's name as images spell it.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The folder as a layer, by the tar program: an archive that is not of our own making.
fn pack(root: &Path) -> Vec<u8> {
    let mut command = Command::new(require_program("tar", "tar"));
    command.args(["--numeric-owner", "--sort=name", "--mtime=@1767225600", "-c", "."]).current_dir(root);
    let output = command.output().expect("run tar");
    assert!(output.status.success(), "tar failed: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn append_bytes(builder: &mut tar::Builder<impl Write>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    builder.append_data(&mut header, name, bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
