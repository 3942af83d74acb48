//! `boxship registry`: the real executable serves, others' clients push and pull, commands work beside the server.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use boxship_oci::Digest;
use boxship_testkit::host::Ran;
use serde_json::json;

use crate::eventually;
use crate::server::Server;

/// A server of its own, with its storage and room for the others' files.
struct Registry {
    server: Server,
    folder: tempfile::TempDir,
}

impl Registry {
    fn start(arguments: &[&str]) -> Registry {
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        Registry { server: Self::serve(&folder.path().join("storage"), arguments), folder }
    }

    fn serve(storage: &Path, arguments: &[&str]) -> Server {
        Server::start(Command::new(env!("CARGO_BIN_EXE_boxship")), "127.0.0.1:0", storage, arguments)
    }

    /// The same again, after it was killed; at another port.
    fn restart(&mut self) {
        self.server = Self::serve(&self.path("storage"), &[]);
    }

    fn name(&self, repository: &str) -> String {
        format!("{}/{repository}", self.server.address)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command on the storage, beside the server.
    fn command(&self, words: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_boxship"));
        run(command.arg("registry").args(words).arg("--storage").arg(self.path("storage")))
    }

    fn podman(&self, words: &[&str]) -> String {
        let mut command = Command::new("podman");
        command.arg("--root").arg(self.path("podman")).arg("--runroot").arg(self.path("podman-run"));
        run(command.args(["--storage-driver", "vfs"]).args(words))
    }
}

#[track_caller]
fn run(command: &mut Command) -> String {
    Ran::of(command).ok().to_string()
}

fn skopeo(words: &[&str]) -> String {
    run(Command::new("skopeo").args(words))
}

/// An OCI layout with an index of two platforms, each of `count` layers.
fn layout(folder: &Path, count: usize) {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let blob = |bytes: &[u8], kind: &str| {
        let digest = Digest::of(bytes);
        fs::write(blobs.join(digest.hex()), bytes).unwrap();
        json!({"mediaType": kind, "digest": digest, "size": bytes.len()})
    };
    let mut manifests = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let tars: Vec<Vec<u8>> = (0..count).map(|n| tar(&format!("{architecture}-{n}"))).collect();
        let layers: Vec<_> =
            tars.iter().map(|tar| blob(tar, "application/vnd.oci.image.layer.v1.tar")).collect();
        let diffs: Vec<_> = tars.iter().map(Digest::of).collect();
        let config = json!({
            "architecture": architecture, "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": diffs},
        });
        let config = blob(config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json");
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers});
        let mut entry = blob(manifest.to_string().as_bytes(), kind);
        entry["platform"] = json!({"os": "linux", "architecture": architecture});
        manifests.push(entry);
    }
    let kind = "application/vnd.oci.image.index.v1+json";
    let index = json!({"schemaVersion": 2, "mediaType": kind, "manifests": manifests});
    let mut entry = blob(index.to_string().as_bytes(), kind);
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": "x"});
    let top = json!({"schemaVersion": 2, "manifests": [entry]});
    fs::write(folder.join("index.json"), top.to_string()).unwrap();
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

/// An archive of one empty file.
fn tar(name: &str) -> Vec<u8> {
    let mut head = [0u8; 512];
    head[..name.len()].copy_from_slice(name.as_bytes());
    head[100..107].copy_from_slice(b"0000644");
    for field in [108, 116] {
        head[field..field + 7].copy_from_slice(b"0000000");
    }
    for field in [124, 136] {
        head[field..field + 11].copy_from_slice(b"00000000000");
    }
    head[148..156].copy_from_slice(b"        ");
    head[156] = b'0';
    head[257..263].copy_from_slice(b"ustar\0");
    head[263..265].copy_from_slice(b"00");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    [&head[..], &[0; 1024]].concat()
}

