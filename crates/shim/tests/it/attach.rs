//! Attached clients: input, output, several at once, slow ones.

use std::{
    io::{Read, Write},
    net::Shutdown,
    time::Duration,
};

use boxship_shim::protocol::{LaunchRequest, Request, Response, Streams};

use crate::{
    Test,
    host::{ALL, Host, OUTPUT, Stream, unframe},
};

pub const TESTS: &[Test] = &[
    ("nothing_is_lost_before_start", nothing_is_lost_before_start),
    ("input_and_its_end", input_and_its_end),
    ("several_clients", several_clients),
    ("input_without_once_detaches", input_without_once_detaches),
    ("a_lot_through_a_slow_reader", a_lot_through_a_slow_reader),
    ("a_slow_reader_slows_the_container_only", a_slow_reader_slows_the_container_only),
    ("a_lot_of_input", a_lot_of_input),
    ("early_input", early_input),
    ("unread_input_is_no_error", unread_input_is_no_error),
    ("input_of_a_client_that_left", input_of_a_client_that_left),
];

fn interactive(host: &Host, args: &[&str], once: bool) -> LaunchRequest {
    LaunchRequest { open_stdin: true, stdin_once: once, ..host.request(args) }
}

fn nothing_is_lost_before_start() {
    let host = Host::new();
    let container = host.launch(host.request(&["/bin/sh", "-c", "echo out; echo err >&2"]));
    let stream = container.attach(OUTPUT);
    container.start();
    assert_eq!(stream.read_all(), (b"out\n".to_vec(), b"err\n".to_vec()));
    assert_eq!(container.finish().code, 0);
}

fn input_and_its_end() {
    let host = Host::new();
    let container = host.launch(interactive(&host, &["/bin/cat"], true));
    let mut stream = container.attach(ALL);
    container.start();
    stream.socket.write_all(b"hello\n").unwrap();
    assert_eq!(stream.read_until("hello\n"), "hello\n");
    stream.socket.write_all(b"bye\n").unwrap();
    stream.socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(stream.read_all().0, b"bye\n");
    assert_eq!(container.finish().code, 0);
}

fn several_clients() {
    let host = Host::new();
    let container = host.launch(interactive(&host, &["/bin/cat"], true));
    let mut talker = container.attach(ALL);
    let listener = container.attach(OUTPUT);
    let deaf = container.attach(Streams { stderr: true, ..Streams::default() });
    container.start();
    talker.socket.write_all(b"to all\n").unwrap();
    talker.read_until("to all\n");
    drop(talker);
    assert_eq!(listener.read_all().0, b"to all\n");
    assert_eq!(deaf.read_all(), (vec![], vec![]));
    assert_eq!(container.finish().code, 0);
}

fn input_without_once_detaches() {
    let host = Host::new();
    let container = host.launch(interactive(&host, &["/bin/cat"], false));
    container.start();
    for text in ["first\n", "second\n"] {
        let mut stream = container.attach(ALL);
        stream.socket.write_all(text.as_bytes()).unwrap();
        stream.read_until(text);
        stream.socket.shutdown(Shutdown::Write).unwrap();
        stream.read_all();
    }
    container.ask(Request::CloseStdin { exec: None });
    assert_eq!(container.wait_for_exit().code, 0);
    assert_eq!(container.logged(), "first\nsecond\n");
    container.finish();
}

const PATTERN: &str = "yes 0123456789abcdefghijklmnopqrstuvwxyz | head -c 104857600";

