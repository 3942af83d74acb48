//! The protocol as clients see it: the workflows of the distribution specification's conformance suite (pull, push,
//! content discovery, content management), and what clients do that they should not.

#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is their way to fail.

#[allow(dead_code)] // The tests of mirrors use the rest.
mod server;

use boxship_oci::Digest;
use boxship_oci::digest::Algorithm;
use server::{Answer, Running, client};

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Pushes a blob in two steps.
fn push(server: &Running, repository: &str, bytes: &[u8]) -> Digest {
    push_as(server, repository, bytes, Digest::of(bytes))
}

fn push_as(server: &Running, repository: &str, bytes: &[u8], digest: Digest) -> Digest {
    let begun = server.send("POST", &format!("/v2/{repository}/blobs/uploads/"), &[], b"");
    assert_eq!(begun.status, 202, "{}", begun.text());
    let done = server.send("PUT", &format!("{}?digest={digest}", begun.header("location")), &[], bytes);
    assert_eq!(done.status, 201, "{}", done.text());
    assert_eq!(done.header("docker-content-digest"), digest.to_string());
    assert_eq!(done.header("location"), format!("/v2/{repository}/blobs/{digest}"));
    digest
}

fn item(digest: &Digest, kind: &str) -> String {
    format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":1}}"#)
}

fn image(config: &Digest, layers: &[&Digest], more: &str) -> String {
    let layers: Vec<String> = layers.iter().map(|layer| item(layer, "a/layer")).collect();
    let config = item(config, "application/vnd.oci.image.config.v1+json");
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI}","config":{config},"layers":[{}]{more}}}"#,
        layers.join(",")
    )
}

fn put(server: &Running, path: &str, kind: &str, text: &str) -> Answer {
    server.send("PUT", path, &[("content-type", kind)], text.as_bytes())
}

