//! Images that mean harm: published attacks on other runtimes, each by its number.

use std::os::unix::fs::symlink;

use boxship_runtime::{CreateOptions, Error, Stdio, create};

use crate::Test;
use crate::bundle::{Bundle, exists};

pub const TESTS: &[Test] = &[
    ("hostile::cve_2025_31133_null_device", cve_2025_31133_null_device),
    ("hostile::cve_2025_52565_console", cve_2025_52565_console),
    ("hostile::cve_2025_52881_procfs_through_links", cve_2025_52881_procfs_through_links),
    ("hostile::cve_2025_52881_procfs_by_name", cve_2025_52881_procfs_by_name),
    ("hostile::cve_2024_21626_working_directory", cve_2024_21626_working_directory),
    ("hostile::accounts_without_end", accounts_without_end),
    ("hostile::accounts_that_hang", accounts_that_hang),
];

/// A container whose `/dev` is the image's own.
fn own_dev(script: &str) -> Bundle {
    let mut bundle = Bundle::new(script);
    bundle.spec.mounts.retain(|mount| !mount.destination.starts_with("/dev"));
    bundle
}

/// CVE-2025-31133: masked paths were covered by a bind mount of the container's own `/dev/null`, which an image could
/// make a link to a file that it then could write.
fn cve_2025_31133_null_device() {
    let mut bundle =
        own_dev("cat /proc/keys | wc -c; stat -c %t:%T /proc/keys; echo h > /proc/keys; stat -c %F /target");
    std::fs::write(bundle.rootfs().join("target"), "text").unwrap();
    symlink("/target", bundle.rootfs().join("dev/null")).unwrap();
    assert_eq!(bundle.output(), "0\n1:3\nregular file\n");
    assert_eq!(std::fs::read_to_string(bundle.rootfs().join("target")).unwrap(), "text");
    // The same with nothing at the link's end.
    bundle = own_dev("stat -c %t:%T /proc/keys");
    symlink("/proc/version", bundle.rootfs().join("dev/null")).unwrap();
    assert_eq!(bundle.output(), "1:3\n");
}

/// CVE-2025-52565: the terminal was bound over `/dev/console` wherever a link there led, before paths were masked.
fn cve_2025_52565_console() {
    for target in ["/proc/sys/kernel/domainname", "/proc/version"] {
        let mut bundle = own_dev("true");
        bundle.mount(
            r#"{"destination":"/dev/pts","type":"devpts","source":"devpts","options":["newinstance","ptmxmode=0666"]}"#,
        );
        symlink(target, bundle.rootfs().join("dev/console")).unwrap();
        bundle.process().terminal = true;
        let error = create(CreateOptions { stdio: Stdio::Console, ..bundle.options() }).unwrap_err();
        assert!(error.chain().contains("leads into /proc"), "{}", error.chain());
        bundle.assert_clean();
    }
}

/// CVE-2025-52881, CVE-2019-16884: a mount whose place is a link of the image covered files of procfs, so that labels
/// and parameters were written somewhere else.
fn cve_2025_52881_procfs_through_links() {
    for (link, mount) in [
        ("alias", r#"{"destination":"/alias/sys","type":"tmpfs","source":"tmpfs"}"#),
        ("alias", r#"{"destination":"/alias/self","type":"bind","source":"source","options":["bind"]}"#),
        ("alias", r#"{"destination":"/alias/version","type":"bind","source":"file","options":["bind"]}"#),
        ("alias", r#"{"destination":"/alias/sys/../tty","type":"cgroup","source":"cgroup"}"#),
    ] {
        let mut bundle = Bundle::new("true");
        symlink("proc", bundle.rootfs().join(link)).unwrap();
        std::fs::create_dir(bundle.folder.path().join("source")).unwrap();
        std::fs::write(bundle.folder.path().join("file"), "").unwrap();
        bundle.mount(mount);
        let error = bundle.refusal();
        assert!(error.chain().contains("leads into /proc"), "{mount}: {}", error.chain());
    }
    // An image whose /dev is there.
    let bundle = Bundle::new("true");
    std::fs::remove_dir(bundle.rootfs().join("dev")).unwrap();
    symlink("proc/sys", bundle.rootfs().join("dev")).unwrap();
    assert!(bundle.refusal().chain().contains("leads into /proc"));
}

fn cve_2025_52881_procfs_by_name() {
    for destination in ["/proc/self/attr", "/proc/sys", "/tmp/../proc/sys/kernel", "/proc/version"] {
        for rest in [
            r#""type":"tmpfs","source":"tmpfs""#,
            r#""type":"bind","source":"/tmp","options":["rbind"]"#,
            r#""type":"proc","source":"proc""#,
        ] {
            let mut bundle = Bundle::new("true");
            bundle.mount(&format!(r#"{{"destination":"{destination}",{rest}}}"#));
            assert!(bundle.refusal().chain().contains("because it is inside /proc"), "{destination} {rest}");
        }
    }
}

/// CVE-2024-21626: the image's folder to start in is a link that leads to a descriptor.
fn cve_2024_21626_working_directory() {
    let mut bundle = Bundle::new("true");
    symlink("/proc/self/fd/7", bundle.rootfs().join("work")).unwrap();
    bundle.process().cwd = "/work".into();
    assert!(matches!(bundle.refusal(), Error::WorkingDirectory { .. }));
    let mut bundle = Bundle::new("pwd; ls -A /..");
    symlink("../../../../..", bundle.rootfs().join("work")).unwrap();
    bundle.process().cwd = "/work".into();
    assert!(bundle.output().starts_with("/\nbin\n"));
}

/// CVE-2026-47262: a group file is read with bounds, whoever wrote it.
fn accounts_without_end() {
    let mut bundle = Bundle::new("id -G | wc -w");
    bundle.process().user.username = Some("ann".into());
    let members = format!("many:x:70:{}ann\n", "other,".repeat(1 << 20));
    std::fs::write(bundle.rootfs().join("etc/group"), &members).unwrap();
    assert_eq!(bundle.output(), "2\n");
    std::fs::write(bundle.rootfs().join("etc/group"), members.repeat(2)).unwrap();
    let error = bundle.refusal().chain();
    assert!(error.contains("read accounts") && error.contains("too large"), "{error}");
    // More groups than a process can have.
    let groups: String = (1000..67_000).map(|gid| format!("g{gid}:x:{gid}:ann\n")).collect();
    std::fs::write(bundle.rootfs().join("etc/group"), groups).unwrap();
    assert!(bundle.refusal().chain().contains("read accounts"));
}

/// Neither a pipe nor a device nor a link to the outside is read in place of the files.
fn accounts_that_hang() {
    // Nothing that reads the files itself.
    let mut bundle = Bundle::new("echo fine");
    bundle.process().user.username = Some("0".into());
    let etc = bundle.rootfs().join("etc");
    for name in ["passwd", "group"] {
        std::fs::remove_file(etc.join(name)).unwrap();
    }
    let (mode, kind) = (rustix::fs::Mode::RUSR, rustix::fs::FileType::Fifo);
    rustix::fs::mknodat(rustix::fs::CWD, etc.join("passwd"), kind, mode, 0).unwrap();
    symlink("/dev/zero", etc.join("group")).unwrap();
    assert_eq!(bundle.output(), "fine\n");
    std::fs::remove_file(etc.join("passwd")).unwrap();
    symlink("../../../../../../../../etc/passwd", etc.join("passwd")).unwrap();
    bundle.process().user.username = Some("daemon".into());
    assert!(exists("/etc/passwd"));
    assert!(matches!(bundle.refusal(), Error::NoSuchUser { .. }));
}