#[test]
fn others_push_and_pull() {
    let registry = Registry::start(&[]);
    let source = registry.path("source");
    layout(&source, 30);
    let (name, oci) = (registry.name("many/layers:v1"), |path: &Path| format!("oci:{}:x", path.display()));
    skopeo(&[
        "copy",
        "--all",
        "--preserve-digests",
        "--dest-tls-verify=false",
        &oci(&source),
        &format!("docker://{name}"),
    ]);
    let back = registry.path("back");
    skopeo(&[
        "copy",
        "--all",
        "--preserve-digests",
        "--src-tls-verify=false",
        &format!("docker://{name}"),
        &oci(&back),
    ]);
    run(Command::new("diff").arg("-r").arg(source.join("blobs")).arg(back.join("blobs")));

    registry.podman(&["pull", "-q", "--tls-verify=false", &name]);
    let copy = registry.name("podman/layers:v2");
    registry.podman(&["tag", &name, &copy]);
    registry.podman(&["push", "-q", "--tls-verify=false", &copy]);
    let tags =
        skopeo(&["list-tags", "--tls-verify=false", &format!("docker://{}", registry.name("podman/layers"))]);
    assert!(tags.contains("v2"), "{tags}");

    assert_eq!(registry.command(&["ls"]), "many/layers\npodman/layers");
    assert!(registry.command(&["tags", "many/layers"]).contains("application/vnd.oci.image.index.v1+json"));
    assert_eq!(registry.command(&["rm", "many/layers:v1"]), "many/layers:v1");
    assert_eq!(registry.command(&["rm", "--all", "podman/layers"]), "podman/layers");
    let told = registry.command(&["gc", "--untagged", "--grace", "0"]);
    assert!(told.starts_with("Removed 0 tags, 3 manifests, 62 blobs, 1 repositories"), "{told}");
    assert_eq!(registry.command(&["ls"]), "");
    assert!(registry.command(&["du"]).ends_with("Total: 0B, of which 0B in no repository, 0B in uploads"));
    // The server noticed: what was there is pushed again.
    skopeo(&[
        "copy",
        "--all",
        "--preserve-digests",
        "--dest-tls-verify=false",
        &oci(&source),
        &format!("docker://{name}"),
    ]);
    assert_eq!(registry.command(&["ls"]), "many/layers");
}

#[test]
fn names_passwords_and_rights() {
    let files = tempfile::tempdir().unwrap();
    let (users, rights) = (files.path().join("htpasswd"), files.path().join("rights"));
    let user = run(Command::new("htpasswd").args(["-Bbn", "alice", "secret"]));
    fs::write(&users, user).unwrap();
    fs::write(&rights, "anonymous public/** pull\nalice ** pull,push\n").unwrap();
    let words = ["--htpasswd", &users.to_string_lossy(), "--rights", &rights.to_string_lossy()];
    let registry = Registry::start(&words);
    let source = registry.path("source");
    layout(&source, 1);
    let source = format!("oci:{}:x", source.display());
    for repository in ["public/x", "private/x"] {
        let target = format!("docker://{}", registry.name(repository));
        let anonymous = ["copy", "--all", "--dest-tls-verify=false", "--dest-no-creds", &source, &target];
        assert_ne!(Ran::of(Command::new("skopeo").args(anonymous)).code, 0, "{repository}");
        let known =
            ["copy", "--all", "--dest-tls-verify=false", "--dest-creds", "alice:secret", &source, &target];
        skopeo(&known);
    }
    let inspect = |repository: &str| {
        let target = format!("docker://{}", registry.name(repository));
        let mut command = Command::new("skopeo");
        command.args(["inspect", "--raw", "--tls-verify=false", "--no-creds", &target]);
        Ran::of(&mut command).code == 0
    };
    assert!(inspect("public/x"));
    assert!(!inspect("private/x"));
}

#[test]
fn tls_by_an_authority_of_ones_own() {
    let files = tempfile::tempdir().unwrap();
    let file = |name: &str| files.path().join(name).to_string_lossy().into_owned();
    let openssl = |words: &[&str]| run(Command::new("openssl").args(words));
    let (ca, ca_key, key, request, cert) = ("ca.crt", "ca.key", "server.key", "server.csr", "server.crt");
    let [ca, ca_key, key, request, cert] = [ca, ca_key, key, request, cert].map(file);
    let days = ["-days", "2"];
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let authority = ["-x509", "-subj", "/CN=authority", "-keyout", &ca_key, "-out", &ca];
    openssl(&[&["req"][..], &curve, &days, &authority].concat());
    let asked = ["-subj", "/CN=registry", "-addext", "subjectAltName=IP:127.0.0.1"];
    openssl(&[&["req"][..], &curve, &asked, &["-keyout", &key, "-out", &request]].concat());
    let signed =
        ["x509", "-req", "-copy_extensions", "copy", "-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial"];
    openssl(&[&signed[..], &days, &["-in", &request, "-out", &cert]].concat());

    let registry = Registry::start(&["--tls-cert", &cert, "--tls-key", &key]);
    let (source, trusted) = (registry.path("source"), registry.path("trusted"));
    layout(&source, 3);
    fs::create_dir(&trusted).unwrap();
    fs::copy(&ca, trusted.join("ca.crt")).unwrap();
    let (source, target) =
        (format!("oci:{}:x", source.display()), format!("docker://{}", registry.name("by/tls:1")));
    let strangers = Ran::of(Command::new("skopeo").args(["copy", "--all", &source, &target]));
    assert!(strangers.stderr.contains("unknown authority"), "{strangers:?}");
    let trusted = trusted.to_string_lossy();
    skopeo(&["copy", "--all", "--dest-cert-dir", &trusted, &source, &target]);
    let inspected = skopeo(&["inspect", "--raw", "--cert-dir", &trusted, &target]);
    assert!(inspected.contains("arm64"), "{inspected}");
    registry.podman(&["pull", "--cert-dir", &trusted, &registry.name("by/tls:1")]);
    registry.podman(&["rmi", "--all"]);
}

