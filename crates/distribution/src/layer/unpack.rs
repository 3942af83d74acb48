//! The blocking half of a layer: the blob as it comes, verified, decompressed, written to files. It touches nothing but
//! the folder it unpacks to, and records nothing.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use boxship_layer::{HashReader, Limits};
use boxship_oci::descriptor::{Compression, Kind as Media};
use boxship_store::{Expected, Layer, Lease, Store, UnpackedLayer};
use tokio::runtime::Handle;

use super::{Below, State, Wanted, wait};
use crate::error::{Error, Result};
use crate::fetch::{Flow, Reader};

/// The blocking half.
pub(super) struct Unpack {
    pub store: Store,
    pub wanted: Wanted,
    pub state: Arc<State>,
    pub lease: Arc<Lease>,
    pub below: Option<Below>,
    pub handle: Handle,
}

impl Unpack {
    /// Reads the blob to its end, and unpacks it.
    pub fn run(self, flow: Arc<Flow>) -> Result<UnpackedLayer> {
        let digest = &self.wanted.descriptor.digest;
        let reader = Reader::new(flow, self.state.stop.clone());
        let mut archive = HashReader::new(Counted { reader, state: self.state.clone() });
        let parents = || self.parents();
        // A plain archive's digest is its diff id: it needs to be computed once only.
        let plain = self.wanted.descriptor.kind() == Media::Layer(Compression::None);
        let verified = (plain && *digest == self.wanted.diff_id).then_some(digest);
        let expected = Expected { diff_id: Some(&self.wanted.diff_id), verified };
        let unpacked = self.store.layers().unpack_ahead(
            &mut archive,
            &parents,
            expected,
            &Limits::default(),
            &self.lease,
        );
        let cancelled = self.state.stop.load(Ordering::Relaxed);
        // The rest of the blob counts too, and a wrong blob explains whatever else is wrong.
        let full = unpacked.as_ref().err().is_some_and(boxship_store::Error::is_disk_full);
        let drained = if full || cancelled { Ok(()) } else { archive.drain() };
        let (found, size) = archive.finish();
        match (drained, unpacked) {
            _ if cancelled => Err(Error::Cancelled),
            (_, Err(error)) if full => Err(Error::Store(error)),
            (Ok(()), _) if found != *digest || size != self.wanted.descriptor.size => {
                Err(Error::Verification(digest.clone()))
            }
            (_, Err(boxship_store::Error::DigestMismatch { expected, found })) => Err(Error::Layer(format!(
                "wrong diff id calculated on extraction {found:?}, expected {expected:?}"
            ))),
            (_, Err(error)) => Err(failed(error)),
            (Err(error), Ok(_)) => Err(Error::Layer(error.to_string())),
            (Ok(()), Ok(unpacked)) => Ok(unpacked),
        }
    }

    /// The layers below, once they are recorded.
    fn parents(&self) -> boxship_store::Result<Vec<Layer>> {
        let Some(below) = &self.below else { return self.recorded() };
        self.handle.block_on(wait(below.end.clone())).map_err(|e| boxship_store::Error::Corrupt {
            object: format!("layer {}", below.chain_id),
            reason: e.to_string(),
        })?;
        self.store.layers().chain(&below.chain_id)
    }

    /// The layers below were there before: the chain that ends one below this.
    fn recorded(&self) -> boxship_store::Result<Vec<Layer>> {
        match &self.wanted.parent {
            Some(parent) => self.store.layers().chain(parent),
            None => Ok(Vec::new()),
        }
    }
}

fn failed(error: boxship_store::Error) -> Error {
    if error.is_disk_full() {
        return Error::Store(error);
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(deeper) = cause {
        text = format!("{text}: {deeper}");
        cause = deeper.source();
    }
    Error::Layer(text)
}

/// Tells how far the unpacking is.
struct Counted {
    reader: Reader,
    state: Arc<State>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.state.extracted.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
