//! Images by id, and the names that point at them.

use std::collections::HashMap;

use boxship_oci::digest::{Digest, is_lower_hex};
use boxship_oci::reference::Reference;
use rusqlite::{Connection, OptionalExtension, Transaction, params, params_from_iter};

use crate::layers::digest;
use crate::open::Inner;
use crate::sync::{sync, sync_path};
use crate::{Error, Lease, Result, UnpackedLayer, trash};

/// The longest configuration that is read.
const MAX_CONFIG: u64 = 32 << 20;

/// The images of a store.
#[derive(Clone, Copy)]
pub struct Images<'a> {
    pub(crate) store: &'a Inner,
}

/// One layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageLayer {
    /// Digest of the uncompressed archive.
    pub diff_id: Digest,
    /// This layer and all below it.
    pub chain_id: Digest,
    /// The archive as it came (perhaps compressed), kept in the content.
    pub blob: Digest,
    /// The archive's length.
    pub blob_size: u64,
    /// Its media type.
    pub media_type: String,
}

/// An image as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Digest of its configuration: its id.
    pub id: Digest,
    /// Digest of its manifest, kept in the content.
    pub manifest: Digest,
    /// Its layers, lowest first.
    pub layers: Vec<ImageLayer>,
    /// Bytes in the regular files of all its layers.
    pub size: u64,
    /// Names (`repository:tag`, in full: `docker.io/library/busybox:latest`), sorted.
    pub names: Vec<Reference>,
    /// `repository@digest` of registries it came from or went to, sorted.
    pub repo_digests: Vec<Reference>,
    /// The image it was made from, when made here.
    pub parent: Option<Digest>,
    /// When a name was last given, seconds since 1970 (0: never).
    pub last_tagged: i64,
}

impl Image {
    /// The chain id of its topmost layer; `None` when it has no layer.
    #[must_use]
    pub fn top(&self) -> Option<&Digest> {
        self.layers.last().map(|layer| &layer.chain_id)
    }
}

/// An image to be recorded. Its configuration, manifest and layers' blobs are in the content already.
#[derive(Debug, Clone)]
pub struct NewImage {
    /// Digest of its configuration.
    pub id: Digest,
    /// Digest of its manifest.
    pub manifest: Digest,
    /// Its layers, lowest first.
    pub layers: Vec<ImageLayer>,
    /// The image it was made from, when made here.
    pub parent: Option<Digest>,
    /// Names that shall point at it; each is taken from the image that has it.
    pub names: Vec<Reference>,
    /// `repository@digest` it is known by.
    pub repo_digests: Vec<Reference>,
}

/// What a deletion did, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deleted {
    /// A name (or repository digest) doesn't point at it any more.
    Untagged(Reference),
    /// An image or a layer (by chain id) is gone.
    Deleted(Digest),
}

