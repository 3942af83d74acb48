//! Pushes: what the tests of both registries share, and uploads that break.

use std::io::Read;

use boxship_distribution::{Credentials, Event, Events, Push};
use boxship_oci::reference::Reference;
use boxship_oci::{Descriptor, Manifest};
use boxship_store::{Expected, ImageLayer, NewImage};

use super::fake::{Answer, Fake, Seen};
use super::house::{House, Image, archive, noise, settings};

/// A house with an image that came from a registry.
pub async fn with_image(house: &House, image: &Image) -> Reference {
    let fake = Fake::start(|_, answer| answer).await;
    image.put(&fake, "app", "v1");
    let name = format!("{}/app:v1", fake.address);
    house.pull(&name).await.unwrap();
    Reference::parse(&name).unwrap()
}

pub async fn push(house: &House, name: &str, credentials: Credentials) -> Result<Vec<Event>, String> {
    let push = Push { reference: Reference::parse(name).unwrap(), credentials };
    let (sender, mut receiver) = tokio::sync::mpsc::channel(10_000);
    let outcome = house.client.push(&push, &Events::new(sender)).await;
    let mut told = Vec::new();
    while let Some(event) = receiver.recv().await {
        told.push(event);
    }
    outcome.map(|_| told).map_err(|error| error.to_string())
}

pub fn tag(house: &House, from: &Reference, to: &str) {
    let id = house.store.images().by_name(from).unwrap().unwrap();
    house.store.images().tag(&id, &Reference::parse(to).unwrap()).unwrap();
}

