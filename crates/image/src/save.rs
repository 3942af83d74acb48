//! Images from the store into one archive: docker-archive and OCI layout at once.
//!
//! The documents come first, then each blob once, in the order of its digest; no time and no owner of this machine
//! is written. So the same images and names give the same bytes, and what was loaded keeps its digests.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};

use boxship_layer::tar::{Entry, Kind, Writer};
use boxship_oci::descriptor::{ANNOTATION_CONTAINERD_NAME, ANNOTATION_REF_NAME, OCI_MANIFEST};
use boxship_oci::digest::Digest;
use boxship_oci::manifest::Manifest;
use boxship_oci::platform::Platform;
use boxship_oci::reference::Reference;
use boxship_oci::{Descriptor, Index};
use boxship_store::{Image, Lease, Store};
use serde::Serialize;
use serde_json::json;

use crate::{Error, Result, config};

/// One image to be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaveItem {
    /// The image.
    pub id: Digest,
    /// The names to save it under; none when it was asked for by id.
    pub names: Vec<Reference>,
}

/// What `docker save` is told beside the names.
#[derive(Debug, Clone, Default)]
pub struct SaveOptions {
    /// Fail unless every image is for this platform.
    pub platform: Option<Platform>,
}

/// Finds what `docker save NAME…` means: a name with tag is that name, a name without tag all its tags, an id no name.
pub fn select(store: &Store, names: &[String]) -> Result<Vec<SaveItem>> {
    let mut items: Vec<SaveItem> = Vec::new();
    for name in names {
        for (id, name) in find(store, name)? {
            let at = items.iter().position(|item| item.id == id).unwrap_or_else(|| {
                items.push(SaveItem { id, names: Vec::new() });
                items.len() - 1
            });
            if let Some(name) = name.filter(|name| !items[at].names.contains(name)) {
                items[at].names.push(name);
            }
        }
    }
    Ok(items)
}

