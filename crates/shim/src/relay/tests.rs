//! The relay between real sockets: its loop on a thread, as a shim's.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::atomic::{AtomicBool, Ordering},
    thread::{self, ScopedJoinHandle},
    time::Duration,
};

use rustix::event::{PollFd, Timespec, poll};

use super::*;

/// Relays served on a thread for as long as a test lasts.
fn relaying(relays: Relays, test: impl FnOnce()) -> Relays {
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let served: ScopedJoinHandle<'_, Relays> = scope.spawn(|| {
            let mut relays = relays;
            while !stop.load(Ordering::Relaxed) {
                turn(&mut relays);
            }
            relays
        });
        let stopping = Stop(&stop);
        test();
        drop(stopping);
        served.join().unwrap()
    })
}

fn turn(relays: &mut Relays) -> usize {
    let watched: Vec<_> =
        relays.watch().map(|(token, fd, flags)| (token, PollFd::from_borrowed_fd(fd, flags))).collect();
    let (tokens, mut asked): (Vec<_>, Vec<_>) = watched.into_iter().unzip();
    poll(&mut asked, Some(&Timespec { tv_sec: 0, tv_nsec: 20_000_000 })).unwrap();
    let happened: Vec<_> = asked.iter().map(PollFd::revents).collect();
    let mut served = 0;
    for (token, flags) in tokens.into_iter().zip(happened).filter(|(_, flags)| !flags.is_empty()) {
        relays.serve(token, flags);
        served += 1;
    }
    relays.tidy();
    served
}

/// A TCP port on `::1` relayed to `target`.
fn tcp(relays: &mut Relays, target: SocketAddr) -> SocketAddr {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with};
    let socket = socket_with(AddressFamily::INET6, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    bind(&socket, &"[::1]:0".parse::<SocketAddr>().unwrap()).unwrap();
    let host = SocketAddr::try_from(getsockname(&socket).unwrap()).unwrap();
    relays.add(RelayedPort { protocol: RelayedProtocol::Tcp, host, target }, socket).unwrap();
    host
}

fn udp(relays: &mut Relays, target: SocketAddr) -> SocketAddr {
    let socket = UdpSocket::bind("[::]:0").unwrap();
    let host = socket.local_addr().unwrap();
    relays.add(RelayedPort { protocol: RelayedProtocol::Udp, host, target }, socket.into()).unwrap();
    SocketAddr::new("::1".parse().unwrap(), host.port())
}

/// A server on IPv4 and its port relayed.
fn server() -> (TcpListener, Relays, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut relays = Relays::default();
    let host = tcp(&mut relays, listener.local_addr().unwrap());
    (listener, relays, host)
}

fn connect(host: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(host).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
    stream
}

/// Bytes that tell where they belong.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

#[test]
fn much_goes_both_ways_at_once_and_each_has_its_end() {
    let (listener, relays, host) = server();
    let bytes = pattern(24 << 20);
    let relays = relaying(relays, || {
        thread::scope(|scope| {
            scope.spawn(|| {
                // Echoes while it reads, and says more after the end of what it reads.
                let (mut stream, _) = listener.accept().unwrap();
                let mut writer = stream.try_clone().unwrap();
                std::io::copy(&mut stream, &mut writer).unwrap();
                writer.write_all(b"the end").unwrap();
            });
            let stream = connect(host);
            let mut writer = stream.try_clone().unwrap();
            scope.spawn(|| {
                let mut stream = stream;
                let mut back = Vec::new();
                stream.read_to_end(&mut back).unwrap();
                assert!(back == [&bytes, &b"the end"[..]].concat(), "{} bytes came back", back.len());
            });
            writer.write_all(&bytes).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
    });
    assert!(relays.streams.len() <= 1);
}

#[test]
fn the_servers_end_is_not_the_clients() {
    let (listener, relays, host) = server();
    relaying(relays, || {
        let mut client = connect(host);
        let (mut server, _) = listener.accept().unwrap();
        server.write_all(b"hello").unwrap();
        server.shutdown(Shutdown::Write).unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        client.write_all(b"still here").unwrap();
        drop(client);
        text.clear();
        server.read_to_string(&mut text).unwrap();
        assert_eq!(text, "still here");
    });
}

#[test]
fn who_reads_slowly_slows_the_other_down_and_gets_everything() {
    let (listener, relays, host) = server();
    let bytes = pattern(16 << 20);
    let relays = relaying(relays, || {
        let mut client = connect(host);
        let (mut server, _) = listener.accept().unwrap();
        // Until no more is taken: far from everything, for nobody reads.
        server.set_nonblocking(true).unwrap();
        let mut sent = 0;
        let mut idle = 0;
        while idle < 20 {
            match server.write(&bytes[sent..]) {
                Ok(length) => (sent, idle) = (sent + length, 0),
                Err(_) => {
                    idle += 1;
                    thread::sleep(Duration::from_millis(10));
                }
            }
            assert!(sent < bytes.len(), "everything was taken");
        }
        server.set_nonblocking(false).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                server.write_all(&bytes[sent..]).unwrap();
                server.shutdown(Shutdown::Both).unwrap();
            });
            let mut got = Vec::new();
            client.read_to_end(&mut got).unwrap();
            assert!(got == bytes);
        });
    });
    drop(relays);
}

