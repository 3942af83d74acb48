//! Bad input: each time a message that says what to do, the right exit code, and nothing half made.

use boxship_testkit::host::{Host, Ran};

use crate::{eventually, host};

/// Runs `line`; it must end with `code` and say `text`, and leave no container.
#[track_caller]
fn refused(host: &Host, line: &[&str], code: i32, text: &str) {
    let ran = host.boxship(line);
    assert_eq!(ran.code, code, "{line:?}: {}{}", ran.stdout, ran.stderr);
    assert!(ran.stderr.contains(text), "{line:?} says: {}", ran.stderr);
    if line.contains(&"--rm") {
        eventually("no container is left", || host.boxship(["ps", "-aq"]).ok().is_empty());
    }
}

#[test]
fn what_cannot_be_run() {
    let host = host();
    for (line, code, text) in [
        ("run --rm nosuch true", 125, "nosuch"),
        ("run --rm busybox nosuch", 127, "executable file not found in $PATH"),
        ("run --rm busybox /nosuch", 127, "no such file or directory"),
        ("run --rm busybox /etc/passwd", 126, "permission denied"),
        ("run --rm -u nosuch busybox true", 125, "unable to find user nosuch"),
        (
            "run --rm -w relative busybox true",
            125,
            "the working directory 'relative' is invalid, it needs to be an absolute path",
        ),
        (
            "run --rm --mount type=bind,src=/nosuch,dst=/x busybox true",
            125,
            "bind source path does not exist: /nosuch",
        ),
        ("run --rm -m 3x busybox true", 125, "invalid"),
        ("run --rm -m 1m busybox true", 125, "Minimum memory limit"),
        ("run --rm --stop-signal NOSUCH busybox true", 125, "nvalid signal: NOSUCH"),
        ("run --rm --network nosuch busybox true", 125, "nosuch"),
        ("run --rm -p 80:80:80:80:80 busybox true", 125, "invalid IP address: 80:80:80"),
        ("run --rm -v named:/x busybox true", 125, "named"),
        ("run --rm --log-driver nosuch busybox true", 125, "nosuch"),
        ("run --rm --log-opt nosuch=1 busybox true", 125, "unknown log opt 'nosuch'"),
        ("run --rm --sysctl nosuch.thing=1 busybox true", 125, "nosuch.thing"),
        ("run --rm --security-opt nosuch busybox true", 125, "nosuch"),
        ("run --rm --runtime nosuch busybox true", 125, "nosuch"),
        ("run --rm --gpus all busybox true", 125, "gpus"),
        ("run --rm --device /nosuch busybox true", 127, "/nosuch"),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        refused(&host, &words, code, text);
    }
}

#[test]
fn a_network_that_is_missing_is_missed_at_start() {
    let host = host();
    for docker in [false, true] {
        let run = |words: &[&str]| if docker { host.docker(words) } else { host.boxship(words) };
        let ran = run(&["run", "--name", "box", "--network", "mine", "busybox", "true"]);
        assert_eq!(ran.code, 125, "{}", ran.stderr);
        assert!(ran.stderr.contains("network mine not found"), "{}", ran.stderr);
        assert!(!ran.stderr.contains("Unable to find image"), "nothing is pulled: {}", ran.stderr);
        assert_eq!(crate::format(&host, "box", "{{.State.Status}}"), "created");
        host.boxship(["rm", "box"]).ok();
    }
}

#[test]
fn a_name_in_use_is_a_conflict() {
    let host = host();
    host.boxship(["create", "--name", "box", "busybox"]).ok();
    refused(
        &host,
        &["create", "--name", "box", "busybox"],
        1,
        "The container name \"/box\" is already in use",
    );
    refused(
        &host,
        &["run", "--name", "box", "busybox"],
        125,
        "You have to remove (or rename) that container",
    );
    assert_eq!(host.boxship(["ps", "-aq"]).ok().lines().count(), 1);
    refused(&host, &["rmi", "busybox"], 1, "conflict");
}

#[test]
fn a_start_that_fails_leaves_the_container_and_tells_why() {
    let host = host();
    host.boxship(["create", "--name", "box", "busybox", "nosuch"]).ok();
    refused(&host, &["start", "box"], 1, "executable file not found");
    assert_eq!(crate::format(&host, "box", "{{.State.Status}} {{.State.ExitCode}}"), "created 127");
}

#[test]
fn no_daemon_and_no_permission() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_boxship"));
    command.args(["-H", "unix:///nosuch/socket", "ps"]).env_remove("DOCKER_HOST");
    let ran = Ran::of(&mut command);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("/nosuch/socket") && ran.stderr.contains("Is the"), "{}", ran.stderr);

    let host = host();
    std::fs::set_permissions(host.dir(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let exe = std::path::Path::new("/tmp").join(format!("boxship-nobody-{}", std::process::id()));
    boxship_testkit::images::place_program(env!("CARGO_BIN_EXE_boxship").as_ref(), &exe);
    let mut command = std::process::Command::new(&exe);
    command.args(["-H", &host.address(), "ps"]).env_remove("DOCKER_HOST");
    std::os::unix::process::CommandExt::uid(&mut command, 65534);
    std::os::unix::process::CommandExt::gid(&mut command, 65534);
    let ran = Ran::of(&mut command);
    std::fs::remove_file(&exe).unwrap();
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("permission denied"), "{}", ran.stderr);
}

#[test]
fn a_malformed_body_is_a_bad_request() {
    let host = host();
    for (body, status) in [
        ("{", "400"),
        ("[]", "400"),
        ("{\"Image\":1}", "400"),
        ("{\"Image\":\"busybox\",\"Nosuch\":1}", "201"),
    ] {
        let mut curl = std::process::Command::new(boxship_testkit::require_program("curl", "curl"));
        curl.args([
            "-s",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
            "-H",
            "Content-Type: application/json",
            "-d",
            body,
        ])
        .arg("--unix-socket")
        .arg(host.socket())
        .arg("http://localhost/v1.51/containers/create");
        assert_eq!(Ran::of(&mut curl).ok(), status, "{body}");
    }
}

#[test]
fn a_full_disk_refuses_a_load_and_leaves_nothing() {
    // The data root lies on a tmpfs that is smaller than the image.
    let mount = tempfile::Builder::new().prefix("boxship-test-full-").tempdir().unwrap();
    let status = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
        .arg(mount.path())
        .status()
        .unwrap();
    assert!(status.success());
    {
        let data = mount.path().join("data").display().to_string();
        let host = Host::start_with(env!("CARGO_BIN_EXE_boxship"), &["--data-root", &data]);
        let archive = boxship_testkit::images::debian().display().to_string();
        let ran = host.boxship(["load", "-i", &archive]);
        assert_eq!(ran.code, 1, "{}", ran.stdout);
        assert!(ran.stderr.contains("no space left on device"), "{}", ran.stderr);
        assert_eq!(host.boxship(["images", "-aq"]).ok(), "");
        host.load_busybox();
        assert_eq!(host.boxship(["run", "--rm", "busybox", "echo", "fine"]).ok(), "fine");
    }
    assert!(std::process::Command::new("umount").arg(mount.path()).status().unwrap().success());
}
