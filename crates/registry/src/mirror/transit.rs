//! Blobs on their way from the upstream: each is fetched once, however many ask for it, written to a draft that nobody
//! else sees, and read from there by all who wait while it grows. When all of it came and has the right digest it
//! becomes a blob of the storage; otherwise nothing of it stays, and those who read it are cut off before its last
//! byte: nobody ever gets all of a blob that was not verified.
//!
//! A connection that breaks is gone on with where it broke. A blob that nobody waits for any more is fetched to its
//! end: most who give up come back.

use std::collections::HashMap;
use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};

use boxship_distribution::{Download, Error as UpstreamError};
use boxship_oci::Digest;
use bytes::Bytes;
use tokio::sync::watch;

use super::trouble::Trouble;
use super::{Mirror, turn};
use crate::error::Error;
use crate::name::RepositoryName;
use crate::storage::uploads::Lease;

/// How much is gathered before it is written, when it comes fast.
const BATCH: usize = 256 << 10;

/// How much more is worth another round of attempts: an upstream that gives a few bytes at a time gives none.
const PROGRESS: u64 = 64 << 10;

/// Which blob of which repository.
type Key = (RepositoryName, Digest);

/// How far a blob has come.
#[derive(Clone)]
pub(crate) enum State {
    /// Nothing is known yet.
    Asked,
    /// So many bytes of it are in the draft.
    Coming {
        /// The draft.
        file: Arc<File>,
        /// The whole blob's length.
        size: u64,
        /// How much of it is there.
        written: u64,
    },
    /// It is in the storage.
    Stored,
    /// It won't come.
    Failed(Trouble),
}

/// A blob that can be read while it comes.
pub(crate) struct Coming {
    pub(crate) file: Arc<File>,
    pub(crate) size: u64,
    pub(crate) state: watch::Receiver<State>,
}

/// All blobs that are on their way.
#[derive(Default)]
pub(super) struct Transits {
    table: Mutex<HashMap<Key, watch::Receiver<State>>>,
}

/// The duty to bring a blob; when it is dropped, whoever asks next gets it.
pub(super) struct Ticket {
    key: Key,
    state: watch::Sender<State>,
    transits: Arc<Transits>,
}

