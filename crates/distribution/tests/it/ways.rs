//! Ways that few registries need: other compressions, layers kept elsewhere, proxies, client certificates, identity
//! tokens.

use std::process::Command;
use std::sync::{Arc, OnceLock};

use boxship_distribution::{Credentials, Proxies};
use boxship_oci::descriptor::OCI_MANIFEST;
use boxship_oci::{Descriptor, Digest};

use super::debian::{nothing, start};
use super::fake::{Answer, Fake};
use super::house::{House, Image, archive, noise, settings};

#[tokio::test(flavor = "multi_thread")]
async fn zstd_layers() {
    let fake = Fake::start(|_, answer| answer).await;
    let plain = archive("f", &noise(500_000, 1));
    let mut image = Image::new(std::slice::from_ref(&plain), false);
    let packed = zstd::encode_all(&plain[..], 1).unwrap();
    image.manifest.layers = vec![Descriptor::of("application/vnd.oci.image.layer.v1.tar+zstd", &packed)];
    image.layers = vec![packed];
    image.put(&fake, "app", "latest");
    let house = House::new();
    let (pulled, _) = house.pull(&format!("{}/app", fake.address)).await.unwrap();
    assert_eq!(house.file(&pulled[0], "f"), noise(500_000, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_layers_come_from_where_they_are() {
    let (registry, elsewhere) =
        (Fake::start(|_, answer| answer).await, Fake::start(|_, answer| answer).await);
    let mut image = Image::new(&[archive("f", b"foreign")], true);
    let layer = image.layers.pop().unwrap();
    elsewhere.put("/files/layer", "application/octet-stream", layer);
    let descriptor = &mut image.manifest.layers[0];
    descriptor.media_type = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip".into();
    descriptor.urls = vec![format!("http://{}/files/layer", elsewhere.address)];
    image.put(&registry, "app", "latest");
    let house = House::new();
    let (pulled, _) = house.pull(&format!("{}/app", registry.address)).await.unwrap();
    assert_eq!(house.file(&pulled[0], "f"), b"foreign");
    assert_eq!(elsewhere.seen("/files/layer").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_identity_token_is_posted_for_tokens() {
    let address: Arc<OnceLock<String>> = Arc::default();
    let mine = address.clone();
    let fake = Fake::start(move |seen, answer| {
        if seen.path == "/token" {
            let form = String::from_utf8_lossy(&seen.body).into_owned();
            let right = seen.method == "POST" && form.contains("refresh_token=deep%2Fsecret");
            return match right {
                true => Answer::of(200, r#"{"access_token":"short","expires_in":300}"#),
                false => Answer::of(401, ""),
            };
        }
        if seen.headers.get("authorization").is_some_and(|header| header == "Bearer short") {
            return answer;
        }
        let realm = format!("http://{}/token", mine.get().map_or("", String::as_str));
        Answer::of(401, "").header("www-authenticate", format!("Bearer realm=\"{realm}\",service=\"s\""))
    })
    .await;
    address.set(fake.address.to_string()).unwrap();
    Image::new(&[archive("f", b"x")], true).put(&fake, "app", "latest");
    let name = format!("{}/app", fake.address);
    House::new().pull_as(&name, Credentials::Identity("deep/secret".into())).await.unwrap();
    let form = String::from_utf8(fake.seen("/token")[0].body.clone()).unwrap();
    for part in ["grant_type=refresh_token", "service=s", "scope=repository%3Aapp%3Apull"] {
        assert!(form.contains(part), "{form}");
    }
    let wrong = House::new().pull_as(&name, Credentials::Identity("other".into())).await.unwrap_err();
    assert!(wrong.to_string().contains("unauthorized"), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_asked_for_what_is_not_here() {
    let proxy = Fake::start(|_, answer| answer).await;
    let image = Image::new(&[archive("f", b"far away")], true);
    let server = "http://registry.test";
    let put = |path: &str, kind: &str, bytes: &[u8]| proxy.put(&format!("{server}/v2/{path}"), kind, bytes);
    put("", "application/json", b"{}");
    for blob in image.layers.iter().chain([&image.config]) {
        put(&format!("app/blobs/{}", Digest::of(blob)), "application/octet-stream", blob);
    }
    let manifest = serde_json::to_vec(&image.manifest).unwrap();
    for name in ["latest".to_owned(), Digest::of(&manifest).to_string()] {
        put(&format!("app/manifests/{name}"), OCI_MANIFEST, &manifest);
    }
    let mut settings = settings();
    let folder = tempfile::tempdir().unwrap();
    let host = folder.path().join("registry.test");
    std::fs::create_dir_all(&host).unwrap();
    std::fs::write(host.join("hosts.toml"), format!("server = \"{server}\"\n")).unwrap();
    settings.hosts.folders = vec![folder.path().to_owned()];
    settings.proxies = Proxies::new(&format!("http://u:p@{}", proxy.address), "", "").unwrap();
    let house = House::with(settings);
    let (pulled, _) = house.pull("registry.test/app").await.unwrap();
    assert_eq!(house.file(&pulled[0], "f"), b"far away");
    let seen = proxy.seen("manifests");
    assert!(seen.iter().all(|seen| seen.headers["proxy-authorization"] == "Basic dTpw"), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_and_an_authority_of_hosts_toml() {
    let registry = start(
        |folder| {
            let script = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=registry \
                 -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem
                 openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=ours -keyout ca.key -out ca.pem
                 openssl req -newkey rsa:2048 -nodes -subj /CN=me -keyout me.key -out me.csr
                 echo extendedKeyUsage=clientAuth > me.ext
                 openssl x509 -req -in me.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
                 -extfile me.ext -out me.cert";
            let made = Command::new("sh").args(["-ec", script]).current_dir(folder).output().unwrap();
            assert!(made.status.success(), "{made:?}");
            let path = folder.display();
            format!(
                "  tls: {{certificate: {path}/cert.pem, key: {path}/key.pem, clientcas: [{path}/ca.pem]}}\n"
            )
        },
        nothing,
    );
    let files = registry.folder.path();
    let with_rules = |rules: &str| {
        let host = files.join("certs.d").join(&registry.address);
        std::fs::create_dir_all(&host).unwrap();
        let (address, path) = (&registry.address, files.display());
        let text = format!(
            "server = \"https://{address}\"\n[host.\"https://{address}\"]\nca = \"{path}/cert.pem\"\n"
        );
        std::fs::write(host.join("hosts.toml"), text + &rules.replace("DIR", &path.to_string())).unwrap();
        let mut settings = settings();
        settings.hosts.folders = vec![files.join("certs.d")];
        House::with(settings)
    };
    let name = format!("{}/app:v1", registry.address);
    let refused = with_rules("").pull(&name).await.unwrap_err().to_string();
    assert!(!refused.contains("not found"), "nobody is let in without a certificate: {refused}");
    let house = with_rules("client = [[\"DIR/me.cert\", \"DIR/me.key\"]]\n");
    let missing = house.pull(&name).await.unwrap_err().to_string();
    assert!(missing.contains("manifest unknown") || missing.contains("not found"), "{missing}");
}
