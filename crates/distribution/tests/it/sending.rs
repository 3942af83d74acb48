//! Pushes: what the tests of both registries share, and uploads that break.

use boxship_distribution::{Credentials, Event, Events, Push};
use boxship_oci::reference::Reference;

use super::fake::{Answer, Fake, Seen};
use super::house::{House, Image, archive, noise};

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