impl Images<'_> {
    /// Records images with the layers unpacked for them (lower ones first), all in one transaction: either all are
    /// there afterwards, durable, or none. Recorded already: names are added.
    pub fn create(&self, images: &[NewImage], mut unpacked: Vec<UnpackedLayer>) -> Result<()> {
        sync(self.store, images, &unpacked)?;
        let names = settle(self.store, &mut unpacked)?;
        sync_path(&self.store.paths.blobs())?;
        let recorded = self.store.db.write(|tx| {
            let recorded = insert_layers(tx, &unpacked, &names)?;
            images.iter().try_for_each(|image| insert(tx, image))?;
            Ok::<_, Error>(recorded)
        })?;
        keep(unpacked, recorded);
        Ok(())
    }

    /// Records a layer before the image that it is for; the lease it was unpacked under keeps it until then. The layer
    /// below is recorded already.
    pub fn add_layer(&self, unpacked: UnpackedLayer) -> Result<()> {
        let mut unpacked = vec![unpacked];
        sync(self.store, &[], &unpacked)?;
        let names = settle(self.store, &mut unpacked)?;
        let recorded = self.store.db.write(|tx| insert_layers(tx, &unpacked, &names))?;
        keep(unpacked, recorded);
        Ok(())
    }

    /// All images, newest record first.
    pub fn list(&self) -> Result<Vec<Image>> {
        self.store.db.read(list)
    }

    /// The image with exactly this id.
    pub fn get(&self, id: &Digest) -> Result<Image> {
        self.store.db.read(|c| get(c, id))
    }

    /// The chain id of an image's topmost layer, `None` when it has no layer; an error when there is no image.
    pub(crate) fn top_in(&self, c: &Connection, id: &Digest) -> Result<Option<Digest>> {
        if !exists(c, id)? {
            return Err(Error::NoSuchImage(id.to_string()));
        }
        let query = "SELECT chain_id FROM image_layers WHERE image = ?1 ORDER BY position DESC LIMIT 1";
        column(c, query, &id.to_string())?.first().map(|id| digest(id)).transpose()
    }

    /// Finds an image as Docker does: by name (tag `latest` when none is said), `name@digest`, whole id with or
    /// without `sha256:`, or the beginning of an id.
    pub fn resolve(&self, name: &str) -> Result<Image> {
        self.store.db.read(|c| {
            let id = find(c, name)?.ok_or_else(|| no_such_image(name))?;
            get(c, &id)
        })
    }

    /// The id that a name or repository digest points at.
    pub fn by_name(&self, name: &Reference) -> Result<Option<Digest>> {
        self.store.db.read(|c| by_name(c, name))
    }

    /// The bytes of the image's configuration.
    pub fn config(&self, id: &Digest) -> Result<Vec<u8>> {
        self.store.content().read(id, MAX_CONFIG)
    }

    /// Points a name (or repository digest) at an image. Returns the image that had the name before, if another.
    pub fn tag(&self, id: &Digest, name: &Reference) -> Result<Option<Digest>> {
        self.store.db.write(|tx| {
            let before = by_name(tx, name)?;
            get(tx, id)?;
            point(tx, name, id)?;
            Ok(before.filter(|before| before != id))
        })
    }

    /// Takes a name (or repository digest) away; the image stays. `false` when there was no such name.
    pub fn untag(&self, name: &Reference) -> Result<bool> {
        self.store.db.write(|tx| {
            let key = name.canonical();
            let names = tx.prepare_cached("DELETE FROM names WHERE name = ?1")?.execute([&key])?;
            let digests = tx.prepare_cached("DELETE FROM repo_digests WHERE name = ?1")?.execute([&key])?;
            Ok(names + digests > 0)
        })
    }

    /// Removes the image with all its names, and the layers and blobs that nobody else uses. Whether it may be
    /// removed (containers, names, children) is the caller's question: [`Images::containers`], [`Images::children`].
    /// Containers made from it keep their layers.
    pub fn delete(&self, id: &Digest) -> Result<Vec<Deleted>> {
        let leases = self.store.leases.lock();
        let (image, layers) = self.store.db.write(|tx| {
            let image = get(tx, id)?;
            tx.prepare_cached("DELETE FROM images WHERE id = ?1")?.execute([id.to_string()])?;
            Ok::<_, Error>((image, self.store.layers().delete_unused(tx, &leases)?))
        })?;
        self.store.layers().discard(&layers)?;
        drop(leases);
        let packed = self.store.forget_sources()?;
        let blobs = image.layers.iter().map(|layer| layer.blob.clone()).chain(packed);
        self.store.content().remove_unused(blobs.chain([image.manifest, image.id.clone()]))?;
        let untagged = image.names.into_iter().chain(image.repo_digests).map(Deleted::Untagged);
        let deleted = layers.into_iter().map(|(layer, _)| Deleted::Deleted(layer.chain_id));
        Ok(untagged.chain([Deleted::Deleted(image.id)]).chain(deleted).collect())
    }

    /// Ids of containers made from the image.
    pub fn containers(&self, id: &Digest) -> Result<Vec<String>> {
        self.strings("SELECT container FROM snapshots WHERE image = ?1 ORDER BY container", id)
    }

    /// Images whose parent it is.
    pub fn children(&self, id: &Digest) -> Result<Vec<Digest>> {
        let ids = self.strings("SELECT id FROM images WHERE parent = ?1 ORDER BY id", id)?;
        ids.iter().map(|id| digest(id)).collect()
    }

    fn strings(&self, query: &str, id: &Digest) -> Result<Vec<String>> {
        self.store.db.read(|c| column(c, query, &id.to_string()))
    }

    /// After a failed operation: removes what the lease's holder put into the content and nobody owns or holds now.
    pub fn abandon(&self, lease: Lease) -> Result<()> {
        let blobs = lease.blobs();
        drop(lease);
        self.store.content().remove_unused(blobs).map(drop)
    }
}

fn no_such_image(name: &str) -> Error {
    let shown =
        Reference::parse_tagged(name).map_or_else(|_| name.to_owned(), |reference| reference.familiar());
    Error::NoSuchImage(shown)
}

/// Gives the layers' folders their final names.
fn settle(store: &Inner, unpacked: &mut [UnpackedLayer]) -> Result<Vec<String>> {
    let layers = store.paths.layers();
    let mut names = Vec::new();
    for layer in unpacked {
        let name = trash::random_name()?;
        layer.settle(&layers, &name)?;
        names.push(name);
    }
    sync_path(&layers)?;
    Ok(names)
}

