//! What tests stand on: a store in a folder of its own, a client that tries again at once, images to be pulled.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use boxship_distribution::{
    Client, Credentials, Error, Event, Events, Hosts, Patience, Pull, Pulled, Settings, Timeouts,
};
use boxship_oci::descriptor::{OCI_CONFIG, OCI_LAYER, OCI_LAYER_GZIP, OCI_MANIFEST};
use boxship_oci::reference::Reference;
use boxship_oci::{Descriptor, Digest, Manifest};
use boxship_store::{Paths, Store};
use serde_json::json;

use super::fake::Fake;

pub struct House {
    pub store: Store,
    pub client: Client,
    pub folder: tempfile::TempDir,
}

pub fn settings() -> Settings {
    Settings {
        hosts: Hosts::default(),
        patience: Patience {
            attempts: 4,
            wait: Duration::from_millis(5),
            longest: Duration::from_millis(20),
        },
        timeouts: Timeouts {
            // A busy machine may stand still for seconds; who tests a limit sets a smaller one.
            connect: Duration::from_secs(60),
            head: Duration::from_secs(60),
            stall: Duration::from_secs(60),
        },
        ..Settings::default()
    }
}

fn open(folder: &Path) -> Store {
    Store::open(Paths::new(folder.join("data"), folder.join("exec"))).unwrap().0
}

impl House {
    pub fn new() -> House {
        House::with(settings())
    }

    pub fn with(settings: Settings) -> House {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        House { client: Client::new(store.clone(), settings), store, folder }
    }

    /// As after the daemon's death.
    pub fn reopened(self) -> House {
        let House { store, client, folder } = self;
        drop((client, store));
        // Blocking work of what was cancelled may hold the store for a moment.
        for _ in 0..6000 {
            match Store::open(Paths::new(folder.path().join("data"), folder.path().join("exec"))) {
                Ok((store, _)) => {
                    return House { client: Client::new(store.clone(), settings()), store, folder };
                }
                Err(boxship_store::Error::Locked(_)) => std::thread::sleep(Duration::from_millis(20)),
                Err(error) => panic!("{error}"),
            }
        }
        panic!("the store is still in use");
    }

    pub async fn pull(&self, name: &str) -> Result<(Vec<Pulled>, Vec<Event>), Error> {
        self.pull_as(name, Credentials::Anonymous).await
    }

    pub async fn pull_as(
        &self,
        name: &str,
        credentials: Credentials,
    ) -> Result<(Vec<Pulled>, Vec<Event>), Error> {
        let reference = Reference::parse_tagged(name).unwrap();
        let pull = Pull { reference, platform: None, credentials };
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1000);
        let listening = tokio::spawn(async move {
            let mut told = Vec::new();
            while let Some(event) = receiver.recv().await {
                told.push(event);
            }
            told
        });
        let events = Events::new(sender);
        let outcome = self.client.pull(&pull, &events).await;
        drop(events);
        let told = listening.await.unwrap();
        Ok((outcome?, told))
    }

    /// Nothing of a failed pull is visible; with `nothing_left`, no partial blob is there either.
    pub fn check_clean(&self, nothing_left: bool) {
        assert!(self.store.images().list().unwrap().is_empty());
        assert!(self.store.content().list().unwrap().is_empty(), "no blob is visible");
        let layers = std::fs::read_dir(self.store.paths().layers()).unwrap().count();
        assert_eq!(layers, 0, "no layer is left");
        if nothing_left {
            self.store.prune_partials().unwrap();
            assert_eq!(std::fs::read_dir(self.store.paths().ingest()).unwrap().count(), 0);
        }
    }

    /// The file of an image's layers.
    pub fn file(&self, image: &Pulled, name: &str) -> Vec<u8> {
        let image = self.store.images().get(&image.id).unwrap();
        let chain = self.store.layers().chain(image.top().unwrap()).unwrap();
        let found = chain.iter().rev().find_map(|layer| std::fs::read(layer.path.join(name)).ok());
        found.unwrap()
    }
}

/// Bytes that don't compress.
pub fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// An archive with one file.
pub fn archive(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    builder.append_data(&mut header, name, bytes).unwrap();
    builder.into_inner().unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// An image as a registry has it.
pub struct Image {
    pub config: Vec<u8>,
    pub layers: Vec<Vec<u8>>,
    pub manifest: Manifest,
}

impl Image {
    /// Of plain archives, compressed or not.
    pub fn new(archives: &[Vec<u8>], compress: bool) -> Image {
        let diff_ids: Vec<String> = archives.iter().map(|bytes| Digest::of(bytes).to_string()).collect();
        let config = json!({ "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": diff_ids } });
        let config = config.to_string().into_bytes();
        let layers: Vec<Vec<u8>> =
            archives.iter().map(|bytes| if compress { gzip(bytes) } else { bytes.clone() }).collect();
        let kind = if compress { OCI_LAYER_GZIP } else { OCI_LAYER };
        let descriptors = layers.iter().map(|bytes| Descriptor::of(kind, bytes)).collect();
        let manifest = Manifest::oci(Descriptor::of(OCI_CONFIG, &config), descriptors);
        Image { config, layers, manifest }
    }

    pub fn put(&self, fake: &Fake, repository: &str, tag: &str) -> Digest {
        fake.put_blob(repository, &self.config);
        self.layers.iter().for_each(|layer| drop(fake.put_blob(repository, layer)));
        let bytes = serde_json::to_vec(&self.manifest).unwrap();
        fake.put_manifest(repository, tag, OCI_MANIFEST, &bytes)
    }
}
