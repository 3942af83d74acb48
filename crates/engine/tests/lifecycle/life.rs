//! From create to remove: failures to start, stops and kills, pauses, what comes while something else is under way.

use super::*;

pub(super) async fn run_and_remove(bench: Bench) -> Bench {
    let id = bench.run(&["true"]).await;
    assert_eq!(bench.wait(&id).await, 0);
    let state = bench.state(&id).await;
    assert_eq!((state.status.as_str(), state.pid), ("exited", 0));
    bench.engine.container_remove(&id, RemoveOptions::default()).await.expect("remove");
    let error = bench.engine.container_inspect(&id, false).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (Kind::NotFound, format!("No such container: {id}")));
    bench
}

pub(super) async fn start_failures(bench: Bench) -> Bench {
    for (command, code, words) in [
        ("nowhere", 127, "executable file not found in $PATH"),
        ("/nowhere", 127, "no such file or directory"),
        ("/etc", 126, "permission denied"),
    ] {
        let id = bench.create(&[command], |_| {}).await;
        let error = bench.engine.container_start(&id).await.unwrap_err();
        assert!(error.to_string().contains(words), "{command}: {error}");
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
        let state = bench.state(&id).await;
        assert_eq!((state.exit_code, state.status.as_str()), (code, "created"), "{command}");
        assert!(state.error.contains(words));
    }
    let homeless = bench
        .create(&["true"], |request| request.host_config.as_mut().expect("set").network_mode = "mine".into())
        .await;
    let error = bench.engine.container_start(&homeless).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string()),
        (Kind::NotFound, "failed to set up container networking: network mine not found".to_owned())
    );
    assert_eq!(bench.state(&homeless).await.status, "created");
    let error = bench
        .create_named(None, &["true"], |request| request.config.image = "missing".into())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string()),
        (Kind::NotFound, "No such image: missing:latest".to_owned())
    );
    bench
}

