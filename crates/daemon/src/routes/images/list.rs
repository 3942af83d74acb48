//! What is known of images, their names and their end.

use boxship_engine::image::{ImageListOptions, ImageRemoveOptions};
use http::StatusCode;

use super::transfer::platform;
use crate::adapt;
use crate::http::{Call, Failure, Reply, reply};

/// `GET /images/json`.
pub(crate) async fn list(call: Call) -> Result<Reply, Failure> {
    let mut filters = call.query.filters()?;
    // Before 1.25 the filter by name was a parameter of its own.
    if let Some(name) = call.query.text("filter").filter(|_| !call.version.at_least(41))
        && !filters.contains("reference")
    {
        filters.add("reference", name);
    }
    let options = ImageListOptions {
        all: call.query.switch("all"),
        filters,
        shared_size: call.version.at_least(42) && call.query.switch("shared-size"),
        digests: call.query.switch("digests"),
        manifests: call.version.at_least(47) && call.query.switch("manifests"),
    };
    let mut images = call.engine().image_list(options).await?;
    adapt::image::list(call.version, &mut images);
    adapt::image::hide_use(call.version, &mut images);
    reply::json(StatusCode::OK, &images)
}

/// `GET /images/{name}/json`.
pub(crate) async fn inspect(call: Call) -> Result<Reply, Failure> {
    let manifests = call.version.at_least(48) && call.query.switch("manifests");
    let platform = platform(&call, "platform", 49)?;
    if manifests && platform.is_some() {
        return Err(Failure::invalid(
            "conflicting options: manifests and platform options cannot both be set",
        ));
    }
    let image = call.engine().image_inspect(&call.name).await?;
    if let Some(platform) = platform {
        platform.check(&image, &call.name)?;
    }
    reply::json(StatusCode::OK, &adapt::image::inspect(call.version, image)?)
}

/// `GET /images/{name}/history`.
pub(crate) async fn history(call: Call) -> Result<Reply, Failure> {
    if let Some(platform) = platform(&call, "platform", 48)? {
        platform.check(&call.engine().image_inspect(&call.name).await?, &call.name)?;
    }
    let history = call.engine().image_history(&call.name).await?;
    reply::json(StatusCode::OK, &history)
}

/// `POST /images/{name}/tag`.
pub(crate) async fn tag(call: Call) -> Result<Reply, Failure> {
    let (repo, tag) =
        (call.query.text("repo").unwrap_or_default(), call.query.text("tag").unwrap_or_default());
    call.engine().image_tag(&call.name, repo, tag).await?;
    Ok(reply::empty(StatusCode::CREATED))
}

/// `DELETE /images/{name}`.
pub(crate) async fn remove(call: Call) -> Result<Reply, Failure> {
    if call.name.trim().is_empty() {
        return Err(Failure::invalid("image name cannot be blank"));
    }
    if call.version.at_least(50) && call.query.has("platforms") {
        return Err(Failure::invalid(
            "removing single platforms of an image is not supported by this engine",
        ));
    }
    let options =
        ImageRemoveOptions { force: call.query.switch("force"), no_prune: call.query.switch("noprune") };
    let removed = call.engine().image_remove(&call.name, options).await?;
    reply::json(StatusCode::OK, &removed)
}

/// `POST /images/prune`.
pub(crate) async fn prune(call: Call) -> Result<Reply, Failure> {
    let report = call.engine().image_prune(&call.query.filters()?).await?;
    reply::json(StatusCode::OK, &report)
}
