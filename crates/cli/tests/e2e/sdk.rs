//! A real SDK: docker-py drives the daemon. The scripts stand beside this file.

use std::process::Command;

use boxship_testkit::host::{Host, Ran};

use crate::host;

#[test]
fn docker_py_works_unchanged() {
    drive(&host(), "sdk.py");
}

#[test]
fn docker_py_has_networks() {
    drive(&crate::wire::host(), "sdk_networks.py");
}

fn drive(host: &Host, script: &str) {
    let python = boxship_testkit::images::cache().join("sdk/bin/python");
    assert!(python.exists(), "docker-py is missing: run cargo xtask setup");
    let mut command = Command::new(python);
    command.arg(format!("{}/tests/e2e/{script}", env!("CARGO_MANIFEST_DIR")));
    Ran::of(command.env("DOCKER_HOST", host.address())).ok();
}
