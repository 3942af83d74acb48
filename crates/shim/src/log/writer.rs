//! The shim's side of a log: output in, records out, in batches.
//!
//! Times of records are strictly increasing, so that a reader that has lost its place finds it again by time. When
//! nothing can be written (disk full) the container goes on: records are dropped, and their number is logged as soon
//! as the disk takes it.

use std::io;

use jiff::Timestamp;

use super::{
    Driver, Stream, Target,
    file::RotatingFile,
    json_file, local,
    split::{Piece, Splitter},
};
use crate::Result;

/// When this much is encoded, it is written.
const BATCH: usize = 32 * 1024;

/// Writes one container's log.
#[derive(Debug)]
pub(crate) struct Writer(Option<Active>);

#[derive(Debug)]
struct Active {
    splitters: [Splitter; 2],
    sink: Sink,
}

/// Encodes and writes pieces.
#[derive(Debug)]
struct Sink {
    encoder: Encoder,
    file: RotatingFile,
    batch: Vec<u8>,
    /// Records in `batch`.
    records: u64,
    clock: i128,
    dropped: u64,
    reason: Option<io::ErrorKind>,
}

#[derive(Debug)]
enum Encoder {
    Json(json_file::Encoder),
    Local(local::Encoder),
}

impl Writer {
    /// Opens the log for appending.
    pub(crate) fn open(target: &Target) -> Result<Self> {
        let encoder = match target.driver {
            Driver::None => return Ok(Self(None)),
            Driver::JsonFile => Encoder::Json(json_file::Encoder::new(&target.attributes)),
            Driver::Local => Encoder::Local(local::Encoder::new(&target.attributes)),
        };
        let sink = Sink {
            encoder,
            file: RotatingFile::open(target)?,
            batch: Vec::new(),
            records: 0,
            clock: 0,
            dropped: 0,
            reason: None,
        };
        Ok(Self(Some(Active { splitters: Default::default(), sink })))
    }

    /// Logs output; what makes whole lines is on its way to the disk when this returns.
    pub(crate) fn write(&mut self, stream: Stream, chunk: &[u8]) {
        let Some(active) = &mut self.0 else { return };
        active.sink.tick();
        let sink = &mut active.sink;
        active.splitters[index(stream)].push(chunk, |piece| sink.push(stream, piece));
        sink.flush();
    }

    /// The stream has ended.
    pub(crate) fn end(&mut self, stream: Stream) {
        let Some(active) = &mut self.0 else { return };
        active.sink.tick();
        let sink = &mut active.sink;
        active.splitters[index(stream)].end(|piece| sink.push(stream, piece));
        sink.flush();
    }

    /// Does a little of what is due in the background; tells whether there is more.
    pub(crate) fn work(&mut self) -> bool {
        self.0.as_mut().is_some_and(|active| active.sink.file.work())
    }

    /// Whether [`Self::work`] has something to do.
    pub(crate) fn has_work(&self) -> bool {
        self.0.as_ref().is_some_and(|active| active.sink.file.has_work())
    }
}

fn index(stream: Stream) -> usize {
    usize::from(stream.number() - 1)
}

impl Sink {
    /// Takes the time for the records to come.
    fn tick(&mut self) {
        self.clock = self.clock.max(Timestamp::now().as_nanosecond());
    }

    fn push(&mut self, stream: Stream, piece: Piece<'_>) {
        if self.batch.len() >= BATCH || self.batch.len() as u64 >= self.file.room() {
            self.flush();
        }
        self.clock += 1;
        self.encode(stream, piece);
        self.records += 1;
    }

    fn encode(&mut self, stream: Stream, piece: Piece<'_>) {
        let at = Timestamp::from_nanosecond(self.clock).unwrap_or(Timestamp::MAX);
        match &mut self.encoder {
            Encoder::Json(encoder) => encoder.push(&mut self.batch, stream, at, piece),
            Encoder::Local(encoder) => encoder.push(&mut self.batch, stream, at, piece),
        }
    }

    /// Writes the batch, or counts its records as dropped.
    fn flush(&mut self) {
        if self.records > 0 {
            let batch = std::mem::take(&mut self.batch);
            let result = self.recover().and_then(|()| self.append(&batch));
            if let Err(error) = result {
                self.dropped += self.records;
                self.reason = Some(error.kind());
            }
            self.batch = batch;
            self.records = 0;
        }
        // One long chunk must not hold memory for the rest of the container's life.
        self.batch.clear();
        self.batch.shrink_to(2 * BATCH);
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.file.room() == 0 {
            self.file.rotate()?;
        }
        self.file.append(bytes)
    }

    /// Logs how much could not be logged, before anything else is.
    fn recover(&mut self) -> io::Result<()> {
        let Some(reason) = self.reason else { return Ok(()) };
        let note = format!("boxship: {} log records were dropped: {reason}", self.dropped);
        self.batch.clear();
        self.encode(Stream::Stderr, Piece { bytes: note.as_bytes(), whole: true, continued: false });
        let bytes = std::mem::take(&mut self.batch);
        self.append(&bytes)?;
        self.reason = None;
        self.dropped = 0;
        Ok(())
    }
}
