//! What settings mean, and what is refused.

use std::io::Write;

use super::*;

fn config(args: &[&str], file: &str) -> Result<Config, String> {
    let mut json = tempfile::NamedTempFile::new().unwrap();
    json.write_all(file.as_bytes()).unwrap();
    let mut all = vec!["--config-file".to_owned(), json.path().display().to_string()];
    all.extend(args.iter().map(|arg| arg.to_string()));
    match read(all.into_iter().map(OsString::from).collect()) {
        Ok(Wish::Run(config)) => Ok(*config),
        Ok(other) => panic!("{other:?}"),
        Err(error) => Err(error.told()),
    }
}

#[test]
fn defaults() {
    let config = config(&[], "").unwrap();
    assert_eq!(config.hosts, [Address::Unix("/run/boxship.sock".into())]);
    assert_eq!(config.data_root, Path::new("/var/lib/boxship"));
    assert_eq!(config.pidfile, Path::new("/run/boxship.pid"));
    assert_eq!(config.level, Level::Info);
    assert_eq!(config.engine.log_driver, "json-file");
}

#[test]
fn flags_and_file_together() {
    let config = config(
        &["-D", "--log-opt", "max-size=1m"],
        r#"{"hosts":["tcp://127.0.0.1"],"labels":["a=b"],"default-ulimits":{"nofile":{"Name":"nofile","Hard":5,"Soft":4}}}"#,
    )
    .unwrap();
    assert_eq!(config.level, Level::Debug);
    assert_eq!(config.engine.labels, ["a=b"]);
    assert_eq!(config.engine.log_opts["max-size"], "1m");
    assert_eq!(config.engine.default_ulimits["nofile"].soft, 4);
    assert_eq!(config.hosts, [Address::Tcp("127.0.0.1:2375".parse().unwrap())]);
}

#[test]
fn what_is_refused() {
    for (args, file, expect) in [
        (
            &["-H", "fd://"][..],
            r#"{"hosts":["unix:///a"]}"#,
            "the following directives are specified both as a flag and in the configuration file: hosts: (from flag: [fd://], from file: [unix:///a])",
        ),
        (&["-l", "loud"], "", "unable to configure the daemon: invalid logging level: loud"),
        (&["--label", "x"], "", "unable to configure the daemon: bad attribute format: x"),
        (&["--dns", "x"], "", "unable to configure the daemon: x is not an ip address"),
        (
            &["--log-driver", "syslog"],
            "",
            "unable to configure the daemon: log-driver \"syslog\" is not supported: it is one of json-file, local, none",
        ),
        (
            &["--tlsverify", "--tls=false"],
            "",
            "unable to configure the daemon: tlsverify needs TLS, which tls=false turns off",
        ),
        (
            &["--live-restore=false"],
            "",
            "unable to configure the daemon: live-restore can't be turned off: containers always run on without the daemon",
        ),
        (
            &["-H", "npipe://x"],
            "",
            "unable to configure the daemon: invalid bind address (npipe://x): unsupported protocol",
        ),
        (
            &["--default-ulimit", "nofile=9:3"],
            "",
            "unable to configure the daemon: ulimit soft limit must be less than or equal to hard limit: 9 > 3",
        ),
        (
            &["--shutdown-timeout=-1"],
            "",
            "unable to configure the daemon: shutdown-timeout must not be negative",
        ),
    ] {
        assert_eq!(config(args, file).unwrap_err(), expect, "{args:?} {file}");
    }
}

#[test]
fn open_doors_need_a_word() {
    for args in [
        &["-H", "tcp://127.0.0.1:2375"][..],
        &["-H", "tcp://0.0.0.0:2375", "--tls=false"],
        &["-H", "tcp://0.0.0.0:2376", "--tlsverify"],
    ] {
        assert!(config(args, "").is_ok(), "{args:?}");
    }
}

#[test]
fn help_names_every_flag() {
    let help = help();
    for directive in directive::DIRECTIVES {
        assert!(help.contains(&format!("--{}", directive.flag)));
    }
}
