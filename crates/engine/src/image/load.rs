//! `POST /images/load`: archives become images. As in Docker the answer has begun before the archive is understood, so
//! whatever is wrong with it is the stream's last line.

use std::io::Read;
use std::time::{Duration, Instant};

use boxship_api::progress::{ProgressDetail, ProgressMessage};
use boxship_image::{LoadEvent, LoadOptions, Loaded};
use boxship_oci::{Digest, Platform};

use super::distribution::bar;
use super::known::Known;
use super::transfer::{self, Reader, Reporter};
use super::{Input, ProgressStream};
use crate::{Engine, Result};

/// Progress of a layer is told this often at most.
const PAUSE: Duration = Duration::from_millis(100);

impl Engine {
    /// `POST /images/load`: all images of an archive, or those for `platform`.
    pub async fn image_load(
        &self,
        input: Input,
        quiet: bool,
        platform: Option<Platform>,
    ) -> Result<ProgressStream> {
        let (engine, mut reader) = (self.clone(), Reader::new(input));
        let options = LoadOptions { platform };
        Ok(transfer::progress(move |reporter| {
            let quiet_reporter = (!quiet).then_some(reporter);
            let loaded = load(&engine, &mut reader, &options, quiet_reporter)?;
            reader.drain();
            loaded.iter().flat_map(sentences).for_each(|line| reporter.tell(ProgressMessage::stream(line)));
            Ok(())
        }))
    }
}

/// Loads an archive, telling the progress of layers if there is somebody to tell.
pub(super) fn load(
    engine: &Engine,
    archive: &mut (dyn Read + Send),
    options: &LoadOptions,
    reporter: Option<&Reporter>,
) -> Result<Vec<Loaded>> {
    let mut throttle = Throttle::default();
    let mut progress = |event: LoadEvent| {
        let LoadEvent::Layer { diff_id, current, total } = event;
        if let Some(reporter) = reporter
            && throttle.admits(&diff_id, current == total)
        {
            reporter.tell(layer_progress(&diff_id, current, total));
        }
    };
    let loaded = boxship_image::load(engine.store(), archive, options, &mut progress)
        .map_err(super::error::from_image)?;
    for image in &loaded {
        let known = Known::of(engine.store(), engine.store().images().get(&image.id)?)?;
        engine.tell_image("load", &image.id, &image.id.to_string(), known.labels());
    }
    engine.sweep();
    Ok(loaded)
}

/// Lets the first and last word of each layer pass, and some between.
#[derive(Default)]
struct Throttle {
    layer: Option<Digest>,
    last: Option<Instant>,
}

impl Throttle {
    fn admits(&mut self, layer: &Digest, is_last: bool) -> bool {
        let is_new = self.layer.as_ref() != Some(layer);
        let is_due = self.last.is_none_or(|last| last.elapsed() >= PAUSE);
        if is_new || is_last || is_due {
            (self.layer, self.last) = (Some(layer.clone()), Some(Instant::now()));
            return true;
        }
        false
    }
}

fn layer_progress(diff_id: &Digest, current: u64, total: u64) -> ProgressMessage {
    let id = diff_id.hex();
    ProgressMessage {
        status: "Loading layer".to_owned(),
        id: id.get(..12).unwrap_or(id).to_owned(),
        progress: bar(current, total),
        progress_detail: Some(ProgressDetail {
            current: current as i64,
            total: total as i64,
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// What Docker says of a loaded image; clients read the names from it.
fn sentences(loaded: &Loaded) -> Vec<String> {
    let renamed = loaded.renamed.iter().map(|(name, before)| {
        format!(
            "The image {} already exists, renaming the old one with ID {before} to empty string\n",
            name.familiar()
        )
    });
    let named = loaded.names.iter().map(|name| format!("Loaded image: {}\n", name.familiar()));
    let nameless = loaded.names.is_empty().then(|| format!("Loaded image ID: {}\n", loaded.id));
    renamed.chain(named).chain(nameless).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use boxship_oci::Reference;

    #[test]
    fn loaded_images_are_told_in_dockers_words() {
        let id = Digest::of(b"x");
        let name = Reference::parse_tagged("a").unwrap();
        let loaded = Loaded { id: id.clone(), names: vec![name.clone()], renamed: vec![(name, id.clone())] };
        assert_eq!(
            sentences(&loaded),
            [
                format!(
                    "The image a:latest already exists, renaming the old one with ID {id} to empty string\n"
                ),
                "Loaded image: a:latest\n".to_owned()
            ]
        );
        let nameless = Loaded { id: id.clone(), names: vec![], renamed: vec![] };
        assert_eq!(sentences(&nameless), [format!("Loaded image ID: {id}\n")]);
    }

    #[test]
    fn progress_is_told_sparingly() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let mut throttle = Throttle::default();
        assert!(throttle.admits(&a, false));
        assert!(!throttle.admits(&a, false));
        assert!(throttle.admits(&a, true));
        assert!(throttle.admits(&b, false));
    }
}
