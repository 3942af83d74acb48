//! Questions to registries: `GET /images/search`, `GET /distribution/{name}/json`, `POST /auth`.

use boxship_api::Filters;
use boxship_api::auth::{AuthConfig, AuthResponse};
use boxship_api::image::{DistributionInspect, SearchResult};
use boxship_oci::Reference;

use super::distribution::{self, credentials};
use crate::{Engine, Error, Kind, Result};

/// The filters of a search.
const KEYS: [&str; 3] = ["is-automated", "is-official", "stars"];

impl Engine {
    /// `GET /images/search`.
    pub async fn image_search(
        &self,
        term: &str,
        limit: u32,
        filters: &Filters,
        auth: Option<&AuthConfig>,
    ) -> Result<Vec<SearchResult>> {
        filters.validate(&KEYS)?;
        let automated = truth(filters, "is-automated")?;
        let official = truth(filters, "is-official")?;
        let stars = filters.get("stars").map(|text| {
            text.parse::<i64>().map_err(|_| Error::invalid(format!("invalid filter 'stars=[{text}]'")))
        });
        let stars = stars.collect::<Result<Vec<i64>>>()?.into_iter().max().unwrap_or(0);
        // Nothing is built automatically any more.
        if automated == Some(true) {
            return Ok(Vec::new());
        }
        let found = self.inner.registries.search(term, limit, &credentials(auth)).await.map_err(plain)?;
        let wanted = |one: &boxship_distribution::SearchResult| {
            one.star_count >= stars && official.is_none_or(|official| one.is_official == official)
        };
        let found = found.into_iter().filter(wanted);
        Ok(found
            .map(|one| SearchResult {
                star_count: one.star_count,
                is_official: one.is_official,
                name: one.name,
                is_automated: false,
                description: one.description,
            })
            .collect())
    }

    /// `GET /distribution/{name}/json`.
    pub async fn distribution_inspect(
        &self,
        name: &str,
        auth: Option<&AuthConfig>,
    ) -> Result<DistributionInspect> {
        let reference = Reference::parse_tagged(name).map_err(|e| Error::invalid(e.to_string()))?;
        let found = self.inner.registries.inspect(&reference, &credentials(auth)).await.map_err(|error| {
            let mapped = plain(error);
            // Docker tells who may not look that they may not.
            let denied = mapped.to_string().starts_with("pull access denied");
            if denied { Error::new(Kind::Unauthorized, mapped.to_string()) } else { mapped }
        })?;
        let failed = |error| Error::caused(Kind::Internal, "encode descriptor", error);
        let platforms = found.platforms.iter().map(serde_json::to_value).collect::<Result<_, _>>();
        Ok(DistributionInspect {
            descriptor: Some(serde_json::to_value(&found.descriptor).map_err(failed)?),
            platforms: platforms.map_err(failed)?,
        })
    }

    /// `POST /auth`.
    pub async fn login(&self, auth: &AuthConfig) -> Result<AuthResponse> {
        let token = self.inner.registries.login(&auth.serveraddress, &credentials(Some(auth))).await;
        Ok(AuthResponse {
            status: "Login Succeeded".to_owned(),
            identity_token: token.map_err(plain)?.unwrap_or_default(),
        })
    }
}

/// As Docker answers when a registry can't be reached.
fn plain(error: boxship_distribution::Error) -> Error {
    let mapped = distribution::error(error);
    if mapped.kind() == Kind::Unavailable { Error::internal(mapped.to_string()) } else { mapped }
}

fn truth(filters: &Filters, name: &str) -> Result<Option<bool>> {
    if !filters.contains(name) {
        return Ok(None);
    }
    Ok(Some(filters.bool_or(name, false)?))
}
