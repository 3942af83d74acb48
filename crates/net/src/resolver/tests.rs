//! Queries over real sockets, on the loopback of the namespace that the tests run in, and servers that misbehave.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::message::tests::query;
use super::message::{A, Code, HEADER, code_of, told};
use super::*;

struct Known;

impl Names for Known {
    fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
        match name {
            "web" => Some(vec![IpAddr::from([172, 18, 0, 2])]),
            "many" => Some((0..200).map(|host| IpAddr::from([172, 18, 1, host])).collect()),
            _ => None,
        }
    }

    fn name_of(&self, _: IpAddr) -> Option<String> {
        None
    }
}

/// A resolver on sockets of its own; the addresses it serves at.
fn serving(upstreams: &[SocketAddr]) -> (Resolver, SocketAddr, SocketAddr) {
    let (udp, tcp) = (UdpSocket::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let at = (udp.local_addr().unwrap(), tcp.local_addr().unwrap());
    let upstream = |address: &SocketAddr| Upstream { address: *address, from_container: false };
    let upstreams = upstreams.iter().map(upstream).collect();
    let settings = Settings { names: Arc::new(Known), upstreams, ndots_set: false };
    (Resolver::on(udp, tcp, None, settings).unwrap(), at.0, at.1)
}

/// A server that answers each query with the datagrams `reply` makes of it.
fn server(reply: impl Fn(&[u8], SocketAddr) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, client)) = socket.recv_from(&mut buffer) {
            for datagram in reply(&buffer[..length], client) {
                socket.send_to(&datagram, client).unwrap();
            }
        }
    });
    address
}

/// The query as an answer without records.
fn as_reply(bytes: &[u8]) -> Vec<u8> {
    let mut reply = bytes.to_vec();
    reply[2] |= 0x80;
    reply
}

fn with_code(bytes: &[u8], code: Code) -> Vec<u8> {
    let mut reply = as_reply(bytes);
    reply[3] = code as u8;
    reply
}

async fn asked(at: SocketAddr, bytes: Vec<u8>) -> Option<Vec<u8>> {
    let ask = move || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        socket.send_to(&bytes, at).unwrap();
        let mut buffer = vec![0; 65536];
        let length = socket.recv(&mut buffer).ok()?;
        buffer.truncate(length);
        Some(buffer)
    };
    tokio::task::spawn_blocking(ask).await.unwrap()
}

#[tokio::test]
async fn own_names() {
    let (_resolver, udp, tcp) = serving(&[]);
    let answer = asked(udp, query("web", A, None)).await.unwrap();
    assert_eq!(answer[answer.len() - 4..], [172, 18, 0, 2]);
    let cut = asked(udp, query("many", A, None)).await.unwrap();
    assert!(cut.len() <= 512 && cut[2] & 2 != 0, "truncated");
    let whole = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(tcp).unwrap();
        let bytes = query("many", A, None);
        let mut lengths = Vec::new();
        // Twice on one connection.
        for _ in 0..2 {
            stream.write_all(&(bytes.len() as u16).to_be_bytes()).unwrap();
            stream.write_all(&bytes).unwrap();
            let mut length = [0; 2];
            stream.read_exact(&mut length).unwrap();
            let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(answer[2] & 2, 0);
            lengths.push(answer.len());
        }
        lengths
    });
    assert_eq!(whole.await.unwrap(), [HEADER + 10 + 200 * 16; 2]);
    // Without servers other names fail.
    let failed = asked(udp, query("elsewhere", A, None)).await.unwrap();
    assert_eq!(code_of(&failed), Code::ServerFailure as u8);
}

#[tokio::test]
async fn nonsense_is_told_or_ignored() {
    let (_resolver, udp, tcp) = serving(&[]);
    let answers = tokio::task::spawn_blocking(move || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let update = [0xab, 0xcd, 0x28, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for bytes in [&b"short"[..], &as_reply(&query("web", A, None)), &[0; 12], &update] {
            socket.send_to(bytes, udp).unwrap();
        }
        let mut buffer = [0; 512];
        let mut next = || socket.recv(&mut buffer).map(|length| buffer[..length].to_vec()).unwrap();
        let answers = [next(), next()];
        // A connection with nonsense in it ends.
        for bytes in [&b"\xff\xff"[..], b"\0\x05short"] {
            let mut stream = TcpStream::connect(tcp).unwrap();
            stream.write_all(bytes).unwrap();
            assert_eq!(stream.read(&mut [0; 1]).unwrap_or(0), 0);
        }
        answers
    });
    let answers = answers.await.unwrap();
    assert_eq!(answers[0], told(&[0; 12], Code::FormatError));
    assert_eq!(code_of(&answers[1]), Code::NotImplemented as u8);
}

