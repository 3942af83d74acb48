//! Hooks: programs of the host at points of a container's life. Run one after the other, without a shell, with the
//! container's state on standard input, and not longer than their timeout.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use boxship_oci::runtime::{Hook, Hooks, State};
use boxship_sys::process;

use crate::error::{Error, Result};

/// How much of what a failed hook wrote is told.
const MOST_OUTPUT: usize = 2048;

/// Checks what can be checked before the container exists.
pub(crate) fn check(hooks: &Hooks) -> Result<()> {
    let lists = [
        &hooks.prestart,
        &hooks.create_runtime,
        &hooks.create_container,
        &hooks.start_container,
        &hooks.poststart,
        &hooks.poststop,
    ];
    for hook in lists.into_iter().flatten() {
        if !hook.path.is_absolute() {
            return Err(Error::Invalid(format!("hook path {:?} is not absolute", hook.path)));
        }
        if hook.timeout.is_some_and(|timeout| timeout <= 0) {
            return Err(Error::Invalid(format!("timeout of hook {:?} is not positive", hook.path)));
        }
    }
    Ok(())
}

/// Runs the hooks of one point until one fails.
pub(crate) fn run(point: &'static str, hooks: &[Hook], state: &State) -> Result<()> {
    for (index, hook) in hooks.iter().enumerate() {
        run_one(hook, state, None).map_err(|reason| Error::Hook { point, index, reason })?;
    }
    Ok(())
}

/// Runs all hooks of one point, whatever becomes of them; what went wrong is told.
pub(crate) fn run_all(point: &'static str, hooks: &[Hook], state: &State) -> Vec<Error> {
    let failed =
        |(index, hook)| run_one(hook, state, None).err().map(|reason| Error::Hook { point, index, reason });
    hooks.iter().enumerate().filter_map(failed).collect()
}

/// Runs one hook; the error is the reason in words. `inherited` is the environment of a hook without one: ours if
/// absent.
pub(crate) fn run_one(
    hook: &Hook,
    state: &State,
    inherited: Option<&[String]>,
) -> std::result::Result<(), String> {
    let text = serde_json::to_vec(state).map_err(|error| error.to_string())?;
    // Output goes to a file in memory: nothing can block on it, and a failure can be explained.
    let output = rustix::fs::memfd_create("hook", rustix::fs::MemfdFlags::CLOEXEC)
        .map_err(|error| error.to_string())?;
    let copy = || output.try_clone().map(Stdio::from).map_err(|error| error.to_string());
    let mut command = Command::new(&hook.path);
    if let Some((name, arguments)) = hook.args.split_first() {
        command.arg0(name).args(arguments);
    }
    // Without an environment of its own a hook has its caller's, as with other runtimes.
    let env = if hook.env.is_empty() { inherited } else { Some(hook.env.as_slice()) };
    if let Some(env) = env {
        command.env_clear().envs(env.iter().filter_map(|entry| entry.split_once('=')));
    }
    command.stdin(Stdio::piped()).stdout(copy()?).stderr(copy()?);
    let mut child = command.spawn().map_err(|error| format!("{}: {error}", hook.path.display()))?;
    // A hook need not read its input.
    if let Some(mut input) = child.stdin.take() {
        let _ = input.write_all(&text);
    }
    let status = wait(&mut child, hook.timeout)?;
    if status.success() {
        return Ok(());
    }
    Err(format!("{status}{}", written(output.as_fd())))
}

fn wait(child: &mut Child, timeout: Option<i64>) -> std::result::Result<std::process::ExitStatus, String> {
    if let Some(seconds) = timeout {
        let milliseconds = i32::try_from(seconds.saturating_mul(1000)).unwrap_or(i32::MAX);
        let pidfd = process::open(child.id() as i32).map_err(|error| error.to_string())?;
        if !process::has_ended(pidfd.as_fd(), milliseconds).map_err(|error| error.to_string())? {
            let killed = child.kill().and_then(|()| child.wait());
            killed.map_err(|error| error.to_string())?;
            return Err(format!("hook ran past specified timeout of {seconds} s"));
        }
    }
    child.wait().map_err(|error| error.to_string())
}

/// What the hook wrote, shortened.
fn written(output: BorrowedFd<'_>) -> String {
    let mut buffer = [0; MOST_OUTPUT];
    let length = rustix::io::pread(output, &mut buffer[..], 0).unwrap_or(0);
    let text = String::from_utf8_lossy(&buffer[..length]);
    match text.trim() {
        "" => String::new(),
        text => format!(", output: {text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, timeout: Option<i64>) -> Hook {
        let args = ["sh", "-c", script].map(str::to_owned).to_vec();
        Hook { path: "/bin/sh".into(), args, env: vec!["A=b".into()], timeout }
    }

    #[test]
    fn state_comes_on_standard_input() {
        let state = State { id: "abc".into(), ..State::default() };
        run("prestart", &[shell("grep -q '\"id\":\"abc\"' && test $A = b", Some(10))], &state).unwrap();
    }

    #[test]
    fn failures_are_explained() {
        let hooks = [shell("exit 0", None), shell("echo no good >&2; exit 3", None)];
        let error = run("poststart", &hooks, &State::default()).unwrap_err();
        assert_eq!(error.to_string(), "error running poststart hook #1: exit status: 3, output: no good");
        let error = run("prestart", &[shell("sleep 100", Some(1))], &State::default()).unwrap_err();
        assert!(error.to_string().contains("timeout"), "{error}");
        let missing = Hook { path: "/nope".into(), ..Hook::default() };
        run("prestart", &[missing], &State::default()).unwrap_err();
    }

    #[test]
    fn nonsense_is_refused() {
        let relative = Hook { path: "x".into(), ..Hook::default() };
        check(&Hooks { poststop: vec![relative], ..Hooks::default() }).unwrap_err();
        check(&Hooks { prestart: vec![shell("", Some(0))], ..Hooks::default() }).unwrap_err();
    }
}
