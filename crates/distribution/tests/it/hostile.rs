//! Documents made to hurt: each is refused, quickly, and leaves nothing.

use boxship_oci::descriptor::{OCI_INDEX, OCI_MANIFEST};
use boxship_oci::{Descriptor, Digest, Index};

use super::fake::Fake;
use super::house::{House, Image, archive};

#[tokio::test(flavor = "multi_thread")]
async fn hostile_manifests_are_refused() {
    let image = Image::new(&[archive("f", b"x")], true);
    let good = serde_json::to_value(&image.manifest).unwrap();
    let changed = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut value = good.clone();
        change(&mut value);
        value.to_string()
    };
    let many = vec![good["layers"][0].clone(); 501];
    let documents = [
        changed(&|m| m["padding"] = "x".repeat(5 << 20).into()),
        changed(&|m| m["layers"][0]["size"] = (-1).into()),
        changed(&|m| m["layers"][0]["size"] = u64::MAX.into()),
        changed(&|m| m["layers"][0]["size"] = 1e300.into()),
        changed(&|m| m["layers"][0]["digest"] = "sha256:../../../etc/passwd".into()),
        changed(&|m| m["layers"] = many.clone().into()),
        changed(&|m| m["layers"] = serde_json::json!([])),
        changed(&|m| m["layers"][0]["mediaType"] = "text/html".into()),
        changed(&|m| m["config"]["mediaType"] = "application/vnd.oci.empty.v1+json".into()),
        changed(&|m| m["config"]["size"] = (1u64 << 40).into()),
        changed(&|m| m["config"]["size"] = 1.into()),
        changed(&|m| m["schemaVersion"] = 3.into()),
        "[".repeat(100_000),
        "{\"a\":".repeat(100_000),
        String::new(),
        "null".into(),
        "\u{feff}{}".into(),
    ];
    for document in documents {
        let fake = Fake::start(|_, answer| answer).await;
        image.put(&fake, "app", "good");
        fake.put_manifest("app", "bad", OCI_MANIFEST, document.as_bytes());
        let house = House::new();
        let shown: String = document.chars().take(300).collect();
        let outcome = house.pull(&format!("{}/app:bad", fake.address)).await;
        assert!(outcome.is_err(), "{shown}");
        house.check_clean(true);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn indexes_without_end_are_refused() {
    let fake = Fake::start(|_, answer| answer).await;
    let mut inner = Descriptor::new(OCI_INDEX, Digest::of("none"), 1);
    for level in 0..8 {
        let bytes = serde_json::to_vec(&Index::oci(vec![inner])).unwrap();
        let digest = fake.put_manifest("app", &format!("level{level}"), OCI_INDEX, &bytes);
        inner = Descriptor::new(OCI_INDEX, digest, bytes.len() as u64);
    }
    let house = House::new();
    let error = house.pull(&format!("{}/app:level7", fake.address)).await.unwrap_err();
    assert!(error.to_string().contains("nested too deeply"), "{error}");
    assert!(fake.seen("manifests").len() < 7);
    house.check_clean(true);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_by_digest_is_what_the_digest_says() {
    let image = Image::new(&[archive("f", b"x")], true);
    let fake = Fake::start(|_, answer| answer).await;
    image.put(&fake, "app", "good");
    let wrong = Digest::of("something else");
    let bytes = serde_json::to_vec(&image.manifest).unwrap();
    fake.put(&format!("/v2/app/manifests/{wrong}"), OCI_MANIFEST, bytes);
    let house = House::new();
    let error = house.pull(&format!("{}/app@{wrong}", fake.address)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("manifest verification failed for digest {wrong}"));
    house.check_clean(true);
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_1_is_refused_in_dockers_words() {
    let fake = Fake::start(|_, answer| answer).await;
    let kind = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    fake.put_manifest("app", "old", kind, br#"{"schemaVersion":1,"fsLayers":[]}"#);
    let error = House::new().pull(&format!("{}/app:old", fake.address)).await.unwrap_err().to_string();
    assert!(error.contains("schema 1 support has been removed"), "{error}");
}
