//! What the tests of networks share: a host on a network, web servers in containers, requests and packets.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use boxship_testkit::host::{Host, Ran};
use boxship_testkit::netns::Namespace;

use crate::format;

/// Sends and counts packets, answers as a name server.
const PACKETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/packets.py");

/// A host on a network, with another host beside it and busybox loaded.
pub fn host() -> Host {
    host_with(&[])
}

/// The same with arguments for the daemon.
pub fn host_with(arguments: &[&str]) -> Host {
    let host = Host::on_network(env!("CARGO_BIN_EXE_boxship"), arguments);
    host.load_busybox();
    host
}

/// Starts a web server named `name`, which tells its name at `/` and who asks at `/cgi-bin/who`.
#[track_caller]
pub fn serve(host: &Host, name: &str, flags: &str) {
    host.boxship(serving(name, flags)).ok();
}

/// The command line of [`serve`].
pub fn serving(name: &str, flags: &str) -> Vec<String> {
    let script = format!(
        "mkdir -p /www/cgi-bin; echo {name} > /www/index.html; cd /www/cgi-bin; \
         printf '#!/bin/sh\\nprintf \"Content-Type: text/plain\\\\r\\\\n\\\\r\\\\n%%s\\\\n\" \"$REMOTE_ADDR\"\\n' > who; \
         chmod +x who; exec httpd -f -p 80 -h /www"
    );
    let mut words: Vec<String> = ["run", "-d", "--name", name].map(String::from).into();
    words.extend(flags.split_whitespace().map(String::from));
    words.extend(["busybox", "sh", "-c", &script].map(String::from));
    words
}

/// What a request from a namespace gets; the exit code is curl's.
pub fn ask(from: &Namespace, url: &str) -> Ran {
    from.run(&format!("curl -sS -m 3 --noproxy * http://{url}"))
}

/// Waits until a request is answered with `text`.
#[track_caller]
pub fn answers(from: &Namespace, url: &str, text: &str) {
    let mut last = None;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
    while std::time::Instant::now() < deadline {
        let ran = ask(from, url);
        if ran.code == 0 && ran.stdout.trim() == text {
            return;
        }
        last = Some(ran);
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("http://{url} should answer {text:?}, and last was {last:?}");
}

/// A request that must not be answered.
#[track_caller]
pub fn silent(from: &Namespace, url: &str) {
    let ran = from.run(&format!("curl -sS -m 1 --noproxy * http://{url}"));
    assert_ne!(ran.code, 0, "http://{url} should not answer: {}", ran.stdout);
}

/// Runs a shell line in a container.
pub fn inside(host: &Host, container: &str, script: &str) -> Ran {
    host.boxship(["exec", container, "sh", "-c", script])
}

/// Waits until a shell line in a container succeeds.
#[track_caller]
pub fn works(host: &Host, container: &str, script: &str) -> String {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(120);
    loop {
        let ran = inside(host, container, script);
        if ran.code == 0 {
            return ran.ok().to_string();
        }
        assert!(std::time::Instant::now() < deadline, "{script} in {container} never works: {ran:?}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// A shell line in a container that must fail.
#[track_caller]
pub fn fails(host: &Host, container: &str, script: &str) {
    let ran = inside(host, container, script);
    assert_ne!(ran.code, 0, "{script} in {container}: {}", ran.stdout);
}

/// The address of a container on a network.
pub fn address(host: &Host, container: &str, network: &str) -> String {
    endpoint(host, container, network, "IPAddress")
}

/// A field of a container's endpoint.
pub fn endpoint(host: &Host, container: &str, network: &str, field: &str) -> String {
    format(host, container, &format!("{{{{(index .NetworkSettings.Networks \"{network}\").{field}}}}}"))
}

/// Runs the packet tool in a namespace to its end.
pub fn packets(from: &Namespace, line: &str) -> Ran {
    from.run(&format!("python3 {PACKETS} {line}"))
}

/// The packet tool at work in the background; killed when dropped.
pub struct Tool(Child);

impl Tool {
    /// Starts it and waits until it says that it is ready.
    pub fn start(namespace: &str, line: &str) -> Tool {
        let mut command = std::process::Command::new("nsenter");
        command.arg(format!("--net={namespace}")).args(["--", "python3", PACKETS]);
        let mut child =
            command.args(line.split(' ')).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut first = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut first).unwrap();
        assert_eq!(first, "ready\n", "{line}");
        child.stdout = Some(output.into_inner());
        Tool(child)
    }

    /// The same in a host's namespace.
    pub fn in_namespace(namespace: &Namespace, line: &str) -> Tool {
        Tool::start(&format!("/proc/{}/ns/net", namespace.pid()), line)
    }

    /// The same in a container's.
    pub fn in_container(host: &Host, container: &str, line: &str) -> Tool {
        Tool::start(&format!("/proc/{}/ns/net", format(host, container, "{{.State.Pid}}")), line)
    }

    /// Ends its input, waits for its end and gives what it printed.
    pub fn end(mut self) -> String {
        drop(self.0.stdin.take());
        let mut text = String::new();
        std::io::Read::read_to_string(self.0.stdout.as_mut().unwrap(), &mut text).unwrap();
        self.0.wait().unwrap();
        text.trim().to_string()
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