fn a_lot_through_a_slow_reader() {
    let host = Host::new();
    let mut request = host.request(&["/bin/sh", "-c", PATTERN]);
    request.log.max_size = Some(5_000_000);
    request.log.max_files = 2;
    let container = host.launch(request);
    let mut stream = container.attach(OUTPUT);
    container.start();
    let mut received = Vec::new();
    let mut buffer = vec![0; 300_000];
    let mut reads = 0;
    loop {
        let length = stream.socket.read(&mut buffer).unwrap();
        if length == 0 {
            break;
        }
        received.extend_from_slice(&buffer[..length]);
        reads += 1;
        if reads % 100 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let (out, err) = unframe(&received);
    assert!(err.is_empty());
    assert_eq!(out.len(), 104_857_600);
    let line = b"0123456789abcdefghijklmnopqrstuvwxyz\n";
    assert!(out.chunks(line.len()).all(|chunk| line.starts_with(chunk)));
    container.finish();
}

fn a_slow_reader_slows_the_container_only() {
    let host = Host::new();
    let container = host.launch(host.request(&["/bin/sh", "-c", "yes | head -c 10000000; echo done >&2"]));
    let stalled = container.attach(OUTPUT);
    container.start();
    std::thread::sleep(Duration::from_millis(300));
    assert!(matches!(container.ask(Request::State), Response::State(state) if state.exit.is_none()));
    let private = crate::memory::private_kilobytes(container.shim());
    assert!(private < 3000, "{private} kB");
    assert_eq!(stalled.read_all().0.len(), 10_000_000);
    assert_eq!(container.finish().code, 0);
}

fn a_lot_of_input() {
    let host = Host::new();
    let container = host.launch(interactive(&host, &["/bin/md5sum"], true));
    let Stream { socket, .. } = &mut container.attach(Streams { stdin: true, ..Streams::default() });
    let stream = container.attach(OUTPUT);
    container.start();
    socket.write_all(&vec![b'x'; 20_000_000]).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let (out, _) = stream.read_all();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "bcfa0d2b5d35f3a3cd3bb6aaf0a6bc49  -\n".replace("bcfa0d2b5d35f3a3cd3bb6aaf0a6bc49", &md5_of_x())
    );
    container.finish();
}

/// The same sum by the host's busybox, which is the container's.
fn md5_of_x() -> String {
    let script = "head -c 20000000 /dev/zero | tr '\\0' x | md5sum";
    let sum = std::process::Command::new("/bin/busybox").args(["sh", "-c", script]).output().unwrap();
    String::from_utf8(sum.stdout).unwrap().split_whitespace().next().unwrap().to_owned()
}

/// Input in the same packet as the request.
fn early_input() {
    let host = Host::new();
    let container = host.launch(interactive(&host, &["/bin/cat"], true));
    let mut socket =
        std::os::unix::net::UnixStream::connect(container.directory().join("shim.sock")).unwrap();
    let mut bytes = boxship_shim::protocol::encode(&Request::Attach(ALL));
    bytes.extend_from_slice(b"early\n");
    socket.write_all(&bytes).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    container.start();
    let mut all = Vec::new();
    socket.read_to_end(&mut all).unwrap();
    assert!(all.ends_with(b"early\n"), "{}", String::from_utf8_lossy(&all));
    container.finish();
}

/// A program that doesn't want its input ends like any other for the client.
fn unread_input_is_no_error() {
    let host = Host::new();
    let container = host.launch(interactive(&host, &["/bin/sh", "-c", "sleep 0.2; echo done"], true));
    let stream = container.attach(ALL);
    let mut input = stream.socket.try_clone().unwrap();
    input.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
    while input.write_all(&[b'x'; 4096]).is_ok() {}
    container.start();
    assert_eq!(stream.read_all().0, b"done\n");
    container.finish();
}

/// Processor time of a process, in ticks.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = stat.rsplit(')').next().unwrap().split_whitespace();
    fields.skip(11).take(2).map(|n| n.parse::<u64>().unwrap()).sum()
}

/// What a client sent before it left arrives, and the shim doesn't spin meanwhile.
fn input_of_a_client_that_left() {
    let host = Host::new();
    let script = "while [ ! -e /tmp/go ]; do sleep 0.05; done; md5sum";
    let container = host.launch(interactive(&host, &["/bin/sh", "-c", script], true));
    let output = container.attach(OUTPUT);
    let mut stream = container.attach(ALL);
    stream.socket.write_all(&[b'x'; 150_000]).unwrap();
    drop(stream);
    container.start();
    let before = ticks(container.shim());
    std::thread::sleep(Duration::from_millis(400));
    let spent = ticks(container.shim()) - before;
    assert!(spent < 20, "{spent} ticks of processor time");
    std::fs::write(host.path("rootfs/tmp/go"), "").unwrap();
    let (sum, _) = output.read_all();
    let script = "head -c 150000 /dev/zero | tr '\\0' x | md5sum";
    let expect = std::process::Command::new("/bin/busybox").args(["sh", "-c", script]).output().unwrap();
    assert_eq!(sum, expect.stdout);
    container.finish();
}
