//! A mirror as its clients see it: what it fetches, keeps and follows, and what becomes of an upstream's faults.

#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is their way to fail.

#[allow(dead_code)] // The tests of the protocol use the rest.
mod server;

use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use boxship_distribution::{Credentials, Hosts, Proxies};
use boxship_oci::Digest;
use boxship_registry::{Config, MirrorConfig, Server, Storage, gc};
use server::fake::{Fake, Reply};
use server::{Answer, Running, client};

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";

fn of(url: &str) -> impl FnOnce(&mut Config) {
    with(url, Credentials::Anonymous)
}

fn with(url: &str, credentials: Credentials) -> impl FnOnce(&mut Config) {
    let (url, hosts, proxies) = (url.to_owned(), Hosts::default(), Proxies::default());
    move |config| config.mirror = Some(MirrorConfig { url, credentials, hosts, proxies })
}

fn get(server: &Running, path: &str) -> Answer {
    server.send("GET", path, &[], b"")
}

fn code(answer: &Answer) -> String {
    answer.json()["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
}

/// Pushes an image of one layer; the manifest's and the layer's digests.
fn push(server: &Running, repository: &str, tag: &str, layer: &[u8]) -> (Digest, Digest) {
    let blob = |bytes: &[u8]| {
        let digest = Digest::of(bytes);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        assert_eq!(server.send("POST", &path, &[], bytes).status, 201);
        digest
    };
    let (config, layer) = (blob(b"{}"), blob(layer));
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI}","config":{{"mediaType":"a/c","digest":"{config}","size":2}},"layers":[{{"mediaType":"a/l","digest":"{layer}","size":1}}]}}"#
    );
    let path = format!("/v2/{repository}/manifests/{tag}");
    assert_eq!(server.send("PUT", &path, &[("content-type", OCI)], text.as_bytes()).status, 201);
    (Digest::of(&text), layer)
}

/// Whether anything of a blob, or a part of one, is in a mirror's storage.
fn holds(storage: &Path, digest: &Digest) -> bool {
    fn any(folder: &Path, found: &dyn Fn(&Path) -> bool) -> bool {
        let entries = folder.read_dir().into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .any(|path| if path.is_dir() { any(&path, found) } else { found(&path) })
    }
    any(storage, &|path| path.ends_with(digest.hex()) || path.to_string_lossy().contains("_uploads"))
}

