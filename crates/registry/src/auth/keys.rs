//! Public keys of a token service: PEM files and JWK sets, and what it takes to check a signature with them.

use aws_lc_rs::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use rustls::pki_types::pem::{PemObject, SectionKind};
use serde::Deserialize;

/// The most keys of a service: each is tried for tokens that don't say which one they are signed with.
const MOST: usize = 32;

/// One key.
pub(super) struct Key {
    /// Its name in a set.
    pub(super) id: Option<String>,
    form: Form,
}

enum Form {
    /// Subject public key information, DER.
    Info(Vec<u8>),
    Rsa {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
    /// A point of a curve: 4, x, y; of Edwards' curve: x.
    Point {
        curve: String,
        bytes: Vec<u8>,
    },
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// Reads all keys of a file.
pub(super) fn parse(text: &str) -> Result<Vec<Key>, String> {
    let keys = if text.trim_start().starts_with('{') { set(text)? } else { pem(text)? };
    match keys.len() {
        0 => Err("the file holds no public key".into()),
        n if n > MOST => Err(format!("more than {MOST} keys")),
        _ => Ok(keys),
    }
}

fn pem(text: &str) -> Result<Vec<Key>, String> {
    let mut keys = Vec::new();
    let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(text.as_bytes());
    for section in sections {
        let (kind, der) = section.map_err(|why| why.to_string())?;
        let info = match kind {
            SectionKind::PublicKey => der,
            SectionKind::Certificate => {
                let certificate = der.into();
                let certificate =
                    webpki::EndEntityCert::try_from(&certificate).map_err(|why| why.to_string())?;
                certificate.subject_public_key_info().to_vec()
            }
            other => return Err(format!("{other:?} is neither a public key nor a certificate")),
        };
        keys.push(Key { id: None, form: Form::Info(info) });
    }
    Ok(keys)
}

fn set(text: &str) -> Result<Vec<Key>, String> {
    let set: Set = serde_json::from_str(text).map_err(|why| why.to_string())?;
    set.keys.into_iter().map(jwk).collect()
}

fn jwk(key: Jwk) -> Result<Key, String> {
    let bytes = |text: Option<String>, what: &str| {
        let text = text.ok_or_else(|| format!("a key of type {} has no {what}", key.kty))?;
        BASE64.decode(text).map_err(|why| format!("{what} of a key: {why}"))
    };
    let form = match key.kty.as_str() {
        "RSA" => Form::Rsa { modulus: bytes(key.n, "n")?, exponent: bytes(key.e, "e")? },
        "EC" => {
            let mut point = vec![4];
            point.extend(bytes(key.x, "x")?);
            point.extend(bytes(key.y, "y")?);
            Form::Point { curve: key.crv.unwrap_or_default(), bytes: point }
        }
        "OKP" => Form::Point { curve: key.crv.unwrap_or_default(), bytes: bytes(key.x, "x")? },
        other => return Err(format!("keys of type {other:?} are not public keys that sign tokens")),
    };
    Ok(Key { id: key.kid, form })
}

impl Key {
    /// Whether `signature` of `message` is this key's, by the algorithm that a token names. There is no way to name
    /// none, or one with a shared secret.
    pub(super) fn verifies(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        let rsa = match algorithm {
            "RS256" => Some(&signature::RSA_PKCS1_2048_8192_SHA256),
            "RS384" => Some(&signature::RSA_PKCS1_2048_8192_SHA384),
            "RS512" => Some(&signature::RSA_PKCS1_2048_8192_SHA512),
            "PS256" => Some(&signature::RSA_PSS_2048_8192_SHA256),
            "PS384" => Some(&signature::RSA_PSS_2048_8192_SHA384),
            "PS512" => Some(&signature::RSA_PSS_2048_8192_SHA512),
            _ => None,
        };
        let other: Option<(&dyn signature::VerificationAlgorithm, &str)> = match algorithm {
            "ES256" => Some((&signature::ECDSA_P256_SHA256_FIXED, "P-256")),
            "ES384" => Some((&signature::ECDSA_P384_SHA384_FIXED, "P-384")),
            "ES512" => Some((&signature::ECDSA_P521_SHA512_FIXED, "P-521")),
            "EdDSA" => Some((&signature::ED25519, "Ed25519")),
            _ => None,
        };
        match (&self.form, rsa, other) {
            (Form::Rsa { modulus, exponent }, Some(rsa), _) => {
                RsaPublicKeyComponents { n: modulus, e: exponent }.verify(rsa, message, signature).is_ok()
            }
            (Form::Info(info), Some(rsa), _) => {
                UnparsedPublicKey::new(rsa, info).verify(message, signature).is_ok()
            }
            (Form::Info(info), None, Some((algorithm, _))) => {
                algorithm.verify_sig(info, message, signature).is_ok()
            }
            (Form::Point { curve, bytes }, None, Some((algorithm, of))) if curve == of => {
                algorithm.verify_sig(bytes, message, signature).is_ok()
            }
            _ => false,
        }
    }
}
