//! A mirror: a registry whose content is another registry's, fetched when it is first asked for and kept.
//!
//! What is named by its digest never changes and comes from the storage once it is there. What a tag means is asked of
//! the upstream registry each time, without its content where that is known; only while the upstream is away, or has
//! enough of us, the answer is what the tag meant last. Nothing is pushed to a mirror.
//!
//! Who may read a repository of the mirror, the mirror's own rules say; upstream all come as the one user that the
//! settings name. Nothing of that user's credentials is ever part of an answer, an error or the log; that they go to
//! the upstream alone is the promise of `boxship_distribution`. What the storage of a mirror holds is incomplete by
//! nature, so it takes no pushes and is never served as a registry of its own.

mod transit;
mod trouble;

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use boxship_distribution::{
    Credentials, Error as UpstreamError, Fetched, Hosts, Listed, Patience, Proxies, Settings, Timeouts,
    Upstream,
};
use boxship_oci::Digest;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::error::{Error, Result};
use crate::http::Failure;
use crate::name::{Reference, RepositoryName, Tag};
use crate::storage::{Put, Storage, Uploads};
use transit::Transits;
pub(crate) use transit::{Coming, State};
use trouble::Trouble;

/// Questions to the upstream at a time.
const QUESTIONS: usize = 64;
/// Blobs that come from the upstream at a time.
const DOWNLOADS: usize = 32;
/// How long a request waits for its turn.
const TURN: Duration = Duration::from_secs(30);
/// For how long the upstream is not asked about what is known after it could not be reached.
const AWAY: Duration = Duration::from_secs(10);

/// What is mirrored, and how it is reached.
#[derive(Debug, Clone)]
pub struct MirrorConfig {
    /// The upstream registry: `https://registry-1.docker.io`.
    pub url: String,
    /// Who we are to it.
    pub credentials: Credentials,
    /// Certificates of registries, and which need none.
    pub hosts: Hosts,
    /// The proxies.
    pub proxies: Proxies,
}

/// The mirror.
pub(crate) struct Mirror {
    upstream: Upstream,
    storage: Arc<Storage>,
    uploads: Arc<Uploads>,
    questions: Semaphore,
    downloads: Semaphore,
    /// When the upstream could last not be reached.
    away: Mutex<Option<Instant>>,
    transits: Arc<Transits>,
    patience: Patience,
}

impl Mirror {
    /// The mirror as it was asked for; the upstream is not asked yet.
    pub(crate) async fn new(
        config: &MirrorConfig,
        storage: Arc<Storage>,
        uploads: Arc<Uploads>,
    ) -> Result<Self> {
        let patience =
            Patience { attempts: 3, wait: Duration::from_millis(300), longest: Duration::from_secs(5) };
        let timeouts = Timeouts {
            connect: Duration::from_secs(5),
            head: Duration::from_secs(20),
            stall: Duration::from_secs(30),
        };
        let (hosts, proxies) = (config.hosts.clone(), config.proxies.clone());
        let settings = Settings { hosts, proxies, patience, timeouts, ..Settings::default() };
        let upstream = Upstream::new(&settings, &config.url, config.credentials.clone())
            .await
            .map_err(|why| Error::Setting(format!("--mirror {}: {why}", config.url)))?;
        let address = upstream.address();
        let open = address.scheme == boxship_distribution::Scheme::Http && !address.is_loopback();
        if open && config.credentials != Credentials::Anonymous {
            tracing::warn!(upstream = %address, "the upstream's credentials are sent without encryption");
        }
        storage.belong_to(Some(&address.to_string()))?;
        // What came before a crash has nobody who waits for it.
        uploads.expire(Duration::ZERO)?;
        Ok(Self {
            upstream,
            storage,
            uploads,
            questions: Semaphore::new(QUESTIONS),
            downloads: Semaphore::new(DOWNLOADS),
            away: Mutex::default(),
            transits: Arc::default(),
            patience,
        })
    }

    /// Sees to it that the storage has what the reference means now.
    pub(crate) async fn manifest(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
    ) -> Result<(), Failure> {
        let done = match reference {
            Reference::Digest(digest) => self.by_digest(repository, digest).await,
            Reference::Tag(tag) => self.by_tag(repository, tag).await,
        };
        done.map_err(|trouble| trouble.failure("MANIFEST_UNKNOWN", "the manifest"))
    }

    async fn by_digest(&self, repository: &RepositoryName, digest: &Digest) -> Result<(), Trouble> {
        if self.has_manifest(repository, digest).await? {
            return Ok(());
        }
        let _turn = turn(&self.questions).await?;
        let fetched = self.told(self.upstream.manifest(repository.as_str(), &digest.to_string())).await?;
        self.keep(repository, fetched, None).await
    }

    async fn by_tag(&self, repository: &RepositoryName, tag: &Tag) -> Result<(), Trouble> {
        let known = self.known(repository, tag).await?;
        if known && self.is_away() {
            return Ok(());
        }
        match self.follow(repository, tag).await {
            Err(trouble @ Trouble::Absent) => {
                let (name, gone) = (repository.clone(), tag.clone());
                // That it was never here is as good.
                let _ = self.blocking(move |storage| storage.delete_tag(&name, &gone)).await;
                Err(trouble)
            }
            Err(trouble) if known && trouble.is_passing() => {
                tracing::warn!(%repository, %tag, "answered with what the tag meant before");
                Ok(())
            }
            done => done,
        }
    }

