//! Mounts: kinds, options, propagation, places.

use crate::Test;
use crate::bundle::Bundle;

pub const TESTS: &[Test] = &[
    ("mounts::options_arrive", options_arrive),
    ("mounts::binds", binds),
    ("mounts::recursive_read_only", recursive_read_only),
    ("mounts::destinations_stay_inside", destinations_stay_inside),
    ("mounts::tmpfs", tmpfs),
    ("mounts::propagation", propagation),
    ("mounts::cgroups", cgroups),
    ("mounts::cgroups_without_namespace", cgroups_without_namespace),
    ("mounts::owners_mapped", owners_mapped),
    ("mounts::remount", remount),
    ("mounts::in_order", in_order),
];

fn options_of(bundle: &Bundle, place: &str) -> String {
    let out = bundle.output();
    let line = out.lines().rev().find(|line| line.split(' ').nth(4) == Some(place));
    line.unwrap_or_else(|| panic!("{place} is not mounted: {out}")).to_owned()
}

fn options_arrive() {
    let mut bundle = Bundle::new("cat /proc/self/mountinfo");
    bundle.mount(r#"{"destination":"/t","type":"tmpfs","source":"tmpfs","options":["ro","nosuid","nodev","noexec","noatime","nosymfollow","size=4k"]}"#);
    let line = options_of(&bundle, "/t");
    assert!(line.contains(" ro,nosuid,nodev,noexec,noatime,nosymfollow "), "{line}");
    assert!(line.contains("size=4k"), "{line}");
    let line = options_of(&bundle, "/proc");
    assert!(line.contains("rw,nosuid,nodev,noexec,relatime"), "{line}");
    let line = options_of(&bundle, "/sys");
    assert!(line.contains(" ro,nosuid,nodev,noexec,relatime "), "{line}");
}

fn binds() {
    let mut bundle = Bundle::new(
        "cat /file /folder/in; touch /folder/out; touch /folder/ro || echo read-only; cat /proc/self/mountinfo",
    );
    let source = bundle.folder.path().join("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("in"), "text\n").unwrap();
    bundle.mount(r#"{"destination":"/folder","type":"none","source":"source","options":["rbind","nosuid"]}"#);
    bundle.mount(&format!(
        r#"{{"destination":"/file","type":"bind","source":"{}/in","options":["bind","ro"]}}"#,
        source.display()
    ));
    let out = bundle.output();
    assert!(out.starts_with("text\ntext\n"), "{out}");
    assert!(source.join("out").exists());
    assert!(bundle.rootfs().join("file").is_file());
    assert!(out.lines().any(|line| line.contains(" /file ro,")), "{out}");
}

fn recursive_read_only() {
    let mut bundle = Bundle::new(
        "touch /all/sub/x 2>/dev/null || echo all; touch /top/sub/x && echo top; touch /top/x 2>/dev/null || echo ro",
    );
    let below = bundle.folder.path().join("tree");
    std::fs::create_dir_all(below.join("sub")).unwrap();
    let mounted = boxship_sys::mount::FileSystem::open("tmpfs").unwrap().mount(0).unwrap();
    boxship_sys::mount::move_to(std::os::fd::AsFd::as_fd(&mounted), &below.join("sub")).unwrap();
    bundle.mount(r#"{"destination":"/all","type":"bind","source":"tree","options":["rbind","rro"]}"#);
    bundle.mount(r#"{"destination":"/top","type":"bind","source":"tree","options":["rbind","ro"]}"#);
    let outcome = std::panic::catch_unwind(|| bundle.run_anyhow());
    boxship_sys::mount::detach(&below.join("sub")).unwrap();
    assert_eq!(outcome.unwrap().out, "all\ntop\nro\n");
    bundle.assert_clean();
}

fn destinations_stay_inside() {
    let mut bundle = Bundle::new("ls /target /new/a/b");
    let outside = bundle.folder.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(format!("/../../..{}", outside.display()), bundle.rootfs().join("link"))
        .unwrap();
    std::os::unix::fs::symlink("/target", bundle.rootfs().join("good")).unwrap();
    std::fs::create_dir(bundle.rootfs().join("target")).unwrap();
    std::fs::create_dir(bundle.folder.path().join("source")).unwrap();
    std::fs::write(bundle.folder.path().join("source/seen"), "").unwrap();
    bundle.mount(r#"{"destination":"/good","type":"bind","source":"source","options":["bind"]}"#);
    bundle.mount(r#"{"destination":"/new/a/b","type":"bind","source":"source","options":["bind"]}"#);
    assert_eq!(bundle.output(), "/new/a/b:\nseen\n\n/target:\nseen\n");
    // What a link to the outside means is made inside.
    bundle.mount(r#"{"destination":"/link/x","type":"tmpfs","source":"tmpfs"}"#);
    bundle.output();
    assert!(bundle.rootfs().join(outside.strip_prefix("/").unwrap()).join("x").is_dir());
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

fn tmpfs() {
    let mut bundle =
        Bundle::new("stat -c %a /tmp /t /m; cat /copy/file; stat -c %a:%u /copy/file; echo x > /copy/file");
    let copied = bundle.rootfs().join("copy");
    std::fs::create_dir(&copied).unwrap();
    std::fs::write(copied.join("file"), "kept\n").unwrap();
    std::os::unix::fs::chown(copied.join("file"), Some(5), None).unwrap();
    bundle.mount(r#"{"destination":"/tmp","type":"tmpfs","source":"tmpfs"}"#);
    bundle.mount(r#"{"destination":"/t","type":"tmpfs","source":"tmpfs"}"#);
    bundle.mount(r#"{"destination":"/m","type":"tmpfs","source":"tmpfs","options":["mode=700"]}"#);
    bundle.mount(r#"{"destination":"/copy","type":"tmpfs","source":"tmpfs","options":["tmpcopyup"]}"#);
    assert_eq!(bundle.output(), "1777\n1777\n700\nkept\n644:5\n");
    assert_eq!(std::fs::read_to_string(copied.join("file")).unwrap(), "kept\n");
}

fn propagation() {
    let mut bundle = Bundle::new("cat /proc/self/mountinfo");
    std::fs::create_dir(bundle.folder.path().join("source")).unwrap();
    bundle.mount(r#"{"destination":"/shared","type":"bind","source":"source","options":["bind","shared"]}"#);
    bundle
        .mount(r#"{"destination":"/private","type":"bind","source":"source","options":["bind","rprivate"]}"#);
    bundle.mount(
        r#"{"destination":"/unbindable","type":"bind","source":"source","options":["bind","unbindable"]}"#,
    );
    bundle.linux().rootfs_propagation = Some("shared".to_owned());
    let out = bundle.output();
    let has = |place: &str, word: &str| {
        let line = out.lines().find(|line| line.split(' ').nth(4) == Some(place)).unwrap();
        line.contains(word)
    };
    assert!(has("/shared", " shared:"), "{out}");
    assert!(!has("/private", "shared:"), "{out}");
    assert!(has("/unbindable", " unbindable "), "{out}");
    assert!(has("/", " shared:"), "{out}");
    bundle.linux().rootfs_propagation = Some("nonsense".to_owned());
    bundle.refusal();
}

/// Whether this machine has version 2 alone.
fn unified() -> bool {
    std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists()
}

fn cgroups() {
    let script = "cat /proc/self/cgroup; ls /sys/fs/cgroup /sys/fs/cgroup/memory 2>/dev/null; touch /sys/fs/cgroup/x 2>/dev/null || echo read-only";
    let out = Bundle::new(script).output();
    assert!(
        out.lines().filter(|line| line.matches(':').count() == 2).all(|line| line.ends_with(":/")),
        "{out}"
    );
    let expected = if unified() { "cgroup.controllers\n" } else { "memory.usage_in_bytes\n" };
    assert!(out.contains(expected) && out.contains("cgroup.procs\n") && out.contains("read-only"), "{out}");
    assert!(!out.contains("boxship-test"), "{out}");
}

fn cgroups_without_namespace() {
    let mut bundle = Bundle::new(
        "cat /proc/self/cgroup; cat /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/memory/cgroup.procs 2>/dev/null",
    );
    bundle
        .linux()
        .namespaces
        .retain(|namespace| namespace.kind != boxship_oci::runtime::NamespaceKind::Cgroup);
    bundle.process().args[2].push_str("; true");
    let out = bundle.output();
    assert!(out.contains(":/boxship-test/test-"), "{out}");
    // The container's own group, of which it is the first process.
    assert!(out.lines().any(|line| line == "1"), "{out}");
}

fn owners_mapped() {
    let mut bundle = Bundle::new("stat -c %u:%g /mapped/file");
    let source = bundle.folder.path().join("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("file"), "").unwrap();
    bundle.mount(
        r#"{"destination":"/mapped","type":"bind","source":"source","options":["bind"],
        "uidMappings":[{"containerID":0,"hostID":5000,"size":10}],"gidMappings":[{"containerID":0,"hostID":6000,"size":10}]}"#,
    );
    assert_eq!(bundle.output(), "5000:6000\n");
}

fn remount() {
    let mut bundle = Bundle::new("touch /dev/shm/x 2>/dev/null || echo read-only");
    bundle.mount(r#"{"destination":"/dev/shm","options":["remount","ro"]}"#);
    assert_eq!(bundle.output(), "read-only\n");
}

/// Who unmounts everything goes through the table from its end.
fn in_order() {
    let mut bundle = Bundle::new("grep -o ' /[abcd] ' /proc/self/mountinfo");
    std::fs::create_dir(bundle.folder.path().join("source")).unwrap();
    bundle.mount(r#"{"destination":"/a","type":"tmpfs","source":"tmpfs"}"#);
    bundle.mount(r#"{"destination":"/b","type":"bind","source":"source","options":["bind"]}"#);
    bundle.mount(r#"{"destination":"/c","type":"tmpfs","source":"tmpfs"}"#);
    bundle.mount(r#"{"destination":"/d","type":"bind","source":"source","options":["rbind","unbindable"]}"#);
    assert_eq!(bundle.output(), " /a \n /b \n /c \n /d \n");
}
