//! What people type from tutorials, where the clients' and the engine's words make the result: images of containers,
//! users' groups, templates that print whole objects, differences to the image, columns of `top`.

use std::process::Command;

use boxship_testkit::host::{Host, Ran};

use crate::{format, host};

/// Runs a line with both clients.
fn both(host: &Host, words: &[&str]) -> [Ran; 2] {
    [host.boxship(words), host.docker(words)]
}

#[test]
fn an_image_of_a_container_has_what_the_container_has() {
    let host = host();
    let options = ["-e", "A=1", "-w", "/srv", "--label", "k=v", "--expose", "80", "--stop-signal", "INT"];
    let run = ["run", "--name", "box", "--entrypoint", "echo"];
    host.boxship([&run[..], &options, &["busybox", "hello"]].concat()).ok();
    let kept = "{{.Config.WorkingDir}} {{.Config.Labels}} {{.Config.StopSignal}} {{.Config.Entrypoint}} {{.Config.Cmd}}";
    for (client, docker) in [("boxship", false), ("docker", true)] {
        let commit = |words: &[&str]| {
            let words = [&["commit"], words].concat();
            let ran = if docker { host.docker(&words) } else { host.boxship(&words) };
            ran.ok().to_string()
        };
        commit(&["box", "plain:1"]);
        assert_eq!(format(&host, "plain:1", kept), "/srv map[k:v] INT [echo] [hello]", "{client}");
        assert_eq!(host.boxship(["run", "--rm", "plain:1"]).ok(), "hello", "{client}");
        commit(&["-c", "ENV B=2", "-c", "EXPOSE 81", "-c", "LABEL l=w", "box", "more:1"]);
        assert_eq!(format(&host, "more:1", kept), "/srv map[k:v l:w] INT [echo] [hello]", "{client}");
        assert_eq!(format(&host, "more:1", "{{.Config.ExposedPorts}}"), "map[80/tcp:{} 81/tcp:{}]");
        let environment = host.boxship(["run", "--rm", "--entrypoint", "env", "more:1"]);
        for entry in ["A=1", "B=2", "PATH="] {
            assert!(environment.ok().contains(entry), "{client}: {entry}: {}", environment.stdout);
        }
        // Another program has none of its arguments.
        commit(&["-c", "ENTRYPOINT [\"printf\", \"%s\"]", "box", "other:1"]);
        assert_eq!(format(&host, "other:1", "{{.Config.Entrypoint}} {{.Config.Cmd}}"), "[printf %s] []");
        host.boxship(["rmi", "plain:1", "more:1", "other:1"]).ok();
    }
    // The client cuts the time to whole seconds: up to the next but one, for which the daemon waits.
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let until = (now + 2).to_string();
    let told = ["events", "--since", "1h", "--until", &until, "-f", "type=image", "-f", "event=tag"];
    let told = host.boxship([&told[..], &["--format", "{{.Actor.Attributes.name}}"]].concat());
    assert_eq!(told.ok().lines().filter(|name| *name == "plain:1").count(), 2, "{}", told.stdout);
    host.boxship(["rm", "box"]).ok();
}