    /// Whether a tag, and the manifest that it names, are in the storage.
    async fn known(&self, repository: &RepositoryName, tag: &Tag) -> Result<bool, Trouble> {
        let (name, wanted) = (repository.clone(), tag.clone());
        match self.blocking(move |storage| storage.tag_target(&name, &wanted)).await? {
            Some(digest) => self.has_manifest(repository, &digest).await,
            None => Ok(false),
        }
    }

    /// Asks what a tag means, and fetches that when it is not here.
    async fn follow(&self, repository: &RepositoryName, tag: &Tag) -> Result<(), Trouble> {
        let _turn = turn(&self.questions).await?;
        let path = repository.as_str();
        let current = match self.upstream.resolve(path, tag.as_str()).await {
            // Not all answer questions for heads.
            Err(UpstreamError::Answer(answer)) if matches!(answer.status, 400 | 405 | 501) => None,
            answer => self.told(std::future::ready(answer)).await?,
        };
        if let Some(digest) = &current
            && self.has_manifest(repository, digest).await?
        {
            let (name, tag, digest) = (repository.clone(), tag.clone(), digest.clone());
            return self.blocking(move |storage| storage.point_again(&name, &tag, &digest)).await;
        }
        let wanted = current.map_or_else(|| tag.to_string(), |digest| digest.to_string());
        let fetched = self.told(self.upstream.manifest(path, &wanted)).await?;
        self.keep(repository, fetched, Some(tag)).await
    }

    async fn has_manifest(&self, repository: &RepositoryName, digest: &Digest) -> Result<bool, Trouble> {
        let (name, digest) = (repository.clone(), digest.clone());
        self.blocking(move |storage| match storage.manifest(&name, &digest) {
            Ok(_) => Ok(true),
            Err(Error::Io { call, path, source }) => Err(Error::Io { call, path, source }),
            Err(_) => Ok(false),
        })
        .await
    }

    async fn keep(
        &self,
        repository: &RepositoryName,
        fetched: Fetched,
        tag: Option<&Tag>,
    ) -> Result<(), Trouble> {
        let (name, tags) = (repository.clone(), Vec::from_iter(tag.cloned()));
        self.blocking(move |storage| {
            let put = Put {
                repository: &name,
                reference: &Reference::Digest(fetched.digest),
                tags: &tags,
                content_type: None,
                bytes: &fetched.bytes,
            };
            storage.keep_manifest(&put).map(drop)
        })
        .await
    }

    /// The length of a blob that is not here.
    pub(crate) async fn blob_size(
        &self,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<u64, Failure> {
        let asked = async {
            let _turn = turn(&self.questions).await?;
            let size = self.told(self.upstream.blob_size(repository.as_str(), digest)).await?;
            size.ok_or(Trouble::Absent)
        };
        asked.await.map_err(|trouble| trouble.failure("BLOB_UNKNOWN", "the blob"))
    }

    /// Sees to it that a blob comes: `None` when it is in the storage.
    pub(crate) async fn blob(
        self: &Arc<Self>,
        repository: &RepositoryName,
        digest: &Digest,
    ) -> Result<Option<Coming>, Failure> {
        let came = async {
            let (name, wanted) = (repository.clone(), digest.clone());
            if self.blocking(move |storage| storage.has_blob(&name, &wanted)).await? {
                return Ok(None);
            }
            let (ticket, state) = self.transits.join(repository, digest);
            if let Some(ticket) = ticket {
                tokio::spawn(transit::bring(self.clone(), ticket));
            }
            transit::begun(state).await
        };
        came.await.map_err(|trouble: Trouble| trouble.failure("BLOB_UNKNOWN", "the blob"))
    }

    /// A list of the upstream's, or a page of it; `None` when what is known here has to do.
    pub(crate) async fn list(
        &self,
        repository: &RepositoryName,
        path: &str,
        query: &str,
    ) -> Result<Option<Listed>, Failure> {
        let rest = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        let asked = async {
            let _turn = turn(&self.questions).await?;
            let listed = self.told(self.upstream.list(repository.as_str(), &rest)).await?;
            let is_document = serde_json::from_slice::<serde_json::Map<_, _>>(&listed.bytes).is_ok();
            if is_document { Ok(listed) } else { Err(Trouble::Broken) }
        };
        match asked.await {
            Ok(listed) => Ok(Some(listed)),
            Err(trouble) if trouble.is_passing() && self.storage.knows(repository) => Ok(None),
            Err(trouble) => Err(trouble.failure("NAME_UNKNOWN", "the list")),
        }
    }

    fn is_away(&self) -> bool {
        let away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        away.is_some_and(|since| since.elapsed() < AWAY)
    }

    /// What the upstream told, and whether it was there at all.
    async fn told<T>(&self, asked: impl Future<Output = Result<T, UpstreamError>>) -> Result<T, Trouble> {
        let told = asked.await.map_err(Trouble::of);
        let away = matches!(told, Err(Trouble::Away)).then(Instant::now);
        *self.away.lock().unwrap_or_else(PoisonError::into_inner) = away;
        told
    }

    /// Runs work on the storage on a thread that may block.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Storage) -> Result<T> + Send + 'static,
    ) -> Result<T, Trouble> {
        let storage = self.storage.clone();
        let done = tokio::task::spawn_blocking(move || work(&storage)).await;
        done.map_err(|error| {
            tracing::error!(%error, "a mirror's task failed");
            Trouble::Internal
        })?
        .map_err(Trouble::ours)
    }
}

/// A turn among so many; those who would wait too long are told so.
async fn turn(places: &Semaphore) -> Result<SemaphorePermit<'_>, Trouble> {
    let turn = tokio::time::timeout(TURN, places.acquire()).await;
    turn.map_err(|_| Trouble::Busy(None))?.map_err(|_| Trouble::Internal)
}
