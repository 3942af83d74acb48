//! What a container must not see or do.

use crate::Test;
use crate::bundle::Bundle;

pub const TESTS: &[Test] = &[
    ("isolation::only_its_own_mounts", only_its_own_mounts),
    ("isolation::masked_paths", masked_paths),
    ("isolation::read_only_paths", read_only_paths),
    ("isolation::read_only_root", read_only_root),
    ("isolation::devices", devices),
    ("isolation::processes_and_names", processes_and_names),
    ("isolation::loopback_is_up", loopback_is_up),
    ("isolation::kernel_parameters", kernel_parameters),
    ("isolation::hosts_parameters_are_refused", hosts_parameters_are_refused),
    ("isolation::the_null_device_is_real", the_null_device_is_real),
    ("isolation::our_executable_is_sealed", our_executable_is_sealed),
    ("isolation::masks_must_meet_the_real_thing", masks_must_meet_the_real_thing),
];

fn only_its_own_mounts() {
    let out =
        Bundle::new("grep -v -E ' (/|/proc|/dev|/sys)[ /]' /proc/self/mountinfo | grep -v ' / / '; ls -A /")
            .output();
    assert_eq!(out, "bin\ndev\netc\nhome\nproc\nroot\nrun\nsys\ntmp\n");
}

fn masked_paths() {
    let out = Bundle::new(
        "cat /proc/kcore | wc -c; ls -A /sys/firmware | wc -w; stat -c %t:%T /proc/timer_list /proc/keys",
    )
    .output();
    assert!(out.starts_with("0\n0\n"), "{out}");
    assert!(out.lines().skip(2).all(|line| line == "1:3"), "{out}");
}

fn read_only_paths() {
    let out = Bundle::new("echo 1 2>/dev/null > /proc/sys/kernel/domainname || echo one; echo h 2>/dev/null > /proc/sysrq-trigger || echo two").output();
    assert_eq!(out, "one\ntwo\n");
}

fn read_only_root() {
    let mut bundle = Bundle::new("touch /x 2>/dev/null || echo read-only; touch /dev/shm/x && echo fine");
    bundle.spec.root.as_mut().unwrap().readonly = true;
    assert_eq!(bundle.output(), "read-only\nfine\n");
}

fn devices() {
    let mut bundle = Bundle::new(
        "stat -c '%n %t:%T %a' /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/own; \
         readlink /dev/fd; readlink /dev/ptmx; echo x > /dev/null; head -c 2 /dev/zero | wc -c; \
         busybox mknod /tmp/sda b 8 0; cat /tmp/sda 2>/dev/null || echo denied",
    );
    bundle.linux().devices = serde_json::from_str(
        r#"[{"path":"/dev/own","type":"c","major":1,"minor":5,"fileMode":384,"uid":7,"gid":8}]"#,
    )
    .unwrap();
    let out = bundle.output();
    assert_eq!(
        out,
        "/dev/null 1:3 666\n/dev/zero 1:5 666\n/dev/full 1:7 666\n/dev/random 1:8 666\n/dev/urandom 1:9 666\n\
         /dev/tty 5:0 666\n/dev/own 1:5 600\n/proc/self/fd\npts/ptmx\n2\ndenied\n"
    );
}

fn processes_and_names() {
    let mut bundle = Bundle::new("echo $$ /proc/[0-9]*; hostname; cat /proc/sys/kernel/domainname");
    bundle.spec.domainname = Some("domain.inside".to_owned());
    assert_eq!(bundle.output(), "1 /proc/1\ninside\ndomain.inside\n");
}

fn loopback_is_up() {
    assert_eq!(Bundle::new("busybox ip addr show lo | grep -c 127.0.0.1").output(), "1\n");
}

fn kernel_parameters() {
    let mut bundle = Bundle::new("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax");
    bundle.linux().sysctl =
        serde_json::from_str(r#"{"net.ipv4.ip_forward":"1","kernel.msgmax":"4096"}"#).unwrap();
    assert_eq!(bundle.output(), "1\n4096\n");
}

fn hosts_parameters_are_refused() {
    let mut bundle = Bundle::new("true");
    bundle.linux().sysctl = serde_json::from_str(r#"{"vm.swappiness":"1"}"#).unwrap();
    assert!(bundle.refusal().to_string().contains("vm.swappiness"));
}

/// An image's own /dev/null (no tmpfs over /dev) is not what masks.
fn the_null_device_is_real() {
    let mut bundle = Bundle::new("cat /proc/keys | wc -c");
    bundle.spec.mounts.retain(|mount| !mount.destination.starts_with("/dev"));
    std::fs::write(bundle.rootfs().join("dev/null"), "not null").unwrap();
    assert_eq!(bundle.output(), "0\n");
}

/// CVE-2019-5736: what waits inside the container runs from an executable that cannot be written through it.
fn our_executable_is_sealed() {
    let bundle = Bundle::new("sleep 100");
    let (started, ..) = bundle.create().unwrap();
    let path = format!("/proc/{}/exe", started.pid);
    std::fs::OpenOptions::new().write(true).open(&path).unwrap_err();
    let executable = std::fs::File::open(path).unwrap();
    assert!(boxship_sys::exe::is_sealed(std::os::fd::AsFd::as_fd(&executable)).unwrap());
    // And nobody of its own user may look into it.
    let status = std::fs::metadata(format!("/proc/{}/fd", started.pid)).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&status), 0);
    bundle.container().delete(true).unwrap();
    boxship_sys::process::wait(std::os::fd::AsFd::as_fd(&started.pidfd)).unwrap();
}

/// CVE-2025-31133 and its kin: covering something that only looks like procfs would leave the real one open.
fn masks_must_meet_the_real_thing() {
    let mut bundle = Bundle::new("true");
    bundle.spec.mounts.retain(|mount| mount.destination != std::path::Path::new("/proc"));
    std::fs::create_dir_all(bundle.rootfs().join("proc/scsi")).unwrap();
    assert!(bundle.refusal().to_string().contains("/proc/scsi is not on procfs"));
}