#[test]
fn a_server_killed_during_pushes_shows_whole_blobs_only() {
    let mut registry = Registry::start(&[]);
    let source = registry.path("source");
    layout(&source, 4);
    // Blobs that take a moment each, so that the kill meets some half-way.
    let folder = source.join("blobs/sha256");
    let large: Vec<u8> = (0..24u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let kind = "application/vnd.oci.image.layer.v1.tar";
    let blob = |bytes: &[u8], kind: &str| {
        let digest = Digest::of(bytes);
        fs::write(folder.join(digest.hex()), bytes).unwrap();
        json!({"mediaType": kind, "digest": digest, "size": bytes.len()})
    };
    let parts: Vec<&[u8]> = (0..6).map(|n| &large[n << 20..]).collect();
    let layers: Vec<_> = parts.iter().map(|part| blob(part, kind)).collect();
    let diffs: Vec<_> = parts.iter().map(Digest::of).collect();
    let config = json!({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": diffs}});
    let config = blob(config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json");
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": layers});
    let mut entry = blob(manifest.to_string().as_bytes(), kind);
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": "x"});
    fs::write(source.join("index.json"), json!({"schemaVersion": 2, "manifests": [entry]}).to_string())
        .unwrap();

    let push = |registry: &Registry| {
        let mut push = Command::new("skopeo");
        push.args(["copy", "--preserve-digests", "--dest-tls-verify=false"]);
        push.arg(format!("oci:{}:x", source.display())).arg(format!("docker://{}", registry.name("large:1")));
        push
    };
    let storage = registry.path("storage");
    for _ in 0..3 {
        let mut push = push(&registry).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let uploads = storage.join("repositories/large/_uploads");
        eventually("a blob is on its way", || {
            let entries = uploads.read_dir().into_iter().flatten().flatten();
            let mut sizes = entries.filter_map(|entry| entry.metadata().ok()).map(|found| found.len());
            sizes.any(|size| size > 1 << 20) || matches!(push.try_wait(), Ok(Some(_)))
        });
        registry.server.kill();
        Ran::to_end(push);
        for path in ["blobs", "repositories/large/_blobs", "repositories/large/_manifests"] {
            whole(&storage.join(path));
        }
        registry.restart();
    }
    assert!(
        !storage.join("repositories/large/_tags/1").exists()
            || storage.join("repositories/large/_manifests").exists()
    );
    run(&mut push(&registry));
    let (from, to) = (format!("docker://{}", registry.name("large:1")), registry.path("back"));
    let to = format!("oci:{}:x", to.display());
    skopeo(&["copy", "--preserve-digests", "--src-tls-verify=false", &from, &to]);
}

/// Every file below has the digest that it is called by.
fn whole(folder: &Path) {
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            whole(&path);
            continue;
        }
        let found = Digest::of(fs::read(&path).unwrap());
        assert_eq!(path.file_name().unwrap().to_str(), Some(found.hex()));
    }
}

#[test]
fn a_mirror_for_the_stock_clients() {
    let upstream = Registry::start(&[]);
    let url = format!("http://{}", upstream.server.address);
    let mirror = Registry::start(&["--mirror", &url]);
    let source = upstream.path("source");
    layout(&source, 5);
    let pushed = format!("docker://{}", upstream.name("library/box:1"));
    skopeo(&[
        "copy",
        "--all",
        "--preserve-digests",
        "--dest-tls-verify=false",
        &format!("oci:{}:x", source.display()),
        &pushed,
    ]);
    let name = format!("docker://{}", mirror.name("library/box:1"));
    let pull = |to: &str| {
        let target = format!("oci:{}:x", mirror.path(to).display());
        skopeo(&["copy", "--all", "--preserve-digests", "--src-tls-verify=false", &name, &target]);
        fs::read(mirror.path(to).join("index.json")).unwrap()
    };
    let first = pull("first");
    mirror.podman(&["pull", "--tls-verify=false", &mirror.name("library/box:1")]);
    drop(upstream);
    assert_eq!(first, pull("second"));
    let source = format!("oci:{}:x", mirror.path("first").display());
    let refused = ["copy", "--dest-tls-verify=false", &source, &name];
    assert_ne!(Ran::of(Command::new("skopeo").args(refused)).code, 0);
    mirror.podman(&["rmi", "--all"]);
}
