//! Credentials go to whom they are for, and to nobody else.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use boxship_distribution::{Credentials, Kind};

use super::fake::{Answer, Fake};
use super::house::{House, Image, archive, noise};

fn alice() -> Credentials {
    Credentials::Password { user: "alice".into(), password: "s3cret".into() }
}

fn image() -> Image {
    Image::new(&[archive("f", &noise(100_000, 1)), archive("g", &noise(100_000, 2))], true)
}

/// A registry that wants tokens of a realm.
async fn guarded(realm: &'static str) -> Fake {
    Fake::start(move |_, _| {
        let challenge = format!("Bearer realm=\"{realm}\",service=\"test\"");
        Answer::of(401, "").header("www-authenticate", challenge)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_renewed_in_the_middle() {
    let image = image();
    let registry = self_guarded(2).await;
    image.put(&registry, "app", "latest");
    let house = House::new();
    house.pull_as(&format!("{}/app", registry.address), alice()).await.unwrap();
    let tokens = registry.seen("/token");
    assert!(tokens.len() >= 2, "{tokens:?}");
    assert!(tokens.iter().all(|seen| seen.path.contains("scope=repository%3Aapp%3Apull")));
    assert!(tokens.iter().all(|seen| seen.headers["authorization"].starts_with("Basic ")));
}

/// A registry that is its own realm; each token is good for a number of requests.
async fn self_guarded(uses: usize) -> Fake {
    let address: Arc<OnceLock<String>> = Arc::default();
    let (count, current, mine) = (AtomicUsize::new(0), AtomicUsize::new(0), address.clone());
    let fake = Fake::start(move |seen, answer| {
        if seen.path.starts_with("/token") {
            let number = current.fetch_add(1, Ordering::SeqCst) + 1;
            count.store(0, Ordering::SeqCst);
            return Answer::of(200, format!(r#"{{"token":"t{number}","expires_in":300}}"#));
        }
        let token = format!("Bearer t{}", current.load(Ordering::SeqCst));
        let shown = seen.headers.get("authorization") == Some(&token);
        if shown && count.fetch_add(1, Ordering::SeqCst) < uses {
            return answer;
        }
        let realm = format!("http://{}/token", mine.get().map_or("", String::as_str));
        Answer::of(401, "").header("www-authenticate", format!("Bearer realm=\"{realm}\",service=\"test\""))
    })
    .await;
    address.set(fake.address.to_string()).unwrap();
    fake
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_carry_no_credentials_to_another_host() {
    let image = image();
    let storage = Fake::start(|_, answer| answer).await;
    image.put(&storage, "app", "latest");
    let elsewhere = storage.address;
    let registry = Fake::start(move |seen, answer| {
        if !seen.headers.contains_key("authorization") {
            return Answer::of(401, "").header("www-authenticate", "Basic realm=\"x\"");
        }
        match seen.path.contains("/blobs/") {
            true => Answer::of(307, "").header("location", format!("http://{elsewhere}{}", seen.path)),
            false => answer,
        }
    })
    .await;
    image.put(&registry, "app", "latest");
    let house = House::new();
    house.pull_as(&format!("{}/app", registry.address), alice()).await.unwrap();
    let there = storage.seen("/blobs/");
    assert_eq!(there.len(), 3);
    assert!(there.iter().all(|seen| !seen.headers.contains_key("authorization")), "{there:?}");
    // Told with the question, as Docker puts it: of a tag it asks for the head first.
    let digest = format!("sha256:{}", "0".repeat(64));
    for (name, question) in [
        (format!("{}/app", registry.address), "Head \"URL/manifests/latest\"".to_owned()),
        (format!("{}/app@{digest}", registry.address), format!("Get \"URL/manifests/{digest}\"")),
    ] {
        let anonymous = House::new().pull(&name).await.unwrap_err();
        let question = question.replace("URL", &format!("http://{}/v2/app", registry.address));
        assert_eq!(anonymous.to_string(), format!("{question}: no basic auth credentials"));
        assert_eq!(anonymous.kind(), Kind::Unauthorized);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_realm_elsewhere_gets_no_credentials() {
    for realm in
        ["https://evil.test/token", "http://192.0.2.1/token", "file:///etc/passwd", "https://u:p@127.0.0.1/"]
    {
        let registry = guarded(realm).await;
        image().put(&registry, "app", "latest");
        let error = House::new().pull_as(&format!("{}/app", registry.address), alice()).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("realm") && !text.contains("s3cret"), "{text}");
    }
}
