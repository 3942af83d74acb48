//! Further processes: streams, codes, terminals, errors, what they leave behind.

use std::{io::Write, net::Shutdown, time::Instant};

use boxship_oci::runtime::Process;
use boxship_shim::{
    Error, client,
    protocol::{Event, ExecRequest, FailureKind, Request, Response, Streams},
};

use crate::{
    Test,
    host::{ALL, Container, Host, OUTPUT, Stream, await_event},
};

pub const TESTS: &[Test] = &[
    ("exec_output_and_code", exec_output_and_code),
    ("exec_input", exec_input),
    ("exec_with_terminal", exec_with_terminal),
    ("exec_detached", exec_detached),
    ("exec_refused", exec_refused),
    ("exec_leaves_something_running", exec_leaves_something_running),
    ("exec_dies_with_the_container", exec_dies_with_the_container),
    ("exec_is_quick", exec_is_quick),
];

fn request(id: &str, args: &[&str], attach: Streams) -> ExecRequest {
    let process = Process {
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        env: vec!["PATH=/bin".to_owned(), "TERM=xterm".to_owned()],
        cwd: "/".into(),
        ..Process::default()
    };
    ExecRequest { id: id.to_owned(), process, attach, console_size: None }
}

fn exec(container: &Container, request: ExecRequest) -> Stream {
    let tty = request.process.terminal;
    let mut connection = container.connect();
    let Response::ExecStarted { pid } = connection.ask(&Request::Exec(Box::new(request))).unwrap() else {
        panic!()
    };
    assert!(pid > 0);
    Stream::new(connection, tty)
}

fn sleeper(host: &Host) -> (Container, client::Connection) {
    let container = host.run(&["/bin/sleep", "1000"]);
    let mut events = container.connect();
    events.ask(&Request::Events).unwrap();
    (container, events)
}

fn code_of(events: &mut client::Connection, wanted: &str) -> i32 {
    match await_event(events, |event| matches!(event, Event::ExecExit { id, .. } if id == wanted)) {
        Event::ExecExit { exit, .. } => exit.code,
        _ => unreachable!(),
    }
}

fn exec_output_and_code() {
    let host = Host::new();
    let (container, mut events) = sleeper(&host);
    let script = ["/bin/sh", "-c", "echo out; echo err >&2; exit 3"];
    let stream = exec(&container, request("a", &script, OUTPUT));
    assert_eq!(stream.read_all(), (b"out\n".to_vec(), b"err\n".to_vec()));
    assert_eq!(code_of(&mut events, "a"), 3);
    assert!(container.logged().is_empty());
}

fn exec_input() {
    let host = Host::new();
    let (container, mut events) = sleeper(&host);
    let mut stream = exec(&container, request("a", &["cat"], ALL));
    stream.socket.write_all(b"through\n").unwrap();
    stream.socket.shutdown(Shutdown::Write).unwrap();
    assert_eq!(stream.read_all().0, b"through\n");
    assert_eq!(code_of(&mut events, "a"), 0);
}

fn exec_with_terminal() {
    let host = Host::new();
    let (container, mut events) = sleeper(&host);
    let mut wanted = request("a", &["sh", "-c", "stty size; read x; stty size; echo got $x"], ALL);
    wanted.process.terminal = true;
    wanted.console_size = Some(boxship_oci::runtime::ConsoleSize { height: 21, width: 73 });
    let mut stream = exec(&container, wanted);
    stream.read_until("21 73\r\n");
    container.ask(Request::Resize { exec: Some("a".to_owned()), height: 30, width: 90 });
    stream.socket.write_all(b"word\n").unwrap();
    let rest = String::from_utf8(stream.read_all().0).unwrap();
    assert!(rest.contains("30 90\r\ngot word\r\n"), "{rest:?}");
    assert_eq!(code_of(&mut events, "a"), 0);
}

fn exec_detached() {
    let host = Host::new();
    let (container, mut events) = sleeper(&host);
    let stream =
        exec(&container, request("a", &["sh", "-c", "echo x > /tmp/here; exit 5"], Streams::default()));
    assert_eq!(stream.read_all(), (vec![], vec![]));
    assert_eq!(code_of(&mut events, "a"), 5);
    assert_eq!(std::fs::read_to_string(host.path("rootfs/tmp/here")).unwrap(), "x\n");
    // Output nobody hears must not stop it either.
    exec(&container, request("b", &["sh", "-c", "yes | head -c 1000000"], Streams::default()));
    assert_eq!(code_of(&mut events, "b"), 0);
}

fn exec_refused() {
    let host = Host::new();
    let (container, _events) = sleeper(&host);
    for (program, kind) in
        [("nothing-like-this", FailureKind::CommandNotFound), ("/etc", FailureKind::CommandNotExecutable)]
    {
        let wanted = Request::Exec(Box::new(request("a", &[program], OUTPUT)));
        let Err(Error::Refused(failure)) = client::ask(container.directory(), &wanted) else { panic!() };
        assert_eq!(failure.kind, kind, "{failure}");
    }
    let Response::State(state) = container.ask(Request::State) else { panic!() };
    assert!(state.execs.is_empty());
    let missing = Request::Resize { exec: Some("zz".to_owned()), height: 1, width: 1 };
    assert!(client::ask(container.directory(), &missing).is_err());
}

fn exec_leaves_something_running() {
    let host = Host::new();
    let (container, mut events) = sleeper(&host);
    let start = Instant::now();
    let stream = exec(&container, request("a", &["sh", "-c", "sleep 1000 & echo gone"], OUTPUT));
    assert_eq!(stream.read_all().0, b"gone\n");
    assert_eq!(code_of(&mut events, "a"), 0);
    assert!(start.elapsed().as_secs() < 900, "what is left is not waited for");
    let Response::Pids(pids) = container.ask(Request::Pids) else { panic!() };
    assert_eq!(pids.len(), 2);
}

fn exec_dies_with_the_container() {
    let host = Host::new();
    let (container, mut events) = sleeper(&host);
    let stream = exec(&container, request("a", &["sleep", "1000"], OUTPUT));
    container.ask(Request::Kill { signal: 9, all: false });
    assert_eq!(code_of(&mut events, "a"), 137);
    assert_eq!(stream.read_all(), (vec![], vec![]));
    assert_eq!(container.finish().code, 137);
}

/// Prints; a debug build on a busy machine proves nothing.
fn exec_is_quick() {
    let host = Host::new();
    let (container, _events) = sleeper(&host);
    let mut times: Vec<u128> = (0..20)
        .map(|number| {
            let start = Instant::now();
            exec(&container, request(&number.to_string(), &["true"], OUTPUT)).read_all();
            start.elapsed().as_micros()
        })
        .collect();
    times.sort_unstable();
    println!("exec true through the shim: median {} µs, best {} µs", times[10], times[0]);
}
