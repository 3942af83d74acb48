//! One blob to a registry: there already, mounted from a neighbour, or sent, also while it is being compressed; what a
//! broken connection left half sent is gone on with.

use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use boxship_oci::Digest;
use boxship_store::Blob;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use tokio::sync::watch;

use crate::error::{Answer, Error, Kind, Result};
use crate::pack::Growth;
use crate::payload::Payload;
use crate::repository::Repository;
use crate::session::{Call, push_scope};
use crate::url::Url;

/// Blobs up to this size are sent in one request.
pub(crate) const SMALL: u64 = 4 << 20;

/// How a blob got there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Arrived {
    Exists,
    /// From this repository of the same registry.
    Mounted(String),
    Sent,
}

/// A blob that has not arrived: where the registry wants it.
pub(crate) enum Offer {
    Done(Arrived),
    Open(Url),
}

impl Repository {
    /// Offers a blob: perhaps the registry has it, here or in one of the repositories `from`.
    pub async fn offer(&self, digest: &Digest, from: &[String]) -> Result<Offer> {
        let scope = push_scope(&self.path, None);
        if self.blob_exists(digest, &scope).await?.is_some() {
            return Ok(Offer::Done(Arrived::Exists));
        }
        for source in from {
            match self.mount(digest, source).await {
                Ok(Some(offer)) => return Ok(offer),
                Ok(None) => {}
                // Not ours to read: it is sent then.
                Err(Error::Answer(_) | Error::Told { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        self.open_upload().await.map(Offer::Open)
    }

    /// Asks to mount; `None` when the registry neither did nor opened an upload instead.
    async fn mount(&self, digest: &Digest, from: &str) -> Result<Option<Offer>> {
        let scope = push_scope(&self.path, Some(from));
        let url = self.url("blobs/uploads/").with("mount", &digest.to_string()).with("from", from);
        let response = self.session.call(Call::new(Method::POST, url.clone(), &scope)).await?;
        match response.status() {
            StatusCode::CREATED => Ok(Some(Offer::Done(Arrived::Mounted(from.to_owned())))),
            StatusCode::ACCEPTED => location(&url, response.headers()).map(|url| Some(Offer::Open(url))),
            _ => Ok(None),
        }
    }

    /// Begins an upload; where its bytes go.
    pub async fn open_upload(&self) -> Result<Url> {
        let scope = push_scope(&self.path, None);
        let url = self.url("blobs/uploads/");
        let response = self.session.call(Call::new(Method::POST, url.clone(), &scope)).await?;
        location(&url, response.headers())
    }

    /// Sends a blob's file; goes on after failures as long as there is patience. `sent` counts bytes.
    pub async fn send(
        &self,
        opened: Url,
        digest: &Digest,
        file: Arc<File>,
        size: u64,
        sent: Arc<AtomicU64>,
    ) -> Result<()> {
        Upload { repository: self, url: opened, at: 0, digest, file, size, sent }.run().await
    }

    /// Sends a blob while it is being compressed; `packing` gives what came of it. A registry that doesn't take bodies
    /// of unknown length gets it as others do, once it is whole.
    pub async fn send_growing(
        &self,
        opened: Url,
        growth: watch::Receiver<Growth>,
        sent: Arc<AtomicU64>,
        packing: impl Future<Output = Result<Blob>>,
    ) -> Result<Blob> {
        let payload = Payload::Growing { growth: growth.clone(), sent: sent.clone() };
        let streaming = async {
            match self.patch(&opened, payload, None).await {
                // Nothing that is compressed still would be taken either.
                Err(error) if matches!(error.kind(), Kind::Unauthorized | Kind::Denied) => Err(error),
                streamed => Ok(streamed),
            }
        };
        // When packing fails the body breaks off: the connection has ended before the upload is taken back.
        let (streamed, packed) = tokio::try_join!(streaming, async { Ok(packing.await) })?;
        let blob = match packed {
            Ok(blob) => blob,
            Err(error) => {
                self.take_back(&opened).await;
                return Err(error);
            }
        };
        let file = growth.borrow().file.clone();
        let file = file.ok_or_else(|| Error::invalid("an archive without any bytes"))?;
        let (digest, size) = (&blob.digest, blob.size);
        let mut upload = Upload { repository: self, url: opened, at: 0, digest, file, size, sent };
        match streamed {
            Ok(url) => (upload.url, upload.at) = (url, size),
            Err(error) => {
                tracing::debug!(%error, "not taken while it was compressed");
                upload.recover().await?;
            }
        }
        upload.run().await?;
        Ok(blob)
    }

    /// Sends a part of a blob; where the next goes.
    async fn patch(&self, url: &Url, payload: Payload, range: Option<String>) -> Result<Url> {
        let scope = push_scope(&self.path, None);
        let mut call = Call::new(Method::PATCH, url.clone(), &scope)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .payload(payload);
        if let Some(range) = range {
            call = call.header(header::CONTENT_RANGE, range);
        }
        let response = self.session.call(call).await?;
        location(url, response.headers())
    }

    /// Nobody will go on with the upload: a registry that still answers need not keep it.
    async fn take_back(&self, upload: &Url) {
        let scope = push_scope(&self.path, None);
        let _ = self.session.call(Call::new(Method::DELETE, upload.clone(), &scope)).await;
    }

    /// Sends a manifest under a tag or digest; the digest that it has there.
    pub async fn put_manifest(&self, reference: &str, media_type: &str, bytes: &[u8]) -> Result<Digest> {
        let scope = push_scope(&self.path, None);
        let url = self.url(&format!("manifests/{reference}"));
        let payload = Payload::Bytes(Bytes::copy_from_slice(bytes));
        let mut failures = 0;
        loop {
            let call = Call::new(Method::PUT, url.clone(), &scope)
                .header(header::CONTENT_TYPE, media_type)
                .payload(payload.clone());
            match self.session.call(call).await {
                Ok(_) => return Ok(Digest::of(bytes)),
                Err(error) if error.is_temporary() && failures + 1 < self.session.patience.attempts => {
                    tokio::time::sleep(self.session.patience.wait(failures, error.retry_after())).await;
                    failures += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// The registry has forgotten the upload, or what it has of it is not what we think.
fn is_lost(error: &Error) -> bool {
    matches!(error, Error::Answer(Answer { status: 404 | 416, .. }))
}

/// A blob half sent.
struct Upload<'a> {
    repository: &'a Repository,
    /// Where the next bytes go.
    url: Url,
    /// Bytes that the registry has.
    at: u64,
    digest: &'a Digest,
    file: Arc<File>,
    size: u64,
    sent: Arc<AtomicU64>,
}

impl Upload<'_> {
    async fn run(mut self) -> Result<()> {
        let mut failures = 0;
        loop {
            let before = self.at;
            let error = match self.attempt().await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            failures = if self.at > before { 1 } else { failures + 1 };
            let patience = self.repository.session.patience;
            if !error.is_temporary() && !is_lost(&error) || failures >= patience.attempts {
                if matches!(error, Error::Answer(_)) {
                    self.repository.take_back(&self.url).await;
                }
                return Err(Error::Blob { digest: self.digest.clone(), source: Box::new(error) });
            }
            tokio::time::sleep(patience.wait(failures - 1, error.retry_after())).await;
            self.recover().await?;
        }
    }

    async fn attempt(&mut self) -> Result<()> {
        if self.at == 0 && self.size <= SMALL {
            return self.finish(self.stretch()).await;
        }
        if self.at < self.size {
            let range = (self.at > 0).then(|| format!("{}-{}", self.at, self.size - 1));
            self.url = self.repository.patch(&self.url, self.stretch(), range).await?;
            self.at = self.size;
        }
        self.finish(Payload::Bytes(Bytes::new())).await
    }

    fn stretch(&self) -> Payload {
        self.sent.store(self.at, Ordering::Relaxed);
        let (file, sent) = (self.file.clone(), self.sent.clone());
        Payload::File { file, offset: self.at, length: self.size - self.at, sent }
    }

    async fn finish(&self, payload: Payload) -> Result<()> {
        let scope = push_scope(&self.repository.path, None);
        let url = self.url.with("digest", &self.digest.to_string());
        let call = Call::new(Method::PUT, url, &scope)
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .payload(payload);
        self.repository.session.call(call).await.map(drop)
    }

    /// Asks how much has arrived; begins anew where the registry doesn't say.
    async fn recover(&mut self) -> Result<()> {
        let scope = push_scope(&self.repository.path, None);
        let asked = self.repository.session.call(Call::new(Method::GET, self.url.clone(), &scope)).await;
        if let Ok(response) = asked {
            let range = response.headers().get(header::RANGE).and_then(|value| value.to_str().ok());
            let arrived = range.and_then(arrived).unwrap_or(0);
            if arrived <= self.size {
                self.at = arrived;
                self.url = location(&self.url, response.headers()).unwrap_or_else(|_| self.url.clone());
                return Ok(());
            }
        }
        self.at = 0;
        self.url = self.repository.open_upload().await?;
        Ok(())
    }
}

/// `0-99`, perhaps with `bytes=` before it: bytes that have arrived. `0-0` is what registries say of nothing, too; one
/// byte is not worth believing.
fn arrived(text: &str) -> Option<u64> {
    let (start, end) = text.trim_start_matches("bytes=").split_once('-')?;
    let end: u64 = end.trim().parse().ok()?;
    (start.trim() == "0").then_some(if end == 0 { 0 } else { end + 1 })
}

fn location(url: &Url, headers: &HeaderMap) -> Result<Url> {
    let location = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    let location = location.and_then(|location| url.join(location));
    let location = location.ok_or_else(|| Error::invalid("the registry names no location for the upload"))?;
    // What the registry was told in the clear stays so; what it was told by TLS is not sent in the clear.
    if location.scheme != url.scheme && url.scheme == crate::url::Scheme::Https && location.host == url.host {
        return Ok(Url { scheme: url.scheme, port: url.port, ..location });
    }
    if location.scheme == crate::url::Scheme::Http && url.scheme == crate::url::Scheme::Https {
        return Err(Error::Refused("the registry wants the upload in the clear, on another host".into()));
    }
    Ok(location)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_uploads() {
        for (text, expect) in
            [("0-99", Some(100)), ("bytes=0-99", Some(100)), ("0-0", Some(0)), ("5-9", None), ("", None)]
        {
            assert_eq!(arrived(text), expect, "{text}");
        }
    }
}
