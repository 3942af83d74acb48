//! A repository on a registry: manifests, tags and blobs, each verified against what was asked for.

use std::sync::Arc;

use boxship_oci::Descriptor;
use boxship_oci::descriptor::{DOCKER_INDEX, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST};
use boxship_oci::digest::Digest;
use http::{Method, Response, header};
use hyper::body::Incoming;
use serde::Deserialize;

use crate::error::{Answer, Error, Result};
use crate::session::{Call, Session, content_digest, pull_scope};
use crate::url::Url;

/// The longest manifest (the distribution specification's own bound).
pub(crate) const MAX_MANIFEST: usize = 4 << 20;
/// Tags of a repository that are listed, at most.
const MAX_TAGS: usize = 100_000;
/// Pages of tags that are asked for, at most.
const MAX_PAGES: usize = 1000;

/// What Docker wrote before schema 2: recognised to be refused.
const SCHEMA1: &[&str] = &[
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/vnd.docker.distribution.manifest.v1+json",
];

/// A manifest or index as a registry has it.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its media type.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
}

impl Fetched {
    /// The descriptor.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(self.media_type.clone(), self.digest.clone(), self.bytes.len() as u64)
    }
}

/// A repository on one server.
#[derive(Clone)]
pub(crate) struct Repository {
    pub session: Arc<Session>,
    /// Its path: `library/busybox`.
    pub path: String,
}

impl Repository {
    /// An address of this repository.
    pub fn url(&self, rest: &str) -> Url {
        self.session.url(&format!("/{}/{rest}", self.path))
    }

