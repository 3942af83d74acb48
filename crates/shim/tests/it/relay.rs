//! Ports that a shim relays, over its protocol.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::AsFd,
};

use boxship_shim::{
    Error, client,
    protocol::{FailureKind, RelayedPort, RelayedProtocol, Request, Response},
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with};

use crate::{
    Test,
    host::{Host, OUTPUT, until},
    memory::private_kilobytes,
};

pub const TESTS: &[Test] = &[
    ("relays_until_told_otherwise", relays_until_told_otherwise),
    ("relays_end_with_their_container", relays_end_with_their_container),
    ("a_busy_relay_keeps_nothing_waiting", a_busy_relay_keeps_nothing_waiting),
    ("sockets_and_ports_must_fit", sockets_and_ports_must_fit),
];

/// A bound socket as the engine's, and what is to be told of it.
fn port(target: SocketAddr) -> (RelayedPort, std::os::fd::OwnedFd) {
    let socket = socket_with(AddressFamily::INET6, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    bind(&socket, &"[::1]:0".parse::<SocketAddr>().unwrap()).unwrap();
    let host = SocketAddr::try_from(getsockname(&socket).unwrap()).unwrap();
    (RelayedPort { protocol: RelayedProtocol::Tcp, host, target }, socket)
}

/// What a client says comes back.
fn echoes(listener: &TcpListener, host: SocketAddr) {
    let mut stream = TcpStream::connect(host).unwrap();
    stream.write_all(b"hello").unwrap();
    let (mut server, _) = listener.accept().unwrap();
    let mut text = [0; 5];
    server.read_exact(&mut text).unwrap();
    server.write_all(&text).unwrap();
    drop(server);
    let mut back = String::new();
    stream.read_to_string(&mut back).unwrap();
    assert_eq!(back, "hello");
}

fn relays_until_told_otherwise() {
    let host = Host::new();
    let container = host.run(&["/bin/sleep", "1000"]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // More than one message carries.
    let ports: Vec<_> = (0..20).map(|_| port(listener.local_addr().unwrap())).collect();
    let given: Vec<_> = ports.iter().map(|(told, socket)| (*told, socket.as_fd())).collect();
    client::relay(container.directory(), &given).unwrap();
    client::relay(container.directory(), &given[..1]).unwrap();
    assert_eq!(
        client::relayed(container.directory()).unwrap(),
        ports.iter().map(|p| p.0).collect::<Vec<_>>()
    );
    let told: Vec<RelayedPort> = ports.iter().map(|(told, _)| *told).collect();
    drop(ports);
    for told in &told {
        echoes(&listener, told.host);
    }
    assert_eq!(container.ask(Request::StopRelaying(told[1..].to_vec())), Response::Done);
    assert!(TcpStream::connect(told[1].host).is_err());
    TcpListener::bind(told[1].host).unwrap();
    echoes(&listener, told[0].host);
    until("little memory when idle", || private_kilobytes(container.shim()) < 2048);
}

fn relays_end_with_their_container() {
    let host = Host::new();
    let container = host.run(&["/bin/sleep", "1000"]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (told, socket) = port(listener.local_addr().unwrap());
    client::relay(container.directory(), &[(told, socket.as_fd())]).unwrap();
    drop(socket);
    let mut stream = TcpStream::connect(told.host).unwrap();
    let (_server, _) = listener.accept().unwrap();
    assert_eq!(container.ask(Request::Kill { signal: 9, all: false }), Response::Done);
    container.wait_for_exit();
    TcpListener::bind(told.host).expect("free when the end is told");
    assert!(stream.read(&mut [0; 8]).is_err(), "reset");
    container.finish();
}

fn a_busy_relay_keeps_nothing_waiting() {
    let host = Host::new();
    let container =
        host.launch(host.request(&["/bin/sh", "-c", "echo begin; sleep 1; seq 1 20000; echo end"]));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (told, socket) = port(listener.local_addr().unwrap());
    client::relay(container.directory(), &[(told, socket.as_fd())]).unwrap();
    drop(socket);
    let stream = container.attach(OUTPUT);
    container.start();
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let mut client = TcpStream::connect(told.host).unwrap();
            let (mut server, _) = listener.accept().unwrap();
            std::thread::spawn(move || std::io::copy(&mut server, &mut std::io::sink()));
            std::thread::spawn(move || while client.write_all(&[1; 65536]).is_ok() {})
        })
        .collect();
    assert!(matches!(container.ask(Request::State), Response::State(_)));
    let (output, _) = stream.read_all();
    assert!(String::from_utf8(output).unwrap().ends_with("20000\nend\n"));
    assert!(container.logged().ends_with("20000\nend\n"));
    assert_eq!(container.finish().code, 0);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
}

fn sockets_and_ports_must_fit() {
    let host = Host::new();
    let container = host.run(&["/bin/sleep", "1000"]);
    let (told, _socket) = port("127.0.0.1:9".parse().unwrap());
    let error = client::ask(container.directory(), &Request::Relay(vec![told])).unwrap_err();
    assert!(matches!(error, Error::Refused(failure) if failure.kind == FailureKind::Invalid));
    // Not a socket.
    let error = client::relay(container.directory(), &[(told, std::io::stdin().as_fd())]).unwrap_err();
    assert!(matches!(error, Error::Refused(failure) if failure.kind == FailureKind::Internal));
    assert!(client::relayed(container.directory()).unwrap().is_empty());
}
