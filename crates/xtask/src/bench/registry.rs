//! `cargo xtask bench registry`: our registry beside Debian's docker-registry, in turns in one run: pulls and pushes
//! of blobs of 1 MB, the catalog, all by many clients at once; and the most memory that each took for it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

/// Clients at a time.
const CLIENTS: usize = 64;
/// Bytes of a blob.
const SIZE: usize = 1 << 20;
/// Blobs that each round pushes.
const PUSHES: usize = 256;
/// Blobs that are pulled.
const PULLS: usize = 64;
/// Repositories of the catalog.
const REPOSITORIES: usize = 500;
/// Rounds.
const ROUNDS: usize = 3;
/// How long pulls and catalog are asked for in each round.
const SECONDS: &str = "5";

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A server that is measured.
struct Contender {
    name: &'static str,
    port: u16,
    process: Child,
    results: Vec<Vec<f64>>,
    memory: Vec<u64>,
}

/// `cargo xtask bench registry`.
pub fn run() -> Result<(), String> {
    boxship_testkit::require_root();
    let exe = super::release_executable()?;
    let folder = tempfile::tempdir_in("/var/tmp").map_err(|e| format!("temporary folder: {e}"))?;
    let mut contenders = [boxship(&exe, folder.path())?, docker(folder.path())?];
    let blobs: Vec<(Vec<u8>, String)> = (0..PULLS as u64).map(|number| blob(u64::MAX - number)).collect();
    let script = folder.path().join("pulls.lua");
    fs::write(&script, lua(&blobs)).map_err(|e| format!("write {}: {e}", script.display()))?;
    for one in &contenders {
        push_all(one.port, &blobs)?;
        fill_catalog(one.port)?;
    }
    for round in 0..ROUNDS as u64 {
        let pushed: Vec<_> = (0..PUSHES as u64).map(|number| blob(round * PUSHES as u64 + number)).collect();
        for one in &mut contenders {
            one.measure(0, |port| {
                let before = Instant::now();
                push_all(port, &pushed)?;
                Ok(PUSHES as f64 / before.elapsed().as_secs_f64())
            })?;
        }
        for one in &mut contenders {
            one.measure(1, |port| wrk(port, "/", Some(&script)))?;
        }
        for one in &mut contenders {
            one.measure(2, |port| wrk(port, "/v2/_catalog?n=100", None))?;
        }
    }
    for (phase, title) in
        ["pushes of 1 MB blobs", "pulls of 1 MB blobs", "catalog of 500 repositories, 100 a page"]
            .iter()
            .enumerate()
    {
        println!("\n{title}, {CLIENTS} clients");
        for one in &mut contenders {
            one.results[phase].sort_by(f64::total_cmp);
            let median = one.results[phase][ROUNDS / 2];
            println!(
                "  {:<18} {median:>9.0} a second   at most {:>7} kB resident",
                one.name, one.memory[phase]
            );
        }
    }
    Ok(())
}

