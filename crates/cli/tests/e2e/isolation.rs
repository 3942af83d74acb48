//! What a container must not see or do.

use crate::host;

#[test]
fn a_container_has_its_own_view() {
    let host = host();
    let run = |words: &[&str]| host.boxship([&["run", "--rm"], words].concat());
    assert_eq!(run(&["busybox", "sh", "-c", "echo $$"]).ok(), "1");
    assert_eq!(run(&["busybox", "sh", "-c", "ls /sys/class/net"]).ok(), "eth0\nlo");
    assert_eq!(run(&["--network", "none", "busybox", "sh", "-c", "ls /sys/class/net"]).ok(), "lo");
    for space in ["mnt", "pid", "net", "ipc", "uts"] {
        let link = format!("/proc/self/ns/{space}");
        let own = std::fs::read_link(&link).unwrap().display().to_string();
        assert_ne!(run(&["busybox", "readlink", &link]).ok(), own, "{space}");
    }
    let own = host.home().run("readlink /proc/self/ns/net").ok().to_string();
    assert_eq!(run(&["--network", "host", "busybox", "readlink", "/proc/self/ns/net"]).ok(), own);
}

#[test]
fn a_container_knows_its_own_name() {
    let host = host();
    let hosts = |words: &[&str]| {
        let line = [&["run", "--rm", "-h", "web", "--domainname", "example.org"], words].concat();
        host.boxship([&line[..], &["busybox", "sh", "-c", "grep web /etc/hosts || true"]].concat())
    };
    let line = hosts(&[]).ok().to_string();
    let (address, names) = line.split_once('\t').unwrap();
    assert!(address.parse::<std::net::Ipv4Addr>().is_ok_and(|address| !address.is_loopback()), "{line}");
    assert_eq!(names, "web.example.org web");
    assert_eq!(hosts(&["--network", "none"]).ok(), "", "no network, no address");
    let ran = host.boxship(["run", "--rm", "busybox", "sh", "-c", "ping -c 1 $(hostname)"]);
    assert!(ran.ok().contains(", 0% packet loss"), "{}", ran.stdout);
}

#[test]
fn what_the_default_profile_forbids() {
    let host = host();
    for script in [
        "mount -t tmpfs box /mnt || mount -t tmpfs box /tmp",
        "echo 1 > /proc/sys/kernel/panic",
        "echo b > /proc/sysrq-trigger",
        "cat /proc/kcore | head -c 1 | grep -q .",
        "ls /proc/acpi/* /proc/scsi/* /sys/firmware/* 2>/dev/null | grep -q .",
        "mknod /tmp/sda b 8 0 && cat /tmp/sda",
        "unshare -m true",
        "hostname other",
        "chroot /proc/1/root/../../../.. ls /work",
    ] {
        let ran = host.boxship(["run", "--rm", "busybox", "sh", "-c", script]);
        assert_ne!(ran.code, 0, "{script}: {}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn no_descriptor_of_the_host_reaches_the_container() {
    let host = host();
    let listed = host.boxship([
        "run",
        "--rm",
        "busybox",
        "sh",
        "-c",
        "ls -l /proc/self/fd /proc/1/fd | grep -o ' [0-9]* ->.*'",
    ]);
    let text = listed.ok();
    assert!(!text.contains("/work") && !text.contains("boxship") && !text.contains("cgroup"), "{text}");
    let numbers = text.lines().filter_map(|line| line.trim().split(' ').next()?.parse::<u32>().ok());
    assert!(numbers.max().unwrap() <= 10, "{text}");
}

#[test]
fn the_executable_cannot_be_overwritten_from_inside() {
    // CVE-2019-5736: a container that runs /proc/self/exe enters our executable and may try to write to it.
    let host = host();
    let exe = env!("CARGO_BIN_EXE_boxship");
    let before = std::fs::metadata(exe).unwrap();
    let script =
        "exec 3</proc/self/exe; (sleep 0.1; echo box > /proc/1/exe) 2>&1; echo box > /proc/self/fd/3";
    host.boxship(["run", "--rm", "busybox", "sh", "-c", script]);
    host.boxship(["run", "--rm", "busybox", "/proc/self/exe", "--version"]);
    let after = std::fs::metadata(exe).unwrap();
    assert_eq!(
        (before.len(), before.modified().unwrap()),
        (after.len(), after.modified().unwrap()),
        "the executable was changed"
    );
}

#[test]
fn host_files_are_reached_only_by_what_was_asked() {
    let host = host();
    std::fs::write(host.dir().join("file"), "content").unwrap();
    let source = host.dir().display().to_string();
    let bind = format!("{source}:/bound:ro");
    assert_eq!(host.boxship(["run", "--rm", "-v", &bind, "busybox", "cat", "/bound/file"]).ok(), "content");
    assert_ne!(host.boxship(["run", "--rm", "-v", &bind, "busybox", "touch", "/bound/x"]).code, 0);
    let mount = format!("type=bind,source={source},target=/bound");
    host.boxship(["run", "--rm", "--mount", &mount, "busybox", "touch", "/bound/x"]).ok();
    assert!(host.dir().join("x").exists());
}

#[test]
fn namespaces_can_be_shared() {
    let host = host();
    host.boxship(["run", "-d", "--name", "box", "--ipc", "shareable", "busybox", "sleep", "1000"]).ok();
    for space in ["net", "pid", "ipc"] {
        let flag = if space == "net" { "--network".to_string() } else { format!("--{space}") };
        let link = format!("/proc/self/ns/{space}");
        let theirs = host.boxship(["exec", "box", "readlink", &link]).ok().to_string();
        let ours = host.boxship(["run", "--rm", &flag, "container:box", "busybox", "readlink", &link]);
        assert_eq!(ours.ok(), theirs, "{space}");
    }
}
