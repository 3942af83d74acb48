//! What is broken is refused with a clear word and leaves nothing behind.

use std::io::{self, Read};

use boxship_image::LoadOptions;
use boxship_oci::Digest;

use super::{Yard, config, docker_archive, tar};

/// A refused archive says what is wrong and leaves nothing.
fn check(bytes: &[u8], expect: &str) {
    let yard = Yard::new();
    let error = yard.load(bytes).expect_err(expect);
    let mut message = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    assert!(message.contains(expect), "{message:?} should say {expect:?}");
    assert_eq!(yard.counts(), [0; 4], "{expect}");
    assert!(yard.store.images().list().unwrap().is_empty());
}

#[test]
fn broken_archives() {
    let big = vec![7; 200_000];
    let layer = tar(&[("a", &big)]);
    let good = docker_archive(&["x:y"], &[&layer]);
    let config = config("amd64", &[&layer]);
    let one = |manifest: &str| tar(&[("c", &config), ("l", &layer), ("manifest.json", manifest.as_bytes())]);
    check(b"", "truncated");
    check(
        b"this is no archive, but long enough to be one, if only it had some structure".repeat(20).as_slice(),
        "checksum",
    );
    check(&good[..good.len() / 2], "truncated");
    check(&good[..good.len() - 1024], "truncated");
    check(b"BZh91AY&SY", "bzip2");
    check(&tar(&[("a", b"b")]), "neither manifest.json");
    check(&tar(&[("manifest.json", b"{")]), "invalid manifest.json");
    check(&tar(&[("manifest.json", b"[{\"Config\":\"none\"}]")]), "none is missing");
    check(&one(r#"[{"Config":"c","Layers":["nope"]}]"#), "nope is missing");
    check(&one(r#"[{"Config":"c","Layers":[]}]"#), "layers length mismatch: expected 1, got 0");
    check(&one(r#"[{"Config":"c","Layers":["l"],"RepoTags":["UP:x"]}]"#), "must be lowercase");
    check(&one(r#"[{"Config":"c","Layers":["l"],"RepoTags":["untagged"]}]"#), "invalid tag");
    check(&one(r#"[{"Config":"c","Layers":["c"]}]"#), "truncated");
    let other = tar(&[("other", b"layer")]);
    let swapped =
        tar(&[("c", &config), ("l", &other), ("manifest.json", br#"[{"Config":"c","Layers":["l"]}]"#)]);
    check(&swapped, "invalid diffID for layer 0");
    let windows = br#"{"os":"windows","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let manifest = br#"[{"Config":"c"}]"#;
    check(&tar(&[("c", windows), ("manifest.json", manifest)]), "cannot load windows image on linux");
    let escape = tar(&[("../../escape", b"x")]);
    check(&docker_archive(&[], &[&layer, &escape]), "leads out of the root");
}

#[test]
fn blobs_must_have_the_digest_of_their_name() {
    let big = vec![7; 200_000];
    for content in [&b"small"[..], &big] {
        let name = format!("blobs/sha256/{}", Digest::of("else").hex());
        check(&tar(&[(&name, content), ("index.json", b"{}")]), "unexpected digest");
    }
}

#[test]
fn one_broken_image_keeps_all_out() {
    let layer = tar(&[("a", b"1")]);
    let config = config("amd64", &[&layer]);
    let manifest =
        br#"[{"Config":"c","RepoTags":["good:1"],"Layers":["l"]},{"Config":"c","Layers":["missing"]}]"#;
    check(&tar(&[("c", &config), ("l", &layer), ("manifest.json", manifest)]), "missing is missing");
}

#[test]
fn indexes_without_end_are_refused() {
    // An index can't contain itself by digest, but it can be wide and deep: a document is looked at again and again.
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    let mut below = format!(
        r#"{{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"{}","size":2}}"#,
        Digest::of("{}")
    );
    for _ in 0..6 {
        let index = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, vec![&*below; 20].join(","));
        let digest = Digest::of(&index);
        below = format!(
            r#"{{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"{digest}","size":{}}}"#,
            index.len()
        );
        files.push((format!("blobs/sha256/{}", digest.hex()), index.into_bytes()));
    }
    files.push((
        "index.json".to_owned(),
        format!(r#"{{"schemaVersion":2,"manifests":[{below}]}}"#).into_bytes(),
    ));
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (&**name, &**bytes)).collect();
    check(&tar(&files), "too deeply or too large");
}

/// A configuration of some megabytes that a thousand entries name would be kept a thousand times.
#[test]
fn documents_named_again_and_again_are_refused() {
    let padding = "x".repeat(3 << 20);
    let config =
        format!(r#"{{"os":"linux","author":"{padding}","rootfs":{{"type":"layers","diff_ids":[]}}}}"#);
    let items = vec![r#"{"Config":"c"}"#; 1000].join(",");
    let manifest = format!("[{items}]");
    check(
        &tar(&[("c", config.as_bytes()), ("manifest.json", manifest.as_bytes())]),
        "its documents name more than",
    );

    let digest = Digest::of(&config);
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",
            "config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{digest}","size":{}}},
            "layers":[]}}"#,
        config.len()
    );
    let entry = format!(
        r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{}","size":{}}}"#,
        Digest::of(&manifest),
        manifest.len()
    );
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, vec![&*entry; 1000].join(","));
    let config_name = format!("blobs/sha256/{}", digest.hex());
    let manifest_name = format!("blobs/sha256/{}", Digest::of(&manifest).hex());
    let files: [(&str, &[u8]); 3] = [
        (&config_name, config.as_bytes()),
        (&manifest_name, manifest.as_bytes()),
        ("index.json", index.as_bytes()),
    ];
    check(&tar(&files), "its documents name more than");
}

/// CVE-2026-47262: a document longer than any real one is not even read.
#[test]
fn giant_documents_are_refused() {
    let padding = "x".repeat(5 << 20);
    let config = format!(r#"{{"os":"linux","author":"{padding}"}}"#);
    let manifest = br#"[{"Config":"c"}]"#;
    check(&tar(&[("c", config.as_bytes()), ("manifest.json", manifest)]), "c is longer than");
    let deep = format!(r#"[{{"Config":"c","Other":{}"#, "[".repeat(100_000));
    // Neither an endless stack nor an endless wait.
    check(&tar(&[("manifest.json", deep.as_bytes())]), "invalid manifest.json");
}

/// Delivers an archive and then fails, as a broken connection does.
struct Broken<'a>(&'a [u8]);

impl Read for Broken<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::new(io::ErrorKind::ConnectionReset, "gone")),
            count => Ok(count),
        }
    }
}

#[test]
fn a_connection_that_breaks_leaves_nothing() {
    let bytes = docker_archive(&["x:y"], &[&tar(&[("a", &[7; 300_000])])]);
    let yard = Yard::new();
    for length in [0, 1000, 100_000, bytes.len() - 1500] {
        let mut archive = Broken(&bytes[..length]);
        let loaded = boxship_image::load(&yard.store, &mut archive, &LoadOptions::default(), &mut |_| {});
        assert!(loaded.is_err());
        assert_eq!(yard.counts(), [0; 4]);
    }
}

/// A file system of its own for the data root, too small for the image.
#[test]
fn a_full_disk_is_told_and_left_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let mount = |size: &str| {
        let status = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(dir.path())
            .status()
            .unwrap();
        assert!(status.success(), "mounting needs root");
    };
    // Too small for the blob; large enough for the blob but not for the unpacked layer.
    for size in ["2m", "12m"] {
        mount(size);
        let outcome = std::panic::catch_unwind(|| {
            let store = super::open(dir.path());
            let bytes = docker_archive(&["x:y"], &[&tar(&[("a", &vec![7; 7 << 20])])]);
            let error = boxship_image::load(&store, &mut &bytes[..], &LoadOptions::default(), &mut |_| {})
                .unwrap_err();
            assert!(error.is_disk_full(), "{error:?}");
            for folder in ["content/sha256", "content/ingest", "layers", "trash"] {
                let count = std::fs::read_dir(dir.path().join("data").join(folder)).unwrap().count();
                assert_eq!(count, 0, "{folder}");
            }
            let small = docker_archive(&["x:y"], &[&tar(&[("a", b"1")])]);
            boxship_image::load(&store, &mut &small[..], &LoadOptions::default(), &mut |_| {}).unwrap();
        });
        let unmounted = std::process::Command::new("umount").arg(dir.path()).status().unwrap();
        assert!(unmounted.success());
        outcome.unwrap();
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() })]

    /// Whatever is damaged in an archive: no panic, and what was loaded can be deleted without a trace.
    #[test]
    fn damaged_archives_leave_nothing(
        damage in proptest::collection::vec((proptest::prelude::any::<proptest::sample::Index>(), proptest::prelude::any::<u8>()), 1..6),
    ) {
        let yard = Yard::new();
        let layers = [tar(&[("a", b"1")]), tar(&[(".wh.a", b"")])];
        yard.load(&docker_archive(&["x:y"], &[&layers[0], &layers[1]])).unwrap();
        let mut bytes = yard.save(&["x:y"]);
        yard.store.images().delete(&yard.store.images().resolve("x:y").unwrap().id).unwrap();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for image in yard.load(&bytes).unwrap_or_default() {
            yard.store.images().delete(&image.id).unwrap();
        }
        yard.store.sweep().unwrap();
        proptest::prop_assert_eq!(yard.counts(), [0; 4]);
    }
}
