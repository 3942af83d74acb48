//! What a registry reads in a manifest: its media type, the content it names, its subject. Anything else is the
//! client's business and is kept byte for byte. Pure.

use std::collections::BTreeMap;

use boxship_oci::Digest;
use boxship_oci::descriptor::{DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The most descriptors of one manifest: each costs a look at the disk.
const MOST_REFERENCES: usize = 10_000;

/// The longest media type or artifact type (RFC 6838: two names of 127 characters).
const LONGEST_TYPE: usize = 255;

/// What a manifest says to a registry.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) media_type: String,
    /// Configuration and layers; those that live elsewhere left out.
    pub(crate) blobs: Vec<Digest>,
    /// The manifests of an index.
    pub(crate) children: Vec<Digest>,
    pub(crate) subject: Option<Digest>,
    artifact_type: Option<String>,
    annotations: Option<BTreeMap<String, String>>,
}

/// A manifest as the referrers API lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Referrer {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: Option<u64>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Item>,
    layers: Option<Vec<Item>>,
    blobs: Option<Vec<Item>>,
    manifests: Option<Vec<Item>>,
    subject: Option<Item>,
    annotations: Option<BTreeMap<String, String>>,
    /// Only Docker's schema 1, which is not served, has it.
    #[serde(rename = "fsLayers")]
    fs_layers: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    #[serde(default)]
    media_type: String,
    digest: Digest,
    /// Read so that what is no size is refused.
    #[serde(rename = "size")]
    _size: u64,
}

impl Item {
    /// Layers that may not be distributed freely are fetched from elsewhere and need not be here.
    fn is_foreign(&self) -> bool {
        self.media_type.contains(".nondistributable.") || self.media_type.contains(".foreign.")
    }
}

/// Reads a manifest that a client sent with this content type.
pub(crate) fn parse(bytes: &[u8], content_type: Option<&str>) -> Result<Parsed> {
    let invalid = |why: &str| Error::ManifestInvalid(why.to_owned());
    let document: Document =
        serde_json::from_slice(bytes).map_err(|why| Error::ManifestInvalid(why.to_string()))?;
    if document.schema_version.is_some_and(|version| version != 2) || document.fs_layers.is_some() {
        return Err(invalid("only schema version 2 is supported"));
    }
    let media_type = media_type(&document, content_type)?;
    let is_index = matches!(&*media_type, OCI_INDEX | DOCKER_INDEX);
    let is_image = matches!(&*media_type, OCI_MANIFEST | DOCKER_MANIFEST);
    // What one client takes for an image and another for an index would be two things under one digest.
    if is_index && (document.config.is_some() || document.layers.is_some()) {
        return Err(invalid("an index has neither config nor layers"));
    }
    if is_image && document.manifests.is_some() {
        return Err(invalid("an image manifest has no manifests"));
    }
    if is_image && document.config.is_none() {
        return Err(invalid("an image manifest has a config"));
    }
    if is_index && document.manifests.is_none() {
        return Err(invalid("an index has manifests"));
    }
    let artifact_type = document.artifact_type.filter(|kind| !kind.is_empty()).or_else(|| {
        document.config.as_ref().map(|config| config.media_type.clone()).filter(|kind| !kind.is_empty())
    });
    if artifact_type.as_ref().is_some_and(|kind| kind.len() > LONGEST_TYPE) {
        return Err(invalid("the artifact type is too long"));
    }
    let listed = [document.layers, document.blobs].into_iter().flatten().flatten();
    let blobs: Vec<Digest> = document
        .config
        .into_iter()
        .chain(listed)
        .filter(|item| !item.is_foreign())
        .map(|item| item.digest)
        .collect();
    let children: Vec<Digest> = document.manifests.into_iter().flatten().map(|item| item.digest).collect();
    if blobs.len() + children.len() > MOST_REFERENCES {
        return Err(invalid("too many descriptors"));
    }
    Ok(Parsed {
        media_type,
        blobs,
        children,
        subject: document.subject.map(|subject| subject.digest),
        artifact_type,
        annotations: document.annotations,
    })
}

