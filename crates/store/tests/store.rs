//! The life of blobs, layers, images and snapshots in a real data root.
#![allow(clippy::unwrap_used)] // Helpers of tests: a panic is their way to fail.

use std::fs;
use std::io::Write;
use std::path::Path;

use boxship_layer::Limits;
use boxship_layer::tar::{Entry, Writer};
use boxship_oci::Digest;
use boxship_oci::reference::Reference;
use boxship_store::{
    Deleted, Error, Expected, ImageLayer, Layer, Lease, NewImage, Paths, Store, UnpackedLayer,
};

struct Yard {
    dir: tempfile::TempDir,
    store: Option<Store>,
}

impl Yard {
    fn new() -> Yard {
        let dir = tempfile::tempdir().unwrap();
        let store = Some(Yard::open(dir.path()));
        Yard { dir, store }
    }

    fn open(dir: &Path) -> Store {
        Store::open(Paths::new(dir.join("data"), dir.join("exec"))).unwrap().0
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn reopen(&mut self) {
        self.store = None;
        self.store = Some(Yard::open(self.dir.path()));
    }

    fn count(&self, folder: &str) -> usize {
        fs::read_dir(self.dir.path().join("data").join(folder)).unwrap().count()
    }

    /// Blobs, layers, containers, ingests, trash.
    fn counts(&self) -> [usize; 5] {
        ["content/sha256", "layers", "containers", "content/ingest", "trash"].map(|folder| self.count(folder))
    }
}

fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new());
    for (name, content) in files {
        writer.file(name, content.as_bytes()).unwrap();
    }
    writer.finish().unwrap()
}

fn name(text: &str) -> Reference {
    Reference::parse_tagged(text).unwrap()
}

/// Puts a layer's archive into the content and unpacks it on top of `parents`, or finds it.
fn layer(
    store: &Store,
    bytes: &[u8],
    parents: &[Layer],
    lease: &Lease,
    unpacked: &mut Vec<UnpackedLayer>,
) -> (Layer, ImageLayer) {
    let blob = store.content().put(bytes, lease).unwrap();
    let mut ids: Vec<Digest> = parents.iter().map(|layer| layer.diff_id.clone()).collect();
    ids.push(blob.clone());
    let chain_id = boxship_oci::chain_id(&ids).unwrap();
    let layer = store.layers().get(&chain_id, lease).unwrap().unwrap_or_else(|| {
        let expected = Expected { diff_id: Some(&blob), verified: Some(&blob) };
        let new =
            store.layers().unpack(&mut &bytes[..], parents, expected, &Limits::default(), lease).unwrap();
        let layer = new.layer().clone();
        unpacked.push(new);
        layer
    });
    assert_eq!(layer.chain_id, chain_id);
    let blob_size = bytes.len() as u64;
    let image_layer =
        ImageLayer { diff_id: blob.clone(), chain_id, blob, blob_size, media_type: "layer".to_owned() };
    (layer, image_layer)
}

fn image(store: &Store, names: &[&str], archives: &[&[u8]]) -> Digest {
    let lease = store.lease();
    let (mut unpacked, mut parents, mut layers) = (Vec::new(), Vec::new(), Vec::new());
    for bytes in archives {
        let (parent, layer) = layer(store, bytes, &parents, &lease, &mut unpacked);
        parents.push(parent);
        layers.push(layer);
    }
    let ids: Vec<String> = layers.iter().map(|layer| layer.diff_id.to_string()).collect();
    let id = store.content().put(format!("config {ids:?}").as_bytes(), &lease).unwrap();
    let manifest = store.content().put(format!("manifest {ids:?}").as_bytes(), &lease).unwrap();
    let names = names.iter().map(|text| name(text)).collect();
    let new = NewImage { id: id.clone(), manifest, layers, parent: None, names, repo_digests: Vec::new() };
    store.images().create(&[new], unpacked).unwrap();
    id
}

#[test]
fn images_share_layers_and_leave_nothing() {
    let mut yard = Yard::new();
    let (base, one, two) = (archive(&[("base", "b")]), archive(&[("one", "11")]), archive(&[("two", "222")]));
    let a = image(yard.store(), &["a", "a:2"], &[&base, &one]);
    let b = image(yard.store(), &["b"], &[&base, &two]);
    assert_eq!(yard.counts(), [3 + 4, 3, 0, 0, 0]);
    let found = yard.store().images().resolve("a:2").unwrap();
    assert_eq!((found.id.clone(), found.size), (a.clone(), 3));
    assert_eq!(found.names, [name("a:2"), name("a")], "sorted by their text");
    let usage = yard.store().usage().unwrap();
    assert_eq!(usage.layers, 6);
    assert!(usage.images.iter().all(|image| image.shared == 1));
    // Everything is as before after opening again.
    yard.reopen();
    assert_eq!(yard.counts(), [3 + 4, 3, 0, 0, 0]);
    let deleted = yard.store().images().delete(&a).unwrap();
    assert_eq!(deleted.len(), 2 + 1 + 1, "two names, the image, its own layer: {deleted:?}");
    assert_eq!(deleted[2], Deleted::Deleted(a.clone()));
    assert_eq!(yard.count("layers"), 2);
    assert!(
        matches!(yard.store().images().resolve("a"), Err(Error::NoSuchImage(text)) if text == "a:latest")
    );
    yard.store().images().delete(&b).unwrap();
    yard.store().sweep().unwrap();
    assert_eq!(yard.counts(), [0; 5]);
}

