//! The daemon over a real unix socket, with a real engine on folders of its own.

use std::path::PathBuf;
use std::sync::Arc;

use boxship_engine::{Engine, EngineConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, watch};

use crate::http::call::Reloadable;
use crate::http::{App, server};
use crate::listen::{Door, Listener};

struct Daemon {
    folder: tempfile::TempDir,
    stop: watch::Sender<bool>,
    gone: mpsc::Receiver<std::convert::Infallible>,
    engine: Engine,
}

struct Answer {
    head: String,
    body: String,
}

impl Daemon {
    async fn start() -> Daemon {
        let folder = tempfile::tempdir().unwrap();
        let config = EngineConfig {
            data_root: folder.path().join("data"),
            exec_root: folder.path().join("run"),
            network: boxship_engine::network::NetworkConfig::detached(),
            ..EngineConfig::default()
        };
        let engine = Engine::open(config).await.unwrap();
        let (stop, stopping) = watch::channel(false);
        let (reloadable, _) = watch::channel(Reloadable { debug: true, labels: vec!["a=b".into()] });
        let app = Arc::new(App { engine: engine.clone(), stopping, reloadable });
        let socket = tokio::net::UnixListener::bind(folder.path().join("d.sock")).unwrap();
        let listener = Listener::Unix(socket, None);
        assert_eq!(listener.kind(), Door::Unix);
        let (alive, gone) = mpsc::channel(1);
        tokio::spawn(server::serve(listener, app, alive));
        Daemon { folder, stop, gone, engine }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("d.sock")
    }

    async fn connect(&self) -> UnixStream {
        UnixStream::connect(self.socket()).await.unwrap()
    }

    /// Send a request with the given extra head lines and body; read until the daemon closes.
    async fn ask(&self, request: &str, headers: &str, body: &str) -> Answer {
        let mut stream = self.connect().await;
        let length = body.len();
        let text = format!(
            "{request} HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Answer { head: head.to_owned(), body: body.to_owned() }
    }

    async fn end(mut self) {
        self.stop.send(true).unwrap();
        assert!(self.gone.recv().await.is_none());
        self.engine.shutdown().await.unwrap();
    }
}

impl Answer {
    fn status(&self) -> &str {
        &self.head[9..12]
    }

