//! Referrers: which manifests name a manifest as their subject. The subject need not be there.

use std::fs;

use boxship_oci::Digest;

use super::manifest::Referrer;
use super::{Storage, disk};
use crate::error::{Error, Result};
use crate::name::RepositoryName;

impl Storage {
    /// Takes down that `referrer` names `subject`. Written before the manifest itself: what has no manifest is not
    /// listed.
    pub(super) fn add_referrer(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        referrer: &Referrer,
    ) -> Result<()> {
        let path = self.referrers_path(repository, subject).join(referrer.digest.to_string());
        let text = serde_json::to_vec(referrer).map_err(|why| Error::ManifestInvalid(why.to_string()))?;
        self.write(&path, &text)
    }

    pub(super) fn remove_referrer(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        referrer: &Digest,
    ) -> Result<()> {
        let folder = self.referrers_path(repository, subject);
        disk::remove_file(&folder.join(referrer.to_string()))?;
        // Fails while there are others.
        let _ = fs::remove_dir(folder);
        Ok(())
    }

    /// The digests of the manifests that name `subject`, in order.
    pub(crate) fn referring(&self, repository: &RepositoryName, subject: &Digest) -> Result<Vec<Digest>> {
        let names = disk::names(&self.referrers_path(repository, subject))?;
        let mut digests: Vec<Digest> = names.iter().filter_map(|name| name.parse().ok()).collect();
        digests.retain(|digest| self.manifest_path(repository, digest).is_file());
        digests.sort();
        Ok(digests)
    }

    /// How one of them is listed.
    pub(crate) fn referrer(
        &self,
        repository: &RepositoryName,
        subject: &Digest,
        digest: &Digest,
    ) -> Result<Option<Referrer>> {
        let path = self.referrers_path(repository, subject).join(digest.to_string());
        let Some(bytes) = disk::if_there(fs::read(&path), "read", &path)? else { return Ok(None) };
        Ok(serde_json::from_slice(&bytes).ok())
    }
}
