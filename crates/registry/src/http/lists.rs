//! Lists: catalog, tags, referrers. Each answer is bounded; what follows is linked.

use boxship_oci::Digest;
use boxship_oci::descriptor::OCI_INDEX;
use http::{HeaderName, HeaderValue, Method, header};
use serde_json::json;

use super::reply::Reply;
use super::route::{self, encode};
use super::{Call, Failure, blocking};
use crate::auth::Action;
use crate::name::RepositoryName;
use crate::storage::tag_order;

/// How many repositories are listed unless a request says otherwise.
const CATALOG: usize = 100;
/// How many repositories or tags are listed at most.
const MOST: usize = 10_000;
/// How many bytes of referrers are listed at most, about: each may have long annotations.
const REFERRERS: usize = 4 << 20;

const FILTERS: HeaderName = HeaderName::from_static("oci-filters-applied");

/// `n`: how many are wanted.
fn wanted(call: &Call) -> Result<Option<usize>, Failure> {
    let wrong = || Failure::bad_request("PAGINATION_NUMBER_INVALID", "n is no number");
    let Some(text) = call.query.get("n") else { return Ok(None) };
    text.parse::<usize>().map(|n| Some(n.min(MOST))).map_err(|_| wrong())
}

fn only_get(call: &Call) -> Result<(), Failure> {
    match call.parts.method {
        Method::GET | Method::HEAD => Ok(()),
        _ => Err(Failure::unsupported("the operation is unsupported")),
    }
}

fn linked(reply: Reply, next: Option<String>) -> Reply {
    match next {
        Some(next) => reply.with(header::LINK, format_args!("<{next}>; rel=\"next\"")),
        None => reply,
    }
}

/// `GET /v2/_catalog`: of the repositories that the caller may pull from.
pub(super) async fn catalog(call: Call) -> Result<Reply, Failure> {
    only_get(&call)?;
    call.app.access.require(&call.caller, &call.parts, None)?;
    call.app.access.require_catalog(&call.caller, &call.parts)?;
    let count = wanted(&call)?.unwrap_or(CATALOG);
    let last = match call.query.get("last") {
        Some(text) => Some(text.parse().map_err(|why: &str| Failure::bad_request("NAME_INVALID", why))?),
        None => None,
    };
    let (storage, caller) = (call.app.storage.clone(), call.caller.clone());
    let names = blocking(move || {
        // One more than wanted tells whether there are more.
        storage.catalog(last.as_ref(), count + 1, |name| caller.may(name, Action::Pull))
    });
    let names = names.await?;
    let shown: Vec<&str> = names.iter().take(count).map(RepositoryName::as_str).collect();
    let more = names.len() > count && count > 0;
    let next = more.then(|| format!("/v2/_catalog?last={}&n={count}", encode(shown.last().unwrap_or(&""))));
    Ok(linked(Reply::json(&json!({ "repositories": shown })), next))
}

/// `GET /v2/<name>/tags/list`.
pub(super) async fn tags(call: Call, repository: RepositoryName) -> Result<Reply, Failure> {
    only_get(&call)?;
    call.require(&repository, Action::Pull)?;
    let count = wanted(&call)?;
    if let Some(reply) = mirrored(&call, &repository, "tags/list").await? {
        return Ok(reply);
    }
    let (storage, name) = (call.app.storage.clone(), repository.clone());
    let tags = blocking(move || storage.tags(&name)).await?;
    let start = match call.query.get("last") {
        Some(last) => {
            let last = tag_order(last);
            tags.partition_point(|tag| tag_order(tag.as_str()) <= last)
        }
        None => 0,
    };
    let rest = &tags[start..];
    let count = count.unwrap_or(MOST);
    let shown: Vec<&str> = rest.iter().take(count).map(|tag| tag.as_str()).collect();
    let more = rest.len() > count && count > 0;
    let next = more.then(|| {
        format!("/v2/{repository}/tags/list?last={}&n={count}", encode(shown.last().unwrap_or(&"")))
    });
    Ok(linked(Reply::json(&json!({ "name": repository.as_str(), "tags": shown })), next))
}

/// The same list of the registry that is mirrored. Its next page is asked for in its own words.
async fn mirrored(call: &Call, repository: &RepositoryName, path: &str) -> Result<Option<Reply>, Failure> {
    let Some(mirror) = &call.app.mirror else { return Ok(None) };
    let Some(listed) = mirror.list(repository, path, &call.query.without("ns")).await? else {
        return Ok(None);
    };
    let mut reply =
        Reply::bytes(listed.bytes).value(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(filters) = listed.filters {
        reply = reply.with(FILTERS, filters);
    }
    let next = listed.next.map(|query| format!("/v2/{repository}/{path}?{query}"));
    Ok(Some(linked(reply, next)))
}

/// `GET /v2/<name>/referrers/<digest>`: an index, empty when nothing refers.
pub(super) async fn referrers(
    call: Call,
    repository: RepositoryName,
    subject: Digest,
) -> Result<Reply, Failure> {
    only_get(&call)?;
    call.require(&repository, Action::Pull)?;
    if let Some(reply) = mirrored(&call, &repository, &format!("referrers/{subject}")).await? {
        return Ok(reply.value(header::CONTENT_TYPE, HeaderValue::from_static(OCI_INDEX)));
    }
    let filter = call.query.get("artifactType").map(str::to_owned);
    let last: Option<Digest> = call.query.get("last").map(route::digest).transpose()?;
    let (storage, name, of) = (call.app.storage.clone(), repository.clone(), subject.clone());
    let kind = filter.clone();
    let (listed, next) = blocking(move || {
        let mut size = 0;
        let mut listed = Vec::new();
        for digest in storage.referring(&name, &of)? {
            if last.as_ref().is_some_and(|last| digest <= *last) {
                continue;
            }
            let Some(referrer) = storage.referrer(&name, &of, &digest)? else { continue };
            if kind.is_some() && referrer.artifact_type != kind {
                continue;
            }
            let text = serde_json::to_string(&referrer).unwrap_or_default();
            size += text.len();
            if size > REFERRERS && !listed.is_empty() {
                return Ok((listed, true));
            }
            listed.push(referrer);
        }
        Ok((listed, false))
    })
    .await?;
    let next = listed.last().filter(|_| next).map(|last| {
        let filter =
            filter.as_deref().map(|kind| format!("&artifactType={}", encode(kind))).unwrap_or_default();
        format!("/v2/{repository}/referrers/{subject}?last={}{filter}", encode(&last.digest.to_string()))
    });
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed });
    let mut reply = Reply::json(&index).value(header::CONTENT_TYPE, HeaderValue::from_static(OCI_INDEX));
    if filter.is_some() {
        reply = reply.value(FILTERS, HeaderValue::from_static("artifactType"));
    }
    Ok(linked(reply, next))
}
