//! `/v2/<name>/blobs/uploads/`: blobs on their way in, at once, in two steps, in chunks; mounted from elsewhere.

use std::sync::Arc;

use boxship_oci::{Algorithm, Digest};
use bytes::Bytes;
use http::{HeaderName, Method, StatusCode, header};
use hyper::body::Incoming;

use super::reply::{CONTENT_DIGEST, Reply};
use super::{App, Call, Failure, blocking, range, route};
use crate::auth::Action;
use crate::error::Error;
use crate::name::{RepositoryName, UploadId};
use crate::storage::uploads::Lease;

/// How much is gathered before it is written: each write is a trip to another thread.
const BATCH: usize = 64 << 10;

const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// `POST`: mounts, takes a whole blob, or begins an upload.
pub(super) async fn begin(call: Call, repository: RepositoryName) -> Result<Reply, Failure> {
    if call.parts.method != Method::POST {
        return Err(Failure::unsupported("the operation is unsupported"));
    }
    call.require(&repository, Action::Push)?;
    if let Some(digest) = call.query.get("mount") {
        let digest = route::digest(digest)?;
        if mount(&call, &repository, &digest).await? {
            return Ok(created(&repository, &digest));
        }
        return start(&call.app, repository, digest.algorithm()).await;
    }
    let Some(digest) = call.query.get("digest") else {
        let algorithm = match call.query.get("digest-algorithm") {
            Some("sha512") => Algorithm::Sha512,
            None | Some("sha256") => Algorithm::Sha256,
            Some(_) => return Err(Failure::bad_request("DIGEST_INVALID", "unsupported digest algorithm")),
        };
        return start(&call.app, repository, algorithm).await;
    };
    let digest = route::digest(digest)?;
    let (app, announced) = (call.app.clone(), length(&call)?);
    let lease = lease(&app, repository.clone(), digest.algorithm()).await?;
    let lease = receive(&app, call.body, lease, announced).await?;
    finish(lease, repository, digest).await
}

/// What is done with an upload that is under way.
pub(super) async fn answer(call: Call, repository: RepositoryName, id: UploadId) -> Result<Reply, Failure> {
    call.require(&repository, Action::Push)?;
    let (app, method) = (call.app.clone(), call.parts.method.clone());
    match method {
        Method::GET | Method::HEAD => {
            let (uploads, name, upload) = (app.uploads.clone(), repository.clone(), id.clone());
            let size = blocking(move || uploads.size(&name, &upload)).await?;
            Ok(progress(&repository, &id, size).status(StatusCode::NO_CONTENT))
        }
        Method::DELETE => {
            let mut lease = app.uploads.resume(&repository, &id)?;
            blocking(move || lease.give_up()).await?;
            Ok(Reply::empty(StatusCode::NO_CONTENT))
        }
        Method::PATCH => {
            let lease = app.uploads.resume(&repository, &id)?;
            let announced = chunk(&call, &lease, &repository)?;
            let lease = receive(&app, call.body, lease, announced).await?;
            Ok(progress(&repository, &id, lease.size()).status(StatusCode::ACCEPTED))
        }
        Method::PUT => {
            let digest = call.query.get("digest");
            let digest =
                digest.ok_or_else(|| Failure::bad_request("DIGEST_INVALID", "the digest is missing"))?;
            let digest = route::digest(digest)?;
            let lease = app.uploads.resume(&repository, &id)?;
            let announced = chunk(&call, &lease, &repository)?;
            let lease = receive(&app, call.body, lease, announced).await?;
            finish(lease, repository, digest).await
        }
        _ => Err(Failure::unsupported("the operation is unsupported")),
    }
}

async fn mount(call: &Call, repository: &RepositoryName, digest: &Digest) -> Result<bool, Failure> {
    let from = match call.query.get("from") {
        Some(name) => {
            let from: RepositoryName =
                name.parse().map_err(|why: &str| Failure::bad_request("NAME_INVALID", why))?;
            if !call.caller.may(&from, Action::Pull) {
                return Ok(false);
            }
            Some(from)
        }
        // Who knows a digest does not thereby have a right to the content.
        None if !call.caller.may_everywhere(Action::Pull) => return Ok(false),
        None => None,
    };
    let (storage, to, digest) = (call.app.storage.clone(), repository.clone(), digest.clone());
    blocking(move || storage.mount(from.as_ref(), &to, &digest)).await
}

async fn lease(app: &Arc<App>, repository: RepositoryName, algorithm: Algorithm) -> Result<Lease, Failure> {
    let uploads = app.uploads.clone();
    blocking(move || uploads.begin(&repository, algorithm)).await
}

