//! Namespaces of their own for tests: nothing they do is seen outside, and nothing of it is left.

use boxship_sys::namespace::{Kind, unshare};

/// Runs `test` on a thread in a new network namespace with its loopback up.
pub(crate) fn in_namespace<T: Send>(test: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            unshare(Kind::Network.flag()).unwrap();
            boxship_sys::namespace::bring_loopback_up().unwrap();
            test()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// What `ip -j …` says, on the thread's own namespace.
pub(crate) fn ip(arguments: &str) -> String {
    // A child of this thread is in this thread's namespace.
    let output = std::process::Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