fn code(answer: &Answer) -> String {
    answer.json()["errors"][0]["code"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn pull() {
    let server = Running::new();
    let blob = push(&server, "org/app", b"0123456789");
    let text = image(&blob, &[&blob], "");
    let digest = Digest::of(&text);
    let answer = put(&server, "/v2/org/app/manifests/v1", OCI, &text);
    assert_eq!((answer.status, answer.header("location")), (201, format!("/v2/org/app/manifests/{digest}")));
    let base = server.send("GET", "/v2/", &[], b"");
    assert_eq!((base.status, base.header("docker-distribution-api-version")), (200, "registry/2.0".into()));

    for reference in ["v1".to_owned(), digest.to_string()] {
        let path = format!("/v2/org/app/manifests/{reference}");
        let got = server.send("GET", &path, &[("accept", OCI)], b"");
        assert_eq!((got.status, got.text()), (200, text.clone()));
        assert_eq!(
            (got.header("content-type"), got.header("docker-content-digest")),
            (OCI.into(), digest.to_string())
        );
        let head = server.send("HEAD", &path, &[], b"");
        assert_eq!((head.status, head.header("content-length")), (200, text.len().to_string()));
        assert!(head.body.is_empty());
        let known = server.send("GET", &path, &[("if-none-match", &got.header("etag"))], b"");
        assert_eq!((known.status, known.body.len()), (304, 0));
    }
    let path = format!("/v2/org/app/blobs/{blob}");
    let got = server.send("GET", &path, &[], b"");
    assert_eq!(
        (got.status, got.text(), got.header("docker-content-digest")),
        (200, "0123456789".into(), blob.to_string())
    );
    let head = server.send("HEAD", &path, &[], b"");
    assert_eq!((head.status, head.header("content-length")), (200, "10".into()));
    for (range, status, body, content) in [
        ("bytes=2-4", 206, "234", "bytes 2-4/10"),
        ("bytes=7-", 206, "789", "bytes 7-9/10"),
        ("bytes=-1", 206, "9", "bytes 9-9/10"),
        ("bytes=0-1,3-4", 200, "0123456789", ""),
        ("bytes=10-", 416, "", "bytes */10"),
    ] {
        let got = server.send("GET", &path, &[("range", range)], b"");
        assert_eq!((got.status, got.header("content-range")), (status, content.into()), "{range}");
        assert!(status == 416 || got.text() == body, "{range}");
    }
    let known = server.send("GET", &path, &[("if-none-match", &format!("\"{blob}\""))], b"");
    assert_eq!(known.status, 304);
    let absent = Digest::of("absent");
    for (path, expect) in [
        (format!("/v2/org/app/blobs/{absent}"), "BLOB_UNKNOWN"),
        (format!("/v2/org/app/manifests/{absent}"), "MANIFEST_UNKNOWN"),
        ("/v2/org/app/manifests/absent".into(), "MANIFEST_UNKNOWN"),
        ("/v2/org/app/manifests/.not-a-tag".into(), "MANIFEST_UNKNOWN"),
        ("/v2/nobody/manifests/v1".into(), "NAME_UNKNOWN"),
        (format!("/v2/nobody/blobs/{blob}"), "BLOB_UNKNOWN"),
    ] {
        let got = server.send("GET", &path, &[], b"");
        assert_eq!((got.status, code(&got).as_str()), (404, expect), "{path}");
        assert_eq!(server.send("HEAD", &path, &[], b"").status, 404);
    }
}

#[test]
fn push_in_all_ways() {
    let server = Running::new();
    let digest = Digest::of("at once");
    let path = format!("/v2/a/blobs/uploads/?digest={}", digest.to_string().replace(':', "%3A"));
    assert_eq!(server.send("POST", &path, &[], b"at once").status, 201);
    push_as(&server, "a", b"by the other hash", Digest::compute(Algorithm::Sha512, "by the other hash"));
    push(&server, "a", b"");

    // Chunks, one of them out of order; the last one with the end.
    let begun = server.send("POST", "/v2/a/blobs/uploads/", &[], b"");
    assert!(!begun.header("docker-upload-uuid").is_empty());
    let at = begun.header("location");
    let chunk = |method: &str, path: &str, range: &str, bytes: &[u8]| {
        server.send(
            method,
            path,
            &[("content-range", range), ("content-type", "application/octet-stream")],
            bytes,
        )
    };
    let first = chunk("PATCH", &at, "0-3", b"0123");
    assert_eq!((first.status, first.header("range")), (202, "0-3".into()));
    for (range, bytes, status) in [
        ("2-3", &b"23"[..], 416),
        ("6-7", b"67", 416),
        ("0-3", b"0123", 416),
        ("4-9", b"45", 400),
        ("4", b"4", 400),
        ("9-4", b"4", 400),
    ] {
        let refused = chunk("PATCH", &at, range, bytes);
        assert_eq!(refused.status, status, "{range}");
        assert!(status != 416 || refused.header("range") == "0-3", "{range}");
    }
    let status = server.send("GET", &at, &[], b"");
    assert_eq!(
        (status.status, status.header("range"), status.header("location")),
        (204, "0-3".into(), at.clone())
    );
    let digest = Digest::of("0123456");
    let done = chunk("PUT", &format!("{at}?digest={digest}"), "4-6", b"456");
    assert_eq!(done.status, 201, "{}", done.text());
    assert_eq!(server.send("GET", &format!("/v2/a/blobs/{digest}"), &[], b"").text(), "0123456");
    assert_eq!(code(&server.send("GET", &at, &[], b"")), "BLOB_UPLOAD_UNKNOWN");

    // Streamed without a length.
    let begun = server.send("POST", "/v2/a/blobs/uploads/", &[], b"");
    let streamed = server.stream("PATCH", &begun.header("location"), &[b"first ", b"second"]);
    assert_eq!((streamed.status, streamed.header("range")), (202, "0-11".into()));
    let digest = Digest::of("first second");
    let path = format!("{}?digest={digest}", streamed.header("location"));
    assert_eq!(server.send("PUT", &path, &[], b"").status, 201);

    // Cancelled; with the wrong digest; without one.
    let begun = server.send("POST", "/v2/a/blobs/uploads/", &[], b"");
    assert_eq!(server.send("DELETE", &begun.header("location"), &[], b"").status, 204);
    assert_eq!(server.send("GET", &begun.header("location"), &[], b"").status, 404);
    let begun = server.send("POST", "/v2/a/blobs/uploads/", &[], b"");
    let wrong =
        server.send("PUT", &format!("{}?digest={}", begun.header("location"), Digest::of("y")), &[], b"x");
    assert_eq!((wrong.status, code(&wrong).as_str()), (400, "DIGEST_INVALID"));
    assert_eq!(server.send("HEAD", &format!("/v2/a/blobs/{}", Digest::of("y")), &[], b"").status, 404);
    let begun = server.send("POST", "/v2/a/blobs/uploads/", &[], b"");
    assert_eq!(server.send("PUT", &begun.header("location"), &[], b"x").status, 400);

    // Mounted: from a repository, from anywhere, from nowhere.
    let blob = push(&server, "a", b"shared");
    let mounted = server.send("POST", &format!("/v2/b/blobs/uploads/?mount={blob}&from=a"), &[], b"");
    assert_eq!((mounted.status, mounted.header("location")), (201, format!("/v2/b/blobs/{blob}")));
    assert_eq!(server.send("POST", &format!("/v2/c/blobs/uploads/?mount={blob}"), &[], b"").status, 201);
    assert_eq!(server.send("GET", &format!("/v2/c/blobs/{blob}"), &[], b"").text(), "shared");
    let absent = Digest::of("absent");
    let begun = server.send("POST", &format!("/v2/b/blobs/uploads/?mount={absent}&from=a"), &[], b"");
    assert_eq!(begun.status, 202);
    assert!(!begun.header("location").is_empty());
}

#[test]
fn manifests() {
    let server = Running::new();
    let (config, layer) = (push(&server, "a", b"{}"), push(&server, "a", b"layer"));
    let text = image(&config, &[&layer], "");
    let digest = Digest::of(&text);
    let path = format!("/v2/a/manifests/{digest}?tag=one&tag=two");
    let answer = put(&server, &path, OCI, &text);
    assert_eq!((answer.status, answer.header("oci-tag")), (201, "one, two".into()));
    assert_eq!(
        server.send("HEAD", "/v2/a/manifests/two", &[], b"").header("docker-content-digest"),
        digest.to_string()
    );
    let wide = Digest::compute(Algorithm::Sha512, &text);
    assert_eq!(put(&server, &format!("/v2/a/manifests/{wide}"), OCI, &text).status, 201);
    assert_eq!(server.send("GET", &format!("/v2/a/manifests/{wide}"), &[], b"").text(), text);
    let index =
        format!(r#"{{"schemaVersion":2,"mediaType":"{INDEX}","manifests":[{}]}}"#, item(&digest, OCI));
    assert_eq!(put(&server, "/v2/a/manifests/index", INDEX, &index).status, 201);
    assert_eq!(server.send("GET", "/v2/a/manifests/index", &[], b"").header("content-type"), INDEX);

    let absent = Digest::of("absent");
    let large = image(&config, &[], &format!(r#","annotations":{{"a":"{}"}}"#, "x".repeat(4 << 20)));
    let almost = image(&config, &[], &format!(r#","annotations":{{"a":"{}"}}"#, "x".repeat(4_000_000)));
    assert_eq!(put(&server, "/v2/a/manifests/large", OCI, &almost).status, 201);
    for (reference, kind, text, status, expect) in [
        ("x", OCI, image(&absent, &[], ""), 400, "MANIFEST_BLOB_UNKNOWN"),
        ("x", OCI, "nonsense".into(), 400, "MANIFEST_INVALID"),
        ("x", OCI, "[".repeat(100_000), 400, "MANIFEST_INVALID"),
        ("x", INDEX, image(&config, &[], ""), 400, "MANIFEST_INVALID"),
        ("x", OCI, large, 413, "MANIFEST_INVALID"),
        (".x", OCI, image(&config, &[], ""), 400, "TAG_INVALID"),
        (&absent.to_string(), OCI, image(&config, &[], ""), 400, "DIGEST_INVALID"),
        (&format!("{digest}?tag=../../x"), OCI, image(&config, &[], ""), 400, "TAG_INVALID"),
    ] {
        let answer = put(&server, &format!("/v2/a/manifests/{reference}"), kind, &text);
        assert_eq!((answer.status, code(&answer).as_str()), (status, expect), "{reference} {text:.100}");
    }
    let unknown = put(&server, "/v2/a/manifests/x", OCI, &image(&absent, &[], ""));
    assert_eq!(unknown.json()["errors"][0]["detail"]["digest"], absent.to_string());
    // Content of one repository is not content of another.
    assert_eq!(put(&server, "/v2/b/manifests/x", OCI, &text).status, 400);
}

#[test]
fn content_discovery() {
    let server = Running::new();
    let config = push(&server, "a", b"{}");
    let text = image(&config, &[], "");
    let subject = Digest::of(&text);
    for tag in ["b", "A", "c", "B", "a"] {
        assert_eq!(put(&server, &format!("/v2/a/manifests/{tag}"), OCI, &text).status, 201);
    }
    let list = |query: &str| server.send("GET", &format!("/v2/a/tags/list{query}"), &[], b"");
    assert_eq!(list("").json(), serde_json::json!({"name": "a", "tags": ["A", "a", "B", "b", "c"]}));
    let page = list("?n=2");
    assert_eq!(page.json()["tags"], serde_json::json!(["A", "a"]));
    assert_eq!(page.header("link"), "</v2/a/tags/list?last=a&n=2>; rel=\"next\"");
    let page = list("?last=a&n=3");
    assert_eq!(
        (page.json()["tags"].clone(), page.header("link")),
        (serde_json::json!(["B", "b", "c"]), String::new())
    );
    assert_eq!(list("?n=0").json()["tags"], serde_json::json!([]));
    assert_eq!(list("?n=x").status, 400);
    assert_eq!(code(&server.send("GET", "/v2/nobody/tags/list", &[], b"")), "NAME_UNKNOWN");

    let more = |kind: &str| {
        format!(r#","artifactType":"{kind}","annotations":{{"k":"v"}},"subject":{}"#, item(&subject, OCI))
    };
    let referrers = ["text/one", "text/two"].map(|kind| image(&config, &[], &more(kind)));
    for text in &referrers {
        let answer = put(&server, &format!("/v2/a/manifests/{}", Digest::of(text)), OCI, text);
        assert_eq!((answer.status, answer.header("oci-subject")), (201, subject.to_string()));
    }
    let path = format!("/v2/a/referrers/{subject}");
    let all = server.send("GET", &path, &[], b"");
    assert_eq!((all.status, all.header("content-type")), (200, INDEX.into()));
    assert_eq!(all.json()["manifests"].as_array().unwrap().len(), 2);
    let some = server.send("GET", &format!("{path}?artifactType=text%2Ftwo"), &[], b"");
    assert_eq!(some.header("oci-filters-applied"), "artifactType");
    let expect = serde_json::json!([{
        "mediaType": OCI, "digest": Digest::of(&referrers[1]), "size": referrers[1].len(),
        "artifactType": "text/two", "annotations": {"k": "v"},
    }]);
    assert_eq!(some.json()["manifests"], expect);
    let none = server.send("GET", &format!("/v2/nobody/referrers/{subject}"), &[], b"");
    assert_eq!((none.status, none.json()["manifests"].clone()), (200, serde_json::json!([])));
    assert_eq!(server.send("GET", "/v2/a/referrers/nonsense", &[], b"").status, 400);

    for repository in ["x/y", "x"] {
        let blob = push(&server, repository, b"{}");
        put(&server, &format!("/v2/{repository}/manifests/t"), OCI, &image(&blob, &[], ""));
    }
    let catalog = |query: &str| server.send("GET", &format!("/v2/_catalog{query}"), &[], b"");
    assert_eq!(catalog("").json()["repositories"], serde_json::json!(["a", "x", "x/y"]));
    let page = catalog("?n=2");
    assert_eq!(
        (page.json()["repositories"].clone(), page.header("link")),
        (serde_json::json!(["a", "x"]), "</v2/_catalog?last=x&n=2>; rel=\"next\"".into())
    );
    assert_eq!(catalog("?last=x&n=2").json()["repositories"], serde_json::json!(["x/y"]));
}

#[test]
fn content_management() {
    let server = Running::new();
    let config = push(&server, "a", b"{}");
    let text = image(&config, &[], "");
    let digest = Digest::of(&text);
    for tag in ["one", "two"] {
        put(&server, &format!("/v2/a/manifests/{tag}"), OCI, &text);
    }
    let delete = |path: &str| server.send("DELETE", path, &[], b"").status;
    let get = |path: &str| server.send("GET", path, &[], b"").status;
    assert_eq!(delete("/v2/a/manifests/one"), 202);
    assert_eq!((get("/v2/a/manifests/one"), get("/v2/a/manifests/two")), (404, 200));
    assert_eq!(delete("/v2/a/manifests/one"), 404);
    assert_eq!(delete(&format!("/v2/a/manifests/{digest}")), 202);
    assert_eq!((get("/v2/a/manifests/two"), get(&format!("/v2/a/manifests/{digest}"))), (404, 404));
    assert_eq!(server.send("GET", "/v2/a/tags/list", &[], b"").json()["tags"], serde_json::json!([]));
    assert_eq!(delete(&format!("/v2/a/blobs/{config}")), 202);
    assert_eq!(get(&format!("/v2/a/blobs/{config}")), 404);
    assert_eq!(delete(&format!("/v2/a/blobs/{config}")), 404);
    for (method, path) in
        [("PUT", "/v2/_catalog"), ("POST", "/v2/a/tags/list"), ("PATCH", "/v2/a/manifests/x")]
    {
        let answer = server.send(method, path, &[], b"");
        assert_eq!((answer.status, code(&answer).as_str()), (405, "UNSUPPORTED"), "{method} {path}");
    }
}

#[test]
fn read_only() {
    let server = Running::with(|config| config.read_only = true);
    for (method, path) in
        [("POST", "/v2/a/blobs/uploads/"), ("PUT", "/v2/a/manifests/x"), ("DELETE", "/v2/a/manifests/x")]
    {
        assert_eq!(server.send(method, path, &[], b"{}").status, 405, "{method} {path}");
    }
    assert_eq!(server.send("GET", "/v2/", &[], b"").status, 200);
}

#[test]
fn a_cut_upload_goes_on_where_it_was() {
    let server = Running::new();
    let content = vec![7; 1 << 20];
    let begun = server.send("POST", "/v2/a/blobs/uploads/", &[], b"");
    let at = begun.header("location");
    server.cut("PATCH", &at, content.len(), &content[..700_000]);
    let resumed = client::until(|| {
        let status = server.send("GET", &at, &[], b"");
        let range = status.header("range");
        let end: usize = range.strip_prefix("0-")?.parse().ok()?;
        (end + 1 == 700_000).then_some(end + 1)
    });
    let range = format!("{resumed}-{}", content.len() - 1);
    let sent = server.send("PATCH", &at, &[("content-range", &range)], &content[resumed..]);
    assert_eq!(sent.status, 202, "{}", sent.text());
    let digest = Digest::of(&content);
    assert_eq!(server.send("PUT", &format!("{at}?digest={digest}"), &[], b"").status, 201);
}

#[test]
fn damaged_blobs_never_arrive_whole() {
    let server = Running::new();
    let content = vec![1; 600_000];
    let digest = push(&server, "a", &content);
    let path = format!("/v2/a/blobs/{digest}");
    assert_eq!(server.send("GET", &path, &[], b"").body, content);
    let file = server.storage().join("repositories/a/_blobs/sha256").join(digest.hex());
    let mut damaged = content.clone();
    damaged[300_000] = 2;
    std::fs::write(&file, damaged).unwrap();
    // Of two writes at the same moment, many kernels tell the same time.
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(1)).unwrap();
    let cut = server.send("GET", &path, &[], b"");
    assert_eq!(cut.status, 200);
    assert!(cut.body.len() < content.len(), "the connection is cut before the last piece");
    assert_eq!(server.send("HEAD", &path, &[], b"").status, 404, "so that a push sends it again");
    push(&server, "a", &content);
    assert_eq!(server.send("GET", &path, &[("range", "bytes=299999-300000")], b"").body, [1, 1]);
}

#[test]
fn hostile_requests() {
    let server = Running::with(|config| {
        config.largest_blob = 1000;
        config.most_uploads = 3;
    });
    for path in [
        "/v2/../../etc/passwd",
        "/v2/a/../b/tags/list",
        "/v2/%2e%2e/%2e%2e/tags/list",
        "/v2/a/blobs/sha256:../../x",
        "/v2/A/tags/list",
        "/v2/_blobs/tags/list",
        "/v2//tags/list",
        "/",
        "/v1/",
        "/v2/a%00/tags/list",
    ] {
        let status = server.send("GET", path, &[], b"").status;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    let begun = server.send("POST", "/v2/a/blobs/uploads/", &[], b"");
    let refused = server.send("PATCH", &begun.header("location"), &[], &[0; 1001]);
    assert_eq!((refused.status, code(&refused).as_str()), (413, "SIZE_INVALID"));
    let refused = server.stream("PATCH", &begun.header("location"), &[&[0; 600], &[0; 600]]);
    assert_eq!(refused.status, 413);
    for _ in 0..3 {
        assert_eq!(server.send("POST", "/v2/a/blobs/uploads/", &[], b"").status, 202);
    }
    let refused = server.send("POST", "/v2/a/blobs/uploads/", &[], b"");
    assert_eq!((refused.status, code(&refused).as_str()), (429, "TOOMANYREQUESTS"));
    assert_eq!(refused.header("retry-after"), "5");
}

#[test]
fn slow_clients_are_cut() {
    // Enough for requests that are made at once, on a machine that is busy.
    let server = Running::with(|config| config.patience = std::time::Duration::from_secs(3));
    let begun = server.send("POST", "/v2/a/blobs/uploads/", &[], b"");
    // A body that never comes, and a head that never ends.
    let answer = server.stalled(&format!(
        "PATCH {} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n",
        begun.header("location")
    ));
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    let answer = server.stalled("GET /v2/ HTTP/1.1\r\nhost:");
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
}

#[test]
fn a_full_disk_refuses_and_gives_back() {
    let folder = tempfile::tempdir().unwrap();
    let _disk = server::SmallDisk::mount(folder.path());
    let server = Running::at(folder.path(), |_| {});
    let content = vec![3; 3 << 20];
    let begun = server.send("POST", "/v2/a/blobs/uploads/", &[], b"");
    let refused = server.send("PATCH", &begun.header("location"), &[], &content);
    assert_eq!((refused.status, code(&refused).as_str()), (507, "UNAVAILABLE"), "known beforehand");
    let begun = server.send("POST", "/v2/a/blobs/uploads/", &[], b"");
    let pieces: Vec<&[u8]> = content.chunks(100_000).collect();
    let refused = server.stream("PATCH", &begun.header("location"), &pieces);
    assert_eq!(refused.status, 507, "found out on the way");
    // What came in parts before there was no room is given back too, but not what a connection's end cut off.
    let begun = server.send("POST", "/v2/a/blobs/uploads/", &[], b"");
    let location = begun.header("location");
    let came = server.send("PATCH", &location, &[], &content[..1 << 20]);
    assert_eq!((came.status, came.header("range").as_str()), (202, "0-1048575"));
    let refused = server.send("PATCH", &location, &[], &content);
    assert_eq!(refused.status, 507, "{}", refused.text());
    assert_eq!(server.send("GET", &location, &[], b"").status, 404);
    let begun = server.send("POST", "/v2/a/blobs/uploads/", &[], b"");
    let location = begun.header("location");
    server.cut("PATCH", &location, 1000, &content[..500]);
    client::until(|| (server.send("GET", &location, &[], b"").header("range") == "0-499").then_some(()));
    push(&server, "a", &vec![4; 1 << 20]);
}