async fn start(app: &Arc<App>, repository: RepositoryName, algorithm: Algorithm) -> Result<Reply, Failure> {
    let lease = lease(app, repository.clone(), algorithm).await?;
    Ok(progress(&repository, lease.id(), 0).status(StatusCode::ACCEPTED))
}

/// The length that the request announces.
fn length(call: &Call) -> Result<Option<u64>, Failure> {
    let wrong = |_| Failure::bad_request("SIZE_INVALID", "the length of the content is no number");
    call.header(header::CONTENT_LENGTH).map(|text| text.parse().map_err(wrong)).transpose()
}

/// Checks that a chunk begins where the upload ends; how long it will be, when that is said.
fn chunk(call: &Call, lease: &Lease, repository: &RepositoryName) -> Result<Option<u64>, Failure> {
    let announced = length(call)?;
    let Some(text) = call.header(header::CONTENT_RANGE) else { return Ok(announced) };
    let wrong = || Failure::bad_request("SIZE_INVALID", "the range of the content is none");
    let (start, length) = range::chunk(text).ok_or_else(wrong)?;
    let end = lease.size();
    if start != end {
        let failure = Failure::from(Error::OutOfOrder { start, end });
        return Err(failure
            .with(header::LOCATION, &location(repository, lease.id()))
            .with(header::RANGE, &received(end))
            .with(UPLOAD_ID, lease.id().as_str()));
    }
    match announced {
        Some(announced) if announced != length => {
            Err(Failure::bad_request("SIZE_INVALID", "the range and the length of the content differ"))
        }
        _ => Ok(Some(length)),
    }
}

/// Writes the request's body to the upload. What came before a connection broke stays: the client may go on from there.
async fn receive(
    app: &Arc<App>,
    mut body: Incoming,
    mut lease: Lease,
    announced: Option<u64>,
) -> Result<Lease, Failure> {
    let length = announced.unwrap_or(0);
    if length > 0 {
        lease = blocking(move || lease.expect(length).map(|()| lease)).await?;
    }
    let mut left = announced;
    loop {
        let (batch, end) = gather(&mut body, app).await;
        let size: usize = batch.iter().map(Bytes::len).sum();
        if let Some(left) = &mut left {
            let short = || Failure::bad_request("SIZE_INVALID", "the content is longer than announced");
            *left = left.checked_sub(size as u64).ok_or_else(short)?;
        }
        if size > 0 {
            lease = blocking(move || {
                for bytes in &batch {
                    lease.append(bytes)?;
                }
                Ok(lease)
            })
            .await?;
        }
        match end {
            None => continue,
            Some(Err(failure)) => return Err(failure),
            Some(Ok(())) if left.unwrap_or(0) > 0 => {
                return Err(Failure::bad_request("SIZE_INVALID", "the content is shorter than announced"));
            }
            Some(Ok(())) => return Ok(lease),
        }
    }
}

/// Pieces of the body that are worth a write, and how the body ended, when it did.
async fn gather(body: &mut Incoming, app: &Arc<App>) -> (Vec<Bytes>, Option<Result<(), Failure>>) {
    let (mut batch, mut size) = (Vec::new(), 0);
    while size < BATCH {
        match Call::piece(body, app.patience).await {
            Ok(Some(bytes)) => {
                size += bytes.len();
                batch.push(bytes);
            }
            Ok(None) => return (batch, Some(Ok(()))),
            Err(failure) => return (batch, Some(Err(failure))),
        }
    }
    (batch, None)
}

async fn finish(lease: Lease, repository: RepositoryName, digest: Digest) -> Result<Reply, Failure> {
    let wanted = digest.clone();
    blocking(move || lease.finish(&wanted)).await?;
    Ok(created(&repository, &digest))
}

fn created(repository: &RepositoryName, digest: &Digest) -> Reply {
    Reply::empty(StatusCode::CREATED)
        .with(header::LOCATION, format_args!("/v2/{repository}/blobs/{digest}"))
        .with(CONTENT_DIGEST, digest)
}

fn progress(repository: &RepositoryName, id: &UploadId, size: u64) -> Reply {
    Reply::empty(StatusCode::ACCEPTED)
        .with(header::LOCATION, location(repository, id))
        .with(header::RANGE, received(size))
        .with(UPLOAD_ID, id)
}

fn location(repository: &RepositoryName, id: &UploadId) -> String {
    format!("/v2/{repository}/blobs/uploads/{id}")
}

/// The range that has come; of nothing too it is `0-0`, as everybody expects.
fn received(size: u64) -> String {
    format!("0-{}", size.saturating_sub(1))
}
