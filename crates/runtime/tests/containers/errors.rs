//! What cannot be: typed, worded as Docker does, and nothing left.

use boxship_runtime::Error;

use crate::Test;
use crate::bundle::Bundle;

pub const TESTS: &[Test] = &[
    ("errors::wording", wording),
    ("errors::mount_source_missing", mount_source_missing),
    ("errors::proc_is_not_to_be_covered", proc_is_not_to_be_covered),
    ("errors::exec_format", exec_format),
    ("errors::unmountable", unmountable),
    ("errors::no_way_out_through_descriptors", no_way_out_through_descriptors),
];

/// A change to a good bundle, and what is said to it.
type Case = (fn(&mut Bundle), &'static str);

fn wording() {
    let cases: [Case; 9] = [
        (
            |bundle| bundle.process().args = vec!["nope".into()],
            r#"exec: "nope": executable file not found in $PATH"#,
        ),
        (
            |bundle| bundle.process().args = vec!["/nope".into()],
            r#"exec: "/nope": stat /nope: no such file or directory"#,
        ),
        (
            |bundle| bundle.process().args = vec!["/etc/passwd".into()],
            r#"exec: "/etc/passwd": permission denied"#,
        ),
        (|bundle| bundle.process().args = vec!["/etc".into()], r#"exec: "/etc": is a directory"#),
        (|bundle| bundle.process().args.clear(), "invalid specification: process args cannot be empty"),
        (
            |bundle| bundle.process().user.username = Some("bob".into()),
            "unable to find user bob: no matching entries in passwd file",
        ),
        (
            |bundle| bundle.process().user.additional_groups = vec!["nogroup".into()],
            "unable to find group nogroup: no matching entries in group file",
        ),
        (
            |bundle| bundle.process().cwd = "/etc/passwd".into(),
            r#"chdir to cwd ("/etc/passwd") set in config.json failed: not a directory"#,
        ),
        (|bundle| bundle.id = "../x".into(), r#"invalid container id "../x""#),
    ];
    for (change, text) in cases {
        let mut bundle = Bundle::new("true");
        change(&mut bundle);
        assert_eq!(bundle.create().unwrap_err().chain(), text);
    }
}

fn mount_source_missing() {
    let mut bundle = Bundle::new("true");
    bundle.mount(r#"{"destination":"/x","type":"bind","source":"/no/such/place","options":["rbind"]}"#);
    let error = bundle.refusal();
    assert!(matches!(error, Error::File { .. }), "{error:?}");
    assert!(error.chain().contains("/no/such/place: no such file or directory"), "{}", error.chain());
}

fn proc_is_not_to_be_covered() {
    let mut bundle = Bundle::new("true");
    bundle.mount(r#"{"destination":"/proc","type":"bind","source":"/tmp","options":["rbind"]}"#);
    assert!(bundle.refusal().to_string().contains("not of type proc"));
    // An image's link in proc's place.
    let mut bundle = Bundle::new("true");
    bundle.spec.mounts.truncate(1);
    std::fs::remove_dir(bundle.rootfs().join("proc")).unwrap();
    std::os::unix::fs::symlink("tmp", bundle.rootfs().join("proc")).unwrap();
    assert!(bundle.refusal().to_string().contains("ordinary directory"));
}

fn exec_format() {
    let mut bundle = Bundle::new("");
    std::fs::write(bundle.rootfs().join("bin/rubbish"), [0_u8; 100]).unwrap();
    std::fs::set_permissions(
        bundle.rootfs().join("bin/rubbish"),
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    bundle.process().args = vec!["rubbish".into()];
    let outcome = bundle.run();
    assert_eq!(outcome.err, "exec /bin/rubbish: exec format error\n");
    assert_eq!(outcome.exit.status(), 255);
}

fn unmountable() {
    let mut bundle = Bundle::new("true");
    bundle.mount(r#"{"destination":"/x","type":"no-such-fs","source":"x"}"#);
    assert!(bundle.refusal().to_string().starts_with("error mounting /x: fsopen: no such device"));
    let mut bundle = Bundle::new("true");
    bundle.mount(r#"{"destination":"/x","type":"tmpfs","source":"x","options":["nonsense=1"]}"#);
    bundle.refusal();
}

/// CVE-2024-21626: neither the folder to start in nor the program can be reached through a descriptor of the runtime.
fn no_way_out_through_descriptors() {
    let leaky = boxship_sys::path::open(std::path::Path::new("/"), rustix::fs::OFlags::PATH).unwrap();
    boxship_sys::fd::keep_on_exec(std::os::fd::AsFd::as_fd(&leaky)).unwrap();
    for number in 3..40 {
        let mut bundle = Bundle::new("true");
        bundle.process().cwd = format!("/proc/self/fd/{number}").into();
        assert!(matches!(bundle.refusal(), Error::WorkingDirectory { .. }), "{number}");
        let mut bundle = Bundle::new("true");
        bundle.process().args = vec![format!("/proc/self/fd/{number}/bin/true")];
        assert!(matches!(bundle.refusal(), Error::CommandNotExecutable { .. }), "{number}");
    }
}