/// The manifest's own word, else the request's, else what it looks like.
fn media_type(document: &Document, content_type: Option<&str>) -> Result<String> {
    let sent =
        content_type.map(|text| text.split(';').next().unwrap_or(text).trim()).filter(|t| !t.is_empty());
    let own = document.media_type.as_deref().filter(|text| !text.is_empty());
    let chosen = match (own, sent) {
        (Some(own), Some(sent)) if own != sent => {
            return Err(Error::ManifestInvalid(format!(
                "the manifest is of media type {own:.100}, it was sent as {sent:.100}"
            )));
        }
        (Some(own), _) => own,
        // Without a word of its own it must be told by its looks again each time it is read.
        (None, _) if document.manifests.is_some() && document.config.is_none() => OCI_INDEX,
        (None, _) => OCI_MANIFEST,
    };
    if let Some(sent) = sent.filter(|sent| own.is_none() && *sent != chosen) {
        return Err(Error::ManifestInvalid(format!(
            "the manifest does not say that it is {sent:.100} and looks like {chosen}"
        )));
    }
    // It comes back as a header of every answer.
    let plain = |b: u8| b.is_ascii_graphic() && !matches!(b, b'"' | b',' | b';' | b'\\');
    if chosen.len() > LONGEST_TYPE || !chosen.contains('/') || !chosen.bytes().all(plain) {
        return Err(Error::ManifestInvalid("the media type is none".into()));
    }
    Ok(chosen.to_owned())
}

impl Parsed {
    /// This manifest as an entry of its subject's referrers.
    pub(crate) fn referrer(&self, digest: &Digest, size: u64) -> Referrer {
        Referrer {
            media_type: self.media_type.clone(),
            digest: digest.clone(),
            size,
            artifact_type: self.artifact_type.clone(),
            annotations: self.annotations.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(kind: &str, of: &str) -> String {
        format!(r#"{{"mediaType":"{kind}","digest":"{}","size":1}}"#, Digest::of(of))
    }

    #[test]
    fn images_and_indexes() {
        let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
        let text = format!(
            r#"{{"schemaVersion":2,"config":{},"layers":[{},{}],"subject":{},"extra":[1]}}"#,
            item("a/config", "c"),
            item("a/layer", "l"),
            item(foreign, "f"),
            item("a/m", "s"),
        );
        let parsed =
            parse(text.as_bytes(), Some("application/vnd.oci.image.manifest.v1+json; charset=x")).unwrap();
        assert_eq!(parsed.media_type, OCI_MANIFEST);
        assert_eq!(parsed.blobs, [Digest::of("c"), Digest::of("l")]);
        assert_eq!(parsed.subject, Some(Digest::of("s")));
        assert_eq!(parsed.artifact_type.as_deref(), Some("a/config"));

        let text = format!(r#"{{"mediaType":"{DOCKER_INDEX}","manifests":[{}]}}"#, item("a/m", "m"));
        let parsed = parse(text.as_bytes(), None).unwrap();
        assert_eq!((&*parsed.media_type, parsed.children), (DOCKER_INDEX, vec![Digest::of("m")]));
        assert_eq!(parse(br#"{"manifests":[]}"#, None).unwrap().media_type, OCI_INDEX);
        let own = parse(br#"{"mediaType":"a/b+json"}"#, Some("a/b+json")).unwrap();
        assert_eq!(own.media_type, "a/b+json");
    }

    #[test]
    fn refused() {
        let config = item("a/b", "c");
        let many = vec![item("a/b", "l"); MOST_REFERENCES].join(",");
        for (text, content_type) in [
            ("", None),
            ("[]", None),
            ("{}", None),
            (r#"{"schemaVersion":1,"fsLayers":[]}"#, None),
            (r#"{"config":{"digest":"sha256:x","size":1}}"#, None),
            (r#"{"mediaType":"a/b\r\nx: y"}"#, None),
            (r#"{"mediaType":"a/b"}"#, Some("a/c")),
            (r#"{"manifests":[]}"#, Some(OCI_MANIFEST)),
            (&format!(r#"{{"config":{config},"layers":[],"manifests":[]}}"#), None),
            (&format!(r#"{{"mediaType":"{OCI_INDEX}","manifests":[],"layers":[]}}"#), None),
            (&format!(r#"{{"config":{config},"layers":[{many}]}}"#), None),
            (&config.replace(":1}", ":-1}").replace("\"mediaType", "\"config\":1,\"mediaType"), None),
            (&"[".repeat(100_000), None),
        ] {
            assert!(parse(text.as_bytes(), content_type).is_err(), "{text:.200} {content_type:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200), kind in ".*") {
            let _ = parse(&bytes, Some(&kind));
        }
    }
}
