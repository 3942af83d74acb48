//! `manifest push`: sends an index to its registry. Images of other repositories there become images of this one too.

use boxship_oci::Reference;

use super::part::{Part, index};
use super::{INSECURE, asked, failed, kept, reference, remote};
use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::invocation::Invocation;

/// `manifest push`.
pub const PUSH: Command = Command {
    name: "push",
    usage: "[OPTIONS] MANIFEST_LIST",
    about: "Push a manifest list to a repository",
    operands: Operands::Exactly(1),
    mixed: true,
    flags: &[INSECURE, Flag::switch("purge", "Remove the local manifest list after push").short('p')],
    shared: &[],
    aliases: &[],
    action: action!(push),
};

async fn push(invocation: &Invocation) -> Result<u8> {
    let target = reference(invocation.parsed.operand(0))?;
    let kept = kept(invocation);
    let parts = kept.list(&target)?.ok_or_else(|| super::kept::missing(&target))?;
    if parts.is_empty() {
        return Err(Failure::new(format!("{} not found", target.canonical())));
    }
    for part in &parts {
        let platform = part.descriptor.platform.as_ref();
        if platform.is_none_or(|platform| platform.os.is_empty() || platform.architecture.is_empty()) {
            return Err(Failure::new(format!(
                "manifest {} must have an OS and Architecture to be pushed to a registry",
                part.reference.canonical()
            )));
        }
    }
    let (media_type, bytes) = index(&target, &parts)?;
    let remote = remote(invocation, &target).await?;
    for part in parts.iter().filter(|part| part.reference.path() != target.path()) {
        let put = mounted(&remote, part, &target).await?;
        invocation.line(format!("Pushed ref {put} with digest: {}", part.descriptor.digest))?;
    }
    let digest = remote.put_manifest(&asked(&target), media_type, &bytes).await.map_err(|error| {
        Failure::new(format!("failed to put manifest {}: {}", target.canonical(), failed(error).message()))
    })?;
    invocation.line(digest.to_string())?;
    if invocation.parsed.on("purge") {
        kept.remove(&target)?;
    }
    Ok(0)
}

/// Makes an image of another repository one of this; gives its name there.
async fn mounted(remote: &boxship_distribution::Remote, part: &Part, target: &Reference) -> Result<String> {
    let manifest = part.manifest()?;
    for blob in std::iter::once(&manifest.config).chain(&manifest.layers) {
        // Foreign layers are nowhere but at their own address.
        let there = !blob.urls.is_empty()
            || remote.mount(&blob.digest, part.reference.path()).await.map_err(failed)?;
        if !there {
            let source = part.reference.with_digest(blob.digest.clone());
            return Err(Failure::new(format!(
                "error mounting {}@{} to {}",
                source.path(),
                blob.digest,
                target.canonical()
            )));
        }
    }
    let put = target.with_digest(part.descriptor.digest.clone());
    let (digest, media_type) = (part.descriptor.digest.to_string(), &part.descriptor.media_type);
    remote.put_manifest(&digest, media_type, &part.bytes).await.map_err(failed)?;
    Ok(put.canonical())
}
