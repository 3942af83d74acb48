//! Output that waits until the client has read the answer's head.
//!
//! Some clients read the head through a buffer and the stream past it: what arrives together with the head is lost to
//! them (docker-py's `exec_start` does so). Docker is too slow for that to show; a process here may have answered
//! before the client has looked. The kernel tells what was not read yet, and usually nothing waits at all.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::AsyncWrite;
use tokio::net::unix::OwnedWriteHalf;
use tokio::time::{Sleep, sleep};

/// How long the client is looked at without pause: most take a few microseconds.
const BRISK: Duration = Duration::from_micros(300);

/// How long a client is waited for at most: one that pipelines never reads first. Long enough for a client that has to
/// wait for a processor; shorter than the shim's patience with who leaves output untouched.
const LONGEST: Duration = Duration::from_secs(2);

/// The writing half of a unix socket on which the head was just sent.
pub(crate) struct AfterHead {
    socket: OwnedWriteHalf,
    waiting: Option<Waiting>,
}

struct Waiting {
    since: Option<Instant>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl AfterHead {
    /// What is written to `socket` from now on waits for what was written before.
    pub(crate) fn new(socket: OwnedWriteHalf) -> AfterHead {
        AfterHead { socket, waiting: Some(Waiting { since: None, pause: None }) }
    }

    fn poll_head_read(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(waiting) = &mut self.waiting else { return Poll::Ready(()) };
        loop {
            if let Some(pause) = &mut waiting.pause {
                ready!(pause.as_mut().poll(context));
                waiting.pause = None;
            }
            let waited = waiting.since.get_or_insert_with(Instant::now).elapsed();
            let unread = boxship_sys::socket::unread(self.socket.as_ref().as_fd()).unwrap_or(0);
            if unread == 0 || waited > LONGEST {
                self.waiting = None;
                return Poll::Ready(());
            }
            if waited < BRISK {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            waiting.pause = Some(Box::pin(sleep(Duration::from_millis(1))));
        }
    }
}

impl AsyncWrite for AfterHead {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_head_read(context));
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    #[tokio::test]
    async fn output_comes_after_the_head_was_read() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let (_, mut socket) = near.into_split();
        socket.write_all(b"head").await.unwrap();
        let mut output = AfterHead::new(socket);
        let writer = tokio::spawn(async move { output.write_all(b"body").await.map(|()| output) });
        let mut all = [0; 64];
        // Reads in one gulp, as a buffering client does.
        let first = far.read(&mut all).await.unwrap();
        assert_eq!(&all[..first], b"head");
        let second = far.read(&mut all).await.unwrap();
        assert_eq!(&all[..second], b"body");
        writer.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_client_on_a_busy_machine_is_waited_for() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let (_, mut socket) = near.into_split();
        socket.write_all(b"head").await.unwrap();
        let mut output = AfterHead::new(socket);
        let writer = tokio::spawn(async move { output.write_all(b"body").await.map(|()| output) });
        sleep(Duration::from_millis(200)).await;
        let mut all = [0; 64];
        let first = far.read(&mut all).await.unwrap();
        assert_eq!(&all[..first], b"head");
        writer.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_not_waited_for_for_ever() {
        let (near, _far) = UnixStream::pair().unwrap();
        let (_, mut socket) = near.into_split();
        socket.write_all(b"head").await.unwrap();
        AfterHead::new(socket).write_all(b"body").await.unwrap();
    }
}