/// Writes the rows of layers, lower ones first; which of them are new.
fn insert_layers(tx: &Transaction<'_>, unpacked: &[UnpackedLayer], names: &[String]) -> Result<Vec<bool>> {
    unpacked.iter().zip(names).map(|(layer, name)| insert_layer(tx, layer, name)).collect()
}

/// The rows are written: folders of new ones stay, others are thrown away.
fn keep(unpacked: Vec<UnpackedLayer>, recorded: Vec<bool>) {
    unpacked.into_iter().zip(recorded).filter(|(_, recorded)| *recorded).for_each(|(layer, _)| layer.keep());
}

/// `false` when another operation recorded the same layer meanwhile.
fn insert_layer(tx: &Transaction<'_>, unpacked: &UnpackedLayer, name: &str) -> Result<bool> {
    let layer = unpacked.layer();
    let parent = layer.parent.as_ref().map(Digest::to_string);
    let mut insert = tx.prepare_cached("INSERT OR IGNORE INTO layers VALUES (?1, ?2, ?3, ?4, ?5)")?;
    let (chain_id, diff_id) = (layer.chain_id.to_string(), layer.diff_id.to_string());
    Ok(insert.execute(params![chain_id, parent, diff_id, layer.size as i64, name])? > 0)
}

fn insert(tx: &Transaction<'_>, image: &NewImage) -> Result<()> {
    let id = image.id.to_string();
    let parent = image.parent.as_ref().map(Digest::to_string);
    let new = tx
        .prepare_cached("INSERT OR IGNORE INTO images (id, manifest, parent) VALUES (?1, ?2, ?3)")?
        .execute(params![id, image.manifest.to_string(), parent])?
        > 0;
    if new {
        let mut insert = tx.prepare_cached("INSERT INTO image_layers VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?;
        for (position, layer) in image.layers.iter().enumerate() {
            insert.execute(params![
                id,
                position as i64,
                layer.diff_id.to_string(),
                layer.chain_id.to_string(),
                layer.blob.to_string(),
                layer.blob_size as i64,
                layer.media_type
            ])?;
        }
    }
    image.names.iter().chain(&image.repo_digests).try_for_each(|name| point(tx, name, &image.id))
}

/// Points a name at an image that is there.
fn point(tx: &Transaction<'_>, name: &Reference, id: &Digest) -> Result<()> {
    let (key, id) = (name.canonical(), id.to_string());
    if name.digest().is_some() {
        tx.prepare_cached("INSERT OR REPLACE INTO repo_digests VALUES (?1, ?2)")?.execute([&key, &id])?;
        return Ok(());
    }
    tx.prepare_cached("INSERT OR REPLACE INTO names VALUES (?1, ?2)")?.execute([&key, &id])?;
    tx.prepare_cached("UPDATE images SET last_tagged = unixepoch() WHERE id = ?1")?.execute([&id])?;
    Ok(())
}

fn by_name(c: &Connection, name: &Reference) -> Result<Option<Digest>> {
    let (table, name) = match name.digest() {
        Some(digest) => ("repo_digests", name.with_digest(digest.clone())),
        None => ("names", name.clone()),
    };
    let mut query = c.prepare_cached(&format!("SELECT image FROM {table} WHERE name = ?1"))?;
    let id: Option<String> = query.query_row([name.canonical()], |row| row.get(0)).optional()?;
    id.as_deref().map(digest).transpose()
}

fn find(c: &Connection, name: &str) -> Result<Option<Digest>> {
    if let Ok(id) = name.parse::<Digest>() {
        return Ok(exists(c, &id)?.then_some(id));
    }
    if let Ok(id) = Digest::from_sha256_hex(name) {
        return Ok(exists(c, &id)?.then_some(id));
    }
    if let Ok(reference) = Reference::parse_tagged(name)
        && let Some(id) = by_name(c, &reference)?
    {
        return Ok(Some(id));
    }
    by_prefix(c, name.strip_prefix("sha256:").unwrap_or(name))
}

fn exists(c: &Connection, id: &Digest) -> Result<bool> {
    let mut query = c.prepare_cached("SELECT EXISTS (SELECT 1 FROM images WHERE id = ?1)")?;
    Ok(query.query_row([id.to_string()], |row| row.get(0))?)
}

fn by_prefix(c: &Connection, prefix: &str) -> Result<Option<Digest>> {
    if prefix.is_empty() || prefix.len() > 64 || !is_lower_hex(prefix) {
        return Ok(None);
    }
    // Hexadecimal digits only: no character that GLOB gives a meaning to.
    let ids = column(c, "SELECT id FROM images WHERE id GLOB ?1 LIMIT 2", &format!("sha256:{prefix}*"))?;
    match &ids[..] {
        [] => Ok(None),
        [id] => digest(id).map(Some),
        _ => Err(Error::Ambiguous(prefix.to_owned())),
    }
}

fn column(c: &Connection, query: &str, key: &str) -> Result<Vec<String>> {
    let mut query = c.prepare_cached(query)?;
    let rows = query.query_map([key], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn get(c: &Connection, id: &Digest) -> Result<Image> {
    let key = id.to_string();
    let mut images = read(c, Some(&key))?;
    images.pop().ok_or(Error::NoSuchImage(key))
}

fn list(c: &Connection) -> Result<Vec<Image>> {
    read(c, None)
}

/// Reads all images, or the one with this id, in four queries however many there are.
fn read(c: &Connection, only: Option<&str>) -> Result<Vec<Image>> {
    let mut images = read_images(c, only)?;
    let positions = images.iter().enumerate().map(|(at, image)| (image.id.to_string(), at)).collect();
    read_layers(c, only, &positions, &mut images)?;
    read_names(c, only, "names", &positions, |at, name| images[at].names.push(name))?;
    read_names(c, only, "repo_digests", &positions, |at, name| images[at].repo_digests.push(name))?;
    Ok(images)
}

/// Where in the list the image with this id is.
type Positions = HashMap<String, usize>;

fn condition(only: Option<&str>, column: &str) -> String {
    if only.is_some() { format!("WHERE {column} = ?1") } else { String::new() }
}

fn read_images(c: &Connection, only: Option<&str>) -> Result<Vec<Image>> {
    let condition = condition(only, "id");
    let mut query = c.prepare_cached(&format!(
        "SELECT id, manifest, parent, last_tagged FROM images {condition} ORDER BY rowid DESC"
    ))?;
    let mut rows = query.query(params_from_iter(only))?;
    let mut images = Vec::new();
    while let Some(row) = rows.next()? {
        let parent: Option<String> = row.get(2)?;
        images.push(Image {
            id: digest(&row.get::<_, String>(0)?)?,
            manifest: digest(&row.get::<_, String>(1)?)?,
            layers: Vec::new(),
            size: 0,
            names: Vec::new(),
            repo_digests: Vec::new(),
            parent: parent.as_deref().map(digest).transpose()?,
            last_tagged: row.get(3)?,
        });
    }
    Ok(images)
}

fn read_layers(
    c: &Connection,
    only: Option<&str>,
    positions: &Positions,
    images: &mut [Image],
) -> Result<()> {
    let condition = condition(only, "il.image");
    let mut query = c.prepare_cached(&format!(
        "SELECT il.image, il.diff_id, il.chain_id, il.blob, il.blob_size, il.media_type, l.size
         FROM image_layers AS il JOIN layers AS l ON l.chain_id = il.chain_id {condition} ORDER BY il.position"
    ))?;
    let mut rows = query.query(params_from_iter(only))?;
    while let Some(row) = rows.next()? {
        let Some(&at) = positions.get(&row.get::<_, String>(0)?) else { continue };
        images[at].size += row.get::<_, i64>(6)? as u64;
        images[at].layers.push(ImageLayer {
            diff_id: digest(&row.get::<_, String>(1)?)?,
            chain_id: digest(&row.get::<_, String>(2)?)?,
            blob: digest(&row.get::<_, String>(3)?)?,
            blob_size: row.get::<_, i64>(4)? as u64,
            media_type: row.get(5)?,
        });
    }
    Ok(())
}

fn read_names(
    c: &Connection,
    only: Option<&str>,
    table: &str,
    positions: &Positions,
    mut push: impl FnMut(usize, Reference),
) -> Result<()> {
    let condition = condition(only, "image");
    let mut query =
        c.prepare_cached(&format!("SELECT image, name FROM {table} {condition} ORDER BY name"))?;
    let mut rows = query.query(params_from_iter(only))?;
    while let Some(row) = rows.next()? {
        if let Some(&at) = positions.get(&row.get::<_, String>(0)?) {
            push(at, reference(&row.get::<_, String>(1)?)?);
        }
    }
    Ok(())
}

fn reference(text: &str) -> Result<Reference> {
    Reference::parse(text)
        .map_err(|e| Error::Corrupt { object: "database".to_owned(), reason: format!("{text:?}: {e}") })
}