#[test]
fn the_first_group_is_one_of_the_groups() {
    let host = host();
    host.boxship(["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
    for (user, expected) in [
        ("1000", "uid=1000 gid=0(root) groups=0(root)"),
        ("1000:1000", "uid=1000 gid=1000 groups=1000"),
        ("0:5", "uid=0(root) gid=5 groups=5"),
    ] {
        assert_eq!(host.boxship(["run", "--rm", "-u", user, "busybox", "id"]).ok(), expected);
        assert_eq!(host.boxship(["exec", "-u", user, "box", "id"]).ok(), expected);
    }
    let added = host.boxship(["run", "--rm", "-u", "7:8", "--group-add", "9", "busybox", "id", "-G"]);
    assert_eq!(added.ok(), "8 9");
    host.boxship(["rm", "-f", "box"]).ok();
}

#[test]
fn templates_print_objects_as_docker_does() {
    let host = host();
    let options = ["-p", "127.0.0.1::80", "-v", "/etc/hostname:/x:ro", "--label", "k=v", "--restart", "no"];
    host.boxship([&["run", "-d", "--name", "box"], &options[..], &["busybox", "sleep", "1000"]].concat())
        .ok();
    host.boxship(["network", "create", "--subnet", "10.97.0.0/24", "net"]).ok();
    host.boxship(["network", "connect", "net", "box"]).ok();
    for (thing, template) in [
        ("box", "{{.State}}"),
        ("box", "{{.HostConfig.RestartPolicy}} {{.HostConfig.PortBindings}} {{.HostConfig.LogConfig}}"),
        ("box", "{{.NetworkSettings.Ports}} {{.Mounts}} {{.Config.Labels}}"),
        ("box", "{{range .Mounts}}{{println .}}{{end}}{{with .HostConfig}}{{.RestartPolicy}}{{end}}"),
        ("box", "{{range $port, $at := .NetworkSettings.Ports}}{{$port}} {{$at}}{{end}}"),
        ("box", "{{.Config.Healthcheck}} {{.Config.Volumes}} {{.Config.OnBuild}} {{.HostConfig.Init}}"),
        ("box", "{{.Config}}"),
        ("box", "{{.GraphDriver.Name}} {{json .HostConfig.RestartPolicy}}"),
        ("busybox", "{{.RootFS}} {{.Config.Cmd}} {{.Config.ExposedPorts}}"),
        ("net", "{{.IPAM}} {{.Containers}} {{.Labels}} {{.Options}}"),
        ("net", "{{range .IPAM.Config}}{{.}} {{.Subnet}}{{end}}"),
    ] {
        let [ours, theirs] = both(&host, &["inspect", "-f", template, thing]);
        assert_eq!((ours.code, ours.ok()), (theirs.code, theirs.ok()), "{thing} {template}");
    }
    host.boxship(["rm", "-f", "box"]).ok();
    host.boxship(["network", "rm", "net"]).ok();
}

#[test]
fn what_changed_is_listed_with_the_folders_above() {
    let host = host();
    let script = "mkdir -p /one/two && touch /one/two/three && touch -d @0 /one/two/three /one/two /one";
    host.boxship(["run", "--name", "make", "busybox", "sh", "-c", script]).ok();
    host.boxship(["commit", "-c", "CMD [\"sh\"]", "make", "deep"]).ok();
    host.boxship(["run", "--name", "box", "deep", "sh", "-c", "echo x >> /one/two/three"]).ok();
    for ran in both(&host, &["diff", "box"]) {
        assert_eq!(ran.ok(), "C /one\nC /one/two\nC /one/two/three");
    }
    host.boxship(["rm", "make", "box"]).ok();
    host.boxship(["rmi", "deep"]).ok();
}

#[test]
fn users_and_names_that_are_not_there() {
    let host = host();
    host.boxship(["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
    for (line, code, words) in [
        ("exec -u nosuch box id", 126, "unable to find user nosuch: no matching entries in passwd file"),
        (
            "run --rm -u 1:nosuch busybox id",
            125,
            "Error response from daemon: unable to find group nosuch: no matching entries in group file",
        ),
        ("rename box .x", 1, "Invalid container name (/.x), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
    ] {
        let words_of: Vec<&str> = line.split(' ').collect();
        for ran in both(&host, &words_of) {
            assert_eq!(ran.code, code, "{line}");
            // An exec tells it among its output.
            let told = ran.stdout + &ran.stderr;
            assert!(told.contains(words) && !told.contains("OCI runtime"), "{line}: {told}");
        }
    }
    host.boxship(["rm", "-f", "box"]).ok();
}

#[test]
fn top_has_the_columns_of_ps() {
    let host = host();
    host.boxship(["run", "-d", "--name", "box", "busybox", "sleep", "1000"]).ok();
    let pid = format(&host, "box", "{{.State.Pid}}");
    for options in ["-ef", "-x", "aux", "-l", "-efl", "-F", "-j", "-o pid,ppid,f,psr,sz,ni,pri,cmd"] {
        let line = [&["top", "box"][..], &options.split(' ').collect::<Vec<_>>()].concat();
        // The machine's own ps, of the same process.
        let ps = Ran::of(Command::new("ps").args(options.split(' '))).stdout;
        for ran in both(&host, &line) {
            let titles: Vec<&str> = ran.ok().lines().next().unwrap().split_whitespace().collect();
            let expected: Vec<&str> = ps.lines().next().unwrap().split_whitespace().collect();
            assert_eq!(titles, expected, "{options}");
            assert!(ran.stdout.contains(&pid), "{options}");
        }
    }
    host.boxship(["rm", "-f", "box"]).ok();
}

#[test]
fn several_containers_are_stopped_at_once() {
    let host = host();
    for name in ["box1", "box2", "box3"] {
        // The first process of a container isn't ended by a signal that it doesn't catch.
        host.boxship(["run", "-d", "--name", name, "busybox", "sleep", "1000"]).ok();
    }
    let ran = host.boxship(["stop", "-t", "5", "box1", "nosuch", "box2", "box3"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (1, "box1\nbox2\nbox3\n"), "{}", ran.stderr);
    assert!(ran.stderr.contains("No such container: nosuch"), "{}", ran.stderr);
    let told = ["events", "--since", "1h", "--until", "0s", "-f", "event=kill", "-f", "event=die"];
    let told = host.boxship([&told[..], &["--format", "{{.Action}} {{.Actor.Attributes.signal}}"]].concat());
    let first: Vec<&str> = told.ok().lines().take(3).collect();
    assert_eq!(
        first,
        ["kill 15", "kill 15", "kill 15"],
        "all are asked before one has ended:\n{}",
        told.stdout
    );
    host.boxship(["rm", "box1", "box2", "box3"]).ok();
}
