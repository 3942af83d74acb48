//! Connections that break, servers that stall, answer wrongly or are overloaded: a pull goes on, or leaves nothing.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use boxship_distribution::{Error, Events, Pull};
use boxship_oci::descriptor::OCI_MANIFEST;
use boxship_oci::reference::Reference;

use super::fake::{Answer, Fake};
use super::house::{House, Image, archive, noise};

fn is_layer(path: &str, image: &Image) -> bool {
    image.manifest.layers.iter().any(|layer| path.ends_with(&layer.digest.to_string()))
}

fn three_layers() -> Image {
    let archives: Vec<Vec<u8>> =
        (0..3).map(|n| archive(&format!("dir{n}/file"), &noise(700_000 + n, n as u64 + 1))).collect();
    Image::new(&archives, true)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_pulled_and_then_up_to_date() {
    let fake = Fake::start(|_, answer| answer).await;
    let image = three_layers();
    let digest = image.put(&fake, "some/app", "v1");
    let house = House::new();
    let name = format!("{}/some/app:v1", fake.address);
    let (pulled, told) = house.pull(&name).await.unwrap();
    assert_eq!(pulled[0].digest, digest);
    assert!(pulled[0].changed);
    assert_eq!(house.file(&pulled[0], "dir2/file"), noise(700_002, 3));
    let statuses: Vec<&str> = told.iter().map(|event| event.status.as_str()).collect();
    for status in [
        "Pulling from some/app",
        "Pulling fs layer",
        "Verifying Checksum",
        "Download complete",
        "Pull complete",
    ] {
        assert!(statuses.contains(&status), "{status}: {statuses:?}");
    }
    assert_eq!(statuses[statuses.len() - 2], format!("Digest: {digest}"));
    assert_eq!(statuses[statuses.len() - 1], format!("Status: Downloaded newer image for {name}"));
    let (again, told) = house.pull(&name).await.unwrap();
    assert!(!again[0].changed);
    assert_eq!(told.last().unwrap().status, format!("Status: Image is up to date for {name}"));
    assert!(!told.iter().any(|event| event.status == "Already exists"), "no layers of an image that is here");
    let record = house.store.images().get(&pulled[0].id).unwrap();
    assert_eq!(record.repo_digests.len(), 1);
    assert_eq!(house.store.usage().unwrap().partial, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_connections_are_gone_on_with_and_nothing_is_fetched_twice() {
    let image = Arc::new(three_layers());
    let spoiled = image.clone();
    let fake = Fake::start(move |seen, answer| {
        if !is_layer(&seen.path, &spoiled) || seen.nth >= 6 {
            return answer;
        }
        // Anywhere, also in the middle of nothing.
        let at = (seen.nth * 7919 + seen.path.len() * 31 + 1) * 13 % answer.body.len().max(1);
        Answer { cut: Some(at), ..answer }
    })
    .await;
    image.put(&fake, "app", "latest");
    let house = House::new();
    let (pulled, _) = house.pull(&format!("{}/app", fake.address)).await.unwrap();
    assert_eq!(house.file(&pulled[0], "dir0/file"), noise(700_000, 1));
    let whole: usize = image.layers.iter().map(Vec::len).sum::<usize>() + image.config.len();
    assert_eq!(fake.served(), whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_and_slow_servers() {
    let image = Arc::new(three_layers());
    let spoiled = image.clone();
    let fake = Fake::start(move |seen, answer| match is_layer(&seen.path, &spoiled) {
        true if seen.nth == 0 => Answer { stall: Some(100_000), ..answer },
        true => Answer { slow: Some((100_000, Duration::from_millis(10))), ..answer },
        false => answer,
    })
    .await;
    image.put(&fake, "app", "latest");
    let mut settings = super::house::settings();
    settings.timeouts.stall = Duration::from_secs(5);
    let house = House::with(settings);
    house.pull(&format!("{}/app", fake.address)).await.unwrap();
    let whole: usize = image.layers.iter().map(Vec::len).sum::<usize>() + image.config.len();
    assert_eq!(fake.served(), whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn overload_is_waited_for_and_has_an_end() {
    let image = Arc::new(three_layers());
    let spoiled = image.clone();
    let fake = Fake::start(move |seen, answer| match seen.nth {
        0 if seen.path.contains("manifests") => Answer::of(429, "").header("retry-after", "0"),
        0 | 1 if is_layer(&seen.path, &spoiled) => Answer::of(503, "busy").header("retry-after", "0"),
        _ => answer,
    })
    .await;
    image.put(&fake, "app", "latest");
    House::new().pull(&format!("{}/app", fake.address)).await.unwrap();

    let broken = Arc::new(three_layers());
    let spoiled = broken.clone();
    let fake = Fake::start(move |seen, answer| {
        match seen.path.ends_with(&spoiled.manifest.layers[1].digest.to_string()) {
            true => Answer::of(500, ""),
            false => answer,
        }
    })
    .await;
    broken.put(&fake, "app", "latest");
    let house = House::new();
    let error = house.pull(&format!("{}/app", fake.address)).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&broken.manifest.layers[1].digest.to_string()) && text.contains("500"), "{text}");
    drop(error);
    house.check_clean(true);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_bytes_leave_nothing() {
    let flip = |answer: Answer| {
        let mut body = answer.body.clone();
        if let Some(byte) = body.last_mut() {
            *byte ^= 1;
        }
        Answer { body, ..answer }
    };
    for compress in [true, false] {
        let image = Arc::new(Image::new(&[archive("f", &noise(300_000, 9))], compress));
        let spoiled = image.clone();
        let fake = Fake::start(move |seen, answer| match is_layer(&seen.path, &spoiled) {
            true => flip(answer),
            false => answer,
        })
        .await;
        image.put(&fake, "app", "latest");
        let house = House::new();
        let error = house.pull(&format!("{}/app", fake.address)).await.unwrap_err().to_string();
        assert!(error.contains("verification failed"), "{error}");
        house.check_clean(true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_sizes_truncated_archives_and_wrong_diff_ids_leave_nothing() {
    let good = || Image::new(&[archive("f", &noise(300_000, 9))], true);
    let mut longer = good();
    longer.manifest.layers[0].size += 1;
    let mut shorter = good();
    shorter.manifest.layers[0].size -= 1;
    let mut truncated = good();
    let layer = truncated.layers[0].clone();
    truncated.layers[0] = layer[..layer.len() - 9].to_vec();
    truncated.manifest.layers[0].digest = boxship_oci::Digest::of(&truncated.layers[0]);
    truncated.manifest.layers[0].size = truncated.layers[0].len() as u64;
    let mut other = good();
    other.layers[0] = super::house::gzip(&archive("f", b"something else"));
    other.manifest.layers[0].digest = boxship_oci::Digest::of(&other.layers[0]);
    other.manifest.layers[0].size = other.layers[0].len() as u64;
    for image in [longer, shorter, truncated, other] {
        let fake = Fake::start(|_, answer| answer).await;
        image.put(&fake, "app", "latest");
        let house = House::new();
        house.pull(&format!("{}/app", fake.address)).await.unwrap_err();
        house.check_clean(true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tag_that_moves_meanwhile_changes_nothing() {
    let (first, second) = (three_layers(), Image::new(&[archive("new", b"new")], true));
    let moved: Arc<OnceLock<Fake>> = Arc::default();
    let (fake, bytes) = (moved.clone(), serde_json::to_vec(&second.manifest).unwrap());
    let registry = Fake::start(move |seen, answer| {
        // The answer is that of before; whoever asks again gets another.
        if seen.path.ends_with("manifests/latest") {
            fake.get().unwrap().put_manifest("app", "latest", OCI_MANIFEST, &bytes);
        }
        answer
    })
    .await;
    moved.set(registry.clone()).ok().unwrap();
    let digest = first.put(&registry, "app", "latest");
    let house = House::new();
    let (pulled, _) = house.pull(&format!("{}/app", registry.address)).await.unwrap();
    assert_eq!(pulled[0].digest, digest);
    assert_eq!(house.file(&pulled[0], "dir0/file"), noise(700_000, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_interrupted_goes_on_where_it_was() {
    let size = 3_000_000;
    let image = Arc::new(Image::new(&[archive("f", &noise(size, 4))], false));
    let spoiled = image.clone();
    let fake = Fake::start(move |seen, answer| match is_layer(&seen.path, &spoiled) && seen.nth == 0 {
        true => Answer { stall: Some(size / 2), ..answer },
        false => answer,
    })
    .await;
    image.put(&fake, "app", "latest");
    let mut settings = super::house::settings();
    settings.timeouts.stall = Duration::from_secs(600);
    let house = House::with(settings);
    let reference = Reference::parse(&format!("{}/app:latest", fake.address)).unwrap();
    let pull = Pull { reference: reference.clone(), platform: None, credentials: Default::default() };
    let (sender, _receiver) = tokio::sync::mpsc::channel(1000);
    let events = Events::new(sender);
    let half = async {
        while house.store.usage().unwrap().partial < size as u64 / 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        outcome = house.client.pull(&pull, &events) => panic!("{outcome:?}"),
        () = half => {}
    }
    let before = fake.served();
    let house = house.reopened();
    house.check_clean(false);
    let (pulled, _) = house.pull(&reference.canonical()).await.unwrap();
    assert_eq!(house.file(&pulled[0], "f"), noise(size, 4));
    let again = before + fake.served() - image.layers[0].len();
    // The configuration, and a page or two of what was being written.
    assert!(again < size / 100, "{again} bytes were fetched again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_partial_blob_is_fetched_anew() {
    let image = Image::new(&[archive("f", &noise(500_000, 4))], true);
    let fake = Fake::start(|_, answer| answer).await;
    image.put(&fake, "app", "latest");
    let house = House::new();
    {
        let lease = house.store.lease();
        let layer = &image.manifest.layers[0];
        let partial = house.store.partial(&layer.digest, layer.size, &lease).unwrap();
        partial.append(0, &[7; 100_000]).unwrap();
    }
    let (pulled, _) = house.pull(&format!("{}/app", fake.address)).await.unwrap();
    assert_eq!(house.file(&pulled[0], "f"), noise(500_000, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn pulls_of_the_same_layer_share_one_download() {
    let image = Arc::new(three_layers());
    let spoiled = image.clone();
    let fake = Fake::start(move |seen, answer| match is_layer(&seen.path, &spoiled) {
        true => Answer { slow: Some((100_000, Duration::from_millis(20))), ..answer },
        false => answer,
    })
    .await;
    image.put(&fake, "app", "a");
    image.put(&fake, "app", "b");
    let house = House::new();
    let (a, b) = (format!("{}/app:a", fake.address), format!("{}/app:b", fake.address));
    let (first, second) = tokio::join!(house.pull(&a), house.pull(&b));
    assert_eq!(first.unwrap().0[0].id, second.unwrap().0[0].id);
    for layer in &image.manifest.layers {
        assert_eq!(fake.seen(&layer.digest.to_string()).len(), 1);
    }
    assert_eq!(house.store.images().list().unwrap()[0].names.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_layers_come_in_ranges() {
    let size = 80 << 20;
    let image = Image::new(&[archive("f", &noise(size, 5))], false);
    let fake = Fake::start(|seen, answer| match answer.body.len() > (1 << 20) && seen.nth == 2 {
        true => Answer { cut: Some(1 << 20), ..answer },
        false => answer,
    })
    .await;
    image.put(&fake, "app", "latest");
    let house = House::new();
    let (pulled, _) = house.pull(&format!("{}/app", fake.address)).await.unwrap();
    assert!(house.file(&pulled[0], "f") == noise(size, 5));
    assert!(fake.seen(&image.manifest.layers[0].digest.to_string()).len() >= 6);
    // A server that does no ranges sends everything at once.
    let whole = image.layers[0].clone();
    let path = image.manifest.layers[0].digest.to_string();
    let fake = Fake::start(move |seen, answer| match seen.path.ends_with(&path) {
        true => Answer::of(200, whole.clone()),
        false => answer,
    })
    .await;
    image.put(&fake, "app", "latest");
    let house = House::new();
    house.pull(&format!("{}/app", fake.address)).await.unwrap();
    assert_eq!(fake.seen(&image.manifest.layers[0].digest.to_string()).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mirror_that_fails_is_passed_over() {
    let image = three_layers();
    let fake = Fake::start(|_, answer| answer).await;
    let mirror = Fake::start(|_, answer| answer).await;
    let digest = image.put(&fake, "app", "latest");
    // The mirror knows the manifest and nothing else.
    let bytes = serde_json::to_vec(&image.manifest).unwrap();
    mirror.put_manifest("app", "latest", OCI_MANIFEST, &bytes);
    mirror.put_blob("app", &image.config);
    let mut settings = super::house::settings();
    let folder = tempfile::tempdir().unwrap();
    let host = folder.path().join(fake.address.to_string());
    std::fs::create_dir(&host).unwrap();
    let text = format!("[host.\"http://{}\"]\n", mirror.address);
    std::fs::write(host.join("hosts.toml"), text).unwrap();
    settings.hosts.folders = vec![folder.path().to_owned()];
    let house = House::with(settings);
    let (pulled, _) = house.pull(&format!("{}/app", fake.address)).await.unwrap();
    assert_eq!(pulled[0].digest, digest);
    assert!(!mirror.seen("manifests").is_empty());
    assert!(mirror.seen("ns=").len() > 1, "a mirror is told whom it stands for");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_for_what_is_not_there() {
    let fake = Fake::start(|_, answer| answer).await;
    let house = House::new();
    let name = format!("{}/app:none", fake.address);
    let error = house.pull(&name).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("manifest for {name} not found: manifest unknown: manifest unknown")
    );
    let nobody = house.pull("127.0.0.1:1/app").await.unwrap_err();
    assert!(matches!(nobody, Error::Request { .. }));
    let text = "Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused";
    assert_eq!(nobody.to_string(), text);
    house.check_clean(true);
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_side_by_side_see_those_below() {
    let mut below = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_size(0);
    header.set_mode(0o710);
    header.set_uid(33);
    header.set_cksum();
    below.append_data(&mut header, "deep", &[][..]).unwrap();
    let mut root = header.clone();
    root.set_mode(0o751);
    root.set_cksum();
    below.append_data(&mut root, "./", &[][..]).unwrap();
    let below = below.into_inner().unwrap();
    let mut archives = vec![below];
    archives.extend((0..6).map(|n| archive(&format!("deep/{n}"), &noise(1000, n + 1))));
    let image = Arc::new(Image::new(&archives, true));
    let spoiled = image.clone();
    // The lowest layer comes last.
    let fake = Fake::start(move |seen, answer| {
        match seen.path.ends_with(&spoiled.manifest.layers[0].digest.to_string()) {
            true => Answer { slow: Some((20, Duration::from_millis(20))), ..answer },
            false => answer,
        }
    })
    .await;
    image.put(&fake, "app", "latest");
    let house = House::new();
    let (pulled, _) = house.pull(&format!("{}/app", fake.address)).await.unwrap();
    let record = house.store.images().get(&pulled[0].id).unwrap();
    for layer in house.store.layers().chain(record.top().unwrap()).unwrap() {
        use std::os::unix::fs::MetadataExt;
        let folder = std::fs::metadata(layer.path.join("deep")).unwrap();
        assert_eq!((folder.mode() & 0o7777, folder.uid()), (0o710, 33));
        assert_eq!(std::fs::metadata(&layer.path).unwrap().mode() & 0o7777, 0o751);
    }
}
