//! What Docker has and this engine hasn't: swarm, plugins, building. Each answers as
//! an engine does that runs without it, and says so.

use boxship_api::plugin::Plugin;
use http::StatusCode;

use crate::http::router::{Route, route};
use crate::http::{Call, Failure, Reply, reply};

pub(crate) const ROUTES: &[Route] = &[
    route!(GET "/swarm" => no_swarm),
    route!(GET "/swarm/unlockkey" => no_swarm),
    route!(POST "/swarm/init" => never_swarm),
    route!(POST "/swarm/join" => never_swarm),
    route!(POST "/swarm/leave" => not_in_swarm),
    route!(POST "/swarm/update" => no_swarm),
    route!(POST "/swarm/unlock" => not_in_swarm),
    route!(GET "/nodes" => no_swarm),
    route!(GET "/nodes/{name}" => no_swarm),
    route!(DELETE "/nodes/{name}" => no_swarm),
    route!(POST "/nodes/{name}/update" => no_swarm),
    route!(GET "/services" => no_swarm),
    route!(POST "/services/create" => no_swarm),
    route!(GET "/services/{name}/logs" => no_swarm),
    route!(POST "/services/{name}/update" => no_swarm),
    route!(GET "/services/{name}" => no_swarm),
    route!(DELETE "/services/{name}" => no_swarm),
    route!(GET "/tasks" => no_swarm),
    route!(GET "/tasks/{name}/logs" => no_swarm),
    route!(GET "/tasks/{name}" => no_swarm),
    route!(GET "/secrets" => no_swarm),
    route!(POST "/secrets/create" => no_swarm),
    route!(POST "/secrets/{name}/update" => no_swarm),
    route!(GET "/secrets/{name}" => no_swarm),
    route!(DELETE "/secrets/{name}" => no_swarm),
    route!(GET "/configs" => no_swarm),
    route!(POST "/configs/create" => no_swarm),
    route!(POST "/configs/{name}/update" => no_swarm),
    route!(GET "/configs/{name}" => no_swarm),
    route!(DELETE "/configs/{name}" => no_swarm),
    route!(GET "/plugins" => plugins),
    route!(GET "/plugins/privileges" => no_plugins),
    route!(POST "/plugins/pull" => no_plugins),
    route!(POST "/plugins/create" => no_plugins),
    route!(GET "/plugins/{name}/json" => missing_plugin),
    route!(POST "/plugins/{name}/enable" => missing_plugin),
    route!(POST "/plugins/{name}/disable" => missing_plugin),
    route!(POST "/plugins/{name}/upgrade" => missing_plugin),
    route!(POST "/plugins/{name}/push" => missing_plugin),
    route!(POST "/plugins/{name}/set" => missing_plugin),
    route!(DELETE "/plugins/{name}" => missing_plugin),
    route!(POST "/build" => no_build),
    route!(POST "/build/prune" => no_build_cache),
    route!(POST "/build/cancel" => no_build),
    route!(POST "/session" => no_build),
    route!(POST "/grpc" => no_build),
    route!(GET "/containers/{name}/checkpoints" => no_checkpoints),
    route!(POST "/containers/{name}/checkpoints" => no_checkpoints),
];

const HINT: &str = "Boxship runs containers on one host; several machines are Kubernetes' business";

async fn no_swarm(_: Call) -> Result<Reply, Failure> {
    Err(Failure::new(
        StatusCode::SERVICE_UNAVAILABLE,
        format!(
            "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect \
             this node to swarm and try again. ({HINT}.)"
        ),
    ))
}

async fn not_in_swarm(_: Call) -> Result<Reply, Failure> {
    Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, format!("This node is not part of a swarm. ({HINT}.)")))
}

async fn never_swarm(_: Call) -> Result<Reply, Failure> {
    Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, format!("swarm mode is not supported: {HINT}")))
}

async fn plugins(_: Call) -> Result<Reply, Failure> {
    reply::json(StatusCode::OK, &Vec::<Plugin>::new())
}

async fn no_plugins(_: Call) -> Result<Reply, Failure> {
    Err(Failure::unsupported("plugins are not supported by this engine"))
}

async fn missing_plugin(call: Call) -> Result<Reply, Failure> {
    Err(Failure::not_found(format!("plugin {:?} not found", call.name)))
}

async fn no_build(_: Call) -> Result<Reply, Failure> {
    Err(Failure::unsupported("building images is not supported by this engine: load or import them"))
}

async fn no_build_cache(_: Call) -> Result<Reply, Failure> {
    reply::json(StatusCode::OK, &serde_json::json!({ "CachesDeleted": null, "SpaceReclaimed": 0 }))
}

async fn no_checkpoints(_: Call) -> Result<Reply, Failure> {
    Err(Failure::unsupported("checkpoints are not supported by this engine"))
}
