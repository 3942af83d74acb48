//! `save`: images into an archive.

use std::fs::{self, File};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use boxship_client::{Body, Query};
use http::Method;

use crate::command::{Command, Operands};
use crate::commands::action;
use crate::failure::{Failure, Result};
use crate::flags::Flag;
use crate::invocation::Invocation;
use crate::values::environment::reason;

/// `save`.
pub const SAVE: Command = Command {
    name: "save",
    usage: "[OPTIONS] IMAGE [IMAGE...]",
    about: "Save one or more images to a tar archive (streamed to STDOUT by default)",
    operands: Operands::AtLeast(1),
    mixed: true,
    flags: &[
        Flag::value("output", "string", "Write to a file, instead of STDOUT").short('o'),
        Flag::value("platform", "string", "Save only the given platform variant (\"linux/amd64\")"),
    ],
    shared: &[],
    aliases: &["image save", "save"],
    action: action!(save),
};

async fn save(invocation: &Invocation) -> Result<u8> {
    let parsed = &invocation.parsed;
    let output = parsed.filled("output");
    if output.is_none() && io::stdout().is_terminal() {
        return Err(Failure::new("cowardly refusing to save to a terminal. Use the -o flag or redirect"));
    }
    let mut query = Query::new();
    for name in &parsed.operands {
        query = query.set("names", name);
    }
    let query =
        query.maybe("platform", super::platform_json(invocation, parsed.filled("platform"), 48).await?);
    let partial = output.as_deref().map(Partial::create).transpose()?;
    let body = invocation.client().await?.request(Method::GET, "/images/get", query, None::<&()>).await?;
    match partial {
        None => copy(body, &mut io::stdout().lock()).await?,
        Some(mut partial) => {
            copy(body, &mut partial.file).await?;
            partial.finish()?;
        }
    }
    Ok(0)
}

async fn copy(mut body: Body, out: &mut impl Write) -> Result<()> {
    while let Some(piece) = body.chunk().await? {
        out.write_all(&piece).map_err(|e| Failure::new(format!("write the archive: {}", reason(&e))))?;
    }
    out.flush().map_err(|e| Failure::new(format!("write the archive: {}", reason(&e))))
}

/// An archive under another name until it is whole; what is not finished is removed.
struct Partial {
    file: File,
    now: PathBuf,
    target: PathBuf,
}

impl Partial {
    fn create(target: &str) -> Result<Partial> {
        use std::os::unix::fs::OpenOptionsExt;
        let wrong = |why: String| Failure::new(format!("failed to save image: {why}"));
        let target = PathBuf::from(target);
        let folder =
            target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if !folder.is_dir() {
            return Err(wrong(format!(
                "invalid output path: stat {}: no such file or directory",
                folder.display()
            )));
        }
        if target.is_dir() {
            return Err(wrong(format!("invalid output path: {} must be a regular file", target.display())));
        }
        if target.exists() && !target.is_file() {
            // A device or a pipe is written in place.
            let file = File::options().write(true).open(&target);
            let file = file.map_err(|e| wrong(format!("open {}: {}", target.display(), reason(&e))))?;
            return Ok(Partial { file, now: target.clone(), target });
        }
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let now = folder.join(format!(".{name}.{}.part", std::process::id()));
        let file = File::options().write(true).create_new(true).mode(0o600).open(&now);
        let file = file.map_err(|e| wrong(format!("open {}: {}", now.display(), reason(&e))))?;
        Ok(Partial { file, now, target })
    }

    fn finish(mut self) -> Result<()> {
        if self.now != self.target {
            let renamed = self.file.sync_all().and_then(|()| fs::rename(&self.now, &self.target));
            renamed.map_err(|e| Failure::new(format!("failed to save image: {}", reason(&e))))?;
            self.now.clone_from(&self.target);
        }
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.now != self.target {
            // Already failing: a leftover that can't be removed changes nothing.
            let _ = fs::remove_file(&self.now);
        }
    }
}
