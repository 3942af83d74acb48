//! The terminal of this process: raw mode and size.
//!
//! Raw mode is undone on every way out: by the guard's drop, and by a hook when the program panics (which ends it
//! without drops). Signals that would end the process are caught by [`crate::streams`] meanwhile.

use std::io;
use std::sync::{Mutex, Once};

use rustix::termios::{self, OptionalActions, Termios};

/// How the terminal was before, while it is raw.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);
static HOOK: Once = Once::new();

/// Puts the terminal of standard input into raw mode as long as it lives.
pub struct Raw(());

impl Raw {
    /// Every key goes to the container, ctrl-c among them.
    pub fn enter() -> io::Result<Raw> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        change(before, &raw)?;
        Ok(Raw(()))
    }
}

/// Hides what is typed on the terminal of standard input as long as it lives: a password.
pub struct Hidden(());

impl Hidden {
    /// From here on.
    pub fn enter() -> io::Result<Hidden> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(termios::LocalModes::ECHO);
        change(before, &hidden)?;
        Ok(Hidden(()))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        restore();
    }
}

/// Sets the terminal, to be put right on every way out.
fn change(before: Termios, to: &Termios) -> io::Result<()> {
    *BEFORE.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(before);
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |what| {
            restore();
            usual(what);
        }));
    });
    Ok(termios::tcsetattr(io::stdin(), OptionalActions::Now, to)?)
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    if let Some(before) = BEFORE.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take() {
        // Nothing can be done when the terminal has gone away.
        let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, &before);
    }
}

/// Rows and columns of the terminal of standard output; `None` when it is none, or knows no size.
pub fn size() -> Option<(u16, u16)> {
    let size = termios::tcgetwinsize(io::stdout()).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}