pub(super) async fn stop_kill_and_wait(bench: Bench) -> Bench {
    let stubborn = bench.run(&["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]).await;
    let next = bench.engine.container_wait(&stubborn, WaitCondition::NextExit).await.expect("wait");
    let began = Instant::now();
    let stop = {
        let (engine, id) = (bench.engine.clone(), stubborn.clone());
        tokio::spawn(async move {
            engine.container_stop(&id, StopOptions { timeout: Some(1), signal: None }).await
        })
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    let state = bench.state(&stubborn).await;
    // On a machine that stood still meanwhile, the second may be over.
    let late = began.elapsed() >= Duration::from_secs(1);
    assert!(late || state.status == "running", "inspect does not wait for the stop: {state:?}");
    stop.await.expect("joined").expect("stopped");
    assert!(began.elapsed() >= Duration::from_secs(1));
    assert_eq!(next.finish().await.expect("wait").status_code, 137);
    let again = bench.engine.container_stop(&stubborn, StopOptions::default()).await.unwrap_err();
    assert_eq!(again.kind(), Kind::NotModified);

    let script = "trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done";
    let polite = bench.run(&["sh", "-c", script]).await;
    while bench.logs(&polite, both()).await != "ready\n" {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    bench.engine.container_stop(&polite, StopOptions::default()).await.expect("stop");
    assert_eq!(bench.wait(&polite).await, 3);
    let error = bench.engine.container_kill(&polite, None).await.unwrap_err();
    assert_eq!(error.to_string(), format!("container {polite} is not running"));
    bench.engine.container_restart(&polite, StopOptions::default()).await.expect("restart a stopped one");
    bench
        .engine
        .container_restart(&polite, StopOptions { timeout: Some(0), ..Default::default() })
        .await
        .expect("restart");
    let error = bench.engine.container_remove(&polite, RemoveOptions::default()).await.unwrap_err();
    assert!(
        error.to_string().contains("container is running: stop the container before removing"),
        "{error}"
    );
    bench
}

pub(super) async fn what_comes_during_a_start_waits_for_it(bench: Bench) -> Bench {
    let engine = &bench.engine;
    let force = RemoveOptions { force: true, ..Default::default() };
    let sleep = ["sleep", "1000"];

    let id = bench.create(&sleep, |_| {}).await;
    let now = StopOptions { timeout: Some(0), ..Default::default() };
    let (started, stopped) = tokio::join!(engine.container_start(&id), engine.container_stop(&id, now));
    started.expect("start");
    stopped.expect("stop");
    assert_eq!(bench.state(&id).await.status, "exited");

    let (started, killed) = tokio::join!(engine.container_start(&id), engine.container_kill(&id, None));
    started.expect("start");
    killed.expect("kill");
    assert_eq!(bench.state(&id).await.status, "exited");

    let (started, removed) = tokio::join!(engine.container_start(&id), engine.container_remove(&id, force));
    started.expect("start");
    removed.expect("remove");
    assert_eq!(engine.container_inspect(&id, false).await.unwrap_err().kind(), Kind::NotFound);

    let failing = bench.create(&["nowhere"], |_| {}).await;
    let (started, removed) =
        tokio::join!(engine.container_start(&failing), engine.container_remove(&failing, force));
    started.expect_err("start");
    removed.expect("remove");

    // The start of an engine that comes back.
    let always = bench
        .create(&sleep, |request| {
            request.host_config.as_mut().expect("set").restart_policy.name = "always".into();
        })
        .await;
    engine.container_start(&always).await.expect("start");
    let pid = bench.state(&always).await.pid;
    engine.shutdown().await.expect("shut down");
    let Bench { engine, path } = bench;
    drop(engine);
    let killed = std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().expect("kill");
    assert!(killed.success());
    let bench = Bench { engine: open_again(&path).await, path };
    bench.engine.container_remove(&always, force).await.expect("remove");
    assert_eq!(bench.engine.container_inspect(&always, false).await.unwrap_err().kind(), Kind::NotFound);
    bench
}

pub(super) async fn pause_and_freeze(bench: Bench) -> Bench {
    let id = bench.run(&["sleep", "100"]).await;
    bench.engine.container_pause(&id).await.expect("pause");
    assert_eq!(bench.state(&id).await.status, "paused");
    assert_eq!(bench.engine.container_pause(&id).await.unwrap_err().kind(), Kind::Conflict);
    let error = bench.engine.container_start(&id).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot start a paused container, try unpause instead");
    bench.engine.container_unpause(&id).await.expect("unpause");
    bench.engine.container_pause(&id).await.expect("pause");
    bench.engine.container_kill(&id, None).await.expect("killed though frozen");
    assert_eq!(bench.wait(&id).await, 137);
    bench
}

pub(super) async fn auto_remove(bench: Bench) -> Bench {
    let id = bench
        .create(&["true"], |request| request.host_config.as_mut().expect("set").auto_remove = true)
        .await;
    let removed = bench.engine.container_wait(&id, WaitCondition::Removed).await.expect("wait");
    let began = Instant::now();
    bench.engine.container_start(&id).await.expect("start");
    let started = began.elapsed();
    assert_eq!(removed.finish().await.expect("removed").status_code, 0);
    println!("    start {started:?}, run and remove {:?}", began.elapsed());
    assert_eq!(bench.engine.container_inspect(&id, false).await.unwrap_err().kind(), Kind::NotFound);

    for kill in [true, false, true, false] {
        let create = bench.create_named(Some("again"), &["sleep", "1000"], |request| {
            request.host_config.as_mut().expect("set").auto_remove = true;
        });
        let id = create.await.expect("the name is free");
        bench.engine.container_start(&id).await.expect("start");
        let now = StopOptions { timeout: Some(0), ..Default::default() };
        match kill {
            true => bench.engine.container_kill(&id, None).await.expect("kill"),
            false => bench.engine.container_stop(&id, now).await.expect("stop"),
        }
    }
    bench
}

pub(super) async fn many_at_once(bench: Bench) -> Bench {
    let began = Instant::now();
    let runs = (0..50).map(|n| {
        let bench = &bench;
        async move {
            let id = bench.run(&["sh", "-c", &format!("exit {}", n % 7)]).await;
            assert_eq!(bench.wait(&id).await, n % 7);
        }
    });
    futures_util::future::join_all(runs).await;
    println!("    50 at once {:?}", began.elapsed());
    let began = Instant::now();
    let listed =
        bench.engine.container_list(ListOptions { all: true, ..Default::default() }).await.expect("list");
    println!("    list of {} {:?}", listed.len(), began.elapsed());
    assert_eq!(listed.len(), 50);
    bench
}
