//! Logging in at a registry, with the password in the file or in a helper's keeping, and what needs it: push, pull,
//! manifest lists; by ours and by the stock client, which share the user's configuration.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use boxship_oci::Digest;
use boxship_testkit::host::{Host, Ran};

use crate::host;
use crate::server::Server;

/// A registry that only `alice` with `secret` may use, and her configuration.
struct Account {
    _server: Server,
    folder: tempfile::TempDir,
}

/// The registry.
const NAME: &str = "127.0.0.1:5000";

impl Account {
    fn new(host: &Host) -> Account {
        boxship_testkit::require_program("htpasswd", "apache2-utils");
        let folder = tempfile::tempdir_in("/var/tmp").unwrap();
        let user = Ran::of(Command::new("htpasswd").args(["-Bbn", "alice", "secret"])).stdout;
        fs::write(folder.path().join("users"), user).unwrap();
        // Beside the daemon: its loopback needs no TLS.
        let command = host.home().command(env!("CARGO_BIN_EXE_boxship"));
        let users = folder.path().join("users").display().to_string();
        let server = Server::start(command, NAME, &folder.path().join("storage"), &["--htpasswd", &users]);
        Account { _server: server, folder }
    }

    /// Runs a command with her configuration: its code, what it said, what it complained about.
    fn run(&self, host: &Host, like: Command, line: &str, input: &str) -> (i32, String, String) {
        let mut command = host.home().command(like.get_program());
        command.envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let path = format!("{}:{}", self.folder.path().display(), std::env::var("PATH").unwrap());
        command.env("DOCKER_CONFIG", self.folder.path().join("config")).env("PATH", path);
        command.args(line.replace("REG", NAME).split(' '));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // A command that fails early reads nothing.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let ran = Ran::to_end(child);
        (ran.code, ran.stdout, ran.stderr)
    }

    fn ours(&self, host: &Host, line: &str) -> (i32, String, String) {
        self.run(host, host.boxship_command(), line, "secret\n")
    }

    fn ok(&self, host: &Host, line: &str) -> String {
        let (code, out, err) = self.ours(host, line);
        assert_eq!(code, 0, "{line}: {err}");
        out
    }

    fn config(&self) -> String {
        fs::read_to_string(self.folder.path().join("config/config.json")).unwrap_or_default()
    }
}

#[test]
fn logged_in_images_travel() {
    let host = host();
    let account = Account::new(&host);
    account.ok(&host, "tag busybox REG/app:1");
    let (code, _, err) = account.ours(&host, "push REG/app:1");
    assert!(code == 1 && err.contains("no basic auth credentials"), "{err}");
    let (code, _, err) = account.ours(&host, "login -u alice -p wrong REG");
    assert!(code == 1 && err.contains("WARNING! Using --password via the CLI is insecure"), "{err}");
    assert!(err.contains("/v2/ failed with status: 401 Unauthorized"), "{err}");
    assert_eq!(account.config(), "", "nothing wrong is kept");
    let (code, out, err) = account.ours(&host, "login -u alice --password-stdin REG");
    assert_eq!((code, out.as_str()), (0, "Login Succeeded\n"), "{err}");
    assert!(err.contains("WARNING! Your credentials are stored unencrypted in "), "{err}");
    assert!(account.config().contains("\"auth\": \"YWxpY2U6c2VjcmV0\""), "{}", account.config());
    let (_, out, err) = account.ours(&host, "login REG");
    assert!(
        out == "Login Succeeded\n" && err.starts_with("Authenticating with existing credentials"),
        "{err}"
    );
    assert!(account.ok(&host, "push REG/app:1").contains("1: digest: sha256:"));
    account.ok(&host, "rmi REG/app:1");
    // The stock client is logged in too.
    let (code, out, err) = account.run(&host, host.docker_command(), "pull -q REG/app:1", "");
    assert_eq!((code, out.trim()), (0, format!("{}/app:1", NAME).as_str()), "{err}");
    account.ok(&host, "rmi REG/app:1");
    assert_eq!(account.ok(&host, "run --rm -q --pull always REG/app:1 echo there"), "there\n");
    assert_eq!(account.ok(&host, "logout REG"), format!("Removing login credentials for {}\n", NAME));
    // Neither client asks for a name and a password then.
    let (code, _, err) = account.ours(&host, "pull REG/app:1");
    assert!(code == 1 && err.contains("/app/manifests/1\": no basic auth credentials"), "{err}");
    let (code, out, err) = account.run(&host, host.docker_command(), "pull REG/app:1", "");
    assert!(code == 1 && err.contains("/app/manifests/1\": no basic auth credentials"), "{out}{err}");
}

