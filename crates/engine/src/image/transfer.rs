//! Between the daemon's async streams and the blocking work on archives: a reader over an async input, a writer into a
//! stream of bytes, a reporter into a stream of progress. Bounded: a slow client slows the work, never fills memory.

use std::io::{self, Read, Write};

use boxship_api::progress::ProgressMessage;
use bytes::Bytes;
use futures_util::stream;
use tokio::io::AsyncReadExt;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};

use super::{ByteStream, Input, ProgressStream};
use crate::Result;

/// How much is written at once.
const CHUNK: usize = 64 << 10;
/// How many chunks or messages may wait for the client.
const WAITING: usize = 16;

/// How many transfers have a thread at once: fewer than the daemon has threads for everything (64), so that clients
/// that neither send nor read can't take them all.
const TURNS: usize = 32;
static TURN: Semaphore = Semaphore::const_new(TURNS);

/// Waits for a turn, held until it is dropped. Nobody closes the semaphore: an error cannot come.
pub(super) async fn turn() -> Option<SemaphorePermit<'static>> {
    TURN.acquire().await.ok()
}

/// Runs `work` on a blocking thread when its turn has come.
fn in_turn(work: impl FnOnce() + Send + 'static) {
    tokio::spawn(async move {
        let turn = turn().await;
        // A panic in it has ended its stream, which is all there is to tell.
        let _ = tokio::task::spawn_blocking(work).await;
        drop(turn);
    });
}

/// Reads an async input from a blocking thread.
pub(super) struct Reader {
    input: Input,
    handle: Handle,
}

impl Reader {
    /// To be made on an async thread.
    pub fn new(input: Input) -> Self {
        Self { input, handle: Handle::current() }
    }

    /// Reads what is left, so that the client has sent all before it is answered.
    pub fn drain(mut self) {
        let mut rest = vec![0; CHUNK];
        while matches!(self.read(&mut rest), Ok(count) if count > 0) {}
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.handle.block_on(self.input.read(buffer))
    }
}

/// Collects bytes and passes them on in chunks.
pub(super) struct Writer {
    sender: mpsc::Sender<Result<Bytes>>,
    chunk: Vec<u8>,
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let take = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..take]);
        if self.chunk.len() == CHUNK {
            self.flush()?;
        }
        Ok(take)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK));
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the client is gone");
        self.sender.blocking_send(Ok(chunk.into())).map_err(gone)
    }
}

/// Runs `work` on a blocking thread; what it writes is the stream, an error its last item.
pub(super) fn bytes(work: impl FnOnce(&mut Writer) -> Result<()> + Send + 'static) -> ByteStream {
    let (sender, receiver) = mpsc::channel(WAITING);
    in_turn(move || {
        let mut writer = Writer { sender: sender.clone(), chunk: Vec::with_capacity(CHUNK) };
        let outcome = work(&mut writer).and_then(|()| Ok(writer.flush()?));
        if let Err(error) = outcome {
            // A client that is gone needs no reason.
            let _ = sender.blocking_send(Err(error));
        }
    });
    Box::pin(drain(receiver))
}

/// Tells a client how work goes; a client that is gone is no reason to stop.
#[derive(Clone)]
pub(super) struct Reporter(mpsc::Sender<ProgressMessage>);

impl Reporter {
    /// Tells one thing.
    pub fn tell(&self, message: ProgressMessage) {
        let _ = self.0.blocking_send(message);
    }
}

/// Runs `work` on a blocking thread; what it reports is the stream, an error its last item.
pub(super) fn progress(work: impl FnOnce(&Reporter) -> Result<()> + Send + 'static) -> ProgressStream {
    let (sender, receiver) = mpsc::channel(WAITING);
    in_turn(move || {
        let reporter = Reporter(sender);
        if let Err(error) = work(&reporter) {
            reporter.tell(ProgressMessage::failure(boxship_sys::error::plain(&error.to_string())));
        }
    });
    Box::pin(drain(receiver))
}

/// Messages that are known already.
pub(super) fn told(messages: Vec<ProgressMessage>) -> ProgressStream {
    Box::pin(stream::iter(messages))
}

fn drain<T: Send>(receiver: mpsc::Receiver<T>) -> impl futures_util::Stream<Item = T> + Send {
    stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use futures_util::StreamExt;

    #[tokio::test(flavor = "multi_thread")]
    async fn bytes_pass_whole_and_errors_come_last() {
        let stream = bytes(|writer| {
            writer.write_all(&vec![7; CHUNK + 1])?;
            Err(Error::internal("broke"))
        });
        let items: Vec<_> = stream.collect().await;
        assert_eq!(items[0].as_ref().unwrap().len(), CHUNK);
        assert_eq!(items[1].as_ref().unwrap_err().to_string(), "broke");
        let whole: usize = bytes(|writer| Ok(writer.write_all(&vec![7; 3 * CHUNK + 5])?))
            .map(|item| item.unwrap().len())
            .fold(0, |sum, len| async move { sum + len })
            .await;
        assert_eq!(whole, 3 * CHUNK + 5);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn work_ends_when_the_client_is_gone() {
        let (done, wait) = tokio::sync::oneshot::channel();
        drop(bytes(move |writer| {
            let outcome = writer.write_all(&vec![0; 64 * CHUNK]);
            let _ = done.send(outcome.map_err(|error| error.kind()));
            Ok(())
        }));
        assert_eq!(wait.await.unwrap(), Err(io::ErrorKind::BrokenPipe));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn async_input_is_read_blocking() {
        let input: Input = Box::pin(&b"hello"[..]);
        let mut reader = Reader::new(input);
        let text = tokio::task::spawn_blocking(move || io::read_to_string(&mut reader)).await.unwrap();
        assert_eq!(text.unwrap(), "hello");
    }

    /// Clients that never read hold no more threads than their share: others still get theirs.
    #[test]
    fn clients_that_do_not_read_leave_threads_for_others() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(TURNS + 1)
            .build()
            .unwrap();
        runtime.block_on(async {
            let stuck = || bytes(|writer| Ok(writer.write_all(&vec![0; 2 * WAITING * CHUNK])?));
            let mut unread: Vec<_> = (0..TURNS + 8).map(|_| stuck()).collect();
            // Some of them have begun for certain.
            assert!(stream::select_all(&mut unread).next().await.is_some());
            assert_eq!(tokio::task::spawn_blocking(|| 7).await.unwrap(), 7);
            drop(unread);
            assert_eq!(stuck().count().await, 2 * WAITING);
        });
    }
}
