//! Streams about a container: its log and its use of resources.

use boxship_api::framing::{MULTIPLEXED, RAW};
use boxship_engine::container::{LogsOptions, StatsOptions};
use futures_util::StreamExt;
use http::StatusCode;

use crate::http::{Call, Failure, Reply, reply};

/// `GET /containers/{id}/logs`.
pub(crate) async fn logs(call: Call) -> Result<Reply, Failure> {
    let query = &call.query;
    let options = LogsOptions {
        follow: query.switch("follow"),
        stdout: query.switch("stdout"),
        stderr: query.switch("stderr"),
        since: query.owned("since"),
        until: query.owned("until"),
        tail: query.owned("tail"),
        timestamps: query.switch("timestamps"),
        details: query.switch("details"),
    };
    if !options.stdout && !options.stderr {
        return Err(Failure::invalid("must specify at least one of 'stdout' or 'stderr'"));
    }
    let log = call.engine().container_logs(&call.name, options).await?;
    let multiplexed = !log.tty && call.version.at_least(42);
    let chunks = call.until_stop(log.chunks.map(|chunk| chunk.map_err(std::io::Error::other)));
    Ok(reply::stream(if multiplexed { MULTIPLEXED } else { RAW }, chunks))
}

/// `GET /containers/{id}/stats`.
pub(crate) async fn stats(call: Call) -> Result<Reply, Failure> {
    let options = StatsOptions {
        stream: call.query.switch_or("stream", true),
        one_shot: call.version.at_least(41) && call.query.switch("one-shot"),
    };
    let mut records = call.engine().container_stats(&call.name, options).await?;
    if !options.stream {
        return match records.next().await {
            Some(record) => reply::json(StatusCode::OK, &record?),
            None => Ok(reply::empty(StatusCode::OK)),
        };
    }
    // A container that goes away ends the stream.
    let records = records
        .take_while(|record| std::future::ready(record.is_ok()))
        .filter_map(|record| std::future::ready(record.ok()));
    Ok(reply::lines("application/json", call.until_stop(records)))
}
