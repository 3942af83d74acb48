//! One connection to a daemon, of whatever kind.

use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio_rustls::TlsConnector;

use crate::{Address, Error, Result, TlsFiles};

/// Bytes to and from a daemon.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Opens a connection.
pub(crate) async fn connect(address: &Address, tls: Option<&TlsFiles>) -> Result<Box<dyn Stream>> {
    match address {
        Address::Unix(path) => match UnixStream::connect(path).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(failed(address, error)),
        },
        Address::Tcp { host, port } => tcp(address, host, Address::port(*port, tls.is_some()), tls).await,
        Address::Ssh { target, port, socket } => ssh(target, *port, socket.as_deref()),
    }
}

fn failed(address: &Address, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::PermissionDenied => Error::Permission { address: address.to_string() },
        _ => Error::Connect { address: address.to_string(), source },
    }
}

async fn tcp(address: &Address, host: &str, port: u16, tls: Option<&TlsFiles>) -> Result<Box<dyn Stream>> {
    let addresses = boxship_dial::addresses(host)
        .await
        .map_err(|reason| Error::Resolve { host: host.to_owned(), reason })?;
    let targets: Vec<_> = addresses.into_iter().map(|ip| (ip, port).into()).collect();
    let stream = TcpStream::connect(&targets[..]).await.map_err(|e| failed(address, e))?;
    stream.set_nodelay(true)?;
    let Some(files) = tls else { return Ok(Box::new(stream)) };
    let name = ServerName::try_from(host.to_string()).map_err(|e| Error::Tls(format!("{host}: {e}")))?;
    let connector = TlsConnector::from(Arc::new(files.configuration()?));
    let stream = connector.connect(name, stream).await.map_err(|e| Error::Tls(e.to_string()))?;
    Ok(Box::new(stream))
}

/// Runs the user's own `ssh` with `docker system dial-stdio` on the other side, as Docker does: whichever of the two
/// engines is there, its command line has that command.
fn ssh(target: &str, port: Option<u16>, socket: Option<&str>) -> Result<Box<dyn Stream>> {
    let mut command = Command::new("ssh");
    command.args(["-o", "ConnectTimeout=30", "-T"]);
    if let Some(port) = port {
        command.args(["-p", &port.to_string()]);
    }
    let host = socket.map_or(String::new(), |socket| format!(" -H unix://{}", quote(socket)));
    let remote = format!(
        "if command -v boxship >/dev/null 2>&1; then exec boxship{host} system dial-stdio; \
         else exec docker{host} system dial-stdio; fi"
    );
    command.arg("--").arg(target).arg(format!("sh -c {}", quote(&remote)));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|e| Error::Exchange(format!("run ssh: {e}")))?;
    match (child.stdin.take(), child.stdout.take()) {
        (Some(input), Some(output)) => Ok(Box::new(Ssh { _child: child, input, output })),
        _ => Err(Error::Exchange("run ssh: no pipes".into())),
    }
}

fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The two pipes of an ssh process; dropping them ends it.
struct Ssh {
    _child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl AsyncRead for Ssh {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_read(cx, buf)
    }
}

impl AsyncWrite for Ssh {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.input).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(cx)
    }
}
