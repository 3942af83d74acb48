//! `manifest`: indexes of images for several platforms, put together from images that are on their registry already.
//!
//! Nothing of it passes the daemon: manifests are read from and written to the registry by this process, with the
//! user's credentials; what is being put together lies in the folder `manifests` of the client's configuration, in the
//! stock client's format.

mod annotate;
mod create;
mod inspect;
mod kept;
mod part;
mod push;
mod rm;

use boxship_api::auth::AuthConfig;
use boxship_distribution::{Credentials, Error, FOLDERS, Fetched, Hosts, Kind, Remote, Settings};
use boxship_oci::Reference;

use crate::command::Group;
use crate::commands::proxies;
use crate::credentials::key;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::invocation::Invocation;
use kept::Kept;

/// `manifest`.
pub const MANIFEST: Group = Group {
    name: "manifest",
    about: "Manage image manifests and manifest lists",
    commands: &[
        (&["annotate"], &annotate::ANNOTATE),
        (&["create"], &create::CREATE),
        (&["inspect"], &inspect::INSPECT),
        (&["push"], &push::PUSH),
        (&["rm"], &rm::RM),
    ],
};

const INSECURE: Flag = Flag::switch("insecure", "Allow communication with an insecure registry");

/// What is being put together.
fn kept(invocation: &Invocation) -> Kept {
    Kept::new(invocation.globals.config_folder().join("manifests"))
}

/// A name, with the tag that is meant.
fn reference(text: &str) -> Result<Reference> {
    Reference::parse(text).map(Reference::tagged).map_err(|why| Failure::new(why.to_string()))
}

/// The part of a reference that manifests are asked for by.
fn asked(reference: &Reference) -> String {
    let digest = reference.digest().map(ToString::to_string);
    digest.or_else(|| reference.tag().map(str::to_owned)).unwrap_or_default()
}

/// The repository of a reference on its registry.
async fn remote(invocation: &Invocation, reference: &Reference) -> Result<Remote> {
    let insecure = invocation.parsed.on("insecure").then(|| reference.domain().to_owned());
    let hosts = Hosts {
        insecure: insecure.into_iter().collect(),
        folders: FOLDERS.iter().map(Into::into).collect(),
        ..Hosts::default()
    };
    let settings = Settings { hosts, proxies: proxies()?, ..Settings::default() };
    let auth = invocation.credentials().get(key(reference.domain()))?;
    Remote::open(&settings, reference, credentials(auth)).await.map_err(unopened)
}

/// Why there is nobody to talk to.
fn unopened(error: Error) -> Failure {
    let unreachable = error.is_unreachable();
    let failure = failed(error);
    match unreachable {
        true => Failure::new(format!(
            "failed to configure transport: error pinging v2 registry: {}",
            failure.message()
        )),
        false => failure,
    }
}

fn credentials(auth: AuthConfig) -> Credentials {
    if !auth.registrytoken.is_empty() {
        Credentials::Bearer(auth.registrytoken)
    } else if !auth.identitytoken.is_empty() {
        Credentials::Identity(auth.identitytoken)
    } else if auth.username.is_empty() && auth.password.is_empty() {
        Credentials::Anonymous
    } else {
        Credentials::Password { user: auth.username, password: auth.password }
    }
}

/// A manifest or index from the registry. One that isn't there, or that the registry doesn't let us have, is all the
/// same.
async fn fetched(remote: &Remote, reference: &Reference) -> Result<Fetched> {
    remote.manifest(&asked(reference)).await.map_err(|error| match (&error, error.kind()) {
        // Credentials that are missing, or that no token is given for: it wasn't asked for at all.
        (Error::Told { .. }, Kind::Unauthorized) => failed(error),
        (_, Kind::NotFound | Kind::Unauthorized) => {
            Failure::new(format!("no such manifest: {}", reference.canonical()))
        }
        _ => failed(error),
    })
}

fn failed(error: Error) -> Failure {
    Failure::new(boxship_sys::error::plain(&error.to_string()))
}