    fn has(&self, header: &str) -> bool {
        self.head.lines().any(|line| line.eq_ignore_ascii_case(header))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pings_and_common_headers() {
    let daemon = Daemon::start().await;
    let ping = daemon.ask("GET /_ping", "", "").await;
    assert_eq!((ping.status(), ping.body.as_str()), ("200", "OK"));
    for header in [
        "api-version: 1.51",
        "docker-experimental: false",
        "ostype: linux",
        "swarm: inactive",
        "builder-version: 1",
        "cache-control: no-cache, no-store, must-revalidate",
    ] {
        assert!(ping.has(header), "{header} in {}", ping.head);
    }
    let head = daemon.ask("HEAD /v1.30/_ping", "", "").await;
    assert_eq!((head.status(), head.body.as_str()), ("200", ""));
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_in_dockers_words() {
    let daemon = Daemon::start().await;
    let json = "Content-Type: application/json\r\n";
    for (request, headers, body, status, message) in [
        (
            "GET /v1.52/info",
            "",
            "",
            "400",
            "client version 1.52 is too new. Maximum supported API version is 1.51",
        ),
        (
            "GET /v1.12/info",
            "",
            "",
            "400",
            "client version 1.12 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version",
        ),
        ("GET /nowhere", "", "", "404", "page not found"),
        ("GET /v1.51/nowhere", "", "", "404", "page not found"),
        ("PATCH /info", "", "", "404", "page not found"),
        ("POST /v1.24/containers/prune", "", "", "404", "page not found"),
        ("POST /containers/create", json, "", "400", "invalid JSON: got EOF while reading request body"),
        (
            "POST /containers/create",
            json,
            "null",
            "400",
            "config cannot be empty in order to create a container",
        ),
        ("POST /containers/create", json, "{}{}", "400", "unexpected content after JSON"),
        (
            "POST /containers/create",
            "Content-Type: text/plain\r\n",
            "{}",
            "400",
            "unsupported Content-Type header (text/plain): must be 'application/json'",
        ),
        ("POST /containers/x/exec", json, "{}", "400", "No exec command specified"),
        ("GET /containers/x/logs", "", "", "400", "must specify at least one of 'stdout' or 'stderr'"),
        ("GET /containers/json?filters=x", "", "", "400", "invalid filter"),
        ("GET /containers/json?limit=x", "", "", "400", "strconv.Atoi: parsing \"x\": invalid syntax"),
        ("POST /containers/x/resize?h=a&w=1", "", "", "400", "invalid resize height \"a\": invalid syntax"),
        (
            "POST /containers/x/resize?h=1&w=-1",
            "",
            "",
            "400",
            "invalid resize width \"-1\": value out of range",
        ),
        ("GET /networks/none-such", "", "", "404", "network none-such not found"),
        ("GET /volumes/v", "", "", "404", "get v: no such volume"),
        ("GET /containers/%zz/json", "", "", "400", "invalid URL escape in \"/containers/%zz/json\""),
    ] {
        let answer = daemon.ask(request, headers, body).await;
        let expect = format!("{}\n", serde_json::json!({ "message": message }));
        assert_eq!((answer.status(), answer.body.as_str()), (status, expect.as_str()), "{request} {body}");
    }
    daemon.end().await;
}

/// An archive without files is an image too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_images_one_platform_may_be_asked_for() {
    let daemon = Daemon::start().await;
    let archive = "\0".repeat(1024);
    let made = daemon.ask("POST /images/create?fromSrc=-&repo=a&platform=linux/s390x", "", &archive).await;
    assert!(made.status() == "200" && made.body.contains("\"}\r\n"), "ends as Docker's: {:?}", made.body);
    let platform =
        |name: &str| format!("platform=%7B%22os%22:%22linux%22,%22architecture%22:%22{name}%22%7D");
    let other = "image with reference a was found but does not provide the specified platform (linux/amd64)";
    for (request, archive, status, part) in [
        ("GET /images/a/get?".to_owned() + &platform("amd64"), "", "404", other),
        ("GET /images/get?names=a&".to_owned() + &platform("amd64"), "", "404", other),
        ("GET /images/a/get?".to_owned() + &platform("s390x"), "", "200", "index.json"),
        ("POST /images/a/push?".to_owned() + &platform("amd64"), "", "404", other),
        ("GET /images/a/get?platform=x".to_owned(), "", "400", "failed to parse platform"),
        (
            "POST /images/create?fromSrc=-&platform=plan9/amd64".to_owned(),
            archive.as_str(),
            "400",
            "operating system is not supported",
        ),
    ] {
        let answer = daemon.ask(&request, "", archive).await;
        assert!(answer.status() == status && answer.body.contains(part), "{request}: {}", answer.body);
    }
    daemon.end().await;
}

/// With networks that are only configurations: nothing of them is in the kernel.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn networks_come_and_go() {
    let daemon = Daemon::start().await;
    let json = "Content-Type: application/json\r\n";
    let web = r#"{"name":"web","ConfigOnly":true,"ipam":{"config":[{"subnet":"10.9.0.0/24"}]},"Labels":{"name":"x"}}"#;
    let swarm = r#"{"Name":"s","Scope":"swarm"}"#;
    let join = r#"{"Container":"none-such"}"#;
    for (request, body, status, part) in [
        ("POST /networks/create", web, "201", "\"Warning\":\"\""),
        ("POST /networks/create", web, "409", "network with name web already exists"),
        ("POST /networks/create", "{}", "400", "invalid name: name is empty"),
        (
            "POST /networks/create",
            r#"{"Name":"none"}"#,
            "403",
            "operation is not permitted on predefined none network ",
        ),
        ("POST /networks/create", swarm, "403", "swarm is not active"),
        ("POST /networks/create", r#"{"Name":"x","Driver":"nope"}"#, "404", "could not find plugin nope"),
        (
            "POST /networks/create",
            r#"{"Name":"x","IPAM":{"Driver":"nope"}}"#,
            "404",
            "could not find plugin nope",
        ),
        ("GET /networks/web", "", "200", "\"Config\":[{\"Subnet\":\"10.9.0.0/24\"}]"),
        ("GET /networks/web", "", "200", "\"Labels\":{\"name\":\"x\"}"),
        ("GET /networks/web?verbose=maybe", "", "400", "invalid value for verbose: maybe"),
        ("GET /networks/web?scope=swarm", "", "404", "network web not found"),
        ("GET /networks?filters=%7B%22label%22:%5B%22name%22%5D%7D", "", "200", "\"Name\":\"web\""),
        ("GET /networks?filters=%7B%22type%22:%5B%22x%22%5D%7D", "", "400", "invalid filter: 'type'='x'"),
        ("GET /networks?filters=%7B%22until%22:%5B%221h%22%5D%7D", "", "400", "invalid filter 'until'"),
        ("POST /networks/web/connect", join, "404", "No such container: none-such"),
        ("POST /networks/web/disconnect", join, "404", "No such container: none-such"),
        ("POST /networks/prune", "", "200", "{\"NetworksDeleted\":null}"),
        ("GET /boxship/network/why?address=x", "", "400", "it must be HOST:PORT"),
        ("GET /boxship/network/why?address=web:80", "", "404", "No such container: web"),
        ("GET /boxship/network/why?address=1.2.3.4:80&from=x", "", "404", "No such container: x"),
        ("GET /boxship/network/why?address=1.2.3.4:80&protocol=x", "", "400", "invalid proto: x"),
        ("GET /boxship/network/why?address=1.2.3.4:80", "", "503", "--iptables=false"),
        ("DELETE /networks/web", "", "204", ""),
        ("DELETE /networks/web", "", "404", "network web not found"),
    ] {
        let headers = if body.is_empty() { "" } else { json };
        let answer = daemon.ask(request, headers, body).await;
        assert_eq!(answer.status(), status, "{request} {body}: {}", answer.body);
        assert!(answer.body.contains(part), "{request} {body}: {}", answer.body);
    }
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_absent_says_so() {
    let daemon = Daemon::start().await;
    for (request, status, part) in [
        ("GET /services", "503", "This node is not a swarm manager."),
        ("GET /nodes/x", "503", "Kubernetes"),
        ("POST /swarm/init", "503", "not supported"),
        ("GET /plugins", "200", "[]"),
        ("POST /build", "501", "not supported"),
        ("POST /images/x/push", "200", "An image does not exist locally with the tag: x"),
        ("POST /images/x@sha256:0/push", "400", "invalid reference format"),
        ("GET /images/search?term=x&limit=101", "400", "limit 101 is outside the range of [1, 100]"),
        ("GET /distribution/A/json", "400", "must be lowercase"),
        ("GET /volumes", "200", "{\"Volumes\":[],\"Warnings\":null}"),
        ("POST /volumes/prune", "200", "\"SpaceReclaimed\":0"),
        ("GET /networks", "200", "\"Name\":\"host\""),
        ("GET /networks/none", "200", "\"Driver\":\"null\""),
        ("DELETE /networks/host", "403", "host is a pre-defined network and cannot be removed"),
    ] {
        let answer = daemon.ask(request, "", "").await;
        assert_eq!(answer.status(), status, "{request}: {}", answer.body);
        assert!(answer.body.contains(part), "{request}: {}", answer.body);
    }
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_waits_for_the_body_that_comes_with_the_request() {
    // It was sent at once, and the client met a broken pipe while it still wrote.
    let daemon = Daemon::start().await;
    let body = format!("{{\"Name\":\"{}\"}}", "x".repeat(900 << 10));
    let answer = daemon.ask("POST /networks/create", "Content-Type: application/json\r\n", &body).await;
    assert_ne!(answer.status(), "200");
    assert!(answer.body.contains("message"), "{}", answer.body);
    daemon.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_the_daemon_ends_streams_and_idle_connections() {
    let daemon = Daemon::start().await;
    let mut events = daemon.connect().await;
    events.write_all(b"GET /events HTTP/1.1\r\nHost: d\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    events.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    let mut idle = daemon.connect().await;
    idle.write_all(b"GET /_ping HTTP/1.1\r\nHost: d\r\n\r\n").await.unwrap();
    idle.read_exact(&mut first).await.unwrap();
    daemon.end().await;
    let mut rest = Vec::new();
    events.read_to_end(&mut rest).await.unwrap();
    idle.read_to_end(&mut rest).await.unwrap();
}
