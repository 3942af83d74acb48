//! Containers that start again, and engines that come back to theirs.

use super::*;

pub(super) async fn restart_policies(bench: Bench) -> Bench {
    let policy = |name: &'static str, count| {
        move |request: &mut api::container::CreateRequest| {
            let host_config = request.host_config.as_mut().expect("set");
            host_config.restart_policy =
                api::container::RestartPolicy { name: name.into(), maximum_retry_count: count };
        }
    };
    let failing = bench.create(&["false"], policy("on-failure", 2)).await;
    bench.engine.container_start(&failing).await.expect("start");
    bench.until(&failing, |state| state.status == "exited").await;
    let inspected = bench.engine.container_inspect(&failing, false).await.expect("inspect");
    assert_eq!(inspected.restart_count, 2);

    let always = bench.create(&["sleep", "0.05"], policy("always", 0)).await;
    bench.engine.container_start(&always).await.expect("start");
    bench.until(&always, |state| state.restarting).await;
    bench.engine.container_stop(&always, StopOptions::default()).await.expect("stop");
    assert_eq!(bench.until(&always, |state| !state.running).await.status, "exited");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(bench.state(&always).await.status, "exited", "a stopped one stays so");
    bench
}

pub(super) async fn daemon_gone_and_back(bench: Bench) -> Bench {
    let runs = bench.run(&["sh", "-c", "while :; do echo tick; sleep 0.05; done"]).await;
    let ends = bench.run(&["sh", "-c", "sleep 0.5; exit 9"]).await;
    let always = bench
        .create(&["sleep", "0.3"], |request| {
            request.host_config.as_mut().expect("set").restart_policy.name = "always".into();
        })
        .await;
    bench.engine.container_start(&always).await.expect("start");
    let pid = bench.state(&runs).await.pid;
    let mut ending = Vec::new();
    for id in [&ends, &always] {
        ending.push(bench.state(id).await.pid);
    }
    bench.engine.shutdown().await.expect("shut down");
    let Bench { engine, path } = bench;
    drop(engine);
    eventually("they end", || ending.iter().all(|pid| *pid == 0 || is_gone(pid))).await;
    let bench = Bench { engine: open_again(&path).await, path };
    let state = bench.state(&runs).await;
    assert_eq!((state.status.as_str(), state.pid), ("running", pid));
    let state = bench.until(&ends, |state| !state.running).await;
    assert_eq!((state.status.as_str(), state.exit_code), ("exited", 9));
    bench.until(&always, |state| state.running).await;
    bench.engine.container_kill(&runs, None).await.expect("kill what was met again");
    assert_eq!(bench.wait(&runs).await, 137);
    bench
}
