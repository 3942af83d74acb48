//! A real SDK: docker-py drives the daemon. The scripts stand beside this file.

use std::process::Command;

use boxship_testkit::host::Host;

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
    let output = Command::new(python)
        .arg(format!("{}/tests/e2e/{script}", env!("CARGO_MANIFEST_DIR")))
        .env("DOCKER_HOST", host.address())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
