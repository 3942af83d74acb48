//! `/networks/…`: networks and who is on them; `/boxship/network/why`: why a packet arrives or doesn't.

use boxship_api::network::{ConnectRequest, CreateRequest, DisconnectRequest};
use http::StatusCode;

use crate::http::router::{Route, route};
use crate::http::{Call, Failure, Reply, Version, body, reply};

pub(crate) const ROUTES: &[Route] = &[
    route!(GET "/networks" => list),
    route!(GET "/networks/" => list),
    route!(POST "/networks/create" => create),
    route!(POST "/networks/prune" since 25 => prune),
    route!(POST "/networks/{name}/connect" => connect),
    route!(POST "/networks/{name}/disconnect" => disconnect),
    route!(GET "/networks/{name}" => inspect),
    route!(GET "/boxship/network/why" => why),
    route!(DELETE "/networks/{name}" => remove),
];

async fn list(call: Call) -> Result<Reply, Failure> {
    let detailed = call.version < Version::v1(28);
    let networks = call.engine().network_list(&call.query.filters()?, detailed).await?;
    reply::json(StatusCode::OK, &networks)
}

async fn inspect(call: Call) -> Result<Reply, Failure> {
    if let Some(verbose) = call.query.text("verbose")
        && boxship_oci::go::boolean(verbose).is_err()
    {
        return Err(Failure::invalid(format!(
            "invalid value for verbose: {verbose}: strconv.ParseBool: parsing {verbose:?}: invalid syntax"
        )));
    }
    let network = call.engine().network_inspect(&call.name, call.query.text("scope")).await?;
    reply::json(StatusCode::OK, &network)
}

async fn create(mut call: Call) -> Result<Reply, Failure> {
    let mut request: CreateRequest = body::typed(call.json().await?)?;
    if call.version < Version::v1(48) {
        request.enable_ipv4 = None;
    }
    let made = call.engine().network_create(request).await?;
    reply::json(StatusCode::CREATED, &made)
}

async fn connect(mut call: Call) -> Result<Reply, Failure> {
    let request: ConnectRequest = body::typed(call.json().await?)?;
    let settings = request.endpoint_config.unwrap_or_default();
    call.engine().network_connect(&call.name, &request.container, settings).await?;
    Ok(reply::empty(StatusCode::OK))
}

async fn disconnect(mut call: Call) -> Result<Reply, Failure> {
    let request: DisconnectRequest = body::typed(call.json().await?)?;
    call.engine().network_disconnect(&call.name, &request.container, request.force).await?;
    Ok(reply::empty(StatusCode::OK))
}

async fn remove(call: Call) -> Result<Reply, Failure> {
    call.engine().network_remove(&call.name).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

async fn prune(call: Call) -> Result<Reply, Failure> {
    let report = call.engine().network_prune(&call.query.filters()?).await?;
    reply::json(StatusCode::OK, &report)
}

/// An extension: Docker has no such question.
async fn why(call: Call) -> Result<Reply, Failure> {
    let query = &call.query;
    let address = query.text("address").unwrap_or_default();
    let answer = call.engine().network_why(address, query.text("protocol"), query.text("from")).await?;
    reply::json(StatusCode::OK, &answer)
}
