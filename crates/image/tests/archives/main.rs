//! Archives of images in and out of a store: what other tools write is read, what we write they read, and what is
//! broken leaves nothing behind.
#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is their way to fail.

mod commit;
mod crash;
mod exchange;
mod forms;
mod refusals;
mod together;

use std::fs;
use std::path::Path;

use boxship_image::{LoadOptions, Loaded, SaveOptions};
use boxship_layer::tar::Writer;
use boxship_oci::Digest;
use boxship_store::{Paths, Store};
use serde_json::json;

struct Yard {
    dir: tempfile::TempDir,
    store: Store,
}

impl Yard {
    fn new() -> Yard {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        Yard { dir, store }
    }

    fn load(&self, bytes: &[u8]) -> boxship_image::Result<Vec<Loaded>> {
        self.load_for(bytes, None)
    }

    fn load_for(&self, bytes: &[u8], platform: Option<&str>) -> boxship_image::Result<Vec<Loaded>> {
        let options = LoadOptions { platform: platform.map(|text| text.parse().unwrap()) };
        let mut bytes = bytes;
        boxship_image::load(&self.store, &mut bytes, &options, &mut |_| {})
    }

    fn save(&self, names: &[&str]) -> Vec<u8> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let items = boxship_image::select(&self.store, &names).unwrap();
        let mut bytes = Vec::new();
        boxship_image::save(&self.store, &items, &SaveOptions::default(), &mut bytes).unwrap();
        bytes
    }

    /// Blobs, layers, ingests, trash.
    fn counts(&self) -> [usize; 4] {
        ["content/sha256", "layers", "content/ingest", "trash"]
            .map(|folder| fs::read_dir(self.dir.path().join("data").join(folder)).unwrap().count())
    }
}

fn open(dir: &Path) -> Store {
    Store::open(Paths::new(dir.join("data"), dir.join("exec"))).unwrap().0
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (name, bytes) in files {
        writer.file(name, bytes).unwrap();
    }
    writer.finish().unwrap()
}

/// A configuration for these layers' archives.
fn config(architecture: &str, layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<Digest> = layers.iter().map(Digest::of).collect();
    let config = json!({
        "architecture": architecture, "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
        "history": [{ "created_by": "first" }, { "created_by": "nothing", "empty_layer": true }],
    });
    serde_json::to_vec(&config).unwrap()
}

/// A docker-archive of one image.
fn docker_archive(tags: &[&str], layers: &[&[u8]]) -> Vec<u8> {
    let config = config("amd64", layers);
    let names: Vec<String> = (0..layers.len()).map(|number| format!("{number}/layer.tar")).collect();
    let manifest = json!([{ "Config": "config.json", "RepoTags": tags, "Layers": names }]);
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let mut files: Vec<(&str, &[u8])> =
        names.iter().map(String::as_str).zip(layers.iter().copied()).collect();
    files.extend([("config.json", &config[..]), ("manifest.json", &manifest)]);
    tar(&files)
}