#[test]
fn nothing_turns_while_somebody_is_stuck() {
    let (listener, mut relays, host) = server();
    let mut client = connect(host);
    while relays.streams.is_empty() || relays.streams[0].interest(Side::Client) == Some(PollFlags::empty()) {
        turn(&mut relays);
    }
    let (server, _) = listener.accept().unwrap();
    // The client fills everything, and closes; the server has said all and doesn't read.
    server.shutdown(Shutdown::Write).unwrap();
    client.set_nonblocking(true).unwrap();
    let mut idle = 0;
    while idle < 10 {
        let wrote = client.write(&[7; 65536]).is_ok();
        let turned = turn(&mut relays) > 0;
        idle = if wrote || turned { 0 } else { idle + 1 };
    }
    drop(client);
    let busy = (0..20).map(|_| turn(&mut relays)).sum::<usize>();
    assert!(busy <= 2, "{busy} turns for nothing");
    assert_eq!(relays.streams.len(), 1, "what was sent still waits");
    drop(server);
    while !relays.streams.is_empty() {
        turn(&mut relays);
    }
    assert_eq!(relays.buffer.capacity(), 0, "no memory while idle");
}

#[test]
fn a_refused_target_resets_its_client() {
    // A port that was free a moment ago may be another test's.
    let closed = "127.0.0.1:1".parse().unwrap();
    let mut relays = Relays::default();
    let host = tcp(&mut relays, closed);
    let relays = relaying(relays, || {
        for _ in 0..3 {
            let error = connect(host).read(&mut [0; 8]).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
    });
    assert!(relays.streams.is_empty());
}

#[test]
fn a_break_is_a_break_for_both() {
    let (listener, relays, host) = server();
    relaying(relays, || {
        let client = connect(host);
        let (mut server, _) = listener.accept().unwrap();
        sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
        drop(client);
        server.set_read_timeout(Some(Duration::from_secs(120))).unwrap();
        assert_eq!(server.read(&mut [0; 8]).unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn who_comes_beyond_the_limit_waits_for_his_turn() {
    let (listener, mut relays, host) = server();
    relays.most_streams = 4;
    let relays = relaying(relays, || {
        let mut clients: Vec<TcpStream> = (0..12).map(|_| connect(host)).collect();
        for (at, client) in clients.iter_mut().enumerate() {
            client.write_all(&[at as u8]).unwrap();
        }
        thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..12 {
                    let (mut server, _) = listener.accept().unwrap();
                    let mut byte = [0];
                    server.read_exact(&mut byte).unwrap();
                    server.write_all(&byte).unwrap();
                }
            });
            for (at, mut client) in clients.into_iter().enumerate() {
                let mut text = Vec::new();
                client.read_to_end(&mut text).unwrap();
                assert_eq!(text, [at as u8]);
            }
        });
    });
    assert!(relays.streams.len() <= 4);
}

#[test]
fn datagrams_go_to_and_fro_and_every_client_gets_its_own() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut relays = Relays { most_sessions: 4, ..Relays::default() };
    let host = udp(&mut relays, server.local_addr().unwrap());
    let relays = relaying(relays, || {
        let clients: Vec<UdpSocket> = (0..6).map(|_| UdpSocket::bind("[::1]:0").unwrap()).collect();
        let mut buffer = vec![0; 65536];
        for (at, client) in clients.iter().enumerate() {
            // Connected: an answer from another address would not be taken.
            client.connect(host).unwrap();
            for length in [0, 1, 60_000] {
                client.send(&vec![at as u8; length]).unwrap();
                let (got, from) = server.recv_from(&mut buffer).unwrap();
                server.send_to(&buffer[..got], from).unwrap();
                let got = client.recv(&mut buffer).unwrap();
                assert!(buffer[..got] == vec![at as u8; length]);
            }
        }
    });
    assert_eq!(relays.sessions.len(), 4);
}

#[test]
fn silent_datagram_clients_are_forgotten() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut relays = Relays::default();
    let host = udp(&mut relays, server.local_addr().unwrap());
    let client = UdpSocket::bind("[::1]:0").unwrap();
    client.send_to(b"x", host).unwrap();
    while relays.sessions.is_empty() {
        turn(&mut relays);
    }
    assert!(relays.deadline().is_some());
    relays.sessions[0].heard -= SILENCE;
    relays.tidy();
    assert!(relays.sessions.is_empty() && relays.deadline().is_none() && relays.buffer.capacity() == 0);
}

#[test]
fn a_port_asked_twice_keeps_its_socket_and_a_removed_one_is_free() {
    // Free for us: nobody else is in this network.
    boxship_sys::namespace::unshare(boxship_sys::namespace::Kind::Network.flag()).unwrap();
    boxship_sys::namespace::bring_loopback_up().unwrap();
    let (first, mut relays, host) = server();
    let second = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = second.local_addr().unwrap();
    let spare = UdpSocket::bind("[::1]:0").unwrap();
    relays.add(RelayedPort { protocol: RelayedProtocol::Tcp, host, target }, spare.into()).unwrap();
    assert_eq!(relays.ports().len(), 1);
    let mut relays = relaying(relays, || {
        let _client = connect(host);
        second.accept().unwrap();
    });
    drop(first);
    let told = relays.ports()[0];
    relays.remove(&told);
    assert!(relays.ports.is_empty() && relays.streams.is_empty());
    // std's listener has SO_REUSEADDR, as the engine's second attempt.
    TcpListener::bind(host).unwrap();
}
