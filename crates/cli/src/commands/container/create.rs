//! `create`: makes a container and does not start it. `run` begins with it.

use std::fs::{self, File};
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use boxship_api::container::{CreateRequest, CreateResponse};
use boxship_client::{Error, Query};
use boxship_oci::reference::Reference;

use super::{flags, request};
use crate::command::{Command, Operands};
use crate::commands::{action, image};
use crate::failure::{Failure, Result};
use crate::flags::Parsed;
use crate::invocation::Invocation;
use crate::values::environment::reason;

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
    let mut request = request::build(&invocation.parsed).map_err(|why| Failure::Hinted(why, 125))?;
    if let Some((rows, columns)) = crate::terminal::size() {
        request.host_config.get_or_insert_default().console_size = [rows.into(), columns.into()];
    }
    check(&invocation.parsed)?;
    Ok(request)
}

/// Judges what is no part of the request: when to pull, and the image's name.
pub fn check(parsed: &Parsed) -> Result<()> {
    let pull = parsed.text("pull").unwrap_or("missing");
    if !["always", "missing", "never", ""].contains(&pull) {
        let why =
            format!("invalid pull option: '{pull}': must be one of \"always\", \"missing\" or \"never\"");
        return Err(Failure::Hinted(why, 125));
    }
    let name = Reference::parse(parsed.operand(0)).map(drop);
    name.map_err(|why| Failure::new(why.to_string()))
}

/// Makes the container, pulling its image when that is missing; writes the id file; tells the daemon's warnings.
pub async fn container(invocation: &Invocation, request: &CreateRequest) -> Result<CreateResponse> {
    let parsed = &invocation.parsed;
    if let Some(server) = local_name_server(request) {
        invocation.complain(format!("WARNING: Localhost DNS ({server}) may fail in containers."));
    }
    let id_file = parsed.filled("cidfile").map(IdFile::create).transpose()?;
    let client = invocation.client().await?;
    let query =
        || Query::new().maybe("name", parsed.filled("name")).maybe("platform", parsed.filled("platform"));
    if parsed.text("pull") == Some("always") {
        image::pull::quietly(invocation, &request.config.image, parsed.on("quiet")).await?;
    }
    let answer: CreateResponse = match client.post("/containers/create", query(), request).await {
        Err(error) if is_missing_image(&error) && parsed.text("pull") != Some("never") => {
            if !parsed.on("quiet") {
                invocation
                    .complain(format!("Unable to find image '{}' locally", familiar(&request.config.image)));
            }
            image::pull::quietly(invocation, &request.config.image, parsed.on("quiet")).await?;
            client.post("/containers/create", query(), request).await?
        }
        other => other?,
    };
    for warning in &answer.warnings {
        invocation.complain(format!("WARNING: {warning}"));
    }
    if let Some(file) = id_file {
        file.write(&answer.id)?;
    }
    Ok(answer)
}

/// A name server that is at the container's own localhost, where there is none as a rule.
fn local_name_server(request: &CreateRequest) -> Option<&str> {
    let servers = request.host_config.as_ref()?.dns.as_deref()?;
    let local = |text: &&String| text.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    servers.iter().find(local).map(String::as_str)
}

/// The file that the container's id is written to. It is there before the container, and goes when there is none.
struct IdFile {
    path: PathBuf,
    file: File,
    written: bool,
}

impl IdFile {
    fn create(path: String) -> Result<IdFile> {
        if Path::new(&path).exists() {
            return Err(Failure::new(format!(
                "container ID file found, make sure the other container isn't running or delete {path}"
            )));
        }
        let file = File::create(&path).map_err(|error| {
            Failure::new(format!("failed to create the container ID file: open {path}: {}", reason(&error)))
        })?;
        Ok(IdFile { path: path.into(), file, written: false })
    }

    fn write(mut self, id: &str) -> Result<()> {
        self.file.write_all(id.as_bytes()).map_err(|error| {
            Failure::new(format!("failed to write the container ID to the file: {}", reason(&error)))
        })?;
        self.written = true;
        Ok(())
    }
}

impl Drop for IdFile {
    fn drop(&mut self) {
        if !self.written {
            // The command fails already; an empty file that stays is said by the next one.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// None of that name, or one for another platform than was asked for: the registry may have the right one.
fn is_missing_image(error: &Error) -> bool {
    let message = error.to_string();
    let missing =
        message.contains("No such image") || message.contains("does not match the specified platform");
    error.status() == Some(404) && missing
}

/// The name with the tag that is meant.
fn familiar(image: &str) -> String {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains([':', '@']) { image.to_string() } else { format!("{image}:latest") }
}
