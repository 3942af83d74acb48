//! `/v2/<name>/blobs/<digest>`.

use std::ops::Range;

use boxship_oci::Digest;
use http::{HeaderValue, Method, StatusCode, header};

use super::body::{BlobBody, ReplyBody};
use super::following::Following;
use super::range::{self, Wanted};
use super::reply::{CONTENT_DIGEST, Reply};
use super::{Call, Failure, blocking};
use crate::auth::Action;
use crate::error::Error;
use crate::mirror::Coming;
use crate::name::RepositoryName;

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

pub(super) async fn answer(call: Call, repository: RepositoryName, digest: Digest) -> Result<Reply, Failure> {
    match call.parts.method {
        Method::HEAD => head(call, repository, digest).await,
        Method::GET => get(call, repository, digest).await,
        Method::DELETE => {
            call.require(&repository, Action::Delete)?;
            let storage = call.app.storage.clone();
            blocking(move || storage.delete_blob(&repository, &digest)).await?;
            Ok(Reply::empty(StatusCode::ACCEPTED))
        }
        _ => Err(Failure::unsupported("the operation is unsupported")),
    }
}

async fn head(call: Call, repository: RepositoryName, digest: Digest) -> Result<Reply, Failure> {
    call.require(&repository, Action::Pull)?;
    let (storage, wanted) = (call.app.storage.clone(), digest.clone());
    let name = repository.clone();
    let found = blocking(move || match storage.find_blob(&name, &wanted) {
        Err(Error::NoBlob(_)) => Ok(None),
        found => found.map(Some),
    });
    let size = match (found.await?, &call.app.mirror) {
        (Some(size), _) => size,
        (None, Some(mirror)) => mirror.blob_size(&repository, &digest).await?,
        (None, None) => return Err(Error::NoBlob(digest).into()),
    };
    if is_known(&call, &digest) {
        return Ok(described(Reply::of(ReplyBody::Empty), &digest).status(StatusCode::NOT_MODIFIED));
    }
    Ok(described(Reply::of(ReplyBody::Empty), &digest)
        .value(header::CONTENT_TYPE, OCTETS)
        .with(header::CONTENT_LENGTH, size))
}

async fn get(call: Call, repository: RepositoryName, digest: Digest) -> Result<Reply, Failure> {
    call.require(&repository, Action::Pull)?;
    if let Some(mirror) = &call.app.mirror
        && let Some(coming) = mirror.blob(&repository, &digest).await?
    {
        return along(&call, &digest, coming);
    }
    let (storage, wanted) = (call.app.storage.clone(), digest.clone());
    let header = call.header(header::RANGE).filter(|_| range_applies(&call, &digest)).map(str::to_owned);
    let (blob, part) = blocking(move || {
        let blob = storage.open_blob(&repository, &wanted)?;
        let part = range::wanted(header.as_deref(), blob.size);
        // A part cannot be checked while it is sent, so the whole is checked before.
        if matches!(part, Wanted::Part(..)) {
            storage.verify(&blob)?;
        }
        Ok((blob, part))
    })
    .await?;
    if is_known(&call, &digest) {
        return Ok(described(Reply::of(ReplyBody::Empty), &digest).status(StatusCode::NOT_MODIFIED));
    }
    let (app, size) = (call.app.clone(), blob.size);
    cut_out(&digest, size, part, |part| {
        ReplyBody::Blob(Box::new(BlobBody::new(app.storage.clone(), blob, app.pool.clone(), part)))
    })
}

/// A blob that a mirror is being sent.
fn along(call: &Call, digest: &Digest, coming: Coming) -> Result<Reply, Failure> {
    let header = call.header(header::RANGE).filter(|_| range_applies(call, digest));
    let (part, size) = (range::wanted(header, coming.size), coming.size);
    if is_known(call, digest) {
        return Ok(described(Reply::of(ReplyBody::Empty), digest).status(StatusCode::NOT_MODIFIED));
    }
    let pool = call.app.pool.clone();
    cut_out(digest, size, part, |part| ReplyBody::Following(Box::new(Following::new(coming, pool, part))))
}

/// The answer with that part of the blob that is wanted.
fn cut_out(
    digest: &Digest,
    size: u64,
    part: Wanted,
    body: impl FnOnce(Range<u64>) -> ReplyBody,
) -> Result<Reply, Failure> {
    let (status, start, end) = match part {
        Wanted::Whole => (StatusCode::OK, 0, size),
        Wanted::Part(start, end) => (StatusCode::PARTIAL_CONTENT, start, end),
        Wanted::Unsatisfiable => {
            let failure = Failure::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                "UNSUPPORTED",
                format!("the range lies outside of the blob of {size} bytes"),
            );
            return Err(failure.with(header::CONTENT_RANGE, &format!("bytes */{size}")));
        }
    };
    let reply = described(Reply::of(body(start..end)), digest)
        .status(status)
        .value(header::CONTENT_TYPE, OCTETS)
        .with(header::CONTENT_LENGTH, end - start);
    Ok(match status {
        StatusCode::OK => reply,
        _ => reply.with(header::CONTENT_RANGE, format_args!("bytes {start}-{}/{size}", end - 1)),
    })
}

fn described(reply: Reply, digest: &Digest) -> Reply {
    reply
        .with(CONTENT_DIGEST, digest)
        .with(header::ETAG, format_args!("\"{digest}\""))
        .value(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"))
        .value(header::CACHE_CONTROL, HeaderValue::from_static("max-age=31536000"))
}

/// Whether the client says that it has this content.
pub(super) fn is_known(call: &Call, digest: &Digest) -> bool {
    call.header(header::IF_NONE_MATCH).is_some_and(|header| names(header, digest))
}

/// A range with a condition applies to that content only (RFC 9110, section 13.1.5).
fn range_applies(call: &Call, digest: &Digest) -> bool {
    call.header(header::IF_RANGE).is_none_or(|header| names(header, digest))
}

fn names(header: &str, digest: &Digest) -> bool {
    header.split(',').any(|one| {
        let one = one.trim();
        one == "*" || one.strip_prefix("W/").unwrap_or(one).trim_matches('"') == digest.to_string()
    })
}
