//! Tests of the storage folder: what is visible is whole, what is needed stays.

use std::sync::Arc;
use std::time::Duration;

use boxship_oci::Algorithm;

use super::*;
use crate::gc::{Policy, collect};
use crate::name::Reference;

struct Fixture {
    _folder: tempfile::TempDir,
    storage: Arc<Storage>,
    uploads: Arc<Uploads>,
}

fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let storage = Arc::new(Storage::create(folder.path()).unwrap());
    let uploads = Arc::new(Uploads::new(storage.clone(), 100, 1 << 20).unwrap());
    Fixture { _folder: folder, storage, uploads }
}

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

impl Fixture {
    fn push(&self, repository: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let mut lease = self.uploads.begin(&name(repository), Algorithm::Sha256).unwrap();
        for piece in bytes.chunks(3) {
            lease.append(piece).unwrap();
        }
        lease.finish(&digest).unwrap();
        digest
    }

    fn manifest(&self, layers: &[&Digest], subject: Option<&Digest>) -> Vec<u8> {
        let item = |digest: &Digest| format!(r#"{{"mediaType":"a/b","digest":"{digest}","size":1}}"#);
        let listed: Vec<String> = layers.iter().skip(1).map(|digest| item(digest)).collect();
        let subject = subject.map(|subject| format!(r#","subject":{}"#, item(subject))).unwrap_or_default();
        format!(
            r#"{{"schemaVersion":2,"config":{},"layers":[{}]{subject}}}"#,
            item(layers[0]),
            listed.join(",")
        )
        .into_bytes()
    }

    fn put(&self, repository: &str, reference: &str, bytes: &[u8]) -> Result<Digest> {
        let reference: Reference = reference.parse().unwrap();
        let repository = name(repository);
        let put =
            Put { repository: &repository, reference: &reference, tags: &[], content_type: None, bytes };
        self.storage.put_manifest(&put).map(|stored| stored.digest)
    }

    fn tag_image(&self, repository: &str, tag: &str, content: &str) -> Digest {
        let blob = self.push(repository, content.as_bytes());
        self.put(repository, tag, &self.manifest(&[&blob], None)).unwrap()
    }
}

fn all_at_once() -> Policy {
    Policy { grace: Duration::ZERO, ..Policy::default() }
}

#[test]
fn blobs_are_one_file_under_several_names() {
    use std::os::unix::fs::MetadataExt;
    let fixture = fixture();
    let digest = fixture.push("a", b"content");
    assert_eq!(fixture.push("b/c", b"content"), digest);
    let storage = &fixture.storage;
    assert!(storage.mount(Some(&name("a")), &name("d"), &digest).unwrap());
    assert!(!storage.mount(Some(&name("nobody")), &name("e"), &digest).unwrap());
    assert!(storage.mount(None, &name("e"), &digest).unwrap());
    assert_eq!(std::fs::metadata(storage.blob_path(&name("e"), &digest)).unwrap().nlink(), 5);
    assert_eq!(storage.find_blob(&name("d"), &digest).unwrap(), 7);
    storage.delete_blob(&name("d"), &digest).unwrap();
    assert!(matches!(storage.find_blob(&name("d"), &digest), Err(Error::NoBlob(_))));
    assert!(storage.is_verified(&storage.open_blob(&name("a"), &digest).unwrap()));
}

#[test]
fn uploads_are_checked_and_bounded() {
    let fixture = fixture();
    let repository = name("a");
    let begin = || fixture.uploads.begin(&repository, Algorithm::Sha256).unwrap();
    let mut lease = begin();
    lease.append(b"wrong").unwrap();
    let id = lease.id().clone();
    assert!(matches!(lease.finish(&Digest::of("right")), Err(Error::Mismatch { .. })));
    assert!(matches!(fixture.uploads.size(&repository, &id), Err(Error::NoUpload(_))));
    let mut lease = begin();
    assert!(matches!(lease.append(&vec![0; (1 << 20) + 1]), Err(Error::TooLarge(_))));
    drop(lease);
    assert!(matches!(fixture.uploads.expect(1, u64::MAX), Err(Error::TooLarge(_))));
    // A digest of the other kind is found by reading the file.
    let mut lease = begin();
    lease.append(b"x").unwrap();
    lease.finish(&Digest::compute(Algorithm::Sha512, "x")).unwrap();
    let held: Vec<_> = (0..100).map(|_| begin()).collect();
    let refused = fixture.uploads.begin(&repository, Algorithm::Sha256);
    assert!(matches!(refused, Err(Error::TooManyUploads(100))));
    drop(held);
    assert_eq!(fixture.uploads.expire(Duration::from_secs(3600)).unwrap(), 0);
    assert_eq!(fixture.uploads.expire(Duration::ZERO).unwrap(), 100);
    begin();
}

#[test]
fn an_upload_is_gone_on_with_by_one_and_after_a_restart() {
    let fixture = fixture();
    let repository = name("a/b");
    let mut lease = fixture.uploads.begin(&repository, Algorithm::Sha256).unwrap();
    lease.append(b"first ").unwrap();
    let id = lease.id().clone();
    assert!(matches!(fixture.uploads.resume(&repository, &id), Err(Error::UploadBusy(_))));
    drop(lease);
    assert!(matches!(fixture.uploads.resume(&name("other"), &id), Err(Error::NoUpload(_))));
    let again = Arc::new(Uploads::new(fixture.storage.clone(), 100, 1 << 20).unwrap());
    assert_eq!(again.size(&repository, &id).unwrap(), 6);
    let mut lease = again.resume(&repository, &id).unwrap();
    lease.append(b"second").unwrap();
    lease.finish(&Digest::of("first second")).unwrap();
    assert!(fixture.storage.has_blob(&repository, &Digest::of("first second")).unwrap());
}

#[test]
fn damage_is_noticed_and_repaired_by_a_push() {
    let fixture = fixture();
    let storage = &fixture.storage;
    let repository = name("a");
    let digest = fixture.push("a", b"content");
    let path = storage.blob_path(&repository, &digest);
    std::fs::write(&path, b"damaged").unwrap();
    // Of two writes at the same moment, many kernels tell the same time.
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    file.set_modified(std::time::SystemTime::now() + Duration::from_secs(1)).unwrap();
    let blob = storage.open_blob(&repository, &digest).unwrap();
    assert!(!storage.is_verified(&blob));
    assert!(matches!(storage.verify(&blob), Err(Error::Damaged(_))));
    assert!(matches!(storage.find_blob(&repository, &digest), Err(Error::NoBlob(_))));
    assert!(!storage.mount(None, &name("b"), &digest).unwrap());
    fixture.push("a", b"content");
    storage.verify(&storage.open_blob(&repository, &digest).unwrap()).unwrap();

    let manifest = fixture.manifest(&[&digest], None);
    let of = fixture.put("a", "t", &manifest).unwrap();
    std::fs::write(storage.manifest_path(&repository, &of), b"{}").unwrap();
    assert!(matches!(storage.manifest(&repository, &of), Err(Error::Damaged(_))));
    fixture.put("a", "t", &manifest).unwrap();
    assert_eq!(storage.manifest(&repository, &of).unwrap().bytes, manifest);
}

#[test]
fn manifests_need_what_they_name() {
    let fixture = fixture();
    let blob = fixture.push("a", b"x");
    let absent = Digest::of("absent");
    let refused = fixture.put("a", "t", &fixture.manifest(&[&blob, &absent], None)).unwrap_err();
    assert!(matches!(refused, Error::ManifestBlobUnknown(missing) if missing == [absent.clone()]));
    // A subject may come later.
    let referrer = fixture.put("a", "t", &fixture.manifest(&[&blob], Some(&absent))).unwrap();
    assert_eq!(fixture.storage.referring(&name("a"), &absent).unwrap(), std::slice::from_ref(&referrer));
    let listed = fixture.storage.referrer(&name("a"), &absent, &referrer).unwrap().unwrap();
    assert_eq!(listed.artifact_type.as_deref(), Some("a/b"));
    let index = format!(r#"{{"manifests":[{{"digest":"{absent}","size":1}}]}}"#);
    assert!(fixture.put("a", "i", index.as_bytes()).is_err());
    let wrong = fixture.put("a", &absent.to_string(), &fixture.manifest(&[&blob], None));
    assert!(matches!(wrong, Err(Error::Mismatch { .. })));
    fixture.storage.delete_manifest(&name("a"), &referrer).unwrap();
    assert!(fixture.storage.referring(&name("a"), &absent).unwrap().is_empty());
    assert!(fixture.storage.tags(&name("a")).unwrap().is_empty());
}

#[test]
fn the_catalog_follows() {
    let fixture = fixture();
    let all = || fixture.storage.catalog(None, 100, |_| true).unwrap();
    assert!(all().is_empty());
    for repository in ["b", "a/x", "a"] {
        fixture.tag_image(repository, "t", "content");
    }
    assert_eq!(all(), [name("a"), name("a/x"), name("b")]);
    assert_eq!(fixture.storage.catalog(Some(&name("a")), 1, |_| true).unwrap(), [name("a/x")]);
    // What another process removes is noticed.
    let other = Storage::open(fixture.storage.root()).unwrap();
    crate::admin::remove_repository(&other, &name("a")).unwrap();
    assert_eq!(all(), [name("a/x"), name("b")]);
    let total = crate::admin::usage(&other).unwrap();
    assert_eq!(total.repositories.len(), 2);
    assert_eq!(total.unused, 0);
}

#[test]
fn collection_takes_what_nobody_needs() {
    let fixture = fixture();
    let storage = &fixture.storage;
    let kept = fixture.tag_image("a", "kept", "one");
    fixture.tag_image("a", "moves", "two");
    fixture.tag_image("a", "moves", "three");
    fixture.push("a", b"orphan");
    fixture.push("gone", b"orphan of a repository of its own");
    assert_eq!(collect(storage, &Policy::default()).unwrap(), Default::default(), "within the grace");

    let dry = collect(storage, &Policy { dry_run: true, ..all_at_once() }).unwrap();
    let report = collect(storage, &all_at_once()).unwrap();
    assert_eq!((report.blobs, report.manifests, report.repositories), (2, 0, 1));
    assert_eq!((dry.blobs, dry.bytes), (report.blobs, report.bytes));
    assert!(!storage.folder(&name("gone")).exists());

    let report = collect(storage, &Policy { untagged: true, ..all_at_once() }).unwrap();
    assert_eq!((report.manifests, report.blobs, report.bytes), (1, 1, 3));
    storage.manifest(&name("a"), &kept).unwrap();
    let rules = Policy { keep_tags: Some(1), repositories: vec!["b*".into()], ..all_at_once() };
    assert_eq!(collect(storage, &rules).unwrap().tags, 0, "for other repositories only");
    let rules =
        Policy { keep_tags: Some(1), untagged: true, repositories: vec!["a".into()], ..all_at_once() };
    assert_eq!(collect(storage, &rules).unwrap().tags, 1);
    assert_eq!(storage.tags(&name("a")).unwrap(), ["moves".parse::<Tag>().unwrap()]);
    assert!(storage.manifest(&name("a"), &kept).is_err());
    let rules = Policy { keep_age: Some(Duration::ZERO), untagged: true, ..all_at_once() };
    let report = collect(storage, &rules).unwrap();
    assert_eq!((report.tags, report.manifests, report.repositories), (1, 1, 1));
    let total = crate::admin::usage(storage).unwrap();
    assert_eq!((total.size, total.repositories.len()), (0, 0), "every byte came back");
}

#[test]
fn what_belongs_together_stays_together() {
    let fixture = fixture();
    let blob = fixture.push("a", b"x");
    let image = fixture.manifest(&[&blob], None);
    let child = fixture.put("a", &Digest::of(&image).to_string(), &image).unwrap();
    let index = format!(r#"{{"manifests":[{{"digest":"{child}","size":1}}]}}"#);
    let index = fixture.put("a", "t", index.as_bytes()).unwrap();
    let signature = fixture.manifest(&[&blob], Some(&index));
    let signature = fixture.put("a", &Digest::of(&signature).to_string(), &signature).unwrap();
    let policy = Policy { untagged: true, ..all_at_once() };
    assert_eq!(collect(&fixture.storage, &policy).unwrap(), Default::default());
    fixture.storage.delete_tag(&name("a"), &"t".parse().unwrap()).unwrap();
    assert_eq!(collect(&fixture.storage, &policy).unwrap().manifests, 3);
    assert!(fixture.storage.manifest(&name("a"), &signature).is_err());
}

#[test]
fn an_upload_under_way_holds_everything() {
    let fixture = fixture();
    let lease = fixture.uploads.begin(&name("a"), Algorithm::Sha256).unwrap();
    let blob = fixture.push("a", b"first layer");
    assert_eq!(collect(&fixture.storage, &all_at_once()).unwrap().blobs, 0);
    drop(lease);
    fixture.uploads.expire(Duration::ZERO).unwrap();
    assert_eq!(collect(&fixture.storage, &all_at_once()).unwrap().blobs, 1);
    assert!(!fixture.storage.has_blob(&name("a"), &blob).unwrap());
}

#[test]
fn an_upload_that_rests_holds_nothing() {
    let fixture = fixture();
    let lease = fixture.uploads.begin(&name("a"), Algorithm::Sha256).unwrap();
    let blob = fixture.push("a", b"first layer");
    drop(lease);
    assert_eq!(collect(&fixture.storage, &all_at_once()).unwrap().blobs, 0);
    for upload in std::fs::read_dir(fixture.storage.folder(&name("a")).join("_uploads")).unwrap() {
        let file = std::fs::File::options().write(true).open(upload.unwrap().path()).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(3600)).unwrap();
    }
    let kept = Policy { grace: Duration::from_secs(7200), ..all_at_once() };
    assert_eq!(collect(&fixture.storage, &kept).unwrap().blobs, 0);
    assert_eq!(collect(&fixture.storage, &all_at_once()).unwrap().blobs, 1);
    assert!(!fixture.storage.has_blob(&name("a"), &blob).unwrap());
}

#[test]
fn what_somebody_adds_to_stays_when_a_repository_below_goes() {
    let fixture = fixture();
    let (storage, folder) = (&fixture.storage, fixture.storage.folder(&name("a/b")));
    let collected: fn(&Storage) = |storage| assert_eq!(collect(storage, &all_at_once()).unwrap().blobs, 1);
    let removed: fn(&Storage) = |storage| crate::admin::remove_repository(storage, &name("a/b/c")).unwrap();
    for go in [collected, removed] {
        fixture.push("a/b/c", b"content");
        let held = storage.hold(&name("a/b")).unwrap();
        go(storage);
        assert!(folder.is_dir() && !folder.join("c").exists());
        drop(held);
        fixture.push("a/b/c", b"content");
        go(storage);
        assert!(!storage.repositories_folder().join("a").exists());
    }
}

/// Pushes run while collection does, as hard as it can: a push that was acknowledged is whole, and one that lost a
/// blob to a collection without grace was told so and succeeds when it sends it again.
#[test]
fn pushes_and_collection_at_once() {
    let fixture = fixture();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let collector = scope.spawn(|| {
            let policy = Policy { untagged: true, ..all_at_once() };
            let mut rounds = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                collect(&fixture.storage, &policy).unwrap();
                rounds += 1;
            }
            rounds
        });
        let pushers: Vec<_> = (0..3)
            .map(|pusher| {
                let fixture = &fixture;
                scope.spawn(move || {
                    for round in 0..30 {
                        // Shared content, so that what one push mounts another one's collection would take.
                        let repository = ["r", "r/n", "s/n"][round % 3].to_owned();
                        let texts = [format!("shared {}", round % 5), format!("own {pusher} {round}")];
                        let digest = loop {
                            let layers: Vec<Digest> =
                                texts.iter().map(|text| fixture.push(&repository, text.as_bytes())).collect();
                            let layers: Vec<&Digest> = layers.iter().collect();
                            match fixture.put(
                                &repository,
                                &format!("p{pusher}"),
                                &fixture.manifest(&layers, None),
                            ) {
                                Ok(digest) => break digest,
                                Err(Error::ManifestBlobUnknown(_)) => continue,
                                Err(error) => panic!("{error}"),
                            }
                        };
                        let stored = fixture.storage.manifest(&name(&repository), &digest).unwrap();
                        for text in &texts {
                            let blob =
                                fixture.storage.open_blob(&name(&repository), &Digest::of(text)).unwrap();
                            fixture.storage.verify(&blob).unwrap();
                        }
                        assert_eq!(stored.digest, digest);
                    }
                })
            })
            .collect();
        // The collector must come to its end whatever became of the pushers.
        let pushed: Vec<_> = pushers.into_iter().map(|pusher| pusher.join()).collect();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        pushed.into_iter().for_each(|pushed| pushed.unwrap());
        assert!(collector.join().unwrap() > 0);
    });
}

#[test]
fn one_server_at_a_time() {
    let fixture = fixture();
    let alone = fixture.storage.serve_alone().unwrap();
    let other = Storage::open(fixture.storage.root()).unwrap();
    assert!(matches!(other.serve_alone(), Err(Error::InUse(_))));
    std::fs::write(fixture.storage.root().join("tmp/draft"), "half").unwrap();
    drop(alone);
    let _alone = other.serve_alone().unwrap();
    assert!(!fixture.storage.root().join("tmp/draft").exists());
}