fn find(store: &Store, text: &str) -> Result<Vec<(Digest, Option<Reference>)>> {
    if let Ok(name) = Reference::parse(text)
        && name.digest().is_none()
    {
        if name.tag().is_some()
            && let Some(id) = store.images().by_name(&name)?
        {
            return Ok(vec![(id, Some(name))]);
        }
        let found = if name.tag().is_none() { all_tags(store, &name)? } else { Vec::new() };
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Ok(vec![(store.images().resolve(text)?.id, None)])
}

fn all_tags(store: &Store, repository: &Reference) -> Result<Vec<(Digest, Option<Reference>)>> {
    let mut found = Vec::new();
    for image in store.images().list()? {
        for name in image.names.iter().filter(|name| name.without_tag() == *repository) {
            found.push((image.id.clone(), Some(name.clone())));
        }
    }
    found.sort_by(|a, b| a.1.cmp(&b.1));
    Ok(found)
}

/// Writes the archive. The same images and names give the same bytes.
pub fn save(store: &Store, items: &[SaveItem], options: &SaveOptions, archive: &mut dyn Write) -> Result<()> {
    let lease = store.lease();
    let saved = save_held(store, items, options, archive, &lease);
    // An image deleted meanwhile has left us its blobs.
    let cleaned = store.images().abandon(lease);
    saved?;
    Ok(cleaned?)
}

fn save_held(
    store: &Store,
    items: &[SaveItem],
    options: &SaveOptions,
    archive: &mut dyn Write,
    lease: &Lease,
) -> Result<()> {
    let mut contents = Contents::default();
    for item in items {
        contents.add(store, item, options, lease)?;
    }
    let mut writer = Writer::new(archive);
    contents.documents(&mut writer)?;
    contents.blobs(store, &mut writer)?;
    writer.finish().map_err(written)?;
    Ok(())
}

/// An item of `manifest.json`.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

#[derive(Default)]
struct Contents {
    items: Vec<Item>,
    manifests: Vec<Descriptor>,
    repositories: BTreeMap<String, BTreeMap<String, String>>,
    blobs: BTreeSet<Digest>,
}

impl Contents {
    fn add(&mut self, store: &Store, item: &SaveItem, options: &SaveOptions, lease: &Lease) -> Result<()> {
        let image = hold(store, &item.id, lease)?;
        let config = config(store, &image.id)?;
        let platform = Platform::new(&config.os, &config.architecture, config.variant.as_deref());
        if let Some(wanted) = options.platform.as_ref().filter(|wanted| !wanted.matches(&platform)) {
            return Err(Error::Platform { wanted: wanted.to_string(), found: platform.to_string() });
        }
        let names: Vec<String> = item.names.iter().map(Reference::familiar).collect();
        self.items.push(Item {
            config: path(&image.id),
            repo_tags: (!names.is_empty()).then_some(names),
            layers: image.layers.iter().map(|layer| path(&layer.blob)).collect(),
        });
        self.add_manifests(store, &image, item, platform)?;
        for name in &item.names {
            let top = image.layers.last().map_or_else(|| image.id.hex(), |layer| layer.chain_id.hex());
            let tags = self.repositories.entry(name.familiar_name()).or_default();
            tags.insert(name.tag().unwrap_or_default().to_owned(), top.to_owned());
        }
        self.blobs.extend(image.layers.into_iter().map(|layer| layer.blob));
        self.blobs.extend([image.id, image.manifest]);
        Ok(())
    }

    /// The index has the image once for each name, as containerd's and Docker's archives do.
    fn add_manifests(
        &mut self,
        store: &Store,
        image: &Image,
        item: &SaveItem,
        platform: Platform,
    ) -> Result<()> {
        let bytes = store.content().read(&image.manifest, 16 << 20)?;
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|source| Error::Json { file: format!("manifest {}", image.manifest), source })?;
        let media_type = manifest.media_type.as_deref().unwrap_or(OCI_MANIFEST);
        let mut plain = Descriptor::new(media_type, image.manifest.clone(), bytes.len() as u64);
        plain.platform = Some(platform);
        for name in &item.names {
            let mut named = plain.clone();
            named.annotations.insert(ANNOTATION_CONTAINERD_NAME.to_owned(), name.canonical());
            named
                .annotations
                .insert(ANNOTATION_REF_NAME.to_owned(), name.tag().unwrap_or_default().to_owned());
            self.manifests.push(named);
        }
        if item.names.is_empty() {
            self.manifests.push(plain);
        }
        Ok(())
    }

    fn documents(&self, writer: &mut Writer<&mut dyn Write>) -> Result<()> {
        for (name, document) in [
            ("oci-layout", encode(&json!({ "imageLayoutVersion": "1.0.0" }))?),
            ("index.json", encode(&Index::oci(self.manifests.clone()))?),
            ("manifest.json", encode(&self.items)?),
            ("repositories", encode(&self.repositories)?),
        ] {
            writer.file(name, &document).map_err(written)?;
        }
        Ok(())
    }

    fn blobs(&self, store: &Store, writer: &mut Writer<&mut dyn Write>) -> Result<()> {
        for folder in ["blobs/", "blobs/sha256/"] {
            let name = folder.as_bytes().to_vec();
            let entry = Entry { name, kind: Kind::Directory, mode: 0o755, ..Entry::default() };
            writer.entry(&entry).map_err(written)?;
        }
        self.blobs.iter().try_for_each(|digest| blob(store, digest, writer))
    }
}

/// Protects all parts of an image from deletion while it is written.
fn hold(store: &Store, id: &Digest, lease: &Lease) -> Result<Image> {
    lease.hold_blob(id);
    let image = store.images().get(id)?;
    lease.hold_blob(&image.manifest);
    image.layers.iter().for_each(|layer| lease.hold_blob(&layer.blob));
    Ok(image)
}

fn blob(store: &Store, digest: &Digest, writer: &mut Writer<&mut dyn Write>) -> Result<()> {
    let broken =
        |source| Error::Archive { operation: "read blob", source: boxship_layer::Error::Read(source) };
    let mut file = store.content().open(digest)?;
    let size = file.metadata().map_err(broken)?.len();
    let entry = Entry { name: path(digest).into_bytes(), mode: 0o644, size, ..Entry::default() };
    writer.entry(&entry).map_err(written)?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => writer.data(&buffer[..count]).map_err(written)?,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(broken(e)),
        }
    }
}

fn path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().as_str(), digest.hex())
}

fn encode(document: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(document).map_err(|source| Error::Json { file: "document".to_owned(), source })
}

fn written(error: boxship_layer::Error) -> Error {
    match error {
        boxship_layer::Error::Write(source) => Error::Write(source),
        source => Error::Archive { operation: "write archive", source },
    }
}
