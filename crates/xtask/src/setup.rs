//! Installs what the tests need, and runs them.

use std::path::Path;
use std::process::Command;

/// Debian packages of the programs that tests call, by what they are needed for. What only benches call (crun,
/// wrk, iperf3) they name themselves when it is missing.
const PACKAGES: &[(&str, &str)] = &[
    ("busybox", "busybox-static"),          // the root of the small test image
    ("debootstrap", "debootstrap"),         // the Debian test image
    ("docker", "docker.io"),                // the stock client
    ("gcc", "build-essential"),             // C parts of the dependencies
    ("linux.uml", "user-mode-linux"),       // a kernel with cgroup v2 only
    ("kmod", "kmod"),                       // modules for it
    ("jq", "jq"),                           // reading JSON in shell tests
    ("script", "bsdutils"),                 // a terminal for the command line
    ("python3", "python3"),                 // the SDK's tests
    ("openssl", "openssl"),                 // certificates for the TLS tests
    ("ip", "iproute2"),                     // hosts in network namespaces
    ("nft", "nftables"),                    // what is in their firewall
    ("curl", "curl"),                       // requests to published ports
    ("ping", "iputils-ping"),               // what gets through
    ("iptables", "iptables"),               // others' rules beside ours
    ("dig", "bind9-dnsutils"),              // questions to the name server
    ("skopeo", "skopeo"),                   // another client of registries
    ("podman", "podman"),                   // and one more
    ("docker-registry", "docker-registry"), // another registry
    ("htpasswd", "apache2-utils"),          // its users
    ("tmux", "tmux"),                       // terminals that are looked at
    ("gzip", "gzip"),                       // archives of others' making
    ("zstd", "zstd"),                       // the same
];

/// The SDK that the tests drive, from PyPI, in an environment of its own.
pub const SDK: &str = "docker==7.1.0";

/// Installs the packages that are missing; needs root.
pub fn install() -> Result<(), String> {
    boxship_testkit::require_root();
    let missing: Vec<&str> =
        PACKAGES.iter().filter(|(program, _)| !in_path(program)).map(|(_, package)| *package).collect();
    if !missing.is_empty() {
        call(Command::new("apt-get").args(["update", "-q"]))?;
        call(
            Command::new("apt-get")
                .args(["install", "-y", "-q", "--no-install-recommends"])
                .args(&missing)
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )?;
    }
    sdk()
}

fn sdk() -> Result<(), String> {
    let environment = boxship_testkit::images::cache().join("sdk");
    if environment.join("bin/python").exists() && environment.join("installed").exists() {
        return Ok(());
    }
    let venv = Command::new("python3").args(["-m", "venv"]).arg(&environment).status();
    if !venv.is_ok_and(|status| status.success()) {
        call(Command::new("apt-get").args(["install", "-y", "-q", "python3-venv"]))?;
        call(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    }
    call(Command::new(environment.join("bin/pip")).args(["install", "-q", SDK, "pytest"]))?;
    std::fs::write(environment.join("installed"), SDK).map_err(|e| format!("note the SDK's version: {e}"))
}

/// Makes the images and runs every test of the workspace.
pub fn test(rest: &[&str]) -> Result<(), String> {
    crate::images()?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    // The end-to-end tests measure leaks on the whole machine: one test binary at a time is cargo's way,
    // and within a binary each host is told from the others by its folder.
    call(Command::new(&cargo).args(["test", "--workspace"]).args(rest))?;
    // The same once more for what differs under cgroup v2, on a kernel that has nothing else.
    let vm = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vm");
    call(&mut Command::new(vm.join("runtime-tests")))?;
    call(&mut Command::new(vm.join("e2e-tests")))
}

fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([Path::new("/usr/sbin").to_path_buf()])
        .any(|dir| dir.join(program).is_file())
}

fn call(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|e| format!("run {:?}: {e}", command.get_program()))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}")) }
}
