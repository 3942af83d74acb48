//! Images in and out: archives from and to the client, and registries.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use boxship_api::auth::{self, AuthConfig};
use boxship_api::container::Config;
use boxship_api::image::InspectResponse;
use boxship_engine::image::{
    CommitOptions, ImageImportOptions, ImagePullOptions, ImagePushOptions, Input, ProgressStream,
};
use futures_util::{StreamExt, TryStreamExt};
use http::StatusCode;
use serde_json::Value;
use tokio_util::io::StreamReader;

use crate::http::{Call, Failure, Reply, reply};

/// `POST /images/load`.
pub(crate) async fn load(mut call: Call) -> Result<Reply, Failure> {
    let platform = platform(&call, "platform", 48)?.map(|platform| platform.wanted());
    let quiet = call.query.switch_or("quiet", true);
    let archive = input(&mut call);
    let progress = call.engine().image_load(archive, quiet, platform).await?;
    Ok(told(&call, progress))
}

/// `GET /images/get`, `GET /images/{name}/get`.
pub(crate) async fn save(call: Call) -> Result<Reply, Failure> {
    let names = if call.name.is_empty() { call.query.all("names") } else { vec![call.name.clone()] };
    // An image here has one platform: that one may be asked for.
    if let Some(platform) = platform(&call, "platform", 48)? {
        for name in &names {
            platform.check(&call.engine().image_inspect(name).await?, name)?;
        }
    }
    let bytes = call.engine().image_save(names).await?;
    Ok(reply::stream("application/x-tar", call.until_stop(bytes.map_err(io::Error::other))))
}

/// `POST /images/create`: pull or import.
pub(crate) async fn create(mut call: Call) -> Result<Reply, Failure> {
    let text = |name: &str| call.query.text(name).unwrap_or_default().to_owned();
    let platform = call.query.owned("platform").filter(|_| call.version.at_least(32));
    let progress = match call.query.text("fromImage") {
        Some(image) => {
            let options = ImagePullOptions {
                // `pull -a` sends a name with a trailing colon.
                image: image.trim_end_matches(':').to_owned(),
                tag: text("tag"),
                platform,
                auth: credentials(&call),
            };
            call.engine().image_pull(options).await?
        }
        None => {
            let options = ImageImportOptions {
                source: text("fromSrc"),
                repo: text("repo"),
                tag: text("tag"),
                message: text("message"),
                changes: call.query.all("changes"),
                platform,
            };
            let archive = input(&mut call);
            call.engine().image_import(options, archive).await?
        }
    };
    Ok(told(&call, progress))
}

/// `POST /commit`.
pub(crate) async fn commit(mut call: Call) -> Result<Reply, Failure> {
    let text = |name: &str| call.query.text(name).unwrap_or_default().to_owned();
    let mut options = CommitOptions {
        container: text("container"),
        repo: text("repo"),
        tag: text("tag"),
        comment: text("comment"),
        author: text("author"),
        pause: call.query.switch_or("pause", true),
        changes: call.query.all("changes"),
        config: None,
    };
    options.config = call.json_or_default::<Option<Config>>().await?;
    let made = call.engine().image_commit(options).await?;
    reply::json(StatusCode::CREATED, &made)
}

/// `POST /images/{name}/push`.
pub(crate) async fn push(call: Call) -> Result<Reply, Failure> {
    let options = ImagePushOptions {
        image: call.name.clone(),
        tag: call.query.text("tag").unwrap_or_default().to_owned(),
        auth: credentials(&call),
    };
    // An image here has one platform: that one may be asked for.
    if let Some(platform) = platform(&call, "platform", 46)? {
        let colon = if options.tag.is_empty() { "" } else { ":" };
        let name = format!("{}{colon}{}", options.image, options.tag);
        platform.check(&call.engine().image_inspect(&name).await?, &name)?;
    }
    let progress = call.engine().image_push(options).await?;
    Ok(told(&call, progress))
}

/// `GET /images/search`.
pub(crate) async fn search(call: Call) -> Result<Reply, Failure> {
    let limit = call.query.number("limit")?.unwrap_or(0);
    let limit = u32::try_from(limit).ok().filter(|limit| *limit <= 100);
    let limit = limit.ok_or_else(|| {
        let asked = call.query.text("limit").unwrap_or_default();
        Failure::invalid(format!("limit {asked} is outside the range of [1, 100]"))
    })?;
    let term = call.query.text("term").unwrap_or_default();
    let filters = call.query.filters()?;
    let found = call.engine().image_search(term, limit, &filters, credentials(&call).as_ref()).await?;
    reply::json(StatusCode::OK, &found)
}

/// `GET /distribution/{name}/json`.
pub(crate) async fn inspect_remote(call: Call) -> Result<Reply, Failure> {
    let found = call.engine().distribution_inspect(&call.name, credentials(&call).as_ref()).await?;
    reply::json(StatusCode::OK, &found)
}

/// `POST /auth`.
pub(crate) async fn login(mut call: Call) -> Result<Reply, Failure> {
    // Its fields are written in lower case, and read in any.
    let body = match call.json().await? {
        Value::Object(fields) => Value::Object(
            fields.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect(),
        ),
        other => other,
    };
    let auth: AuthConfig = crate::http::body::typed(body)?;
    reply::json(StatusCode::OK, &call.engine().login(&auth).await?)
}

fn input(call: &mut Call) -> Input {
    let body = std::mem::take(&mut call.body);
    Box::pin(StreamReader::new(body.into_data_stream().map_err(io::Error::other)))
}

fn told(call: &Call, progress: ProgressStream) -> Reply {
    reply::progress(call.until_stop(progress.fuse()))
}

/// A header that can't be read is as good as none, as Docker has it.
fn credentials(call: &Call) -> Option<AuthConfig> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let base64 = GeneralPurpose::new(&base64::alphabet::URL_SAFE, config);
    let json = base64.decode(call.parts.headers.get(auth::HEADER)?).ok()?;
    serde_json::from_slice(&json).ok()
}

/// A platform as newer clients send it: a JSON object.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    variant: String,
}

impl Platform {
    /// The same in the engine's terms.
    fn wanted(&self) -> boxship_oci::Platform {
        let variant = Some(self.variant.as_str()).filter(|variant| !variant.is_empty());
        boxship_oci::Platform::new(&self.os, &self.architecture, variant)
    }

    /// Refuse an image of another platform.
    pub(crate) fn check(&self, image: &InspectResponse, name: &str) -> Result<(), Failure> {
        let same = self.os == image.os
            && self.architecture == image.architecture
            && (self.variant.is_empty() || self.variant == image.variant);
        if same {
            return Ok(());
        }
        let slash = if self.variant.is_empty() { "" } else { "/" };
        Err(Failure::not_found(format!(
            "image with reference {name} was found but does not provide the specified platform ({}/{}{slash}{})",
            self.os, self.architecture, self.variant
        )))
    }
}

/// The platform that a parameter names, in versions that have the parameter.
pub(crate) fn platform(call: &Call, name: &str, since: u16) -> Result<Option<Platform>, Failure> {
    let Some(text) = call.query.text(name).filter(|_| call.version.at_least(since)) else { return Ok(None) };
    let platform: Platform = serde_json::from_str(text)
        .map_err(|error| Failure::invalid(format!("failed to parse platform: {error}")))?;
    if platform.os.is_empty() || platform.architecture.is_empty() {
        return Err(Failure::invalid("both OS and Architecture must be provided"));
    }
    Ok(Some(platform))
}
