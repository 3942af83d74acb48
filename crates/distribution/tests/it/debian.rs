//! Against Debian's docker-registry: plain, by TLS, with a password. It must be installed.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use boxship_distribution::{Credentials, Events};
use boxship_oci::reference::Reference;

use super::house::{House, Image, archive, noise, settings};
use super::sending::{make, push, statuses, tag, with_image};

/// A running registry; ends with the test.
pub struct Registry {
    child: Child,
    pub address: String,
    pub folder: tempfile::TempDir,
}

impl Registry {
    fn said(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of docker-registry ---\n{}", self.said());
        }
    }
}

pub fn start(http: impl Fn(&Path) -> String, auth: impl Fn(&Path) -> String) -> Registry {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let config = format!(
        "version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\nhttp:\n  addr: 127.0.0.1:0\n{}{}",
        root.display(),
        http(folder.path()),
        auth(folder.path())
    );
    let file = folder.path().join("config.yml");
    std::fs::write(&file, config).unwrap();
    let child = Command::new("/usr/bin/docker-registry")
        .args([Path::new("serve"), &file])
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(folder.path().join("log")).unwrap())
        .spawn()
        .expect("start docker-registry, of the package of this name");
    let mut registry = Registry { child, address: String::new(), folder };
    // It says which free port it has got.
    for _ in 0..4800 {
        let said = registry.said();
        let told = said.split_once("listening on ").map(|(_, rest)| rest.split([',', '"']).next());
        if let Some(address) = told.flatten() {
            registry.address = address.to_owned();
            return registry;
        }
        let ended = registry.child.try_wait().unwrap();
        assert!(ended.is_none(), "the registry ended: {ended:?}");
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("the registry doesn't start");
}

pub fn nothing(_: &Path) -> String {
    String::new()
}

#[tokio::test(flavor = "multi_thread")]
async fn pushed_mounted_and_pulled_again() {
    let registry = start(nothing, nothing);
    let house = House::new();
    let image = Image::new(&[archive("f", &noise(9_000_000, 1)), archive("g", b"small")], true);
    let from = with_image(&house, &image).await;
    let name = format!("{}/team/one:v1", registry.address);
    tag(&house, &from, &name);
    let told = push(&house, &name, Credentials::Anonymous).await.unwrap();
    assert_eq!(statuses(&told).iter().filter(|status| **status == "Pushed").count(), 2, "{told:?}");
    let aux = told.iter().find_map(|event| event.aux.clone()).unwrap();
    let digest = boxship_oci::Digest::of(serde_json::to_vec(&image.manifest).unwrap());
    assert_eq!(aux["Digest"], digest.to_string(), "the digest survives");
    let again = push(&house, &name, Credentials::Anonymous).await.unwrap();
    assert_eq!(statuses(&again).iter().filter(|status| **status == "Layer already exists").count(), 2);
    let other = format!("{}/team/two:v1", registry.address);
    tag(&house, &from, &other);
    let mounted = push(&house, &other, Credentials::Anonymous).await.unwrap();
    let words = "Mounted from team/one";
    assert_eq!(statuses(&mounted).iter().filter(|status| **status == words).count(), 2, "{mounted:?}");
    let elsewhere = House::new();
    let (pulled, _) = elsewhere.pull(&other).await.unwrap();
    assert_eq!(pulled[0].digest, digest);
    assert!(elsewhere.file(&pulled[0], "f") == noise(9_000_000, 1));
    let (all, _) = {
        let reference = Reference::parse(&format!("{}/team/two", registry.address)).unwrap();
        let pull =
            boxship_distribution::Pull { reference, platform: None, credentials: Credentials::Anonymous };
        let (sender, _receiver) = tokio::sync::mpsc::channel(1000);
        (elsewhere.client.pull(&pull, &Events::new(sender)).await.unwrap(), ())
    };
    assert_eq!(all.len(), 1, "all tags");
}

