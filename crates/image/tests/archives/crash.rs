//! The process is killed at any moment: what was acknowledged is there, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use boxship_image::LoadOptions;
use boxship_oci::Digest;
use boxship_store::Store;

use super::{docker_archive, open, tar};

const WHERE: &str = "BOXSHIP_TEST_CRASH_ROOT";
const ROUNDS: u64 = 8;

/// What the killed process works at; says what it is about to do and what it has done. Does nothing by itself.
#[test]
fn child() {
    let Some(dir) = std::env::var_os(WHERE) else { return };
    let store = open(Path::new(&dir));
    let start = store.images().list().unwrap().len() as u64 * 1000 + u64::from(std::process::id());
    let base = tar(&[("base", &[1; 100_000])]);
    for number in start.. {
        let name = format!("image:{number}");
        let own = tar(&[("own", name.as_bytes())]);
        let bytes = docker_archive(&[&name], &[&base, &own]);
        let loaded =
            boxship_image::load(&store, &mut &bytes[..], &LoadOptions::default(), &mut |_| {}).unwrap();
        println!("+image {number}");
        let container = format!("c{number}");
        store.snapshots().prepare(&container, &loaded[0].id).unwrap();
        println!("+container {number}");
        if number % 2 == 0 {
            println!("-container {number}");
            store.snapshots().remove(&container).unwrap();
            println!("!container {number}");
            println!("-image {number}");
            store.images().delete(&loaded[0].id).unwrap();
            println!("!image {number}");
            store.sweep().unwrap();
        }
    }
}

/// What the child said: `Some(true)` is there, `Some(false)` is gone, `None` may be either.
#[derive(Default)]
struct Told {
    images: BTreeMap<u64, Option<bool>>,
    containers: BTreeMap<u64, Option<bool>>,
}

impl Told {
    fn line(&mut self, line: &str) {
        // The test harness writes on the same line before the first one.
        let Some(at) = line.find(['+', '-', '!']) else { return };
        let (sign, rest) = line[at..].split_at(1);
        let Some((kind, number)) = rest.split_once(' ') else { return };
        let Ok(number) = number.parse() else { return };
        let state = match sign {
            "+" => Some(true),
            "!" => Some(false),
            _ => None,
        };
        match kind {
            "image" => self.images.insert(number, state),
            "container" => self.containers.insert(number, state),
            _ => None,
        };
    }
}

#[test]
fn killed_at_any_moment_nothing_is_lost_and_nothing_leaks() {
    let dir = tempfile::tempdir().unwrap();
    let mut told = Told::default();
    // On a slow machine it goes on, for longer each time, until there was something to be lost.
    for round in 0..100 {
        if round >= ROUNDS && !told.images.is_empty() {
            break;
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::child", "--nocapture"])
            .env(WHERE, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).collect::<Vec<_>>()
        });
        std::thread::sleep(Duration::from_millis((60 + round * 97 % 400) * (1 + round / ROUNDS)));
        child.kill().unwrap();
        child.wait().unwrap();
        reader.join().unwrap().iter().for_each(|line| told.line(line));
        let store = open(dir.path());
        store.sweep().unwrap();
        check(&store, dir.path(), &told);
    }
    assert!(!told.images.is_empty(), "the child did something in some round");
}

fn check(store: &Store, dir: &Path, told: &Told) {
    for (number, state) in &told.images {
        let found = store.images().resolve(&format!("image:{number}"));
        assert!(state.is_none_or(|there| there == found.is_ok()), "image {number}: {state:?}, {found:?}");
    }
    for (number, state) in &told.containers {
        let found = store.snapshots().mount(&format!("c{number}"));
        assert!(state.is_none_or(|there| there == found.is_ok()), "container {number}: {state:?}, {found:?}");
        if let Ok(mount) = found {
            assert!(mount.upper.is_dir() && mount.work.is_dir());
            assert_eq!(fs::read(mount.lower[0].join("own")).unwrap(), format!("image:{number}").as_bytes());
            assert_eq!(fs::read(mount.lower[1].join("base")).unwrap().len(), 100_000);
        }
    }
    let images = store.images().list().unwrap();
    let mut owned: BTreeSet<Digest> = BTreeSet::new();
    for image in &images {
        owned.extend([image.id.clone(), image.manifest.clone()]);
        owned.extend(image.layers.iter().map(|layer| layer.blob.clone()));
        assert_eq!(store.layers().chain(image.top().unwrap()).unwrap().len(), 2);
    }
    let there: BTreeSet<Digest> =
        store.content().list().unwrap().into_iter().map(|blob| blob.digest).collect();
    assert_eq!(there, owned);
    for digest in &owned {
        assert_eq!(Digest::of(store.content().read(digest, 1 << 20).unwrap()), *digest);
    }
    let count = |folder: &str| fs::read_dir(dir.join("data").join(folder)).unwrap().count();
    assert_eq!((count("content/ingest"), count("trash")), (0, 0));
    let chains: BTreeSet<Digest> =
        images.iter().flat_map(|image| image.layers.iter().map(|layer| layer.chain_id.clone())).collect();
    assert_eq!(count("layers"), chains.len());
    let containers = fs::read_dir(dir.join("data/containers")).unwrap();
    for container in containers {
        let name = container.unwrap().file_name().into_string().unwrap();
        assert!(store.snapshots().get(&name).is_ok(), "{name} has no row");
    }
}
