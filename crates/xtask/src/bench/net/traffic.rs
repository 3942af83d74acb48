//! What goes over networks: requests through a published port, bulk data, names.

use std::process::Command;

use boxship_testkit::host::HOME;

use super::Peer;
use super::peer::NETWORK;

/// Seconds of each measurement.
const SECONDS: u32 = 3;
/// Names asked for in one measurement, one after the other.
const LOOKUPS: u32 = 20_000;

/// Measures all.
pub fn measure(peers: &[Peer], rounds: usize) {
    for peer in peers {
        let run = |words: &[&str]| peer.engine.quiet(&[&["run", "-d", "--network", NETWORK], words].concat());
        run(&["--name", "web", "-p", "8088:80", "nginx"]);
        run(&["--name", "sink", "nginx", "iperf3", "-s"]);
        run(&["--name", "source", "nginx", "sleep", "100000"]);
        peer.engine.quiet(&[
            "exec",
            "source",
            "curl",
            "-sS",
            "--retry",
            "9",
            "--retry-connrefused",
            "http://web",
        ]);
    }
    requests(peers, rounds);
    bulk(peers, rounds);
    names(peers, rounds);
    for peer in peers {
        peer.engine.quiet(&["rm", "-f", "web", "sink", "source"]);
    }
}

fn requests(peers: &[Peer], rounds: usize) {
    let Some(wrk) = installed("wrk") else { return };
    for (from, host) in [("from outside", HOME[0]), ("through localhost", "127.0.0.1")] {
        let url = format!("http://{host}:8088/static");
        let mut latencies: Vec<(String, Vec<f64>)> = peers.iter().map(|p| (p.name(), Vec::new())).collect();
        super::in_turns(
            &format!("requests through a published port, {from}"),
            "req/s",
            rounds,
            peers,
            |peer| {
                let namespace = if host == "127.0.0.1" { &peer.home } else { &peer.outside };
                let mut command = namespace.command(&wrk);
                command.args(["-t1", "-c16", "--latency", &format!("-d{SECONDS}s"), &url]);
                let text = printed(&mut command)?;
                let latency = field(&text, "50%").and_then(milliseconds).ok_or("wrk told no latency")?;
                latencies
                    .iter_mut()
                    .filter(|(name, _)| *name == peer.name())
                    .for_each(|(_, all)| all.push(latency));
                let rate = field(&text, "Requests/sec:").and_then(|rate| rate.parse().ok());
                rate.ok_or_else(|| format!("wrk told no rate: {text}"))
            },
        );
        super::print(&format!("latency of those, median of 16 connections, {from}"), "ms", &latencies);
    }
}

fn bulk(peers: &[Peer], rounds: usize) {
    let seconds = SECONDS.to_string();
    super::in_turns("bulk, container to container", "Gbit/s", rounds, peers, |peer| {
        let words = ["exec", "source", "iperf3", "-f", "g", "-t", &seconds, "-c", "sink"];
        received(&printed(&mut peer.engine.command(&words))?)
    });
    let Some(iperf3) = installed("iperf3") else { return };
    super::in_turns("bulk, host to container", "Gbit/s", rounds, peers, |peer| {
        let template = format!("{{{{(index .NetworkSettings.Networks \"{NETWORK}\").IPAddress}}}}");
        let address = peer.engine.read(&["inspect", "-f", &template, "sink"]);
        let mut command = peer.home.command(&iperf3);
        received(&printed(command.args(["-f", "g", "-t", &seconds, "-c", &address]))?)
    });
}

/// Asks the container's resolver for its neighbour's name, one question after the other.
fn names(peers: &[Peer], rounds: usize) {
    let script = format!(
        "import socket,time\n\
         q=b'\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0\\3web\\0\\0\\1\\0\\1'\n\
         s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n\
         s.connect(('127.0.0.11',53))\n\
         s.settimeout(5)\n\
         t=time.monotonic()\n\
         for n in range({LOOKUPS}):\n s.send(q)\n r=s.recv(512)\n\
         assert r[7]==1, r\n\
         print({LOOKUPS}/(time.monotonic()-t))\n"
    );
    super::in_turns("names, one after the other", "names/s", rounds, peers, |peer| {
        let text = printed(&mut peer.engine.command(&["exec", "source", "python3", "-c", &script]))?;
        text.trim().parse().map_err(|_| format!("no number: {text}"))
    });
}

/// The program, or a sentence that says what is left out without it.
fn installed(program: &str) -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(program)).find(|file| file.is_file());
    if found.is_none() {
        println!("\n{program} is missing: what it measures is left out (Debian's package {program})");
    }
    found.map(|file| file.display().to_string())
}

fn printed(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.success() {
        true => Ok(text),
        false => Err(format!("{command:?}: {text}{}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// The word behind `name` at a line's beginning.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.trim().strip_prefix(name)?.split_whitespace().next())
}

/// `1.50ms`, `800.00us`, `1.20s`.
fn milliseconds(text: &str) -> Option<f64> {
    let scales = [("us", 1e-3), ("ms", 1.0), ("s", 1e3)];
    scales.iter().find_map(|(unit, scale)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * scale))
}

/// The rate that the receiving side saw.
fn received(text: &str) -> Result<f64, String> {
    let line =
        text.lines().find(|line| line.contains("receiver")).ok_or_else(|| format!("no receiver: {text}"))?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let unit = words.iter().position(|word| *word == "Gbits/sec");
    unit.and_then(|at| words[at - 1].parse().ok()).ok_or_else(|| format!("no rate: {line}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_programs_print_is_understood() {
        let wrk = "  Latency Distribution\n     50%  812.00us\n     75%    1.20ms\nRequests/sec:  19512.30\n";
        assert_eq!(field(wrk, "50%").and_then(milliseconds), Some(0.812));
        assert_eq!(field(wrk, "Requests/sec:"), Some("19512.30"));
        assert_eq!(
            (milliseconds("1.50ms"), milliseconds("2.00s"), milliseconds("x")),
            (Some(1.5), Some(2000.0), None)
        );
        let line = "[  5]   0.00-3.00   sec  9.76 GBytes  27.9 Gbits/sec                  receiver";
        assert_eq!(received(line), Ok(27.9));
    }
}
