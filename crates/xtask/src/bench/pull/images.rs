//! The images of `bench pull`: OCI layouts of generated layers, about as compressible as programs are.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// An image, as a layout and as an archive for `load`.
pub struct Source {
    /// Its repository.
    pub name: &'static str,
    /// What it is.
    pub title: String,
    folder: PathBuf,
}

/// All images that are measured, made below `folder`.
pub fn all(folder: &Path, megabytes: usize, files: usize) -> Result<Vec<Source>, String> {
    let mib = megabytes << 20;
    let one: Layers = vec![vec![("data".to_owned(), mib)]];
    let ten: Layers = (0..10).map(|n| vec![(format!("data{n}"), mib / 10)]).collect();
    let small = (0..files).map(|n| (format!("d{}/f{n}", n % 500), 200 + n * 37 % 4000)).collect();
    [
        ("one", format!("one layer of {megabytes} MB"), one),
        ("ten", format!("ten layers of {megabytes} MB in all"), ten),
        ("small", format!("one layer of {files} small files"), vec![small]),
    ]
    .into_iter()
    .map(|(name, title, layers)| {
        let source = Source { name, title, folder: folder.join(name) };
        source.make(&layers).map_err(|e| format!("make {}: {e}", source.folder.display()))?;
        Ok(source)
    })
    .collect()
}

/// Of each layer its files: name and length.
type Layers = Vec<Vec<(String, usize)>>;

impl Source {
    /// Its name in the registry at this port.
    pub fn reference(&self, port: u16) -> String {
        format!("127.0.0.1:{port}/bench/{}:1", self.name)
    }

    /// What `load` takes; it has the name that is pushed.
    pub fn archive(&self) -> PathBuf {
        self.folder.join("archive.tar")
    }

    /// Brings it to the registry that is pulled from, compressed, and makes the archive for pushes.
    pub fn push_to(&self, port: u16) -> Result<(), String> {
        let layout = format!("oci:{}", self.folder.join("layout").display());
        let copy =
            |words: &[&str]| super::super::attempt(Command::new("skopeo").args(["copy", "-q"]).args(words));
        let target = format!("docker://{}", self.reference(port));
        copy(&["--dest-tls-verify=false", "--format", "v2s2", &layout, &target])?;
        let archive =
            format!("docker-archive:{}:{}", self.archive().display(), self.reference(super::PORTS[1]));
        copy(&[&layout, &archive])?;
        let layout = self.folder.join("layout");
        fs::remove_dir_all(&layout).map_err(|e| format!("remove {}: {e}", layout.display()))
    }

    /// Gives back its disk space.
    pub fn remove(&self) -> Result<(), String> {
        fs::remove_dir_all(&self.folder).map_err(|e| format!("remove {}: {e}", self.folder.display()))
    }

    fn make(&self, layers: &Layers) -> std::io::Result<()> {
        let layout = self.folder.join("layout");
        let blobs = layout.join("blobs/sha256");
        fs::create_dir_all(&blobs)?;
        let mut noise = Noise::new();
        let mut descriptors = Vec::new();
        for files in layers {
            descriptors.push(layer(&blobs, files, &mut noise)?);
        }
        let diffs: Vec<&Value> = descriptors.iter().map(|layer| &layer["digest"]).collect();
        let config = json!({
            "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/data"]},
            "rootfs": {"type": "layers", "diff_ids": diffs},
        });
        let config = document(&blobs, "config", &config)?;
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let manifest =
            json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": descriptors});
        let manifest = document(&blobs, "manifest", &manifest)?;
        let index = json!({"schemaVersion": 2, "manifests": [manifest]});
        fs::write(layout.join("index.json"), index.to_string())?;
        fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)
    }
}

fn document(blobs: &Path, kind: &str, value: &Value) -> std::io::Result<Value> {
    let bytes = value.to_string();
    let digest = hex(Sha256::digest(&bytes).as_slice());
    fs::write(blobs.join(&digest), &bytes)?;
    let media_type = format!("application/vnd.oci.image.{kind}.v1+json");
    Ok(json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len()}))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes a layer's plain archive; its descriptor.
fn layer(blobs: &Path, files: &[(String, usize)], noise: &mut Noise) -> std::io::Result<Value> {
    let path = blobs.join("new");
    let mut out = Hashed { file: BufWriter::new(File::create(&path)?), hash: Sha256::new(), size: 0 };
    for (name, length) in files {
        out.put(&header(name, *length))?;
        let mut left = *length;
        while left > 0 {
            let piece = noise.next();
            let part = &piece[..left.min(piece.len())];
            out.put(part)?;
            left -= part.len();
        }
        out.put(&[0; 512][..(512 - length % 512) % 512])?;
    }
    out.put(&[0; 1024])?;
    out.file.flush()?;
    let digest = hex(out.hash.finalize().as_slice());
    fs::rename(path, blobs.join(&digest))?;
    let media_type = "application/vnd.oci.image.layer.v1.tar";
    Ok(json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": out.size}))
}

struct Hashed {
    file: BufWriter<File>,
    hash: Sha256,
    size: u64,
}

impl Hashed {
    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.hash.update(bytes);
        self.size += bytes.len() as u64;
        self.file.write_all(bytes)
    }
}

/// A file's header in the ustar format.
fn header(name: &str, length: usize) -> [u8; 512] {
    let mut head = [0u8; 512];
    let mut field = |at: usize, text: &str| head[at..at + text.len()].copy_from_slice(text.as_bytes());
    field(0, name);
    field(100, "0000644");
    field(108, "0000000");
    field(116, "0000000");
    field(124, &format!("{length:011o}"));
    field(136, "00000000000");
    field(148, "        ");
    field(156, "0");
    field(257, "ustar");
    field(263, "00");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    head[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    head
}

/// Bytes that compress to about half: random ones between words of a small vocabulary.
struct Noise {
    state: u64,
    piece: Vec<u8>,
}

impl Noise {
    fn new() -> Self {
        Self { state: 0x9e37_79b9_7f4a_7c15, piece: vec![0; 64 << 10] }
    }

    fn word(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    fn next(&mut self) -> &[u8] {
        for at in (0..self.piece.len()).step_by(24) {
            let (random, choice) = (self.word(), self.word());
            let end = self.piece.len().min(at + 24);
            let mut bytes = [0; 24];
            bytes[..8].copy_from_slice(&random.to_le_bytes());
            // One of 512 words, twice as long as what is random.
            bytes[8..16].copy_from_slice(&(choice % 512).wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
            bytes[16..]
                .copy_from_slice(&(choice / 512 % 512).wrapping_mul(0x9e6c_63d0_876a_9a99).to_le_bytes());
            self.piece[at..end].copy_from_slice(&bytes[..end - at]);
        }
        &self.piece
    }
}
