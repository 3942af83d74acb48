//! Starts the daemon when the one at the default socket is meant and none listens there.
//!
//! Only root can do that; everyone else is told what to do by the failing connection. `BOXSHIP_NO_AUTOSTART=1` turns
//! it off.

use std::env;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use boxship_oci::go::boolean;

use crate::failure::{Failure, Result};
use crate::globals::DEFAULT_SOCKET;

/// Where the daemon that was started by a command writes what it has to say.
const LOG: &str = "/var/log/boxship.log";
/// Tells the daemon's process to leave our terminal's session: ctrl-c and a closed terminal are not meant for it.
const OWN_SESSION: &str = "BOXSHIP_OWN_SESSION";
/// How long it may take until it listens: the first start makes a database.
const PATIENCE: Duration = Duration::from_secs(20);

/// Called by the daemon's role: a session of its own, when a command has started it.
pub fn leave_session() {
    if env::var_os(OWN_SESSION).is_some() {
        // It fails for the leader of a group only, which we have just not become.
        let _ = rustix::process::setsid();
    }
}

/// Returns at once when somebody listens.
pub async fn ensure(program: &str) -> Result<()> {
    if listens()
        || env::var("BOXSHIP_NO_AUTOSTART").is_ok_and(|value| is_off(&value))
        || !rustix::process::geteuid().is_root()
    {
        return Ok(());
    }
    let failed =
        |what: &str, error: std::io::Error| Failure::new(format!("start the daemon: {what}: {error}"));
    let log = fs::File::options().create(true).append(true).open(LOG).map_err(|e| failed(LOG, e))?;
    let errors = log.try_clone().map_err(|e| failed(LOG, e))?;
    let exe = env::current_exe().map_err(|e| failed("find the executable", e))?;
    let mut command = Command::new(exe);
    command.arg0("boxship").arg("daemon").current_dir("/");
    command.stdin(Stdio::null()).stdout(log).stderr(errors);
    command.env(OWN_SESSION, "1");
    let mut child = command.spawn().map_err(|e| failed("run boxship daemon", e))?;
    let deadline = Instant::now() + PATIENCE;
    while !listens() {
        if let Ok(Some(status)) = child.try_wait() {
            // Another command may have been quicker: then its daemon holds the socket in a moment.
            if !listens_soon().await {
                return Err(Failure::new(format!("the daemon ended at once ({status}); see {LOG}")));
            }
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Failure::new(format!("the daemon does not listen at {DEFAULT_SOCKET}; see {LOG}")));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    use std::io::Write;
    let _ = writeln!(
        std::io::stderr(),
        "{program}: started the daemon (log: {LOG}; BOXSHIP_NO_AUTOSTART=1 turns this off)"
    );
    Ok(())
}

/// What turns it off: anything but nothing and Go's ways to say no.
fn is_off(value: &str) -> bool {
    !value.is_empty() && boolean(value) != Ok(false)
}

fn listens() -> bool {
    Path::new(DEFAULT_SOCKET).exists() && std::os::unix::net::UnixStream::connect(DEFAULT_SOCKET).is_ok()
}

async fn listens_soon() -> bool {
    for _ in 0..500 {
        if listens() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::is_off;

    #[test]
    fn what_turns_it_off() {
        for (value, off) in
            [("1", true), ("true", true), ("yes", true), ("0", false), ("false", false), ("", false)]
        {
            assert_eq!(is_off(value), off, "{value:?}");
        }
    }
}