#[test]
fn it_follows_keeps_and_outlives_its_upstream() {
    let upstream = Running::new();
    let (first, layer) = push(&upstream, "library/app", "latest", b"one");
    push(&upstream, "other", "v1", b"one");
    let mirror = Running::with(of(&upstream.url()));

    let got = get(&mirror, "/v2/library/app/manifests/latest");
    assert_eq!((got.status, got.header("docker-content-digest")), (200, first.to_string()));
    assert_eq!(got.header("content-type"), OCI);
    let path = format!("/v2/library/app/blobs/{layer}");
    let head = mirror.send("HEAD", &path, &[], b"");
    assert_eq!((head.status, head.header("content-length")), (200, "3".into()));
    assert!(!holds(mirror.storage(), &layer), "a question fetches nothing");
    for _ in 0..2 {
        let got = get(&mirror, &path);
        assert_eq!((got.status, got.text()), (200, "one".into()));
    }
    // Who may read one repository needn't have the right to another: upstream is asked, the blob is not fetched again.
    let elsewhere = |repository: &str| get(&mirror, &format!("/v2/{repository}/blobs/{layer}"));
    assert_eq!((elsewhere("other").text(), elsewhere("nobody").status), ("one".into(), 404));
    assert_eq!(get(&mirror, "/v2/library/app/tags/list").json()["tags"], serde_json::json!(["latest"]));
    let page = get(&mirror, "/v2/library/app/tags/list?n=0");
    assert_eq!(page.json()["tags"], serde_json::json!([]));
    let referrers = get(&mirror, &format!("/v2/library/app/referrers/{first}"));
    assert_eq!(referrers.json()["manifests"], serde_json::json!([]));
    let absent = get(&mirror, "/v2/library/app/manifests/absent");
    assert_eq!((absent.status, code(&absent).as_str()), (404, "MANIFEST_UNKNOWN"));
    let pushed = mirror.send("POST", "/v2/library/app/blobs/uploads/", &[], b"");
    assert_eq!((pushed.status, code(&pushed).as_str()), (405, "UNSUPPORTED"));
    assert_eq!(mirror.send("DELETE", &path, &[], b"").status, 405);

    let (second, layer) = push(&upstream, "library/app", "latest", b"two");
    assert_eq!(upstream.send("DELETE", "/v2/other/manifests/v1", &[], b"").status, 202);
    let moved = mirror.send("HEAD", "/v2/library/app/manifests/latest", &[], b"");
    assert_eq!(moved.header("docker-content-digest"), second.to_string());
    assert_eq!(get(&mirror, &format!("/v2/library/app/manifests/{first}")).status, 200);
    assert_eq!(get(&mirror, "/v2/other/manifests/v1").status, 404);

    drop(upstream);
    let cached = get(&mirror, "/v2/library/app/manifests/latest");
    assert_eq!((cached.status, cached.header("docker-content-digest")), (200, second.to_string()));
    assert_eq!(get(&mirror, &path).text(), "one");
    let missing = get(&mirror, &format!("/v2/library/app/blobs/{layer}"));
    assert_eq!((missing.status, code(&missing).as_str()), (503, "UNAVAILABLE"));
    assert_eq!(get(&mirror, "/v2/library/app/tags/list").json()["tags"], serde_json::json!(["latest"]));
    assert_eq!(get(&mirror, "/v2/_catalog").json()["repositories"], serde_json::json!(["library/app"]));
}

#[test]
fn what_is_not_used_goes() {
    let upstream = Running::new();
    let (_, layer) = push(&upstream, "app", "v1", b"one");
    let mirror = Running::with(of(&upstream.url()));
    for path in ["/v2/app/manifests/v1", &format!("/v2/app/blobs/{layer}")] {
        assert_eq!(get(&mirror, path).status, 200);
    }
    let storage = Storage::open(mirror.storage()).unwrap();
    let keep = |grace| gc::Policy { grace, keep_age: Some(grace), untagged: true, ..gc::Policy::default() };
    let report = gc::collect(&storage, &keep(std::time::Duration::from_secs(60))).unwrap();
    assert_eq!(report, gc::Report::default());
    let report = gc::collect(&storage, &keep(std::time::Duration::ZERO)).unwrap();
    assert_eq!((report.tags, report.manifests, report.blobs, report.bytes), (1, 1, 1, 3));
    assert_eq!(get(&mirror, "/v2/app/manifests/v1").status, 200);
}

