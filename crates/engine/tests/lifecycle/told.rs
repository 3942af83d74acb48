//! What the engine tells of its containers: names, events, processes, use, changes.

use super::*;

pub(super) async fn names_and_conflicts(bench: Bench) -> Bench {
    let id = bench.create_named(Some("web"), &["true"], |_| {}).await.expect("create");
    let error = bench.create_named(Some("web"), &["true"], |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.to_string().contains(&id));
    bench.engine.container_rename("web", "site").await.expect("rename");
    assert_eq!(bench.engine.container_inspect("site", false).await.expect("inspect").name, "/site");
    bench.create_named(Some("web"), &["true"], |_| {}).await.expect("the old name is free");
    let (first, second) = tokio::join!(
        bench.create_named(Some("race"), &["true"], |_| {}),
        bench.create_named(Some("race"), &["true"], |_| {}),
    );
    assert!(first.is_ok() != second.is_ok(), "exactly one gets the name");
    assert_eq!(bench.engine.container_inspect(&id[..12], false).await.expect("short id").id, id);
    bench
}

pub(super) async fn events_of_a_life(bench: Bench) -> Bench {
    let events = bench.engine.events(EventsOptions::default()).expect("events");
    let id = bench.run(&["sh", "-c", "exit 4"]).await;
    bench.wait(&id).await;
    bench.engine.container_remove(&id, RemoveOptions::default()).await.expect("remove");
    let actions: Vec<_> = events.take(6).collect().await;
    let names: Vec<_> = actions.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(names, ["create", "connect", "start", "die", "disconnect", "destroy"]);
    assert_eq!(actions[3].actor.attributes["exitCode"], "4");
    assert_eq!(actions[3].actor.attributes["image"], "busybox");
    bench
}

pub(super) async fn top_stats_changes(bench: Bench) -> Bench {
    let id = bench.run(&["sh", "-c", "echo x > /new; exec sleep 100"]).await;
    // The shell becomes the sleep when it has written.
    for attempt in 0.. {
        let top = bench.engine.container_top(&id, "-o pid,args").await.expect("top");
        let rows = top.processes.expect("rows");
        if rows.iter().any(|row| row[1] == "sleep 100") {
            break;
        }
        assert!(attempt < 4000, "{rows:?}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let mut stats = bench
        .engine
        .container_stats(&id, StatsOptions { stream: false, one_shot: true })
        .await
        .expect("stats");
    let sample = stats.next().await.expect("one").expect("good");
    assert!(sample.cpu_stats.system_cpu_usage > 0 && sample.pids_stats.current >= 1, "{sample:?}");
    let changes = bench.engine.container_changes(&id).await.expect("changes").expect("some");
    let paths: Vec<_> = changes.iter().map(|change| change.path.as_str()).collect();
    assert_eq!(paths, ["/new"], "nothing but what it did");
    let listed =
        bench.engine.container_list(ListOptions { size: true, ..Default::default() }).await.expect("list");
    assert!(listed[0].size_rw >= 2 && listed[0].status.starts_with("Up "), "{listed:?}");
    bench
}