    /// Asks for a manifest, of any kind that is served.
    pub fn manifest_call(&self, method: Method, reference: &str) -> impl Fn() -> Call<'static> + use<> {
        let url = self.url(&format!("manifests/{reference}"));
        let accept = [OCI_INDEX, DOCKER_INDEX, OCI_MANIFEST, DOCKER_MANIFEST].join(", ");
        move || Call::new(method.clone(), url.clone(), "").header(header::ACCEPT, accept.clone())
    }

    /// A manifest by tag or digest. By digest, its bytes are what the digest names.
    pub async fn manifest(&self, reference: &str) -> Result<Fetched> {
        // Docker asks for the digest of a tag first.
        let verb = if reference.parse::<Digest>().is_ok() { "Get" } else { "Head" };
        self.manifest_by(verb, reference).await
    }

    /// The same; `verb` is what Docker does there, for the message when credentials are missing.
    pub async fn manifest_by(&self, verb: &str, reference: &str) -> Result<Fetched> {
        let make = self.manifest_call(Method::GET, reference);
        let url = make().url;
        let response = self.patiently(&make).await.map_err(|error| error.asked(verb, &url))?;
        let media_type = media_type(&response);
        let told = content_digest(response.headers());
        let bytes = self.session.body(&url, response, MAX_MANIFEST).await?;
        let digest = match reference.parse::<Digest>() {
            Ok(wanted) => {
                let found = Digest::compute(wanted.algorithm(), &bytes);
                if found != wanted {
                    let message = format!("manifest verification failed for digest {wanted}");
                    return Err(Error::Invalid(message));
                }
                wanted
            }
            Err(_) => Digest::of(&bytes),
        };
        if told.is_some_and(|told| told != Digest::compute(told.algorithm(), &bytes)) {
            return Err(Error::Invalid(format!("manifest verification failed for digest {digest}")));
        }
        let media_type = checked_type(media_type, &bytes)?;
        Ok(Fetched { bytes, media_type, digest })
    }

    /// All tags.
    pub async fn tags(&self) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Tags {
            #[serde(default)]
            tags: Option<Vec<String>>,
        }
        let mut tags = Vec::new();
        let mut next = Some(self.url("tags/list?n=1000"));
        for _ in 0..MAX_PAGES {
            let Some(url) = next.take() else { break };
            let page = url.clone();
            let response = self.patiently(move || Call::new(Method::GET, page.clone(), "")).await;
            let response = response.map_err(|error| error.asked("Get", &url))?;
            next = next_page(&url, &response).filter(|next| next.same_origin(&url));
            let bytes = self.session.body(&url, response, MAX_MANIFEST).await?;
            let listed: Tags = serde_json::from_slice(&bytes)
                .map_err(|e| Error::invalid(format!("invalid list of tags from registry: {e}")))?;
            tags.extend(listed.tags.unwrap_or_default());
            if tags.len() > MAX_TAGS {
                return Err(Error::invalid(format!("the repository has more than {MAX_TAGS} tags")));
            }
        }
        Ok(tags)
    }

    /// A small blob, verified.
    pub async fn small_blob(&self, descriptor: &Descriptor, limit: usize) -> Result<Vec<u8>> {
        if descriptor.size > limit as u64 {
            return Err(Error::invalid(format!(
                "blob {} of {} bytes is longer than {limit} bytes",
                descriptor.digest, descriptor.size
            )));
        }
        let url = self.url(&format!("blobs/{}", descriptor.digest));
        let call = url.clone();
        let response = self.patiently(move || Call::new(Method::GET, call.clone(), "")).await?;
        let bytes = self.session.body(&url, response, limit).await?;
        if bytes.len() as u64 != descriptor.size
            || Digest::compute(descriptor.digest.algorithm(), &bytes) != descriptor.digest
        {
            return Err(Error::Verification(descriptor.digest.clone()));
        }
        Ok(bytes)
    }

    /// Begins to read a blob from a byte on, to another (exclusive) where that is known.
    pub async fn blob(&self, url: &Url, from: u64, to: Option<u64>) -> Result<Response<Incoming>> {
        let scope = pull_scope(&self.path);
        let mut call = Call::new(Method::GET, url.clone(), &scope);
        match to {
            Some(to) => call = call.header(header::RANGE, format!("bytes={from}-{}", to.saturating_sub(1))),
            None if from > 0 => call = call.header(header::RANGE, format!("bytes={from}-")),
            None => {}
        }
        // Compressed on the way it would be another blob.
        call = call.header(header::ACCEPT_ENCODING, "identity");
        self.session.call(call).await
    }

    /// The length of a blob, `None` when it isn't there.
    pub async fn blob_exists(&self, digest: &Digest, scope: &str) -> Result<Option<u64>> {
        let url = self.url(&format!("blobs/{digest}"));
        match self.session.call(Call::new(Method::HEAD, url, scope)).await {
            Ok(response) => {
                let length = response.headers().get(header::CONTENT_LENGTH);
                let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
                Ok(Some(length.unwrap_or(0)))
            }
            Err(Error::Answer(Answer { status: 404, .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Calls in the scope of reading, with patience.
    async fn patiently(&self, make: impl Fn() -> Call<'static>) -> Result<Response<Incoming>> {
        let scope = pull_scope(&self.path);
        let mut failures = 0;
        loop {
            let call = make();
            let call = Call { scope: &scope, ..call };
            match self.session.call(call).await {
                Err(error) if error.is_temporary() => {
                    failures += 1;
                    if failures >= self.session.patience.attempts {
                        return Err(error);
                    }
                    let wait = self.session.patience.wait(failures - 1, error.retry_after());
                    tokio::time::sleep(wait).await;
                }
                outcome => return outcome,
            }
        }
    }
}

fn media_type(response: &Response<Incoming>) -> String {
    let value = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_owned()
}

/// The media type that the document and its header agree on. An index dressed up as a manifest is refused.
fn checked_type(header: String, bytes: &[u8]) -> Result<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Seen {
        #[serde(default)]
        schema_version: u32,
        #[serde(default)]
        media_type: Option<String>,
        #[serde(default)]
        manifests: Option<serde::de::IgnoredAny>,
        #[serde(default)]
        layers: Option<serde::de::IgnoredAny>,
        #[serde(default)]
        fs_layers: Option<serde::de::IgnoredAny>,
    }
    let seen: Seen = serde_json::from_slice(bytes)
        .map_err(|e| Error::invalid(format!("invalid manifest from registry: {e}")))?;
    if SCHEMA1.contains(&header.as_str()) || seen.schema_version == 1 || seen.fs_layers.is_some() {
        return Err(Error::invalid(
            "Docker Image Format v1, and Docker Image manifest version 2, schema 1 support has been removed. \
             Suggest the author to upgrade the image to the OCI Format, or Docker Image manifest v2, schema 2",
        ));
    }
    if seen.schema_version != 2 {
        return Err(Error::invalid(format!("unsupported schema version {}", seen.schema_version)));
    }
    let list = seen.manifests.is_some();
    if list && seen.layers.is_some() {
        return Err(Error::invalid("invalid manifest from registry: both manifests and layers"));
    }
    let usual = |kind: &str| matches!(kind, OCI_INDEX | DOCKER_INDEX | OCI_MANIFEST | DOCKER_MANIFEST);
    let told = seen.media_type.filter(|kind| !kind.is_empty());
    let kind = match told {
        Some(told) if usual(&header) && told != header => {
            return Err(Error::invalid(format!("mediaType in manifest should be '{header}' not '{told}'")));
        }
        Some(told) => told,
        None if usual(&header) => header,
        None if list => OCI_INDEX.to_owned(),
        None => OCI_MANIFEST.to_owned(),
    };
    match (kind.as_str(), list) {
        (OCI_INDEX | DOCKER_INDEX, true) | (OCI_MANIFEST | DOCKER_MANIFEST, false) => Ok(kind),
        _ => Err(Error::invalid(format!("unsupported manifest media type {kind:?}"))),
    }
}

/// `Link: </v2/a/tags/list?last=x>; rel="next"`.
pub(crate) fn next_page(url: &Url, response: &Response<Incoming>) -> Option<Url> {
    let link = response.headers().get(header::LINK)?.to_str().ok()?;
    let (target, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    rest.contains("next").then(|| url.join(target))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_what_they_say() {
        let none = String::new();
        let index = br#"{"schemaVersion":2,"manifests":[]}"#;
        let manifest = br#"{"schemaVersion":2,"layers":[],"config":{}}"#;
        assert_eq!(checked_type(none.clone(), index).unwrap(), OCI_INDEX);
        assert_eq!(checked_type(DOCKER_MANIFEST.into(), manifest).unwrap(), DOCKER_MANIFEST);
        assert_eq!(checked_type("text/plain".into(), manifest).unwrap(), OCI_MANIFEST);
        for (header, bytes) in [
            (OCI_MANIFEST, &index[..]),
            (OCI_INDEX, &manifest[..]),
            (OCI_INDEX, br#"{"schemaVersion":2,"layers":[],"manifests":[]}"#),
            (
                DOCKER_MANIFEST,
                br#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}"#,
            ),
            ("", br#"{"schemaVersion":1,"fsLayers":[]}"#),
            (SCHEMA1[0], br#"{"schemaVersion":1}"#),
            ("", b"["),
            ("", br#"{"schemaVersion":-1}"#),
        ] {
            assert!(checked_type(header.into(), bytes).is_err(), "{header} {bytes:?}");
        }
    }
}