#[test]
fn names_are_found_as_docker_finds_them() {
    let yard = Yard::new();
    let images = yard.store().images();
    let a = image(yard.store(), &["app", "localhost:5000/app:1"], &[&archive(&[("a", "")])]);
    for text in [
        "app",
        "app:latest",
        "docker.io/library/app:latest",
        "localhost:5000/app:1",
        &a.to_string(),
        a.hex(),
        a.short(),
        &format!("sha256:{}", a.short()),
        &a.hex()[..1],
    ] {
        assert_eq!(images.resolve(text).unwrap().id, a, "{text}");
    }
    for text in
        ["app:1", "localhost:5000/app", "nope", "APP", "", "sha256:", "*", &Digest::of("x").to_string()]
    {
        assert!(matches!(images.resolve(text), Err(Error::NoSuchImage(_))), "{text:?}");
    }
    let by_digest = name("app").with_digest(Digest::of("manifest"));
    assert!(images.resolve(&by_digest.familiar()).is_err());
    images.tag(&a, &by_digest).unwrap();
    assert_eq!(images.resolve(&by_digest.familiar()).unwrap().repo_digests, std::slice::from_ref(&by_digest));
    // Enough images that two ids begin alike.
    for number in 0..17 {
        image(yard.store(), &[], &[&archive(&[("n", &number.to_string())])]);
    }
    let ambiguous = "0123456789abcdef".chars().any(|digit| {
        matches!(images.resolve(&digit.to_string()), Err(Error::Ambiguous(text)) if text == digit.to_string())
    });
    assert!(ambiguous);
    let other = image(yard.store(), &[], &[&archive(&[("other", "")])]);
    assert_eq!(images.tag(&other, &name("app")).unwrap(), Some(a.clone()));
    assert_eq!(images.tag(&other, &name("app")).unwrap(), None);
    assert_eq!(images.resolve("app").unwrap().id, other);
    assert!(images.untag(&name("app")).unwrap());
    assert!(!images.untag(&name("app")).unwrap());
    assert!(images.tag(&Digest::of("none"), &name("x")).is_err());
}

#[test]
fn a_container_keeps_its_layers_when_its_image_goes() {
    let mut yard = Yard::new();
    let id = image(yard.store(), &["a"], &[&archive(&[("one", "1")]), &archive(&[("two", "2")])]);
    let snapshots = yard.store().snapshots();
    let rootfs = snapshots.prepare("c1", &id).unwrap();
    assert!(rootfs.upper.is_dir());
    assert!(snapshots.prepare("c1", &id).is_err(), "one root filesystem for each container");
    assert_eq!(yard.store().images().containers(&id).unwrap(), ["c1"]);
    fs::write(rootfs.upper.join("new"), "12345").unwrap();
    yard.store().images().delete(&id).unwrap();
    yard.store().sweep().unwrap();
    yard.reopen();
    let snapshots = yard.store().snapshots();
    let mount = snapshots.mount("c1").unwrap();
    assert!(mount.lower[0].join("two").is_file() && mount.lower[1].join("one").is_file());
    assert_eq!(snapshots.usage("c1").unwrap(), 5);
    assert_eq!(snapshots.changes("c1").unwrap().len(), 1);
    assert_eq!(yard.counts(), [0, 2, 1, 0, 0]);
    snapshots.remove("c1").unwrap();
    yard.store().sweep().unwrap();
    assert_eq!(yard.counts(), [0; 5]);
    assert!(matches!(yard.store().snapshots().get("c1"), Err(Error::NoSuchSnapshot(_))));
}

#[test]
fn a_containers_root_looks_like_its_images() {
    let yard = Yard::new();
    let root = Entry {
        name: b"./".to_vec(),
        kind: boxship_layer::tar::Kind::Directory,
        mode: 0o1750,
        ..Entry::default()
    };
    let mut writer = Writer::new(Vec::new());
    writer.entry(&root).unwrap();
    let bytes = writer.finish().unwrap();
    let id = image(yard.store(), &[], &[&bytes, &archive(&[("x", "")])]);
    let upper = yard.store().snapshots().prepare("c", &id).unwrap().upper;
    assert_eq!(rustix::fs::stat(&upper).unwrap().st_mode & 0o7777, 0o1750);
    let empty = image(yard.store(), &[], &[]);
    let mount = yard.store().snapshots().prepare("e", &empty).map(|_| yard.store().snapshots().mount("e"));
    assert_eq!(mount.unwrap().unwrap().lower.len(), 1, "overlayfs wants a lower folder");
}

