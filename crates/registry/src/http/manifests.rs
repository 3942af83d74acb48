//! `/v2/<name>/manifests/<reference>`.

use boxship_oci::Digest;
use http::{HeaderName, Method, StatusCode, header};

use super::body::ReplyBody;
use super::reply::{CONTENT_DIGEST, Reply};
use super::{Call, Failure, blobs, blocking};
use crate::auth::Action;
use crate::error::Error;
use crate::name::{Reference, RepositoryName, Tag};
use crate::storage::{LARGEST_MANIFEST, Put};

const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const TAG: HeaderName = HeaderName::from_static("oci-tag");

/// The most tags of one push.
const MOST_TAGS: usize = 16;

pub(super) async fn answer(
    call: Call,
    repository: RepositoryName,
    reference: Reference,
) -> Result<Reply, Failure> {
    match call.parts.method {
        Method::GET | Method::HEAD => get(call, repository, reference).await,
        Method::PUT => put(call, repository, reference).await,
        Method::DELETE => {
            call.require(&repository, Action::Delete)?;
            let storage = call.app.storage.clone();
            blocking(move || match &reference {
                Reference::Tag(tag) => storage.delete_tag(&repository, tag),
                Reference::Digest(digest) => storage.delete_manifest(&repository, digest),
            })
            .await?;
            Ok(Reply::empty(StatusCode::ACCEPTED))
        }
        _ => Err(Failure::unsupported("the operation is unsupported")),
    }
}

async fn get(call: Call, repository: RepositoryName, reference: Reference) -> Result<Reply, Failure> {
    call.require(&repository, Action::Pull)?;
    if let Some(mirror) = &call.app.mirror {
        mirror.manifest(&repository, &reference).await?;
    }
    let storage = call.app.storage.clone();
    let found = blocking(move || {
        let digest = storage.resolve(&repository, &reference)?;
        storage.manifest(&repository, &digest).map_err(|error| match error {
            Error::Damaged(digest) => Error::NoManifest(digest.to_string()),
            other => other,
        })
    });
    let manifest = found.await?;
    let described = |reply: Reply, digest: &Digest| {
        reply.with(CONTENT_DIGEST, digest).with(header::ETAG, format_args!("\"{digest}\""))
    };
    if blobs::is_known(&call, &manifest.digest) {
        let reply = Reply::of(ReplyBody::Empty).status(StatusCode::NOT_MODIFIED);
        return Ok(described(reply, &manifest.digest));
    }
    let reply = described(Reply::bytes(manifest.bytes), &manifest.digest)
        .with(header::CONTENT_TYPE, manifest.media_type);
    Ok(if call.parts.method == Method::HEAD { reply.head() } else { reply })
}

async fn put(mut call: Call, repository: RepositoryName, reference: Reference) -> Result<Reply, Failure> {
    call.require(&repository, Action::Push)?;
    let wrong = |why: &str| Failure::bad_request("TAG_INVALID", why);
    let tags: Vec<Tag> =
        call.query.all("tag").map(|tag| tag.parse().map_err(wrong)).collect::<Result<_, _>>()?;
    if tags.len() > MOST_TAGS {
        return Err(wrong("too many tags"));
    }
    let bytes = whole(&mut call).await?;
    let content_type = call.header(header::CONTENT_TYPE).map(str::to_owned);
    let storage = call.app.storage.clone();
    let (name, target, named) = (repository.clone(), reference.clone(), tags.clone());
    let stored = blocking(move || {
        storage.put_manifest(&Put {
            repository: &name,
            reference: &target,
            tags: &named,
            content_type: content_type.as_deref(),
            bytes: &bytes,
        })
    })
    .await?;
    let mut reply = Reply::empty(StatusCode::CREATED)
        .with(header::LOCATION, format_args!("/v2/{repository}/manifests/{}", stored.digest))
        .with(CONTENT_DIGEST, &stored.digest);
    if let Some(subject) = &stored.subject {
        reply = reply.with(SUBJECT, subject);
    }
    if !tags.is_empty() {
        let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
        reply = reply.with(TAG, tags.join(", "));
    }
    Ok(reply)
}

/// The whole body, which is small or refused.
async fn whole(call: &mut Call) -> Result<Vec<u8>, Failure> {
    let too_large = || {
        let message = format!("the manifest is larger than the limit of {LARGEST_MANIFEST} bytes");
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "MANIFEST_INVALID", message)
    };
    let announced = call.header(header::CONTENT_LENGTH).and_then(|text| text.parse().ok()).unwrap_or(0);
    if announced > LARGEST_MANIFEST {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(announced);
    while let Some(piece) = Call::piece(&mut call.body, call.app.patience).await? {
        if bytes.len() + piece.len() > LARGEST_MANIFEST {
            return Err(too_large());
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}