impl Contender {
    fn start(name: &'static str, port: u16, command: &mut Command) -> Result<Self, String> {
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let process = process.map_err(|e| format!("start {name}: {e}"))?;
        let one = Self { name, port, process, results: vec![Vec::new(); 3], memory: vec![0; 3] };
        let before = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if before.elapsed() > Duration::from_secs(20) {
                return Err(format!("{name} does not listen on port {port}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(one)
    }

    /// Measures one phase, and the most memory during it.
    fn measure(&mut self, phase: usize, load: impl FnOnce(u16) -> Result<f64, String>) -> Result<(), String> {
        let proc = format!("/proc/{}", self.process.id());
        // 5 sets the high-water mark back (proc(5), clear_refs).
        fs::write(format!("{proc}/clear_refs"), "5").map_err(|e| format!("{proc}/clear_refs: {e}"))?;
        self.results[phase].push(load(self.port)?);
        let status = fs::read_to_string(format!("{proc}/status")).map_err(|e| format!("{proc}: {e}"))?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
        let kilobytes = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
        self.memory[phase] = self.memory[phase].max(kilobytes);
        Ok(())
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn boxship(exe: &Path, folder: &Path) -> Result<Contender, String> {
    let mut command = Command::new(exe);
    command
        .args(["registry", "serve", "--address", "127.0.0.1:15901", "--storage"])
        .arg(folder.join("boxship"));
    Contender::start("boxship", 15901, &mut command)
}

fn docker(folder: &Path) -> Result<Contender, String> {
    let settings = folder.join("docker.yml");
    let text = format!(
        "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    \
         rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:15902\n",
        folder.join("docker").display()
    );
    fs::write(&settings, text).map_err(|e| format!("write {}: {e}", settings.display()))?;
    let program = boxship_testkit::require_program("docker-registry", "docker-registry");
    Contender::start("docker-registry", 15902, Command::new(program).arg("serve").arg(settings))
}

/// Content that no other number has, and its digest.
fn blob(number: u64) -> (Vec<u8>, String) {
    let mut bytes = vec![0x5a; SIZE];
    bytes[..8].copy_from_slice(&number.to_le_bytes());
    let digest = digest(&bytes);
    (bytes, digest)
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn lua(blobs: &[(Vec<u8>, String)]) -> String {
    let digests: Vec<String> = blobs.iter().map(|(_, digest)| format!("\"{digest}\"")).collect();
    format!(
        "local digests = {{{}}}\nlocal at = math.random(#digests)\nrequest = function()\n  at = at % #digests + 1\n  \
         return wrk.format(\"GET\", \"/v2/bench/blobs/\" .. digests[at])\nend\n",
        digests.join(",")
    )
}

/// Requests a second, as wrk counts them; answers that are no success fail the measurement.
fn wrk(port: u16, path: &str, script: Option<&Path>) -> Result<f64, String> {
    let mut command = Command::new(boxship_testkit::require_program("wrk", "wrk"));
    command.args(["-t1", &format!("-c{CLIENTS}"), &format!("-d{SECONDS}s"), "--timeout", "30s"]);
    if let Some(script) = script {
        command.arg("-s").arg(script);
    }
    let output = command.arg(format!("http://127.0.0.1:{port}{path}")).output();
    let output = output.map_err(|e| format!("run wrk (Debian's package wrk): {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if text.contains("Non-2xx") {
        return Err(format!("port {port} {path}: {text}"));
    }
    let line = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    line.and_then(|number| number.trim().parse().ok()).ok_or_else(|| format!("wrk: {text}"))
}

/// Pushes by all clients at once.
fn push_all(port: u16, blobs: &[(Vec<u8>, String)]) -> Result<(), String> {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = Client::connect(port)?;
                    while let Some((bytes, digest)) = blobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                        client.push("bench", bytes, digest)?;
                    }
                    Ok(())
                })
            })
            .collect();
        clients.into_iter().try_for_each(|client| client.join().map_err(|_| "a client failed".to_string())?)
    })
}

fn fill_catalog(port: u16) -> Result<(), String> {
    let mut client = Client::connect(port)?;
    let config = digest(b"{}");
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{config}","size":2}},"layers":[]}}"#
    );
    for number in 0..REPOSITORIES {
        let repository = format!("group{}/app{number}", number % 20);
        client.push(&repository, b"{}", &config)?;
        let path = format!("/v2/{repository}/manifests/latest");
        client.ask("PUT", &path, manifest.as_bytes(), 201)?;
    }
    Ok(())
}

/// A connection that is kept.
struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn connect(port: u16) -> Result<Self, String> {
        let stream = TcpStream::connect(("127.0.0.1", port)).map_err(|e| format!("connect: {e}"))?;
        stream.set_nodelay(true).map_err(|e| format!("connect: {e}"))?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Pushes a blob as most clients do, in two steps.
    fn push(&mut self, repository: &str, bytes: &[u8], digest: &str) -> Result<(), String> {
        let begun = self.ask("POST", &format!("/v2/{repository}/blobs/uploads/"), b"", 202)?;
        let path = begun.find("/v2/").map_or(begun.as_str(), |at| &begun[at..]);
        let mark = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{mark}digest={digest}");
        self.ask("PUT", &path, bytes, 201).map(drop)
    }

    /// One request; the location that the answer names.
    fn ask(&mut self, method: &str, path: &str, body: &[u8], expect: u16) -> Result<String, String> {
        let failed = |e: std::io::Error| format!("{method} {path}: {e}");
        let kind = if path.contains("/manifests/") { MANIFEST } else { "application/octet-stream" };
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n"
        );
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).map_err(failed)?;
        let (mut status, mut location, mut length) = (String::new(), String::new(), 0);
        self.stream.read_line(&mut status).map_err(failed)?;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).map_err(failed)?;
            match line.trim_end().split_once(": ") {
                None => break,
                Some((name, value)) if name.eq_ignore_ascii_case("location") => location = value.to_owned(),
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse().unwrap_or(0);
                }
                Some(_) => {}
            }
        }
        let mut rest = vec![0; length];
        self.stream.read_exact(&mut rest).map_err(failed)?;
        match status.contains(&format!(" {expect} ")) {
            true => Ok(location),
            false => Err(format!("{method} {path}: {status}{}", String::from_utf8_lossy(&rest))),
        }
    }
}
