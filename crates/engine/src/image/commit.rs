//! `POST /commit`: an image made from a container, its changes as one more layer.

use std::time::Duration;

use boxship_api::container::Config;
use boxship_api::error::IdResponse;
use boxship_image::Commit;
use boxship_oci::{Digest, Reference};

use super::{inherit, tag};
use crate::container::WaitCondition;
use crate::error::blocking;
use crate::{Engine, Kind, Result};

/// How long the news of a container's end may take when it cannot be paused any more.
const ENDING: Duration = Duration::from_secs(2);

/// `POST /commit`.
#[derive(Clone, Debug)]
pub struct CommitOptions {
    /// The container.
    pub container: String,
    /// Repository of the new image; empty: none.
    pub repo: String,
    /// Tag.
    pub tag: String,
    /// The message.
    pub comment: String,
    /// Who made it.
    pub author: String,
    /// Whether a running container is paused meanwhile.
    pub pause: bool,
    /// Dockerfile instructions to apply to the configuration.
    pub changes: Vec<String>,
    /// What the image shall have otherwise than the container.
    pub config: Option<Config>,
}

impl Engine {
    /// `POST /commit`.
    pub async fn image_commit(&self, options: CommitOptions) -> Result<IdResponse> {
        let name = tag::target(&options.repo, &options.tag)?;
        let container = self.inner.registry.find(&options.container)?;
        let paused = options.pause && self.hold_still(&container.id).await?;
        let made = self.commit_still(options, name.clone()).await;
        if paused {
            self.container_unpause(&container.id).await?;
        }
        let (id, comment) = made?;
        let mut more = vec![("comment", comment), ("imageID", id.to_string())];
        more.extend(name.map(|name| ("imageRef", name.familiar())));
        self.tell_container(&container.configuration(), "commit", &more);
        Ok(IdResponse { id: id.to_string() })
    }

    /// Pauses a container unless it is still already; whether it was paused here.
    async fn hold_still(&self, id: &str) -> Result<bool> {
        if !self.inner.registry.find(id)?.state().is_running() {
            return Ok(false);
        }
        match self.container_pause(id).await {
            Ok(()) => Ok(true),
            // Paused by somebody else, or ended meanwhile.
            Err(error) if error.kind() == Kind::Conflict => Ok(false),
            Err(error) => {
                let ended = self.container_wait(id, WaitCondition::NotRunning).await?.finish();
                tokio::time::timeout(ENDING, ended).await.map_err(|_| error)??;
                Ok(false)
            }
        }
    }

    /// Commits a container that nothing changes meanwhile.
    async fn commit_still(
        &self,
        options: CommitOptions,
        name: Option<Reference>,
    ) -> Result<(Digest, String)> {
        let container = self.inner.registry.find(&options.container)?;
        let engine = self.clone();
        blocking(move || {
            let configuration = container.configuration();
            let config = inherit::config(options.config.as_ref(), &options.changes, &configuration.config)?;
            let rootfs = engine.store().snapshots().get(&container.id)?;
            let command = [&configuration.config.entrypoint, &configuration.config.cmd];
            let command = command.into_iter().flatten().flat_map(|words| words.0.iter().cloned());
            let commit = Commit {
                parent: rootfs.image,
                upper: rootfs.upper,
                config,
                name,
                author: options.author,
                comment: options.comment,
                command: command.collect::<Vec<_>>().join(" "),
            };
            let id = boxship_image::commit(engine.store(), &commit).map_err(super::error::from_image)?;
            if let Some(name) = &commit.name {
                let labels = commit.config.labels.iter().map(|(key, value)| (key.clone(), value.clone()));
                engine.tell_image("tag", &id, &name.familiar(), labels.collect());
            }
            Ok((id, commit.comment))
        })
        .await
    }
}
