//! Images come and go by archives.

use std::fs;
use std::process::Command;

use boxship_testkit::host::Ran;
use boxship_testkit::images;

use crate::{format, host};

#[test]
fn save_and_load_keep_the_image() {
    let host = host();
    let id = format(&host, "busybox", "{{.Id}}");
    let file = host.dir().join("saved.tar").display().to_string();
    host.boxship(["tag", "busybox", "other:1"]).ok();
    host.boxship(["save", "-o", &file, "busybox", "other:1"]).ok();
    host.boxship(["rmi", "busybox", "other:1"]).ok();
    assert_eq!(host.boxship(["images", "-aq"]).ok(), "");
    let loaded = host.boxship(["load", "-i", &file]);
    assert_eq!(loaded.ok(), "Loaded image: busybox:latest\nLoaded image: other:1");
    assert_eq!(format(&host, "other:1", "{{.Id}}"), id);
    host.boxship(["run", "--rm", "other:1", "true"]).ok();
}

#[test]
fn a_platform_may_be_asked_for_but_not_overlooked() {
    let host = host();
    let here = format(&host, "busybox", "linux/{{.Architecture}}");
    let file = host.dir().join("saved.tar").display().to_string();
    host.boxship(["save", "--platform", &here, "-o", &file, "busybox"]).ok();
    assert_eq!(host.boxship(["load", "--platform", &here, "-i", &file]).ok(), "Loaded image: busybox:latest");
    let other = host.boxship(["save", "--platform", "linux/other", "-o", &file, "busybox"]);
    assert!(other.stderr.contains("does not provide the specified platform (linux/other)"), "{other:?}");
    assert_eq!(other.code, 1);
    let command = ["load", "--platform", &here, "-i", &file];
    let older = Ran::of(host.boxship_command().env("DOCKER_API_VERSION", "1.41").args(command));
    let told = "\"--platform\" requires API version 1.48, but the Docker daemon";
    assert!(older.stderr.contains(told), "{older:?}");
}

#[test]
fn compressed_archives_load() {
    let host = host();
    let archive = images::busybox();
    for (program, package) in [("gzip", "gzip"), ("zstd", "zstd")] {
        boxship_testkit::require_program(program, package);
        let packed = Command::new(program).arg("-c").arg(&archive).output().unwrap().stdout;
        let file = host.dir().join(program);
        fs::write(&file, packed).unwrap();
        host.boxship(["rmi", "-f", "busybox"]).ok();
        let loaded = host.boxship(["load", "-i", &file.display().to_string()]);
        assert_eq!(loaded.ok(), "Loaded image: busybox:latest");
        host.boxship(["run", "--rm", "busybox", "true"]).ok();
    }
}

#[test]
fn import_with_changes() {
    let host = host();
    let root = tempfile::tempdir().unwrap();
    images::busybox_root(root.path());
    let file = host.dir().join("root.tar");
    assert!(
        Command::new("tar")
            .arg("-C")
            .arg(root.path())
            .arg("-cf")
            .arg(&file)
            .arg(".")
            .status()
            .unwrap()
            .success()
    );
    let file = file.display().to_string();
    let id = host.boxship([
        "import",
        "-c",
        "CMD [\"echo\", \"imported\"]",
        "-c",
        "ENV A=b",
        "-m",
        "why",
        &file,
        "mine:1",
    ]);
    assert!(id.ok().starts_with("sha256:"));
    assert_eq!(host.boxship(["run", "--rm", "mine:1"]).ok(), "imported");
    assert_eq!(format(&host, "mine:1", "{{json .Config.Env}}"), "[\"A=b\"]");
    assert_eq!(host.boxship(["history", "--format", "{{.Comment}}", "mine:1"]).ok(), "why");
}

#[test]
fn hello_world_is_built_in() {
    let host = host();
    let ran = host.boxship(["run", "--rm", "hello-world"]);
    assert!(ran.ok().contains("Hello from Boxship!"), "{}", ran.stdout);
    assert!(ran.stderr.contains("built into"), "{}", ran.stderr);
}

#[test]
fn an_archive_that_lies_is_refused_and_leaves_nothing() {
    let host = host();
    let archive = fs::read(images::hello_world()).unwrap();
    let before = host.boxship(["images", "-aq"]).ok().to_string();
    let at = archive.windows(6).position(|window| window == b"Hello ").unwrap();
    let mut changed = archive.clone();
    changed[at] = b'J';
    for (name, bytes) in
        [("truncated", &archive[..archive.len() / 2]), ("changed", &changed), ("text", b"hello")]
    {
        let file = host.dir().join(name);
        fs::write(&file, bytes).unwrap();
        let ran = host.boxship(["load", "-i", &file.display().to_string()]);
        assert_eq!(ran.code, 1, "{name}: {}", ran.stdout);
        assert!(!ran.stderr.is_empty());
        assert_eq!(host.boxship(["images", "-aq"]).ok(), before, "{name}");
    }
}

#[test]
fn listing_looks_as_with_docker() {
    let host = host();
    host.boxship(["tag", "busybox", "registry.example:5000/team/box:v1"]).ok();
    for line in [
        "images",
        "images -a",
        "images -q",
        "images --no-trunc",
        "images --digests",
        "images --filter reference=busy*",
        "images --filter dangling=true",
        "images --format {{.Repository}}:{{.Tag}}",
        "image ls",
        "image inspect busybox",
        "history busybox",
        "history --no-trunc -q busybox",
        "rmi nosuch",
        "tag nosuch box",
        "tag busybox BAD",
        "image inspect nosuch",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let (ours, theirs) = (host.boxship(&words), host.docker(&words));
        // The stock client shows the names of one image in random order.
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(String::from).collect();
            lines.sort();
            lines
        };
        assert_eq!((ours.code, sorted(&ours.stdout)), (theirs.code, sorted(&theirs.stdout)), "{line}");
        assert_eq!(ours.stderr.replace("boxship", "docker"), theirs.stderr, "{line}");
    }
}