#[test]
fn pushed_and_mirrored_content_never_mix() {
    let refused = |storage: &Path, change: &dyn Fn(&mut Config)| {
        let mut config = Running::config(storage);
        change(&mut config);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(Server::bind(config)).err().map(|why| why.to_string())
    };
    let (pushed, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    push(&Running::at(pushed.path(), |_| {}), "app", "v1", b"one");
    let why = refused(pushed.path(), &|config| of("http://127.0.0.1:1")(config)).unwrap();
    assert!(why.contains("a mirror needs a folder of its own"), "{why}");
    drop(Running::at(folder.path(), of("http://127.0.0.1:1")));
    for change in [&(|_: &mut Config| {}) as &dyn Fn(&mut Config), &|config| of("http://127.0.0.1:2")(config)]
    {
        assert!(refused(folder.path(), change).unwrap().contains("is a mirror's"));
    }
    assert!(refused(folder.path(), &|config| of("ftp://x")(config)).unwrap().contains("no address"));
    drop(Running::at(folder.path(), of("http://127.0.0.1:1")));
}

/// What a sound upstream answers that has one blob.
fn sound(seen: &server::fake::Seen, content: &[u8]) -> Reply {
    let at = |text: &str| text.split('-').next()?.parse::<usize>().ok();
    let from = seen.head.split("range: bytes=").nth(1).and_then(at);
    match from {
        _ if seen.path == "/v2/" => Reply::of(200, b"{}"),
        Some(from) => Reply::of(206, &content[from..])
            .header("content-range", format!("bytes {from}-{}/{}", content.len() - 1, content.len())),
        None => Reply::of(200, content),
    }
}

#[test]
fn a_broken_way_is_gone_on_with() {
    let content: Vec<u8> = (0..600_000u32).map(|n| (n % 251) as u8).collect();
    let digest = Digest::of(&content);
    for ranges in [true, false] {
        let (body, cuts) = (content.clone(), Mutex::new(vec![500_000usize, 100_000]));
        let upstream = Fake::start(move |seen| {
            let mut reply = sound(seen, &body);
            if !ranges && seen.path != "/v2/" {
                reply = Reply::of(200, &body);
            }
            if seen.path != "/v2/" {
                reply.cut = cuts.lock().unwrap().pop().map(|cut| cut.min(reply.body.len()));
            }
            reply
        });
        let mirror = Running::with(of(&upstream.url));
        let got = get(&mirror, &format!("/v2/a/blobs/{digest}"));
        assert_eq!((got.status, Digest::of(&got.body)), (200, digest.clone()));
        assert!(upstream.seen("GET /v2/a/blobs").len() >= 2);
        assert_eq!(get(&mirror, &format!("/v2/a/blobs/{digest}")).body.len(), content.len());
    }
}

#[test]
fn half_and_wrong_blobs_never_arrive_whole_and_leave_nothing() {
    let content = vec![7u8; 300_000];
    let digest = Digest::of(&content);
    let mut wrong = content.clone();
    wrong[299_999] = 8;
    type Spoil = Box<dyn Fn(Reply) -> Reply + Send + Sync>;
    let always = |cut: usize| -> Spoil {
        Box::new(move |reply| Reply { cut: Some(cut.min(reply.body.len())), ..reply })
    };
    let cases: Vec<Spoil> = vec![
        Box::new(move |reply| Reply { body: wrong[wrong.len() - reply.body.len()..].to_vec(), ..reply }),
        always(0),
        always(1),
        Box::new(|reply| Reply { body: vec![0; 10], ..reply }),
    ];
    for (nth, spoil) in cases.into_iter().enumerate() {
        let (body, healthy) = (content.clone(), Arc::new(Mutex::new(false)));
        let well = healthy.clone();
        let upstream = Fake::start(move |seen| {
            let reply = sound(seen, &body);
            let spoilt = seen.path != "/v2/" && !*well.lock().unwrap();
            if spoilt { spoil(reply) } else { reply }
        });
        let mirror = Running::with(of(&upstream.url));
        let path = format!("/v2/a/blobs/{digest}");
        let got = get(&mirror, &path);
        assert!(got.status != 200 || got.body.len() < content.len().min(got.announced()), "case {nth}");
        client::until(|| (!holds(mirror.storage(), &digest)).then_some(()));
        *healthy.lock().unwrap() = true;
        assert_eq!(get(&mirror, &path).body.len(), content.len(), "case {nth}");
    }
}

#[test]
fn two_clients_share_one_fetch_and_read_along() {
    let content = vec![3u8; 400_000];
    let digest = Digest::of(&content);
    let (go, wait) = mpsc::channel::<()>();
    let (body, wait) = (content.clone(), Arc::new(Mutex::new(wait)));
    let upstream = Fake::start(move |seen| {
        let wait = wait.clone();
        let pause: Box<dyn FnOnce() + Send> =
            Box::new(move || wait.lock().unwrap().recv().unwrap_or_default());
        let reply = sound(seen, &body);
        if seen.path == "/v2/" { reply } else { Reply { pause: Some(pause), ..reply } }
    });
    let mirror = Running::with(of(&upstream.url));
    let path = format!("/v2/a/blobs/{digest}");
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..3).map(|_| scope.spawn(|| get(&mirror, &path))).collect();
        // The first half can be read while the second has not come.
        let part = mirror.send("GET", &path, &[("range", "bytes=10-99999")], b"");
        assert_eq!((part.status, part.body.len()), (206, 99_990));
        assert_eq!(part.header("content-range"), "bytes 10-99999/400000");
        go.send(()).unwrap();
        for client in clients {
            assert_eq!(Digest::of(&client.join().unwrap().body), digest);
        }
    });
    assert_eq!(upstream.seen("GET /v2/a/blobs").len(), 1);
    assert_eq!(get(&mirror, &path).body.len(), content.len());
}

