//! The workshop: `cargo xtask images | setup | test | tidy | bench NAME`.
//!
//! What people and CI do around the code; nothing of it is part of the executable.

mod bench;
mod setup;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask COMMAND
  images       make the test images (busybox, debian, nginx, hello-world) and print where they are
  setup        install what the tests need from Debian's packages (as root)
  test         setup, then run all tests
  tidy         check the house rules that a program can check
  bench run    measure containers beside docker, podman, runc and crun
  bench net    measure networks beside docker
  bench pull   measure pulls and pushes beside docker, podman and skopeo
  bench registry
               measure our registry beside Debian's docker-registry";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["images"] => images(),
        ["setup"] => setup::install(),
        ["test", rest @ ..] => setup::install().and_then(|()| setup::test(rest)),
        ["tidy"] => tidy::check(),
        ["bench", "run", rest @ ..] => bench::run(rest),
        ["bench", "net", rest @ ..] => bench::net::run(rest),
        ["bench", "pull", rest @ ..] => bench::pull::run(rest),
        ["bench", "registry"] => bench::registry::run(),
        _ => Err(USAGE.to_string()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn images() -> Result<(), String> {
    boxship_testkit::require_root();
    for archive in [
        boxship_testkit::images::hello_world(),
        boxship_testkit::images::busybox(),
        boxship_testkit::images::debian(),
        boxship_testkit::images::nginx(),
    ] {
        println!("{}", archive.display());
    }
    Ok(())
}
