//! The log of a real container, whatever becomes of those who watch.

use boxship_shim::{
    log::{Driver, Next, ReadOptions, Reader},
    protocol::{LaunchRequest, Request},
};
use rustix::event::{PollFd, PollFlags, poll};

use crate::{
    Test,
    host::{Host, OUTPUT, until},
};

pub const TESTS: &[Test] = &[
    ("both_streams_are_logged", both_streams_are_logged),
    ("a_lost_client_makes_no_gap", a_lost_client_makes_no_gap),
    ("rotation_keeps_the_end", rotation_keeps_the_end),
    ("follow_to_the_end", follow_to_the_end),
    ("last_words_without_line_feed", last_words_without_line_feed),
    ("a_full_disk_does_not_stop_the_container", a_full_disk_does_not_stop_the_container),
];

fn both_streams_are_logged() {
    let host = Host::new();
    for driver in [Driver::JsonFile, Driver::Local] {
        let mut request =
            LaunchRequest { start: true, ..host.request(&["/bin/sh", "-c", "echo a; echo b >&2"]) };
        request.log.driver = driver;
        let container = host.launch(request);
        container.wait_for_exit();
        let mut seen = Vec::new();
        let options = ReadOptions { stdout: true, stderr: true, ..ReadOptions::default() };
        let mut reader = Reader::open(&container.request.log, options).unwrap();
        while let Next::Record(record) = reader.poll().unwrap() {
            seen.push(format!("{} {}", record.stream.as_str(), String::from_utf8(record.line).unwrap()));
        }
        seen.sort();
        assert_eq!(seen, ["stderr b\n", "stdout a\n"]);
        container.finish();
    }
}

fn a_lost_client_makes_no_gap() {
    let host = Host::new();
    let container = host.launch(host.request(&["/bin/seq", "200000"]));
    let mut lost = container.attach(OUTPUT);
    container.start();
    lost.read_until("100\n");
    drop(lost);
    assert_eq!(container.wait_for_exit().code, 0);
    let expect: String = (1..=200_000).map(|number| format!("{number}\n")).collect();
    assert!(container.logged() == expect);
    container.finish();
}

fn rotation_keeps_the_end() {
    let host = Host::new();
    for compress in [false, true] {
        let mut request = LaunchRequest { start: true, ..host.request(&["/bin/seq", "100000"]) };
        request.log.max_size = Some(1_000_000);
        request.log.max_files = 3;
        request.log.compress = compress;
        let container = host.launch(request);
        container.wait_for_exit();
        let logged = container.logged();
        let first: u32 = logged.lines().next().unwrap().parse().unwrap();
        let expect: String = (first..=100_000).map(|number| format!("{number}\n")).collect();
        assert!(first > 1 && first < 90_000 && logged == expect, "from {first}");
        let name = if compress { "log.2.gz" } else { "log.2" };
        container.finish();
        let files = std::fs::read_dir(host.folder.path()).unwrap().flatten();
        assert!(files.map(|entry| entry.file_name()).any(|file| file.to_str().unwrap().ends_with(name)));
    }
}

fn follow_to_the_end() {
    let host = Host::new();
    let container = host.run(&["/bin/sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done"]);
    let options = ReadOptions { stdout: true, stderr: true, follow: true, ..ReadOptions::default() };
    let mut reader = Reader::open(&container.request.log, options).unwrap();
    let mut lines = Vec::new();
    loop {
        match reader.poll().unwrap() {
            Next::Record(record) => lines.push(String::from_utf8(record.line).unwrap()),
            Next::Pending if lines.len() == 3 => {
                container.wait_for_exit();
                reader.stop_following();
            }
            Next::Pending => {
                poll(&mut [PollFd::new(&reader, PollFlags::IN)], None).unwrap();
            }
            Next::End => break,
        }
    }
    assert_eq!(lines, ["1\n", "2\n", "3\n"]);
    container.finish();
}

fn last_words_without_line_feed() {
    let host = Host::new();
    let container = host.run(&["/bin/sh", "-c", "printf last"]);
    container.wait_for_exit();
    assert_eq!(container.logged(), "last");
    container.finish();
}

fn a_full_disk_does_not_stop_the_container() {
    use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
    let host = Host::new();
    let disk = host.path("disk");
    std::fs::create_dir(&disk).unwrap();
    mount("tmpfs", &disk, "tmpfs", MountFlags::empty(), Some(c"size=256k")).unwrap();
    let mut request = host.request(&[
        "/bin/sh",
        "-c",
        "seq 1 20000; : > /tmp/said; while [ ! -e /tmp/go ]; do sleep 0.05; done; echo after",
    ]);
    request.start = true;
    request.log.path = disk.join("log");
    let container = host.launch(request);
    until("it has said everything", || host.path("rootfs/tmp/said").exists());
    // All is read, or nothing fits any more: between answers of the shim the log grows no further.
    let length = || std::fs::metadata(disk.join("log")).unwrap().len();
    let (mut full, mut still) = (0, 0);
    until("the disk is full", || {
        container.ask(Request::State);
        still = if length() == full { still + 1 } else { 0 };
        full = length();
        full > 100_000 && still == 10
    });
    // Room again, as an administrator makes it.
    rustix::mount::mount_remount(&disk, MountFlags::empty(), c"size=1m").unwrap();
    std::fs::write(host.path("rootfs/tmp/go"), "").unwrap();
    assert_eq!(container.wait_for_exit().code, 0);
    let logged = container.logged();
    container.finish();
    unmount(&disk, UnmountFlags::empty()).unwrap();
    assert!(full > 100_000 && full <= 262_144, "{full}");
    let end: Vec<&str> = logged.lines().rev().take(2).collect();
    assert!(
        end[0] == "after" && end[1].starts_with("boxship: ") && end[1].contains("log records were dropped"),
        "{end:?}"
    );
}