impl Transits {
    /// What is known of a blob that comes, and for the first who asks, the duty to bring it.
    pub(super) fn join(
        self: &Arc<Self>,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> (Option<Ticket>, watch::Receiver<State>) {
        let key = (repository.clone(), digest.clone());
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(state) = table.get(&key) {
            return (None, state.clone());
        }
        let (sender, receiver) = watch::channel(State::Asked);
        table.insert(key.clone(), receiver.clone());
        (Some(Ticket { key, state: sender, transits: self.clone() }), receiver)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.transits.table.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// Waits until a blob can be read, here or from the storage.
pub(super) async fn begun(mut state: watch::Receiver<State>) -> Result<Option<Coming>, Trouble> {
    let now = state.wait_for(|state| !matches!(state, State::Asked)).await;
    let now = now.map(|now| now.clone()).map_err(|_| Trouble::Internal)?;
    match now {
        State::Coming { file, size, .. } => Ok(Some(Coming { file, size, state })),
        State::Failed(trouble) => Err(trouble),
        State::Stored | State::Asked => Ok(None),
    }
}

/// Brings a blob.
pub(super) async fn bring(mirror: Arc<Mirror>, ticket: Ticket) {
    let state = match fetch(&mirror, &ticket).await {
        Ok(()) => State::Stored,
        Err(trouble) => State::Failed(trouble),
    };
    ticket.state.send_replace(state);
}

async fn fetch(mirror: &Mirror, ticket: &Ticket) -> Result<(), Trouble> {
    let (repository, digest) = &ticket.key;
    let _turn = turn(&mirror.downloads).await?;
    let (name, wanted) = (repository.clone(), digest.clone());
    let (here, elsewhere) = mirror
        .blocking(move |storage| Ok((storage.has_blob(&name, &wanted)?, storage.is_pooled(&wanted)?)))
        .await?;
    if here {
        return Ok(());
    }
    if elsewhere {
        // Another repository has it: whether this one has it too is all that is to be asked.
        let size = mirror.told(mirror.upstream.blob_size(repository.as_str(), digest)).await?;
        size.ok_or(Trouble::Absent)?;
        let (name, wanted) = (repository.clone(), digest.clone());
        if mirror.blocking(move |storage| storage.mount(None, &name, &wanted)).await? {
            return Ok(());
        }
    }
    let draft = download(mirror, ticket).await?;
    let wanted = digest.clone();
    mirror.blocking(move |_| draft.lease.finish(&wanted)).await
}

/// What has come of a blob.
struct Draft {
    lease: Lease,
    /// The whole blob's length, when the upstream told it.
    size: Option<u64>,
    /// For those who read along.
    file: Arc<File>,
}

/// Why an attempt ended too early.
enum Stop {
    Upstream(UpstreamError),
    Ours(Trouble),
}

impl From<UpstreamError> for Stop {
    fn from(error: UpstreamError) -> Self {
        Self::Upstream(error)
    }
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Self::Ours(trouble)
    }
}

/// Fetches all of a blob, in as many attempts as there is patience for.
async fn download(mirror: &Mirror, ticket: &Ticket) -> Result<Draft, Trouble> {
    let (repository, digest) = &ticket.key;
    let (mut draft, mut failures) = (None, 0);
    loop {
        let before = draft.as_ref().map_or(0, |draft: &Draft| draft.lease.size());
        let begun = mirror.upstream.blob(repository.as_str(), digest, before).await;
        let stop = match begun {
            Err(error) => Stop::Upstream(error),
            Ok(download) => match attempt(mirror, ticket, &mut draft, download).await {
                Ok(()) => return draft.ok_or(Trouble::Internal),
                Err(stop) => stop,
            },
        };
        let error = match stop {
            Stop::Ours(trouble) => return Err(trouble),
            Stop::Upstream(error) => error,
        };
        let progress = draft.as_ref().is_some_and(|draft| draft.lease.size() >= before + PROGRESS);
        failures = if progress { 1 } else { failures + 1 };
        if !error.is_temporary() || failures >= mirror.patience.attempts || error.retry_after().is_some() {
            return mirror.told(std::future::ready(Err(error))).await;
        }
        tracing::info!(%repository, %digest, %error, "a blob's way broke off; it is gone on with");
        let wait = mirror.patience.wait * 2u32.pow(failures.min(8) - 1);
        tokio::time::sleep(wait.min(mirror.patience.longest)).await;
    }
}

/// Writes what comes behind what has come.
async fn attempt(
    mirror: &Mirror,
    ticket: &Ticket,
    place: &mut Option<Draft>,
    mut download: Download,
) -> Result<(), Stop> {
    let mut draft = match place.take() {
        Some(draft) if download.size.is_some() && draft.size != download.size => {
            tracing::warn!(digest = %ticket.key.1, "the upstream told two lengths of a blob");
            return Err(Trouble::Broken.into());
        }
        Some(draft) => draft,
        None => open(mirror, ticket, download.size).await?,
    };
    let mut skip = draft.lease.size().saturating_sub(download.begins);
    let ended = loop {
        let (batch, end) = gather(&mut download, &mut skip).await;
        if !batch.is_empty() {
            draft = append(mirror, ticket, draft, batch).await?;
        }
        if let Some(ended) = end {
            break ended;
        }
    };
    let short = draft.size.is_some_and(|size| draft.lease.size() < size);
    *place = Some(draft);
    ended?;
    if short {
        let source = boxship_distribution::Failure::Broken("unexpected EOF".into());
        let url = mirror.upstream.address().to_string();
        return Err(UpstreamError::Request { method: http::Method::GET, url, source }.into());
    }
    Ok(())
}

/// Makes a draft, and lets it be read when the blob's length is known.
async fn open(mirror: &Mirror, ticket: &Ticket, size: Option<u64>) -> Result<Draft, Trouble> {
    let (uploads, (repository, digest)) = (mirror.uploads.clone(), ticket.key.clone());
    let draft = mirror.blocking(move |_| {
        uploads.expect(0, size.unwrap_or(0))?;
        let lease = uploads.begin(&repository, digest.algorithm())?.fleeting();
        let file = Arc::new(lease.reader()?);
        Ok(Draft { lease, size, file })
    });
    let draft = draft.await?;
    tell(ticket, &draft);
    Ok(draft)
}

fn tell(ticket: &Ticket, draft: &Draft) {
    if let Some(size) = draft.size.filter(|size| *size > 0) {
        let (file, written) = (draft.file.clone(), draft.lease.size());
        ticket.state.send_replace(State::Coming { file, size, written });
    }
}

async fn append(
    mirror: &Mirror,
    ticket: &Ticket,
    mut draft: Draft,
    batch: Vec<Bytes>,
) -> Result<Draft, Trouble> {
    let more: u64 = batch.iter().map(|bytes| bytes.len() as u64).sum();
    if draft.size.is_some_and(|size| draft.lease.size() + more > size) {
        tracing::warn!(digest = %ticket.key.1, "the upstream sent more than it announced");
        return Err(Trouble::Broken);
    }
    let draft = mirror
        .blocking(move |_| {
            for bytes in &batch {
                draft.lease.append(bytes)?;
            }
            Ok::<_, Error>(draft)
        })
        .await?;
    tell(ticket, &draft);
    Ok(draft)
}

/// What is there of the download, and how it ended, when it did. The first `skip` bytes are known already.
async fn gather(download: &mut Download, skip: &mut u64) -> (Vec<Bytes>, Option<Result<(), UpstreamError>>) {
    let (mut batch, mut size) = (Vec::new(), 0);
    while size < BATCH {
        let piece = tokio::select! {
            biased;
            piece = download.next() => piece,
            // What has come is not kept waiting for what has not.
            () = std::future::ready(()), if !batch.is_empty() => break,
        };
        match piece {
            Ok(Some(mut bytes)) => {
                let known = (*skip).min(bytes.len() as u64);
                *skip -= known;
                let bytes = bytes.split_off(known as usize);
                size += bytes.len();
                if !bytes.is_empty() {
                    batch.push(bytes);
                }
            }
            Ok(None) => return (batch, Some(Ok(()))),
            Err(error) => return (batch, Some(Err(error))),
        }
    }
    (batch, None)
}
