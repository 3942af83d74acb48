//! Hooks at all six points.

use boxship_oci::runtime::Hook;
use boxship_runtime::Error;

use crate::Test;
use crate::bundle::{Bundle, exists};

pub const TESTS: &[Test] = &[
    ("hooks::all_points_in_order", all_points_in_order),
    ("hooks::failing_creation", failing_creation),
    ("hooks::failing_later", failing_later),
];

fn shell(script: &str) -> Hook {
    Hook { path: "/bin/sh".into(), args: ["sh", "-c", script].map(str::to_owned).to_vec(), ..Hook::default() }
}

fn all_points_in_order() {
    let mut bundle = Bundle::new("echo program >> /log");
    let log = bundle.rootfs().join("log");
    let log = log.display();
    let word = |name: &str| {
        shell(&format!(
            "state=$(cat); case $state in *'\"status\":\"'*) status=${{state#*\\\"status\\\":\\\"}};; esac; echo {name} ${{status%%\\\"*}} >> {log}"
        ))
    };
    let inside = |name: &str| shell(&format!("cat > /dev/null; echo {name} >> /log"));
    let hooks = bundle.spec.hooks.get_or_insert_default();
    hooks.prestart = vec![word("prestart")];
    hooks.create_runtime = vec![word("createRuntime")];
    // The root of the host is still there, with the container's mounts below the bundle's.
    hooks.create_container = vec![shell(&format!(
        "cat > /dev/null; test -e {0}/rootfs/proc/self && echo createContainer $(hostname) >> {log}",
        bundle.folder.path().display()
    ))];
    hooks.start_container = vec![inside("startContainer")];
    hooks.poststart = vec![word("poststart")];
    hooks.poststop = vec![word("poststop")];
    bundle.output();
    let text = std::fs::read_to_string(bundle.rootfs().join("log")).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    // The program and the poststart hooks run at the same time.
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "createContainer inside",
            "createRuntime creating",
            "poststart running",
            "poststop stopped",
            "prestart creating",
            "program",
            "startContainer"
        ]
    );
}

fn failing_creation() {
    for point in ["prestart", "createRuntime", "createContainer"] {
        let mut bundle = Bundle::new("true");
        let failing = vec![shell("exit 0"), shell("echo broken >&2; exit 4")];
        let hooks = bundle.spec.hooks.get_or_insert_default();
        match point {
            "prestart" => hooks.prestart = failing,
            "createRuntime" => hooks.create_runtime = failing,
            _ => hooks.create_container = failing,
        }
        let error = bundle.refusal();
        assert!(matches!(&error, Error::Hook { point: at, index: 1, .. } if *at == point), "{error:?}");
        assert!(error.to_string().contains("broken"), "{error}");
    }
}

fn failing_later() {
    let mut bundle = Bundle::new("echo ran > /ran");
    bundle.spec.hooks.get_or_insert_default().start_container = vec![shell("exit 4")];
    let outcome = bundle.run();
    assert_eq!(outcome.exit.status(), 255);
    assert!(outcome.err.contains("startContainer hook #0"), "{outcome:?}");
    assert!(!exists(bundle.rootfs().join("ran")));
}
