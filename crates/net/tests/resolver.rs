//! The name server as a container sees it: in a network namespace of its own, asked by dig and by sockets.

#![allow(clippy::unwrap_used)] // Clippy sees no test in the functions that tests share.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::Arc;

use boxship_net::namespace::Namespace;
use boxship_net::resolver::{Names, Resolver, Settings, Upstream};

struct Known;

impl Names for Known {
    fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
        let texts: &[&str] = match name {
            "web" | "web.mynet" => &["172.18.0.2", "fd00::2"],
            "four" => &["172.18.0.4"],
            "many" => return Some((0..250).map(|host| IpAddr::from([172, 18, 1, host])).collect()),
            _ => return None,
        };
        Some(texts.iter().map(|text| text.parse().unwrap()).collect())
    }

    fn name_of(&self, address: IpAddr) -> Option<String> {
        (address == IpAddr::from([172, 18, 0, 2])).then(|| "web.mynet".to_owned())
    }
}

fn serve(namespace: &Namespace, upstreams: Vec<Upstream>) -> Resolver {
    Resolver::serve(namespace, Settings { names: Arc::new(Known), upstreams, ndots_set: false }).unwrap()
}

/// dig's words, run inside; its short form unless `+all` is among them.
async fn dig(namespace: &Arc<Namespace>, words: &str) -> String {
    let (namespace, words) = (namespace.clone(), words.to_owned());
    let run = move || {
        namespace
            .run(|| {
                let mut command = Command::new("dig");
                command.args(
                    ["@127.0.0.11", "+short", "+tries=1", "+time=60"]
                        .iter()
                        .filter(|word| **word != "+short" || !words.contains("+all")),
                );
                command.args(words.split_whitespace());
                String::from_utf8(command.output().unwrap().stdout).unwrap()
            })
            .unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// A server that answers everything with this code, on the loopback of the thread's namespace.
fn answering(code: u8) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, client)) = socket.recv_from(&mut buffer) {
            buffer[2] |= 0x80;
            buffer[3] = 0x80 | code;
            socket.send_to(&buffer[..length], client).unwrap();
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_by_dig() {
    let namespace = Arc::new(Namespace::create().unwrap());
    let upstream = Upstream { address: answering(3), from_container: false };
    let _resolver = serve(&namespace, vec![upstream]);
    for (words, wanted) in [
        ("web A", "172.18.0.2\n"),
        ("web AAAA", "fd00::2\n"),
        ("WEB.MyNet A", "172.18.0.2\n"),
        ("web A +tcp", "172.18.0.2\n"),
        ("web A +noedns", "172.18.0.2\n"),
        ("four AAAA", ""),
        ("-x 172.18.0.2", "web.mynet.\n"),
        ("-x 172.18.0.9", ""),
    ] {
        assert_eq!(dig(&namespace, words).await, wanted, "{words}");
    }
    // Cut short over UDP, then whole over TCP; or whole at once when the client takes as much.
    for words in ["many A +noedns", "many A +bufsize=1232", "many A +bufsize=4096", "many A +tcp"] {
        assert_eq!(dig(&namespace, words).await.lines().count(), 250, "{words}");
    }
    let status = |text: String| {
        text.lines().find_map(|line| line.split_once("status: ").map(|at| at.1[..8].to_owned()))
    };
    for (words, wanted) in [
        ("four AAAA +all +dnssec", "NOERROR,"),
        ("web MX +all", "NOERROR,"),
        ("elsewhere.org A +all", "NXDOMAIN"),
        ("version.bind TXT CH +all", "NXDOMAIN"),
    ] {
        assert_eq!(status(dig(&namespace, words).await).as_deref(), Some(wanted), "{words}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_asked_from_where_they_were_named() {
    let namespace = Arc::new(Namespace::create().unwrap());
    let inside = namespace.run(|| answering(4)).unwrap();
    let own = SocketAddr::from(([127, 0, 0, 11], 53));
    let ourselves = Upstream { address: own, from_container: true };
    let resolver = serve(&namespace, vec![ourselves, Upstream { address: inside, from_container: true }]);
    assert!(dig(&namespace, "elsewhere.org A +all").await.contains("status: NOTIMP"));
    // Nobody listens there on the host.
    resolver.set_upstreams(vec![Upstream { address: inside, from_container: false }]);
    assert!(dig(&namespace, "elsewhere.org A +all").await.contains("status: SERVFAIL"));
    resolver.set_upstreams(Vec::new());
    assert!(dig(&namespace, "elsewhere.org A +all").await.contains("status: SERVFAIL"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_container_has_a_server_of_its_own() {
    let namespace = Arc::new(Namespace::create().unwrap());
    let _resolver = serve(&namespace, Vec::new());
    let bound =
        namespace.run(|| (UdpSocket::bind("0.0.0.0:53"), std::net::TcpListener::bind("0.0.0.0:53"))).unwrap();
    assert!(bound.0.is_ok() && bound.1.is_ok());
    assert_eq!(dig(&namespace, "web A").await, "172.18.0.2\n");
    assert_eq!(dig(&namespace, "web A +tcp").await, "172.18.0.2\n");
}

/// A client that keeps its socket goes on being answered after the resolver was started anew.
#[tokio::test(flavor = "multi_thread")]
async fn serving_again() {
    let namespace = Arc::new(Namespace::create().unwrap());
    let client = namespace.run(|| UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
    client.connect("127.0.0.11:53").unwrap();
    let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x04four\0\0\x01\0\x01";
    for _ in 0..3 {
        let resolver = serve(&namespace, Vec::new());
        client.send(query).unwrap();
        let socket = client.try_clone().unwrap();
        let received = tokio::task::spawn_blocking(move || socket.recv(&mut [0; 512]).unwrap());
        assert_eq!(received.await.unwrap(), query.len() + 16);
        drop(resolver);
        assert!(!dig(&namespace, "web A +time=1").await.contains("172.18"));
    }
}
