//! `cargo xtask bench pull`: pulls from and pushes to a registry on loopback (Debian's docker-registry) beside Debian's
//! docker, podman and skopeo, in turns in one run: how long they take, and the most memory that was in use for it.
//!
//! skopeo only copies, without unpacking or compressing; `zcat | tar` shows what the decompressor and the disk alone
//! need. Images to be pushed are loaded from an archive, into an empty registry: nobody knows anything beforehand.

mod images;
mod peak;

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::engine::Engine;
use images::Source;

const USAGE: &str = "bench pull [--rounds N] [--megabytes N] [--files N] [--exe FILE]";
/// Where images are pulled from, and pushed to.
const PORTS: [u16; 2] = [15911, 15912];

/// What is measured; smaller sizes are for trying things out.
struct Sizes {
    rounds: usize,
    megabytes: usize,
    files: usize,
    exe: Option<PathBuf>,
}

impl Sizes {
    fn parse(arguments: &[&str]) -> Result<Self, String> {
        let mut sizes = Self { rounds: 3, megabytes: 1024, files: 50_000, exe: None };
        for pair in arguments.chunks(2) {
            let [name, value] = pair else { return Err(USAGE.into()) };
            let number = || value.parse::<usize>().map_err(|_| format!("{name} takes a number, not {value}"));
            match *name {
                "--rounds" => sizes.rounds = number()?.max(1),
                "--megabytes" => sizes.megabytes = number()?.max(10),
                "--files" => sizes.files = number()?,
                "--exe" => sizes.exe = Some(value.into()),
                _ => return Err(USAGE.into()),
            }
        }
        Ok(sizes)
    }
}

/// One that pulls and pushes.
enum Contender {
    Engine(Box<Engine>),
    /// Copies to a folder.
    Skopeo(tempfile::TempDir),
    /// Unpacks the registry's own files.
    Floor(tempfile::TempDir),
}

/// Seconds and kilobytes of one contender, a pair of each round.
type Results = Vec<(f64, u64)>;

/// `cargo xtask bench pull`.
pub fn run(arguments: &[&str]) -> Result<(), String> {
    let sizes = Sizes::parse(arguments)?;
    boxship_testkit::require_root();
    let exe = match &sizes.exe {
        Some(exe) => exe.clone(),
        None => super::release_executable()?,
    };
    let folder = folder()?;
    let contenders = [
        Contender::Engine(Box::new(Engine::boxship(&exe)?)),
        Contender::Engine(Box::new(Engine::docker()?)),
        Contender::Engine(Box::new(Engine::podman()?)),
        Contender::Skopeo(self::folder()?),
        Contender::Floor(self::folder()?),
    ];
    for source in images::all(folder.path(), sizes.megabytes, sizes.files)? {
        let registry = Registry::start(PORTS[0], &folder.path().join("registry").join(source.name))?;
        source.push_to(PORTS[0])?;
        let mut pulls: Vec<Results> = contenders.iter().map(|_| Vec::new()).collect();
        let mut pushes = pulls.clone();
        for _ in 0..sizes.rounds {
            for (one, results) in contenders.iter().zip(&mut pulls) {
                results.push(one.pull(&source, &registry)?);
            }
            for (one, results) in contenders.iter().zip(&mut pushes) {
                let target = Registry::start(PORTS[1], &folder.path().join("target"))?;
                results.extend(one.push(&source)?);
                target.empty()?;
            }
        }
        print(&format!("pull of {}", source.title), &contenders, &pulls);
        print(&format!("push of {}", source.title), &contenders, &pushes);
        registry.empty()?;
        source.remove()?;
    }
    Ok(())
}

fn folder() -> Result<tempfile::TempDir, String> {
    tempfile::tempdir_in("/var/tmp").map_err(|e| format!("temporary folder: {e}"))
}

impl Contender {
    fn name(&self) -> &str {
        match self {
            Self::Engine(engine) => &engine.name,
            Self::Skopeo(_) => "skopeo (copies)",
            Self::Floor(_) => "zcat | tar",
        }
    }

    /// Pulls once; what came is removed again.
    fn pull(&self, source: &Source, registry: &Registry) -> Result<(f64, u64), String> {
        let name = source.reference(PORTS[0]);
        match self {
            Self::Engine(engine) => {
                let measured = measure(engine.command(&with_flag(engine, "pull", &[&name])), engine.daemon)?;
                engine.quiet(&["rmi", "-f", &name]);
                engine.quiet(&["image", "prune", "-f"]);
                Ok(measured)
            }
            Self::Skopeo(folder) => {
                let target = format!("dir:{}", folder.path().join("copy").display());
                let mut command = Command::new("skopeo");
                command.args(["copy", "-q", "--src-tls-verify=false", &format!("docker://{name}"), &target]);
                measure(command, None)
            }
            Self::Floor(folder) => {
                let target = folder.path().join("tree");
                fs::create_dir_all(&target).map_err(|e| format!("make {}: {e}", target.display()))?;
                let script = "for file in \"$@\"; do zcat \"$file\" | tar -x -C \"$0\"; done; sync -f \"$0\"";
                let mut command = Command::new("sh");
                command.args(["-ec", script]).arg(&target).args(registry.layers()?);
                let measured = measure(command, None)?;
                fs::remove_dir_all(&target).map_err(|e| format!("remove {}: {e}", target.display()))?;
                Ok(measured)
            }
        }
    }