#[test]
fn leases_keep_what_nobody_owns_yet() {
    let yard = Yard::new();
    let store = yard.store();
    let lease = store.lease();
    let blob = store.content().put(b"held", &lease).unwrap();
    store.collect().unwrap();
    assert_eq!(store.content().read(&blob, 10).unwrap(), b"held");
    assert!(matches!(store.content().read(&blob, 3), Err(Error::Corrupt { .. })));
    drop(lease);
    assert_eq!(store.collect().unwrap(), 4);
    assert!(matches!(store.content().open(&blob), Err(Error::NoSuchBlob(_))));
}

#[test]
fn blobs_are_what_was_promised_or_nothing() {
    let yard = Yard::new();
    let store = yard.store();
    let lease = store.lease();
    let write = |bytes: &[u8]| {
        let mut writer = store.content().writer(&lease).unwrap();
        writer.write_all(bytes).unwrap();
        writer
    };
    let wrong = write(b"a").finish(Some(&Digest::of("b")), None);
    assert!(matches!(wrong, Err(Error::DigestMismatch { .. })));
    let short = write(b"a").finish(None, Some(2));
    assert!(matches!(short, Err(Error::SizeMismatch { expected: 2, found: 1 })));
    drop(write(b"never finished"));
    assert_eq!(yard.counts(), [0; 5]);
    let blob = write(b"a").finish(Some(&Digest::of("a")), Some(1)).unwrap();
    assert_eq!(store.content().list().unwrap(), [blob]);
}

#[test]
fn a_layer_that_is_not_what_its_image_says_is_thrown_away() {
    let yard = Yard::new();
    let store = yard.store();
    let lease = store.lease();
    let bytes = archive(&[("a", "1")]);
    let wrong = Digest::of("something else");
    let expected = Expected { diff_id: Some(&wrong), verified: None };
    let unpacked = store.layers().unpack(&mut &bytes[..], &[], expected, &Limits::default(), &lease);
    assert!(matches!(unpacked, Err(Error::DigestMismatch { .. })));
    let cut = store.layers().unpack(&mut &bytes[..600], &[], Expected::default(), &Limits::default(), &lease);
    assert!(matches!(cut, Err(Error::Unpack { .. })));
    store.sweep().unwrap();
    assert_eq!(yard.counts(), [0; 5]);
}

#[test]
fn leftovers_are_removed_at_the_next_open() {
    let mut yard = Yard::new();
    image(yard.store(), &["kept"], &[&archive(&[("a", "1")])]);
    let before = yard.counts();
    let data = yard.dir.path().join("data");
    for folder in ["layers/0123/fs/deep", "layers/unpack-77/fs", "containers/half/upper"] {
        fs::create_dir_all(data.join(folder)).unwrap();
    }
    fs::write(data.join("content/ingest/half"), "x").unwrap();
    fs::write(data.join("content/sha256").join(Digest::of("orphan").hex()), "orphan").unwrap();
    yard.reopen();
    yard.store().sweep().unwrap();
    assert_eq!(yard.counts(), before);
    assert!(yard.store().images().resolve("kept").is_ok());
}

#[test]
fn one_process_at_a_time() {
    let yard = Yard::new();
    let again = Store::open(yard.store().paths().clone());
    assert!(matches!(again, Err(Error::Locked(_))));
}

/// The database holds the environments of containers, set-uid programs of images lie in the layers, and a lock that
/// others may open they may hold.
#[test]
fn others_of_the_host_read_nothing_below_the_data_root() {
    use std::os::unix::fs::PermissionsExt;
    let mut yard = Yard::new();
    let data = yard.dir.path().join("data");
    fs::set_permissions(data.join("boxship.db"), fs::Permissions::from_mode(0o644)).unwrap();
    yard.reopen();
    yard.store().db().write(|tx| Ok::<_, Error>(tx.execute_batch("CREATE TABLE t (x)")?)).unwrap();
    for entry in fs::read_dir(&data).unwrap() {
        let entry = entry.unwrap();
        let (name, metadata) = (entry.file_name(), entry.metadata().unwrap());
        let open = metadata.permissions().mode() & 0o077;
        // Folders may be passed through at most; the empty one has nothing to hide.
        let fine = if metadata.is_dir() { open & 0o066 == 0 || name == "empty" } else { open == 0 };
        assert!(fine, "{name:?} has mode {open:o} for others");
    }
}

#[test]
fn the_same_layer_unpacked_twice_is_kept_once() {
    let yard = Yard::new();
    let store = yard.store();
    let lease = store.lease();
    let bytes = archive(&[("a", "1")]);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let (_, image_layer) = layer(store, &bytes, &[], &lease, &mut first);
    layer(store, &bytes, &[], &lease, &mut second);
    assert_eq!((first.len(), second.len()), (1, 1));
    for (config, unpacked) in [("one", first), ("two", second)] {
        let id = store.content().put(config.as_bytes(), &lease).unwrap();
        let new = NewImage {
            manifest: id.clone(),
            id,
            layers: vec![image_layer.clone()],
            parent: None,
            names: Vec::new(),
            repo_digests: Vec::new(),
        };
        store.images().create(&[new], unpacked).unwrap();
    }
    store.sweep().unwrap();
    assert_eq!(yard.count("layers"), 1);
    assert_eq!(store.images().list().unwrap().len(), 2);
}
