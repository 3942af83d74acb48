//! `/volumes/…`: there are none, and none can be made; lists and prune answer truthfully.

use boxship_api::volume::{ListResponse, PruneReport};
use http::StatusCode;

use crate::http::router::{Route, route};
use crate::http::{Call, Failure, Reply, reply};

pub(crate) const ROUTES: &[Route] = &[
    route!(GET "/volumes" => list),
    route!(POST "/volumes/create" => create),
    route!(POST "/volumes/prune" since 25 => prune),
    route!(GET "/volumes/{name}" => missing),
    route!(PUT "/volumes/{name}" => missing),
    route!(DELETE "/volumes/{name}" => missing),
];

async fn list(call: Call) -> Result<Reply, Failure> {
    let filters = call.query.filters()?;
    let accepted = ["dangling", "driver", "label", "name"];
    filters.validate(&accepted).map_err(|error| Failure::invalid(error.to_string()))?;
    reply::json(StatusCode::OK, &ListResponse::default())
}

async fn create(_: Call) -> Result<Reply, Failure> {
    Err(Failure::unsupported(
        "named volumes are not supported by this engine: mount a folder of the host instead",
    ))
}

async fn missing(call: Call) -> Result<Reply, Failure> {
    let name = &call.name;
    if call.parts.method == http::Method::DELETE && call.query.switch("force") {
        return Ok(reply::empty(StatusCode::NO_CONTENT));
    }
    Err(Failure::not_found(format!("get {name}: no such volume")))
}

async fn prune(_: Call) -> Result<Reply, Failure> {
    reply::json(StatusCode::OK, &PruneReport { volumes_deleted: Some(Vec::new()), space_reclaimed: 0 })
}
