//! A container with a terminal.

use std::io::Write;

use boxship_oci::runtime::ConsoleSize;
use boxship_shim::protocol::{LaunchRequest, Request};

use crate::{
    Test,
    host::{ALL, Host},
};

pub const TESTS: &[Test] = &[("terminal_and_resize", terminal_and_resize), ("interrupt_key", interrupt_key)];

fn with_terminal(host: &Host, script: &str) -> LaunchRequest {
    let mut request = LaunchRequest { open_stdin: true, ..host.request(&["/bin/sh", "-c", script]) };
    let process = request.spec.process.as_mut().unwrap();
    process.terminal = true;
    process.console_size = Some(ConsoleSize { height: 20, width: 60 });
    request
}

fn terminal_and_resize() {
    let host = Host::new();
    let script = "trap 'stty size' WINCH; stty size; while ! read line; do :; done; echo got $line";
    let container = host.launch(with_terminal(&host, script));
    let mut stream = container.attach(ALL);
    container.start();
    stream.read_until("20 60\r\n");
    container.ask(Request::Resize { exec: None, height: 33, width: 99 });
    stream.socket.write_all(b"word\n").unwrap();
    let seen = stream.read_until("got word\r\n");
    assert!(seen.contains("33 99\r\n"), "{seen:?}");
    assert_eq!(container.wait_for_exit().code, 0);
    assert!(container.logged().contains("20 60\r\n"));
    container.finish();
}

fn interrupt_key() {
    let host = Host::new();
    // The first process is spared signals it has no handler for, until its child is there to be hit.
    let script = "trap 'exit 130' INT; echo ready; while :; do sleep 0.1; done; echo never";
    let container = host.launch(with_terminal(&host, script));
    let mut stream = container.attach(ALL);
    container.start();
    stream.read_until("ready\r\n");
    stream.socket.write_all(b"\x03").unwrap();
    stream.read_all();
    assert_eq!(container.finish().code, 130);
}
