//! All forms of archives, made by hand.

use std::io::Write;

use boxship_image::{Import, history, import};
use boxship_oci::descriptor::{OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_LAYER_ZSTD, OCI_MANIFEST};
use boxship_oci::{Descriptor, Digest, Index, Manifest, Reference};
use serde_json::json;

use super::{Yard, config, docker_archive, tar};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

#[test]
fn docker_archives_of_all_compressions() {
    let (one, two) = (tar(&[("a", b"1")]), tar(&[("b", b"22")]));
    let plain = docker_archive(&["app:1", "localhost:5000/x:y"], &[&one, &two]);
    for bytes in [plain.clone(), gzip(&plain), zstd(&plain)] {
        let yard = Yard::new();
        let loaded = yard.load(&bytes).unwrap();
        assert_eq!(loaded.len(), 1);
        let names: Vec<String> = loaded[0].names.iter().map(Reference::familiar).collect();
        assert_eq!(names, ["app:1", "localhost:5000/x:y"]);
        let image = yard.store.images().resolve("app:1").unwrap();
        assert_eq!((image.layers.len(), image.size), (2, 3));
        assert_eq!(yard.counts(), [4, 2, 0, 0], "two layers, configuration, manifest");
        let lines = history(&yard.store, &image.id).unwrap();
        let told: Vec<_> = lines.iter().map(|line| (&*line.created_by, line.size)).collect();
        assert_eq!(told, [("", 2), ("nothing", 0), ("first", 1)]);
        assert!(yard.load(&bytes).unwrap()[0].renamed.is_empty());
        assert_eq!(yard.counts(), [4, 2, 0, 0], "again changes nothing");
    }
}

#[test]
fn layers_may_be_compressed_in_a_docker_archive() {
    let layer = tar(&[("a", b"1")]);
    for packed in [gzip(&layer), zstd(&layer)] {
        let yard = Yard::new();
        let config = config("amd64", &[&layer]);
        let manifest = br#"[{"Config":"c","RepoTags":null,"Layers":["l"]}]"#;
        let bytes = tar(&[("l", &packed), ("c", &config), ("manifest.json", manifest)]);
        let loaded = yard.load(&bytes).unwrap();
        let image = yard.store.images().get(&loaded[0].id).unwrap();
        assert_eq!(image.layers[0].blob, Digest::of(&packed));
        assert_eq!(image.layers[0].diff_id, Digest::of(&layer));
        let again = Yard::new();
        again.load(&yard.save(&[loaded[0].id.hex()])).unwrap();
        assert_eq!(again.store.images().get(&loaded[0].id).unwrap().manifest, image.manifest);
    }
}

#[test]
fn layers_that_are_links_are_found() {
    let layer = tar(&[("a", b"1")]);
    let config = config("amd64", &[&layer, &layer]);
    let manifest = br#"[{"Config":"c","RepoTags":["x:y"],"Layers":["one/layer.tar","two/layer.tar"]}]"#;
    let mut writer = boxship_layer::tar::Writer::new(Vec::new());
    let link = boxship_layer::tar::Entry {
        name: b"two/layer.tar".to_vec(),
        link: b"../one/layer.tar".to_vec(),
        kind: boxship_layer::tar::Kind::Symlink,
        ..Default::default()
    };
    writer.entry(&link).unwrap();
    for (name, bytes) in [("one/layer.tar", &layer[..]), ("c", &config), ("manifest.json", manifest)] {
        writer.file(name, bytes).unwrap();
    }
    let yard = Yard::new();
    yard.load(&writer.finish().unwrap()).unwrap();
    assert_eq!(yard.store.images().resolve("x:y").unwrap().layers.len(), 2);
}

#[test]
fn a_name_moves_to_the_image_loaded_last() {
    let yard = Yard::new();
    let first = yard.load(&docker_archive(&["x:y"], &[&tar(&[("a", b"1")])])).unwrap();
    let second = yard.load(&docker_archive(&["x:y"], &[&tar(&[("a", b"2")])])).unwrap();
    assert_eq!(second[0].renamed.len(), 1);
    assert_eq!(second[0].renamed[0].1, first[0].id);
    assert!(yard.store.images().get(&first[0].id).unwrap().names.is_empty());
}

/// An OCI layout with an image for each architecture, and the descriptors of their manifests.
struct Layout {
    files: Vec<(String, Vec<u8>)>,
    manifests: Vec<Descriptor>,
}