#[test]
fn a_helper_keeps_the_password() {
    let host = host();
    let account = Account::new(&host);
    let (folder, helper) = (account.folder.path(), account.folder.path().join("docker-credential-box"));
    let kept = folder.join("kept");
    let script = format!(
        "#!/bin/sh\ncase $1 in\nstore) cat > {0};;\nget) cat {0} 2>/dev/null || {{ echo credentials not found in \
         native keychain; exit 1; }};;\nerase) rm -f {0};;\nesac\n",
        kept.display()
    );
    let made = folder.join("made");
    fs::write(&made, script).unwrap();
    boxship_testkit::images::place_program(&made, &helper);
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(folder.join("config")).unwrap();
    fs::write(folder.join("config/config.json"), "{\"credsStore\": \"box\"}").unwrap();
    let (code, _, err) = account.ours(&host, "login -u alice --password-stdin REG");
    assert_eq!((code, err.as_str()), (0, ""));
    let text = fs::read_to_string(&kept).unwrap();
    assert_eq!(text, format!("{{\"ServerURL\":\"{}\",\"Username\":\"alice\",\"Secret\":\"secret\"}}", NAME));
    assert!(!account.config().contains("YWxpY2U6"), "{}", account.config());
    account.ok(&host, "tag busybox REG/app:1");
    account.ok(&host, "push -q REG/app:1");
    account.ok(&host, "logout REG");
    assert!(!kept.exists());
    fs::remove_file(&helper).unwrap();
    let (code, _, err) = account.ours(&host, "login -u alice --password-stdin REG");
    assert_eq!(code, 1);
    assert_eq!(
        err,
        "Error saving credentials: error storing credentials - err: exec: \"docker-credential-box\": executable file \
         not found in $PATH, out: ``\n"
    );
}

#[test]
fn manifest_lists_are_the_stock_clients() {
    let host = host();
    let account = Account::new(&host);
    account.ok(&host, "login -u alice --password-stdin REG");
    account.ok(&host, "tag busybox REG/one:1");
    account.ok(&host, "push -q REG/one:1");
    for line in [
        "manifest create --insecure REG/all:1 REG/one:1",
        "manifest annotate REG/all:1 REG/one:1 --arch arm --variant v7",
    ] {
        account.ok(&host, line);
    }
    let same = |line: &str| {
        let ours = account.ours(&host, line);
        assert_eq!(ours, account.run(&host, host.docker_command(), line, ""), "{line}");
        ours.1
    };
    same("manifest inspect REG/all:1");
    same("manifest inspect -v REG/all:1 REG/one:1");
    same("manifest inspect --insecure REG/none:1");
    let pushed = account.ok(&host, "manifest push --insecure --purge REG/all:1");
    assert!(pushed.starts_with(&format!("Pushed ref {}/all@sha256:", NAME)), "{pushed}");
    same("manifest push REG/all:1");
    assert!(same("manifest inspect --insecure REG/all:1").contains("\"variant\": \"v7\""));
    same("manifest inspect --insecure -v REG/all:1");
    // Nobody listens there.
    same("manifest inspect 127.0.0.1:9/one:1");
    same("manifest create --insecure REG/none:1 127.0.0.1:9/one:1");
    account.ok(&host, "manifest create --insecure REG/one:2 REG/one:1");
    account.ok(&host, "logout REG");
    same("manifest inspect --insecure REG/one:1");
    same("manifest create --insecure REG/none:1 REG/one:1");
    same("manifest push --insecure REG/one:2");
}

#[test]
fn another_platform_is_asked_of_the_registry() {
    let host = host();
    let account = Account::new(&host);
    account.ok(&host, "login -u alice --password-stdin REG");
    account.ok(&host, "tag busybox REG/one:1");
    account.ok(&host, "push -q REG/one:1");
    for line in ["run --rm --platform linux/s390x REG/one:1 true", "create --platform linux/s390x REG/one:1"]
    {
        let (code, out, err) = account.ours(&host, line);
        assert!(
            code == if line.starts_with("run") { 125 } else { 1 } && out.is_empty(),
            "{line}: {code} {out}"
        );
        assert!(
            err.starts_with(&format!("Unable to find image '{NAME}/one:1' locally\n1: Pulling from one\n")),
            "{err}"
        );
        assert!(err.contains("does not match the specified platform"), "{err}");
    }
    let out = account.ok(&host, "pull --platform linux/s390x REG/one:1");
    assert!(out.contains("\nWARNING: image with reference "), "{out}");
}

#[test]
fn a_prune_counts_what_pulls_have_left() {
    let host = host();
    let left = host.data_root().join("content/ingest").join(format!("{}.part", Digest::of("a layer").hex()));
    fs::write(&left, vec![7; 1 << 20]).unwrap();
    for line in ["image prune -f", "system prune -f"] {
        let told = host.run(line).ok().to_owned();
        let space = if line.starts_with("image") { "1.049MB" } else { "0B" };
        assert!(told.ends_with(&format!("Total reclaimed space: {space}")), "{line}: {told}");
    }
    assert!(!left.exists());
}