    /// Pushes once into an empty registry; `None` of who pushes nothing.
    fn push(&self, source: &Source) -> Result<Option<(f64, u64)>, String> {
        let name = source.reference(PORTS[1]);
        match self {
            Self::Engine(engine) => {
                engine.quiet(&["load", "-i", &source.archive().display().to_string()]);
                let measured = measure(engine.command(&with_flag(engine, "push", &[&name])), engine.daemon)?;
                engine.quiet(&["rmi", "-f", &name]);
                engine.quiet(&["image", "prune", "-f"]);
                Ok(Some(measured))
            }
            Self::Skopeo(folder) => {
                let from = format!("dir:{}", folder.path().join("copy").display());
                let mut command = Command::new("skopeo");
                command.args(["copy", "-q", "--dest-tls-verify=false", &from, &format!("docker://{name}")]);
                measure(command, None).map(Some)
            }
            Self::Floor(_) => Ok(None),
        }
    }
}

/// A command with what podman wants for a registry without TLS.
fn with_flag<'a>(engine: &Engine, verb: &'a str, words: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec![verb, "-q"];
    if engine.name == "podman" {
        all.push("--tls-verify=false");
    }
    all.extend(words);
    all
}

/// Seconds, and the most memory of the command, the daemon and their children together.
fn measure(mut command: Command, daemon: Option<u32>) -> Result<(f64, u64), String> {
    // What others have left to be written is not this one's.
    rustix::fs::sync();
    let before = Instant::now();
    let output = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let child = output.map_err(|e| format!("{command:?}: {e}"))?;
    let peak = peak::Peak::watch([Some(child.id()), daemon].into_iter().flatten().collect());
    let output = child.wait_with_output().map_err(|e| format!("{command:?}: {e}"))?;
    let seconds = before.elapsed().as_secs_f64();
    match output.status.success() {
        true => Ok((seconds, peak.end())),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

fn print(title: &str, contenders: &[Contender], results: &[Results]) {
    println!("\n{title}");
    let mut first = None;
    for (one, results) in contenders.iter().zip(results).filter(|(_, results)| !results.is_empty()) {
        let mut times: Vec<f64> = results.iter().map(|(seconds, _)| *seconds).collect();
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        let first = *first.get_or_insert(median);
        let memory = results.iter().map(|(_, memory)| *memory).max().unwrap_or(0) / 1024;
        println!(
            "  {:<18} median {median:>7.2} s ({:.2} to {:.2})   x {:<5.2} at most {memory:>5} MB",
            one.name(),
            times[0],
            times[times.len() - 1],
            median / first
        );
    }
}

/// Debian's docker-registry with a folder of its own.
struct Registry {
    process: Child,
    folder: PathBuf,
}

impl Registry {
    fn start(port: u16, folder: &Path) -> Result<Self, String> {
        fs::create_dir_all(folder).map_err(|e| format!("make {}: {e}", folder.display()))?;
        let settings = folder.with_extension("yml");
        let text = format!(
            "version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\nstorage:\n  filesystem:\n    \
             rootdirectory: {}\nhttp:\n  addr: 127.0.0.1:{port}\n",
            folder.display()
        );
        fs::write(&settings, text).map_err(|e| format!("write {}: {e}", settings.display()))?;
        let mut command =
            Command::new(boxship_testkit::require_program("docker-registry", "docker-registry"));
        command.arg("serve").arg(settings).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().map_err(|e| format!("start docker-registry: {e}"))?;
        let registry = Self { process, folder: folder.to_owned() };
        let before = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if before.elapsed() > Duration::from_secs(20) {
                return Err(format!("docker-registry does not listen on port {port}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(registry)
    }

    /// The files of layers: all that is compressed.
    fn layers(&self) -> Result<Vec<PathBuf>, String> {
        let mut found = Command::new("sh");
        let script =
            "find \"$0\" -path '*/blobs/*' -name data -exec sh -c 'gzip -t < \"$0\" 2>&-' {} \\; -print";
        let found = found.args(["-c", script]).arg(&self.folder).output();
        let found = found.map_err(|e| format!("list {}: {e}", self.folder.display()))?;
        Ok(String::from_utf8_lossy(&found.stdout).lines().map(PathBuf::from).collect())
    }

    /// Ends it and removes what it has.
    fn empty(self) -> Result<(), String> {
        let folder = self.folder.clone();
        drop(self);
        fs::remove_dir_all(&folder).map_err(|e| format!("remove {}: {e}", folder.display()))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