pub fn statuses(told: &[Event]) -> Vec<&str> {
    told.iter().map(|event| event.status.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_uploads_are_gone_on_with() {
    let house = House::new();
    let image = Image::new(&[archive("f", &noise(6_000_000, 3))], false);
    let from = with_image(&house, &image).await;
    let target =
        Fake::start(|seen, answer| match seen.path.starts_with("/v2/app/manifests") && seen.nth == 0 {
            true => Answer::of(503, "").header("retry-after", "0"),
            false => answer,
        })
        .await;
    target.break_uploads(vec![2_000_000, 0, 1_500_000]);
    let name = format!("{}/app:v1", target.address);
    tag(&house, &from, &name);
    let told = push(&house, &name, Credentials::Anonymous).await.unwrap();
    assert!(statuses(&told).contains(&"Pushed"), "{told:?}");
    let layer = &image.manifest.layers[0].digest;
    assert!(target.document(&format!("/v2/app/blobs/{layer}")).unwrap() == image.layers[0]);
    let manifest = target.document("/v2/app/manifests/v1").unwrap();
    assert_eq!(manifest, serde_json::to_vec(&image.manifest).unwrap());
    let ranges: Vec<Seen> = target.seen("/uploads/1");
    let last = ranges.iter().rev().find_map(|seen| seen.headers.get("content-range")).unwrap();
    assert_eq!(*last, format!("3500000-{}", image.layers[0].len() - 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn pushes_that_are_refused() {
    let house = House::new();
    let from = with_image(&house, &Image::new(&[archive("f", b"x")], true)).await;
    let target = Fake::start(|seen, answer| match seen.method.as_str() {
        "POST" => Answer::of(
            403,
            r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#,
        ),
        _ => answer,
    })
    .await;
    let name = format!("{}/app:v1", target.address);
    tag(&house, &from, &name);
    let refused = push(&house, &name, Credentials::Anonymous).await.unwrap_err();
    assert_eq!(refused, "denied: requested access to the resource is denied");
    let other = format!("{}/app:v2", target.address);
    assert_eq!(
        push(&house, &other, Credentials::Anonymous).await.unwrap_err(),
        format!("tag does not exist: {other}")
    );
    let none = format!("{}/none", target.address);
    let words = format!("An image does not exist locally with the tag: {none}");
    assert_eq!(push(&house, &format!("{none}:x"), Credentials::Anonymous).await.unwrap_err(), words);
    assert!(target.document("/v2/app/manifests/v1").is_none());
}

/// An image of one plain layer, as `import` makes it.
pub fn make(house: &House, plain: &[u8], name: &str) {
    let store = &house.store;
    let lease = store.lease();
    let blob = store.content().put(plain, &lease).unwrap();
    let expected = Expected { diff_id: None, verified: Some(&blob) };
    let unpacked =
        store.layers().unpack(&mut &plain[..], &[], expected, &Default::default(), &lease).unwrap();
    let image = Image::new(&[plain.to_vec()], false);
    let manifest = serde_json::to_vec(&image.manifest).unwrap();
    let new = NewImage {
        id: store.content().put(&image.config, &lease).unwrap(),
        manifest: store.content().put(&manifest, &lease).unwrap(),
        layers: vec![ImageLayer {
            diff_id: blob.clone(),
            chain_id: unpacked.layer().chain_id.clone(),
            blob,
            blob_size: plain.len() as u64,
            media_type: boxship_oci::descriptor::OCI_LAYER.into(),
        }],
        parent: None,
        names: vec![Reference::parse(name).unwrap()],
        repo_digests: Vec::new(),
    };
    store.images().create(&[new], vec![unpacked]).unwrap();
}

/// The compressed form that the registry has of the one layer of an image.
fn form(target: &Fake, path: &str) -> (Descriptor, Vec<u8>) {
    let manifest: Manifest =
        serde_json::from_slice(&target.document(&format!("/v2/{path}/manifests/v1")).unwrap()).unwrap();
    let layer = manifest.layers[0].clone();
    let blob = target.document(&format!("/v2/{path}/blobs/{}", layer.digest)).unwrap();
    assert_eq!(layer.size, blob.len() as u64);
    (layer, blob)
}

/// A house that waits for a machine that is busy.
fn patient() -> House {
    let mut settings = settings();
    settings.timeouts.head = std::time::Duration::from_secs(60);
    House::with(settings)
}

/// Noise and what compresses well: the two are not the same way through.
fn mixed() -> Vec<u8> {
    let mut bytes = noise(4_000_000, 5);
    bytes.resize(7_000_000, 7);
    archive("f", &bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_are_compressed_while_they_are_sent() {
    let target = Fake::start(|_, answer| answer).await;
    let (house, plain) = (patient(), mixed());
    let name = format!("{}/app:v1", target.address);
    make(&house, &plain, &name);
    let told = push(&house, &name, Credentials::Anonymous).await.unwrap();
    let (layer, blob) = form(&target, "app");
    let mut unpacked = Vec::new();
    flate2::read::MultiGzDecoder::new(&blob[..]).read_to_end(&mut unpacked).unwrap();
    assert!(unpacked == plain);
    let patches: Vec<Seen> = target.seen("/uploads/1").into_iter().filter(|s| s.method == "PATCH").collect();
    assert_eq!((patches.len(), patches[0].headers["transfer-encoding"].as_str()), (1, "chunked"));
    let progress: Vec<(u64, u64)> = told.iter().filter_map(|event| event.progress).collect();
    assert!(progress.is_sorted() && progress.iter().all(|(_, of)| *of == plain.len() as u64), "{progress:?}");
    assert_eq!(progress.last().unwrap().0, plain.len() as u64);
    // What was sent once is asked for.
    let told = push(&house, &name, Credentials::Anonymous).await.unwrap();
    assert!(statuses(&told).contains(&"Layer already exists"), "{told:?}");
    std::fs::remove_file(house.store.paths().blob(&layer.digest)).unwrap();
    let other = Fake::start(|_, answer| answer).await;
    let name = format!("{}/app:v1", other.address);
    tag(&house, &Reference::parse(&format!("{}/app:v1", target.address)).unwrap(), &name);
    push(&house, &name, Credentials::Anonymous).await.unwrap();
    assert!(form(&other, "app").1 == blob, "compressed again, it is the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_while_it_is_compressed_is_gone_on_with() {
    let target = Fake::start(|_, answer| answer).await;
    target.break_uploads(vec![900_000, 1_000_000]);
    let (house, plain) = (patient(), mixed());
    let name = format!("{}/app:v1", target.address);
    make(&house, &plain, &name);
    push(&house, &name, Credentials::Anonymous).await.unwrap();
    let (layer, _) = form(&target, "app");
    let seen = target.seen("/uploads/1");
    let ranges: Vec<&str> =
        seen.iter().filter_map(|seen| seen.headers.get("content-range")).map(String::as_str).collect();
    assert_eq!(ranges, [format!("1900000-{}", layer.size - 1)], "the first of them was cut off: {seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wants_lengths_gets_them() {
    let target = Fake::start(|seen, answer| match seen.headers.contains_key("transfer-encoding") {
        true => Answer::of(411, ""),
        false if seen.method == "GET" && seen.path.contains("/uploads/") => Answer::of(404, ""),
        false => answer,
    })
    .await;
    let house = patient();
    let name = format!("{}/app:v1", target.address);
    make(&house, &mixed(), &name);
    push(&house, &name, Credentials::Anonymous).await.unwrap();
    let (layer, _) = form(&target, "app");
    let size = layer.size.to_string();
    let seen = target.seen("/uploads/1");
    let whole = |seen: &Seen| seen.headers.get("content-length") == Some(&size);
    assert!(seen.iter().any(whole), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_tried_again_where_it_is_denied() {
    let target = Fake::start(|seen, answer| match seen.method.as_str() {
        "PATCH" => Answer::of(403, ""),
        _ => answer,
    })
    .await;
    let house = patient();
    let name = format!("{}/app:v1", target.address);
    make(&house, &mixed(), &name);
    let refused = push(&house, &name, Credentials::Anonymous).await.unwrap_err();
    assert_eq!(refused, "denied: requested access to the resource is denied");
    assert_eq!(target.seen("/uploads/1").len(), 1);
}
