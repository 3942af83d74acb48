//! Tests of who may do what.

use super::*;

fn parts(authorization: Option<&str>) -> Parts {
    let mut request = http::Request::builder().uri("/v2/").header("host", "registry.test:5000");
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    request.body(()).unwrap().into_parts().0
}

fn basic_header(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

fn challenge(failure: Failure) -> String {
    let reply = failure.reply().0;
    let header = reply.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
    header.unwrap_or_else(|| reply.status().as_u16().to_string())
}

fn folder_with(users: &[(&str, &str)], rights: &str) -> (tempfile::TempDir, AccessConfig) {
    let folder = tempfile::tempdir().unwrap();
    let lines: String =
        users.iter().map(|(name, word)| format!("{name}:{}\n", bcrypt::hash(word, 4).unwrap())).collect();
    std::fs::write(folder.path().join("htpasswd"), lines).unwrap();
    std::fs::write(folder.path().join("rights"), rights).unwrap();
    let config = AccessConfig {
        htpasswd: Some(folder.path().join("htpasswd")),
        rights: (!rights.is_empty()).then(|| folder.path().join("rights")),
        ..AccessConfig::default()
    };
    (folder, config)
}

#[tokio::test]
async fn open_unless_something_is_said() {
    let access = Access::new(&AccessConfig::default(), false).unwrap();
    let caller = access.identify(&parts(None)).await.unwrap();
    let repository = "a/b".parse().unwrap();
    for action in [Action::Pull, Action::Push, Action::Delete] {
        access.require(&caller, &parts(None), Some((&repository, action))).unwrap();
    }
    access.require(&caller, &parts(None), None).unwrap();
    let config = AccessConfig { anonymous: Some(Anonymous::Pull), ..AccessConfig::default() };
    let access = Access::new(&config, false).unwrap();
    let caller = access.identify(&parts(None)).await.unwrap();
    let refused = access.require(&caller, &parts(None), Some((&repository, Action::Push))).unwrap_err();
    assert_eq!(refused.status(), 403);
}

#[tokio::test]
async fn passwords_and_rights() {
    let rights = "anonymous public/* pull\nalice ** *\nbob bob/** pull,push\n";
    let (_folder, config) = folder_with(&[("alice", "a"), ("bob", "b")], rights);
    let access = Access::new(&config, true).unwrap();
    let nobody = access.identify(&parts(None)).await.unwrap();
    let told = challenge(access.require(&nobody, &parts(None), None).unwrap_err());
    assert_eq!(told, "Bearer realm=\"https://registry.test:5000/v2/_token\",service=\"boxship\"");
    let public: RepositoryName = "public/x".parse().unwrap();
    let bobs: RepositoryName = "bob/x".parse().unwrap();
    access.require(&nobody, &parts(None), Some((&public, Action::Pull))).unwrap();
    let told = challenge(access.require(&nobody, &parts(None), Some((&bobs, Action::Pull))).unwrap_err());
    assert!(told.ends_with(",scope=\"repository:bob/x:pull\""), "{told}");

    let wrong = parts(Some(&basic_header("bob", "a")));
    assert_eq!(access.identify(&wrong).await.err().unwrap().status(), 401);
    let bob = access.identify(&parts(Some(&basic_header("bob", "b")))).await.unwrap();
    access.require(&bob, &parts(None), Some((&bobs, Action::Push))).unwrap();
    access.require(&bob, &parts(None), Some((&public, Action::Pull))).unwrap();
    let refused = access.require(&bob, &parts(None), Some((&bobs, Action::Delete))).unwrap_err();
    assert_eq!(refused.status(), 403);

    // The same with a token that was fetched with the password.
    let answer = access.issue(&bob, &parts(None)).unwrap();
    let bearer = format!("Bearer {}", answer["token"].as_str().unwrap());
    let bob = access.identify(&parts(Some(&bearer))).await.unwrap();
    access.require(&bob, &parts(None), Some((&bobs, Action::Push))).unwrap();
    access.require(&bob, &parts(None), None).unwrap();
    let forged = bearer.replace("Bearer e", "Bearer f");
    assert!(challenge(access.identify(&parts(Some(&forged))).await.err().unwrap()).contains("invalid_token"));
}

#[tokio::test]
async fn basic_is_asked_for_where_everybody_needs_a_name() {
    let (_folder, config) = folder_with(&[("alice", "a")], "");
    let access = Access::new(&config, false).unwrap();
    let nobody = access.identify(&parts(None)).await.unwrap();
    let told = challenge(access.require(&nobody, &parts(None), None).unwrap_err());
    assert_eq!(told, "Basic realm=\"boxship\"");
    let alice = access.identify(&parts(Some(&basic_header("alice", "a")))).await.unwrap();
    assert!(alice.may_everywhere(Action::Delete));
}

/// A service's key, and tokens that it signs.
struct Service {
    pair: aws_lc_rs::signature::EcdsaKeyPair,
}

impl Service {
    fn new() -> Self {
        use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
        Self { pair: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap() }
    }

    fn jwks(&self) -> String {
        use aws_lc_rs::signature::KeyPair;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
        let point = self.pair.public_key().as_ref();
        let (x, y) = (BASE64.encode(&point[1..33]), BASE64.encode(&point[33..]));
        format!(r#"{{"keys":[{{"kty":"EC","kid":"k1","crv":"P-256","x":"{x}","y":"{y}"}}]}}"#)
    }

    fn token(&self, header: &str, claims: &Value) -> String {
        use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
        let signed = format!("{}.{}", BASE64.encode(header), BASE64.encode(claims.to_string()));
        let signature = self.pair.sign(&aws_lc_rs::rand::SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", BASE64.encode(signature.as_ref()))
    }
}

#[tokio::test]
async fn tokens_of_another_service() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::new();
    let keys = folder.path().join("keys.json");
    std::fs::write(&keys, service.jwks()).unwrap();
    let config = AccessConfig {
        token_keys: Some(keys),
        token_realm: Some("https://auth.test/token".into()),
        token_service: Some("registry.test".into()),
        token_issuer: Some("auth.test".into()),
        ..AccessConfig::default()
    };
    let access = Access::new(&config, false).unwrap();
    let (repository, other): (RepositoryName, RepositoryName) =
        ("a/b".parse().unwrap(), "a/c".parse().unwrap());
    let now = issue::now();
    let good = serde_json::json!({
        "iss": "auth.test", "sub": "alice", "aud": "registry.test", "exp": now + 300, "nbf": now,
        "access": [{"type": "repository", "name": "a/b", "actions": ["pull", "push"]}],
    });
    let header = r#"{"alg":"ES256","kid":"k1"}"#;
    let bearer = |token: String| parts(Some(&format!("Bearer {token}")));
    let alice = access.identify(&bearer(service.token(header, &good))).await.unwrap();
    access.require(&alice, &parts(None), Some((&repository, Action::Push))).unwrap();
    let told = challenge(access.require(&alice, &parts(None), Some((&other, Action::Pull))).unwrap_err());
    let expect = "Bearer realm=\"https://auth.test/token\",service=\"registry.test\",\
                  scope=\"repository:a/c:pull\",error=\"insufficient_scope\"";
    assert_eq!(told, expect);
    assert!(access.require_catalog(&alice, &parts(None)).is_err());
    assert!(!alice.may_everywhere(Action::Pull));

    let with = |key: &str, value: Value| {
        let mut claims = good.clone();
        claims[key] = value;
        claims
    };
    let stranger = Service::new();
    for (why, token) in [
        ("expired", service.token(header, &with("exp", (now - 100).into()))),
        ("not yet", service.token(header, &with("nbf", (now + 1000).into()))),
        ("service", service.token(header, &with("aud", "other".into()))),
        ("issuer", service.token(header, &with("iss", "other".into()))),
        ("key", stranger.token(header, &good)),
        ("none", format!("{}.", service.token(r#"{"alg":"none"}"#, &good).rsplit_once('.').unwrap().0)),
        ("algorithm", service.token(r#"{"alg":"HS256"}"#, &good)),
        ("nonsense", "a.b.c".into()),
        ("long", "a".repeat(100_000)),
    ] {
        assert_eq!(
            access.identify(&bearer(token)).await.err().map(|f| f.status().as_u16()),
            Some(401),
            "{why}"
        );
    }
    // An unknown name of a key is no obstacle, an audience of several services neither.
    let several = with("aud", serde_json::json!(["x", "registry.test"]));
    access.identify(&bearer(service.token(r#"{"alg":"ES256","kid":"ABCD:EFGH"}"#, &several))).await.unwrap();
}

#[test]
fn settings_that_contradict() {
    let (folder, config) = folder_with(&[("a", "a")], "a ** *");
    let keys = Some(folder.path().join("keys"));
    for config in [
        AccessConfig { token_realm: Some("https://x".into()), ..AccessConfig::default() },
        AccessConfig { token_keys: keys.clone(), ..AccessConfig::default() },
        AccessConfig { anonymous: Some(Anonymous::Pull), ..config.clone() },
        AccessConfig { htpasswd: Some("/nowhere".into()), ..AccessConfig::default() },
    ] {
        assert!(Access::new(&config, false).is_err(), "{config:?}");
    }
}
