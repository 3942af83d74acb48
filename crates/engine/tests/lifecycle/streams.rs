//! What goes in and out: output, logs, attach, exec.

use super::*;

pub(super) async fn output_exit_code_and_logs(bench: Bench) -> Bench {
    let id = bench.run(&["sh", "-c", "echo out; echo err >&2; sleep 0.3; echo last; exit 7"]).await;
    let followed = bench.logs(&id, LogsOptions { follow: true, ..both() }).await;
    assert_eq!(followed.lines().count(), 3, "{followed}");
    assert!(followed.ends_with("last\n"));
    assert_eq!(bench.wait(&id).await, 7);
    let errors = LogsOptions { stderr: true, ..Default::default() };
    assert_eq!(bench.logs(&id, errors).await, "err\n");
    assert_eq!(bench.logs(&id, LogsOptions { tail: Some("1".into()), ..both() }).await, "last\n");
    bench
}

pub(super) async fn attach_before_start_misses_nothing(bench: Bench) -> Bench {
    let id = bench
        .create(&["cat"], |request| {
            request.config.open_stdin = true;
            request.config.stdin_once = true;
        })
        .await;
    let options =
        AttachOptions { stream: true, stdin: true, stdout: true, stderr: true, ..Default::default() };
    let attachment = bench.engine.container_attach(&id, options).await.expect("attach");
    let (mut client, input) = tokio::io::duplex(1024);
    let moving = tokio::spawn(async move {
        let mut output = Vec::new();
        attachment.run(input, &mut output).await.expect("run");
        output
    });
    client.write_all(b"hello").await.expect("write");
    drop(client);
    bench.engine.container_start(&id).await.expect("start");
    let output = tokio::time::timeout(PATIENCE, moving).await.expect("in time").expect("moved");
    assert_eq!(plain(&output), "hello");
    assert_eq!(bench.wait(&id).await, 0);
    bench
}

pub(super) async fn exec_and_its_code(bench: Bench) -> Bench {
    let id = bench.run(&["sleep", "100"]).await;
    let (output, code) = bench.exec(&id, &["sh", "-c", "echo here; exit 5"]).await;
    assert_eq!((output.as_str(), code), ("here\n", Some(5)));
    let config = api::exec::ExecCreateRequest { cmd: Some(vec!["nowhere".into()]), ..Default::default() };
    let exec = bench.engine.exec_create(&id, config).await.expect("create").id;
    let error = bench.engine.exec_start_detached(&exec, Default::default()).await.unwrap_err();
    assert!(error.to_string().contains("executable file not found"), "{error}");
    assert_eq!(bench.engine.exec_inspect(&exec).await.expect("inspect").exit_code, Some(127));
    bench.engine.container_kill(&id, None).await.expect("kill");
    let error = bench.engine.exec_create(&id, Default::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "No exec command specified");
    bench
}
