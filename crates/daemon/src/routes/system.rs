//! The engine itself: ping, version, info, disk usage.

use axum::body::Body;
use boxship_engine::DiskUsageOptions;
use http::{HeaderValue, StatusCode, header};

use crate::adapt;
use crate::http::router::{Route, route};
use crate::http::{Call, Failure, Reply, reply};

pub(crate) const ROUTES: &[Route] = &[
    route!(GET "/_ping" => ping),
    route!(HEAD "/_ping" => ping),
    route!(GET "/version" => version),
    route!(GET "/info" => info),
    route!(GET "/system/df" => disk_usage),
    route!(OPTIONS "{name}" => options),
];

async fn ping(call: Call) -> Result<Reply, Failure> {
    let body = if call.parts.method == http::Method::HEAD { Body::empty() } else { Body::from("OK") };
    let mut answer = reply::with_type(StatusCode::OK, "text/plain; charset=utf-8", body);
    for (name, value) in [
        ("builder-version", "1"),
        ("swarm", "inactive"),
        ("cache-control", "no-cache, no-store, must-revalidate"),
        ("pragma", "no-cache"),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if call.parts.method == http::Method::HEAD {
        answer.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    Ok(answer)
}

/// Browsers ask before they call other sites; nothing is allowed to them here.
async fn options(_: Call) -> Result<Reply, Failure> {
    Ok(reply::empty(StatusCode::OK))
}

async fn version(call: Call) -> Result<Reply, Failure> {
    let mut version = call.engine().system_version().await?;
    adapt::system::version(&mut version);
    reply::json(StatusCode::OK, &version)
}

async fn info(call: Call) -> Result<Reply, Failure> {
    let mut info = call.engine().system_info().await?;
    let reloadable = call.app.reloadable.borrow().clone();
    info.debug = reloadable.debug;
    info.labels = reloadable.labels;
    reply::json(StatusCode::OK, &adapt::system::info(call.version, info)?)
}

async fn disk_usage(call: Call) -> Result<Reply, Failure> {
    let kinds = call.query.all("type");
    let all = !call.version.at_least(42) || kinds.is_empty();
    let mut options = DiskUsageOptions { containers: all, images: all, volumes: all, build_cache: all };
    for kind in kinds.iter().filter(|_| !all) {
        match kind.as_str() {
            "container" => options.containers = true,
            "image" => options.images = true,
            "volume" => options.volumes = true,
            "build-cache" => options.build_cache = true,
            other => return Err(Failure::invalid(format!("unknown object type: {other}"))),
        }
    }
    let mut usage = call.engine().disk_usage(options).await?;
    adapt::system::disk_usage(call.version, &mut usage);
    reply::json(StatusCode::OK, &usage)
}
