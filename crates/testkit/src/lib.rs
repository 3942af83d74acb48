//! What tests share: real images made without a registry, temporary hosts (a daemon with
//! folders and a network of its own), the check for what was left behind, and the privilege gate.
//!
//! Everything here panics with a sentence that says what is missing: a test never passes
//! silently on a machine that cannot run it.

// What a failing test has to say goes to its standard error.
#![allow(clippy::print_stderr)]

pub mod host;
pub mod images;
pub mod leaks;
pub mod netns;
pub mod ran;

/// Panics unless the process is root: nothing here can be tested without.
pub fn require_root() {
    assert!(rustix::process::geteuid().is_root(), "this test makes namespaces and mounts: run it as root");
}

/// Finds `program` in PATH, or panics with the Debian package that carries it.
pub fn require_program(program: &str, package: &str) -> std::path::PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|dir| dir.join(program))
        .find(|candidate| candidate.is_file())
        .unwrap_or_else(|| {
            panic!("{program} is missing: install Debian's package {package} (cargo xtask setup)")
        })
}
