//! A real SDK: docker-py drives the daemon. The script stands beside this file.

use std::process::Command;

use crate::host;

#[test]
fn docker_py_works_unchanged() {
    let host = host();
    let python = boxship_testkit::images::cache().join("sdk/bin/python");
    assert!(python.exists(), "docker-py is missing: run cargo xtask setup");
    let output = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/sdk.py"))
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