#[test]
fn credentials_stay_between_mirror_and_upstream() {
    let content = b"content".to_vec();
    let digest = Digest::of(&content);
    let body = content.clone();
    let storage = Fake::start(move |seen| sound(seen, &body));
    let target = storage.url.clone();
    let basic = "authorization: basic dxnlcjpzzwnyzxq=";
    let upstream = Fake::start(move |seen| match seen.head.contains(basic) {
        false => Reply::of(401, b"{}").header("www-authenticate", "Basic realm=\"x\""),
        true if seen.path.contains("blobs") => {
            Reply::of(307, b"").header("location", format!("{target}/blob"))
        }
        true if seen.path == "/v2/" => Reply::of(200, b"{}"),
        true => Reply::of(404, b"{}"),
    });
    let credentials =
        |password: &str| Credentials::Password { user: "user".into(), password: password.into() };
    let mirror = Running::with(with(&upstream.url, credentials("secret")));
    let got =
        mirror.send("GET", &format!("/v2/a/blobs/{digest}"), &[("authorization", "Basic Y2xpZW50Og==")], b"");
    assert_eq!((got.status, got.body), (200, content));
    let there = storage.seen("/blob");
    assert!(!there.is_empty() && there.iter().all(|seen| !seen.head.contains("authorization")));
    assert!(
        upstream.seen("").iter().all(|seen| !seen.head.contains("y2xpzw50og==")),
        "a client's own go nowhere"
    );
    let refused = Running::with(with(&upstream.url, credentials("wrong")));
    let got = get(&refused, "/v2/a/manifests/latest");
    assert_eq!((got.status, got.header("www-authenticate")), (404, String::new()));
    assert!(!got.text().contains("wrong") && !got.text().contains("127.0.0.1"));
}

#[test]
fn an_upstream_that_has_enough_is_not_pressed() {
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI}","config":{{"mediaType":"a/c","digest":"{}","size":2}},"layers":[]}}"#,
        Digest::of("{}")
    );
    let digest = Digest::of(&manifest);
    let (busy, text) = (Arc::new(Mutex::new(false)), manifest.clone());
    let enough = busy.clone();
    let upstream = Fake::start(move |seen| match *enough.lock().unwrap() {
        _ if seen.path == "/v2/" => Reply::of(200, b"{}"),
        true => Reply::of(429, b"{}").header("retry-after", 7),
        false => Reply::of(200, text.as_bytes())
            .header("content-type", OCI)
            .header("docker-content-digest", &digest),
    });
    let mirror = Running::with(of(&upstream.url));
    assert_eq!(get(&mirror, "/v2/a/manifests/v1").status, 200);
    *busy.lock().unwrap() = true;
    assert_eq!(get(&mirror, "/v2/a/manifests/v1").text(), manifest);
    let got = mirror.send("HEAD", &format!("/v2/a/blobs/{}", Digest::of("x")), &[], b"");
    assert_eq!((got.status, got.header("retry-after")), (429, "7".into()));
}
