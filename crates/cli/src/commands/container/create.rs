//! `create`: makes a container and does not start it. `run` begins with it.

use std::fs;
use std::path::Path;

use boxship_api::container::{CreateRequest, CreateResponse};
use boxship_client::{Error, Query};
use boxship_oci::reference::Reference;

use super::{flags, request};
use crate::command::{Command, Operands};
use crate::commands::{action, image};
use crate::failure::{Failure, Result};
use crate::invocation::Invocation;

/// `create`.
pub const CREATE: Command = Command {
    name: "create",
    usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    about: "Create a new container",
    operands: Operands::AtLeast(1),
    mixed: false,
    flags: &[],
    shared: flags::CONTAINER,
    aliases: &["container create", "create"],
    action: action!(create),
};

async fn create(invocation: &Invocation) -> Result<u8> {
    let request = build(invocation)?;
    let answer = container(invocation, &request).await.map_err(plain_refusal)?;
    invocation.line(&answer.id)?;
    Ok(0)
}

/// The daemon's refusal of `create` itself ends with 1, without the hint.
fn plain_refusal(failure: Failure) -> Failure {
    match failure {
        Failure::Client(_) => Failure::new(failure.message()),
        other => other,
    }
}

/// The request that the flags describe.
pub fn build(invocation: &Invocation) -> Result<CreateRequest> {
    let pull = invocation.parsed.text("pull").unwrap_or("missing");
    if !["always", "missing", "never"].contains(&pull) {
        let why =
            format!("invalid pull option: '{pull}': must be one of \"always\", \"missing\" or \"never\"");
        return Err(Failure::Hinted(why, 125));
    }
    request::build(&invocation.parsed).map_err(|why| Failure::Hinted(why, 125))
}

/// Makes the container, pulling its image when that is missing; writes the id file; tells the daemon's warnings.
pub async fn container(invocation: &Invocation, request: &CreateRequest) -> Result<CreateResponse> {
    let parsed = &invocation.parsed;
    let id_file = parsed.filled("cidfile");
    if let Some(file) = id_file.as_deref().filter(|file| Path::new(file).exists()) {
        let why =
            format!("container ID file found, make sure the other container isn't running or delete {file}");
        return Err(Failure::Hinted(why, 125));
    }
    if request.config.image.is_empty() {
        return Err(Failure::Hinted("invalid reference format".into(), 125));
    }
    Reference::parse(&request.config.image).map_err(|why| Failure::Hinted(why.to_string(), 125))?;
    let client = invocation.client().await?;
    let query =
        || Query::new().maybe("name", parsed.filled("name")).maybe("platform", parsed.filled("platform"));
    if parsed.text("pull") == Some("always") {
        image::pull::quietly(invocation, &request.config.image, parsed.on("quiet")).await?;
    }
    let answer: CreateResponse = match client.post("/containers/create", query(), request).await {
        Err(error) if is_missing_image(&error) && parsed.text("pull") != Some("never") => {
            invocation
                .complain(format!("Unable to find image '{}' locally", familiar(&request.config.image)));
            image::pull::quietly(invocation, &request.config.image, parsed.on("quiet")).await?;
            client.post("/containers/create", query(), request).await?
        }
        other => other?,
    };
    for warning in &answer.warnings {
        invocation.complain(format!("WARNING: {warning}"));
    }
    if let Some(file) = id_file {
        fs::write(&file, &answer.id).map_err(|error| {
            Failure::Hinted(format!("failed to create the container ID file: {file}: {error}"), 125)
        })?;
    }
    Ok(answer)
}

fn is_missing_image(error: &Error) -> bool {
    error.status() == Some(404) && error.to_string().contains("No such image")
}

/// The name with the tag that is meant.
fn familiar(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains([':', '@']) { image.to_string() } else { format!("{image}:latest") }
}
