//! Kill: a signal, by name or number. SIGKILL is waited for, other signals are not.

use std::sync::Arc;
use std::time::Duration;

use boxship_sys::signal::Signal;

use super::handle::Container;
use super::request::Request;
use super::state::Status;
use super::wait::wait_until;
use crate::{Engine, Error, Kind, Result};

/// How long the kernel may take to end what was killed.
const DIES: Duration = Duration::from_secs(10);
/// How long `--rm` is waited for.
const REMOVES: Duration = Duration::from_secs(10);

/// A signal by name or number, in Docker's words when it is none.
pub(super) fn parse_signal(text: &str) -> Result<i32> {
    let signal = Signal::parse(text).ok_or_else(|| match text.parse::<i64>() {
        Ok(number) if number > 0 => {
            Error::invalid(format!("the linux daemon does not support signal {number}"))
        }
        _ => Error::invalid(format!("invalid signal: {text}")),
    })?;
    Ok(signal.number())
}

impl Engine {
    /// `POST /containers/{id}/kill`; `None` is SIGKILL.
    pub async fn container_kill(&self, reference: &str, signal: Option<&str>) -> Result<()> {
        let kill = Signal::KILL.number();
        let signal = signal.filter(|text| !text.is_empty()).map_or(Ok(kill), parse_signal)?;
        let container = self.inner.registry.find(reference)?;
        if signal == kill {
            self.kill_and_wait(&container).await?;
            auto_removed(&container).await;
            return Ok(());
        }
        container.ask(|reply| Request::Signal { signal, reply }).await.map(drop)
    }

    /// SIGKILL, and wait for the end.
    pub(crate) async fn kill_and_wait(&self, container: &Arc<Container>) -> Result<()> {
        let signal = Signal::KILL.number();
        let exits = container.ask(|reply| Request::Signal { signal, reply }).await?;
        let dies = wait_until(container, |state| state.exits > exits || !state.is_running());
        match tokio::time::timeout(DIES, dies).await {
            Ok(_) => Ok(()),
            Err(_) => {
                Err(Error::new(Kind::Internal, "tried to kill container, but did not receive an exit event"))
            }
        }
    }
}

/// Waits, with bounds, until `--rm` has removed what has ended: then its name is free.
pub(super) async fn auto_removed(container: &Arc<Container>) {
    if !container.configuration().auto_remove() {
        return;
    }
    // A user's restart, or a removal that failed, keeps it.
    let gone =
        wait_until(container, |state| state.removed || state.is_running() || state.status == Status::Dead);
    let _ = tokio::time::timeout(REMOVES, gone).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_by_name_and_number() {
        for (text, expect) in [("9", Ok(9)), ("SIGHUP", Ok(1)), ("usr1", Ok(10))] {
            assert_eq!(parse_signal(text).map_err(|e| e.to_string()), expect);
        }
        for (text, message) in [
            ("bogus", "invalid signal: bogus"),
            ("0", "invalid signal: 0"),
            ("-1", "invalid signal: -1"),
            ("99", "the linux daemon does not support signal 99"),
        ] {
            let error = parse_signal(text).unwrap_err();
            assert_eq!((error.kind(), error.to_string()), (Kind::Invalid, message.to_owned()));
        }
    }
}