#[tokio::test]
async fn only_the_servers_own_reply_counts() {
    let misled = server(|bytes, client| {
        let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
        stranger.send_to(&with_code(bytes, Code::NotImplemented), client).unwrap();
        let (mut other_id, mut other_name) = (as_reply(bytes), as_reply(bytes));
        other_id[1] ^= 1;
        other_name[HEADER + 1] ^= 1;
        vec![Vec::new(), bytes.to_vec(), other_id, other_name, with_code(bytes, Code::FormatError)]
    });
    let (_resolver, udp, _) = serving(&[misled]);
    let reply = asked(udp, query("elsewhere.org", A, Some(1232))).await.unwrap();
    assert_eq!(reply, with_code(&query("elsewhere.org", A, Some(1232)), Code::FormatError));
}

#[tokio::test]
async fn the_next_server_is_asked() {
    let failing = server(|bytes, _| vec![with_code(bytes, Code::ServerFailure)]);
    let refusing = server(|bytes, _| vec![with_code(bytes, Code::Refused)]);
    // A port that was free a moment ago may be another test's.
    let closed = "127.0.0.1:1".parse().unwrap();
    let good = server(|bytes, _| vec![as_reply(bytes)]);
    let bytes = query("elsewhere.org", A, None);
    for servers in [[failing, refusing, good], [closed, failing, good]] {
        let (_resolver, udp, _) = serving(&servers);
        assert_eq!(asked(udp, bytes.clone()).await.unwrap(), as_reply(&bytes));
    }
    let (resolver, udp, _) = serving(&[closed, failing, refusing, good]);
    let failed = asked(udp, bytes.clone()).await.unwrap();
    assert_eq!(code_of(&failed), Code::ServerFailure as u8, "the fourth doesn't count");
    let upstream = Upstream { address: good, from_container: false };
    resolver.set_upstreams(vec![upstream]);
    assert_eq!(asked(udp, bytes.clone()).await.unwrap(), as_reply(&bytes));
}

#[tokio::test]
async fn identifiers_and_ports_differ() {
    let (send, received) = std::sync::mpsc::channel();
    let watching = server(move |bytes, client| {
        send.send((client.port(), [bytes[0], bytes[1]])).unwrap();
        vec![as_reply(bytes)]
    });
    let (_resolver, udp, _) = serving(&[watching]);
    for _ in 0..50 {
        asked(udp, query("elsewhere.org", A, None)).await.unwrap();
    }
    let (ports, ids): (HashSet<_>, HashSet<_>) = received.try_iter().unzip();
    assert!(ports.len() > 40 && ids.len() > 40, "{} {}", ports.len(), ids.len());
}

#[tokio::test]
async fn connections_are_passed_on_as_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut bytes = vec![0; 2 + query("elsewhere.org", A, None).len()];
        stream.read_exact(&mut bytes).unwrap();
        let mut reply = as_reply(&bytes[2..]);
        reply.resize(3000, 7);
        stream.write_all(&3000u16.to_be_bytes()).unwrap();
        stream.write_all(&reply).unwrap();
    });
    let (_resolver, _, tcp) = serving(&[upstream]);
    let answer = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(tcp).unwrap();
        let bytes = query("elsewhere.org", A, None);
        stream.write_all(&(bytes.len() as u16).to_be_bytes()).unwrap();
        stream.write_all(&bytes).unwrap();
        let mut answer = vec![0; 3002];
        stream.read_exact(&mut answer).unwrap();
        answer
    });
    let answer = answer.await.unwrap();
    assert_eq!(answer[2..4], [0xab, 0xcd]);
    assert_eq!(answer.len(), 3002);
}