impl Layout {
    fn new(architectures: &[&str]) -> Layout {
        let mut layout = Layout { files: Vec::new(), manifests: Vec::new() };
        for architecture in architectures {
            let layer = tar(&[("arch", architecture.as_bytes())]);
            let config = config(architecture, &[&layer]);
            let packed = zstd(&layer);
            let manifest = Manifest::oci(
                Descriptor::of(OCI_CONFIG, &config),
                vec![Descriptor::of(OCI_LAYER_ZSTD, &packed)],
            );
            let manifest = serde_json::to_vec(&manifest).unwrap();
            layout.manifests.push(Descriptor::of(OCI_MANIFEST, &manifest));
            [layer, config, packed, manifest].into_iter().for_each(|blob| layout.add(blob));
        }
        layout
    }

    fn add(&mut self, blob: Vec<u8>) {
        self.files.push((format!("blobs/sha256/{}", Digest::of(&blob).hex()), blob));
    }

    fn archive(&self, manifests: Vec<Descriptor>) -> Vec<u8> {
        let index = serde_json::to_vec(&Index::oci(manifests)).unwrap();
        let mut files: Vec<(&str, &[u8])> =
            self.files.iter().map(|(name, bytes)| (&**name, &**bytes)).collect();
        files.extend([("index.json", &index[..]), ("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)]);
        tar(&files)
    }
}

fn named(mut descriptor: Descriptor, key: &str, name: &str) -> Descriptor {
    descriptor.annotations.insert(key.to_owned(), name.to_owned());
    descriptor
}

const REF_NAME: &str = "org.opencontainers.image.ref.name";
const CONTAINERD_NAME: &str = "io.containerd.image.name";

#[test]
fn oci_layouts_keep_their_digests_and_names() {
    let layout = Layout::new(&["amd64"]);
    let manifest = layout.manifests[0].clone();
    for (descriptor, expect) in [
        (named(manifest.clone(), REF_NAME, "app:1"), Some("app:1")),
        (named(manifest.clone(), REF_NAME, "latest"), None),
        (
            named(named(manifest.clone(), REF_NAME, "1"), CONTAINERD_NAME, "docker.io/me/app:1"),
            Some("me/app:1"),
        ),
        (manifest.clone(), None),
    ] {
        let yard = Yard::new();
        let loaded = yard.load(&layout.archive(vec![descriptor])).unwrap();
        assert_eq!(loaded[0].names.first().map(Reference::familiar).as_deref(), expect);
        let image = yard.store.images().get(&loaded[0].id).unwrap();
        assert_eq!(image.manifest, manifest.digest);
        assert_eq!(yard.counts(), [3, 1, 0, 0]);
    }
}

#[test]
fn platforms_are_chosen() {
    let host = boxship_oci::Platform::host().architecture;
    let other = if host == "amd64" { "arm64" } else { "amd64" };
    let mut layout = Layout::new(&[other, &host, "s390x"]);
    let index = serde_json::to_vec(&Index::oci(layout.manifests.clone())).unwrap();
    let nested = Descriptor::of(OCI_INDEX, &index);
    layout.add(index);
    let same_name = layout.manifests.iter().map(|d| named(d.clone(), REF_NAME, "app:1")).collect();
    for bytes in [layout.archive(vec![named(nested.clone(), REF_NAME, "app:1")]), layout.archive(same_name)] {
        for (wanted, expect) in [
            (None, &*host),
            (Some(format!("linux/{other}")), other),
            (Some("linux/s390x".to_owned()), "s390x"),
        ] {
            let yard = Yard::new();
            let loaded = yard.load_for(&bytes, wanted.as_deref()).unwrap();
            assert_eq!(loaded.len(), 1);
            assert_eq!(boxship_image::config(&yard.store, &loaded[0].id).unwrap().architecture, expect);
            assert_eq!(yard.counts(), [3, 1, 0, 0]);
        }
        let yard = Yard::new();
        let missing = yard.load_for(&bytes, Some("linux/riscv64")).unwrap_err().to_string();
        assert!(missing.contains("linux/riscv64") && missing.contains("linux/s390x"), "{missing}");
        assert_eq!(yard.counts(), [0; 4]);
    }
    // Without names each entry is an image of its own, whatever it is for.
    assert_eq!(Yard::new().load(&layout.archive(layout.manifests.clone())).unwrap().len(), 3);
}

#[test]
fn the_oldest_form_is_read() {
    let (low, high) = (tar(&[("a", b"1")]), tar(&[("b", b"2")]));
    let document = |parent: &str, cmd: &str| {
        let command = json!({ "Cmd": ["/bin/sh", "-c", cmd] });
        let config = json!({ "Cmd": ["run"], "Env": ["A=1"] });
        serde_json::to_vec(
            &json!({ "id": "x", "parent": parent, "created": "2015-01-01T00:00:00Z", "os": "linux",
            "architecture": "amd64", "container_config": command, "config": config }),
        )
        .unwrap()
    };
    let bytes = tar(&[
        ("low/json", &document("", "first")),
        ("low/layer.tar", &low),
        ("high/json", &document("low", "second")),
        ("high/layer.tar", &high),
        ("repositories", br#"{"old/app":{"1":"high","2":"high"}}"#),
    ]);
    let yard = Yard::new();
    let loaded = yard.load(&bytes).unwrap();
    assert_eq!(loaded[0].names.len(), 2);
    let image = yard.store.images().resolve("old/app:2").unwrap();
    let config = boxship_image::config(&yard.store, &image.id).unwrap();
    assert_eq!(config.rootfs.diff_ids, [Digest::of(&low), Digest::of(&high)]);
    assert_eq!(config.config.unwrap().cmd.unwrap(), ["run"]);
    assert_eq!(history(&yard.store, &image.id).unwrap()[0].created_by, "/bin/sh -c second");
    let circle = tar(&[("a/json", br#"{"parent":"a"}"#), ("repositories", br#"{"x":{"1":"a"}}"#)]);
    assert!(yard.load(&circle).is_err());
}

#[test]
fn saving_is_repeatable_and_loads_again() {
    let (one, two) = (tar(&[("a", b"1")]), tar(&[("b", &[7; 100_000])]));
    let yard = Yard::new();
    yard.load(&docker_archive(&["app:1", "app:2"], &[&one, &two])).unwrap();
    yard.load(&docker_archive(&["other:1"], &[&one])).unwrap();
    let all = yard.save(&["app", "other:1"]);
    assert!(all == yard.save(&["app", "other:1"]));
    let again = Yard::new();
    let loaded = again.load(&all).unwrap();
    assert_eq!(loaded.iter().map(|image| image.names.len()).collect::<Vec<_>>(), [2, 1]);
    for name in ["app:1", "app:2", "other:1"] {
        let (a, b) =
            (yard.store.images().resolve(name).unwrap(), again.store.images().resolve(name).unwrap());
        assert_eq!((a.id, a.manifest, a.layers), (b.id, b.manifest, b.layers));
    }
    assert!(all == again.save(&["app", "other:1"]));
    // By id there is no name to save.
    let id = yard.store.images().resolve("other:1").unwrap().id;
    let unnamed = Yard::new().load(&yard.save(&[id.short()])).unwrap();
    assert_eq!((unnamed[0].id.clone(), unnamed[0].names.len()), (id, 0));
    assert!(boxship_image::select(&yard.store, &["nope".to_owned()]).is_err());
}

#[test]
fn folders_are_imported_with_instructions() {
    let bytes = tar(&[("etc/hello", b"hi")]);
    for packed in [bytes.clone(), gzip(&bytes), zstd(&bytes)] {
        let yard = Yard::new();
        let how = Import {
            name: Some(Reference::parse_tagged("made:1").unwrap()),
            changes: vec!["CMD [\"cat\", \"/etc/hello\"]".to_owned(), "ENV A=1\nUSER me".to_owned()],
            source: "-".to_owned(),
            ..Import::default()
        };
        let id = import(&yard.store, &mut &packed[..], &how).unwrap();
        let image = yard.store.images().resolve("made:1").unwrap();
        assert_eq!((image.id.clone(), image.size), (id.clone(), 2));
        assert_eq!(image.layers[0].diff_id, Digest::of(&bytes));
        let config = boxship_image::config(&yard.store, &id).unwrap();
        assert_eq!(config.comment.as_deref(), Some("Imported from -"));
        assert_eq!(config.config.unwrap().user.as_deref(), Some("me"));
        assert_eq!(yard.counts(), [3, 1, 0, 0]);
        for (broken, changes) in
            [(&packed[..packed.len() / 2], "USER a"), (&packed, "RUN a"), (b"", "USER a")]
        {
            let how = Import { changes: vec![changes.to_owned()], ..Import::default() };
            assert!(import(&yard.store, &mut &broken[..], &how).is_err(), "{changes}");
        }
        assert_eq!(yard.counts(), [3, 1, 0, 0]);
    }
}

#[test]
fn layer_media_types_are_told_by_their_bytes() {
    let yard = Yard::new();
    let loaded = yard.load(&docker_archive(&[], &[&tar(&[("a", b"")])])).unwrap();
    let image = yard.store.images().get(&loaded[0].id).unwrap();
    assert_eq!(image.layers[0].media_type, OCI_LAYER);
}
