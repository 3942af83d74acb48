//! `manifest inspect`: a manifest or an index, from what is being put together or from its registry.

use boxship_distribution::{Fetched, Remote};
use boxship_oci::descriptor::{Kind, kind};
use boxship_oci::{Index, Reference};

use super::part::{Part, indented, index};
use super::{INSECURE, failed, fetched, kept, reference, remote};
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::invocation::Invocation;

/// `manifest inspect`.
pub const INSPECT: Command = Command {
    name: "inspect",
    usage: "[OPTIONS] [MANIFEST_LIST] MANIFEST",
    about: "Display an image manifest, or manifest list",
    operands: Operands::Between(1, 2),
    mixed: true,
    flags: &[
        INSECURE,
        Flag::switch("verbose", "Output additional info including layers and platform").short('v'),
    ],
    shared: &[],
    aliases: &[],
    action: action!(inspect),
};

/// Images of an index that are asked for, at most.
const MOST: usize = 1000;

async fn inspect(invocation: &Invocation) -> Result<u8> {
    let parsed = &invocation.parsed;
    let verbose = parsed.on("verbose");
    let named = reference(parsed.operands.last().map(String::as_str).unwrap_or_default())?;
    let kept = kept(invocation);
    let text = if parsed.operands.len() == 2 {
        let list = reference(parsed.operand(0))?;
        let part = kept.get(&list, &named)?.ok_or_else(|| super::kept::missing(&named))?;
        one(&part, verbose)?
    } else if let Some(parts) = kept.list(&named)? {
        several(&named, &parts, verbose)?
    } else {
        let remote = remote(invocation, &named).await?;
        let fetched = fetched(&remote, &named).await?;
        match kind(&fetched.media_type) {
            Kind::Index => several(&named, &parts_of(&remote, &named, &fetched).await?, verbose)?,
            _ => one(&Part::fetch(&remote, named, fetched, None).await?, verbose)?,
        }
    };
    invocation.line(text)?;
    Ok(0)
}

/// The images that an index on the registry lists.
async fn parts_of(remote: &Remote, named: &Reference, list: &Fetched) -> Result<Vec<Part>> {
    let list: Index = serde_json::from_slice(&list.bytes)
        .map_err(|error| Failure::new(format!("read manifest list {}: {error}", named.canonical())))?;
    if list.manifests.len() > MOST {
        return Err(Failure::new(format!("{} lists more than {MOST} manifests", named.canonical())));
    }
    let mut parts = Vec::new();
    for entry in list.manifests {
        let fetched = remote.manifest(&entry.digest.to_string()).await.map_err(failed)?;
        // Both the tag and the digest, as the stock client names it.
        let mut reference = named.with_digest(entry.digest);
        if let Some(tag) = named.tag() {
            let tagged = format!("{}:{tag}@{}", named.name(), super::asked(&reference));
            reference = Reference::parse(&tagged).unwrap_or(reference);
        }
        let platform = entry.platform.unwrap_or_default();
        parts.push(Part::fetch(remote, reference, fetched, Some(platform)).await?);
    }
    Ok(parts)
}

fn one(part: &Part, verbose: bool) -> Result<String> {
    let text = if verbose { part.json()? } else { String::from_utf8_lossy(&part.bytes).into_owned() };
    Ok(indented(&text))
}

fn several(list: &Reference, parts: &[Part], verbose: bool) -> Result<String> {
    if !verbose {
        let (_, bytes) = index(list, parts).map_err(|failure| {
            Failure::new(format!("failed to assemble ManifestDescriptor: {}", failure.message()))
        })?;
        return Ok(String::from_utf8_lossy(&bytes).into_owned());
    }
    let texts: Vec<String> = parts.iter().map(Part::json).collect::<Result<_>>()?;
    Ok(indented(&format!("[{}]", texts.join(","))))
}