#[tokio::test(flavor = "multi_thread")]
async fn images_made_here_are_sent_compressed_and_evicted_archives_come_back() {
    let registry = start(nothing, nothing);
    let house = House::new();
    let plain = archive("f", &vec![7; 5_000_000]);
    let name = format!("{}/made:here", registry.address);
    make(&house, &plain, &name);
    let told = push(&house, &name, Credentials::Anonymous).await.unwrap();
    let aux = told.iter().find_map(|event| event.aux.clone()).unwrap();
    assert_eq!(
        push(&house, &name, Credentials::Anonymous).await.unwrap().iter().find_map(|e| e.aux.clone()),
        Some(aux)
    );
    let other = House::new();
    let (pulled, _) = other.pull(&name).await.unwrap();
    assert_eq!(other.file(&pulled[0], "f"), vec![7; 5_000_000]);
    let image = other.store.images().get(&pulled[0].id).unwrap();
    assert!(image.layers[0].blob_size < 100_000);
    // Not kept any more, fetched again when needed.
    assert!(other.store.content().evict(0).unwrap() > 0);
    assert!(other.store.content().size(&image.layers[0].blob).unwrap().is_none());
    let lease = std::sync::Arc::new(other.store.lease());
    other.client.complete(&image, None, &lease).await.unwrap();
    assert_eq!(other.store.content().size(&image.layers[0].blob).unwrap(), Some(image.layers[0].blob_size));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_and_a_password() {
    let registry = start(
        |folder| {
            let made = Command::new("openssl")
                .args([
                    "req",
                    "-x509",
                    "-newkey",
                    "rsa:2048",
                    "-nodes",
                    "-days",
                    "2",
                    "-subj",
                    "/CN=registry",
                ])
                .args(["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"])
                .current_dir(folder)
                .output()
                .unwrap();
            assert!(made.status.success());
            let path = folder.display();
            format!("  tls: {{certificate: {path}/cert.pem, key: {path}/key.pem}}\n")
        },
        |folder| {
            let made = Command::new("htpasswd").args(["-Bbn", "alice", "s3cret"]).output().unwrap();
            std::fs::write(folder.join("htpasswd"), made.stdout).unwrap();
            format!("auth:\n  htpasswd: {{realm: x, path: {}/htpasswd}}\n", folder.display())
        },
    );
    let alice = |password: &str| Credentials::Password { user: "alice".into(), password: password.into() };
    let certs = registry.folder.path().join("certs.d");
    let host = certs.join(&registry.address);
    std::fs::create_dir_all(&host).unwrap();
    std::fs::copy(registry.folder.path().join("cert.pem"), host.join("ca.crt")).unwrap();
    let mut settings = settings();
    settings.hosts.folders = vec![certs];
    let house = House::with(settings.clone());
    let from = with_image(&house, &Image::new(&[archive("f", &noise(100_000, 1))], true)).await;
    let name = format!("{}/app:v1", registry.address);
    tag(&house, &from, &name);
    assert_eq!(push(&house, &name, Credentials::Anonymous).await.unwrap_err(), "no basic auth credentials");
    let wrong = push(&house, &name, alice("wrong")).await.unwrap_err();
    assert_eq!(wrong, "unauthorized: authentication required");
    push(&house, &name, alice("s3cret")).await.unwrap();
    House::with(settings).pull_as(&name, alice("s3cret")).await.unwrap();
    assert_eq!(house.client.login(&registry.address, &alice("s3cret")).await.unwrap(), None);
    let refused = house.client.login(&registry.address, &alice("wrong")).await.unwrap_err();
    assert_eq!(refused.kind(), boxship_distribution::Kind::Unauthorized);
    assert!(refused.to_string().ends_with("failed with status: 401 Unauthorized"), "{refused}");
    // This very machine is insecure by rule: without the certificate it is not verified, and works.
    House::new().pull_as(&name, alice("s3cret")).await.unwrap();
}
