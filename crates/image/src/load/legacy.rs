//! What `docker save` wrote before 1.10: `repositories`, and a folder with `json` and `layer.tar` for each layer
//! (image spec v1.0). The configuration of today is made from the chain of documents.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::Read;

use boxship_layer::{HashReader, Limits, decoder};
use boxship_oci::digest::Digest;
use boxship_oci::image::{ContainerConfig, History, ImageConfig, RootFs};
use boxship_oci::reference::Reference;
use serde::Deserialize;

use super::docker::{mismatch, platform};
use super::files::Files;
use super::{LoadOptions, Part, Planned};
use crate::{Error, Result};

/// The file that names the images.
pub(super) const REPOSITORIES: &str = "repositories";
/// Layers of one image.
const MAX_LAYERS: usize = 1000;

#[derive(Deserialize)]
struct V1 {
    #[serde(default)]
    parent: Option<String>,
    #[serde(default)]
    created: Option<String>,
    #[serde(default)]
    author: Option<String>,
    #[serde(default)]
    comment: Option<String>,
    #[serde(default)]
    architecture: Option<String>,
    #[serde(default)]
    os: Option<String>,
    #[serde(default)]
    config: Option<ContainerConfig>,
    #[serde(default)]
    container_config: Option<ContainerConfig>,
    #[serde(default)]
    throwaway: bool,
}

/// Reads what the archive says about its images.
pub(super) fn plan(files: &Files<'_>, options: &LoadOptions) -> Result<Vec<Planned>> {
    let repositories: BTreeMap<String, BTreeMap<String, String>> = files.json(REPOSITORIES)?;
    let mut planned: BTreeMap<String, Planned> = BTreeMap::new();
    let mut found = Vec::new();
    let mut known = HashMap::new();
    for (repository, tags) in &repositories {
        for (tag, id) in tags {
            let text = format!("{repository}:{tag}");
            let name = Reference::parse(&text).map_err(|e| Error::Name(format!("{e}: {text:?}")))?;
            if let Some(image) = planned.get_mut(id) {
                image.names.push(name);
                continue;
            }
            let (config, layers) = image(files, id, &mut known)?;
            let platform = platform(&config);
            if options.platform.as_ref().is_none_or(|wanted| wanted.matches(&platform)) {
                let config = serde_json::to_vec(&config)
                    .map_err(|source| Error::Json { file: format!("{id}/json"), source })?;
                planned.insert(id.clone(), Planned { config, manifest: None, layers, names: vec![name] });
            }
            found.push(platform);
        }
    }
    match &options.platform {
        Some(wanted) if planned.is_empty() => Err(mismatch(wanted, &found)),
        _ => Ok(planned.into_values().collect()),
    }
}

/// Follows the parents down and puts the image together from the lowest up.
fn image(
    files: &Files<'_>,
    id: &str,
    known: &mut HashMap<Digest, Digest>,
) -> Result<(ImageConfig, Vec<Part>)> {
    let chain = chain(files, id)?;
    let mut config = ImageConfig::default();
    let (mut layers, mut diff_ids) = (Vec::new(), Vec::new());
    for (id, document) in chain.into_iter().rev() {
        let command = document.container_config.and_then(|config| config.cmd);
        config.history.push(History {
            created: document.created.clone(),
            created_by: command.map(|command| command.join(" ")),
            author: document.author.clone().filter(|author| !author.is_empty()),
            comment: document.comment.filter(|comment| !comment.is_empty()),
            empty_layer: document.throwaway,
        });
        if !document.throwaway {
            let part = files.part(&format!("{id}/layer.tar"))?;
            // Images share layers, and a chain may name one a thousand times: each is hashed once.
            let diff_id = match known.get(&part.digest) {
                Some(diff_id) => diff_id.clone(),
                None => diff_id(files, &part)?,
            };
            known.insert(part.digest.clone(), diff_id.clone());
            diff_ids.push(diff_id);
            layers.push(part);
        }
        config.created = document.created;
        config.author = document.author.filter(|author| !author.is_empty());
        config.architecture = document.architecture.unwrap_or_else(|| "amd64".to_owned());
        config.os = document.os.unwrap_or_else(|| "linux".to_owned());
        config.config = document.config;
    }
    config.rootfs = RootFs { kind: "layers".to_owned(), diff_ids };
    Ok((config, layers))
}

/// The documents from the image down to the lowest layer.
fn chain(files: &Files<'_>, id: &str) -> Result<Vec<(String, V1)>> {
    let mut chain = Vec::new();
    let mut seen = HashSet::new();
    let mut next = Some(id.to_owned());
    while let Some(id) = next {
        if !seen.insert(id.clone()) || chain.len() >= MAX_LAYERS {
            return Err(Error::Invalid(format!("the parents of {id} form a circle or are too many")));
        }
        let document: V1 = files.json(&format!("{id}/json"))?;
        next = document.parent.clone().filter(|parent| !parent.is_empty());
        chain.push((id, document));
    }
    Ok(chain)
}

/// Those archives don't say it: hash the layer's uncompressed stream.
fn diff_id(files: &Files<'_>, part: &Part) -> Result<Digest> {
    let broken = |source| Error::Archive { operation: "read layer", source };
    let mut blob = files.open(part)?;
    let mut stream =
        HashReader::new(decoder(&mut blob as &mut (dyn Read + Send), &Limits::default()).map_err(broken)?);
    stream.drain().map_err(broken)?;
    Ok(stream.finish().0)
}
