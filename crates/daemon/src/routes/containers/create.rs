//! Create and update: the two requests with a configuration.

use boxship_api::container::{CreateRequest, UpdateConfig};
use boxship_engine::container::CreateOptions;
use http::StatusCode;
use serde_json::Value;

use crate::adapt;
use crate::http::{Call, Failure, Reply, body, reply};

/// `POST /containers/create`.
pub(crate) async fn create(mut call: Call) -> Result<Reply, Failure> {
    let value = call.json().await?;
    if value == Value::Null {
        return Err(Failure::invalid("config cannot be empty in order to create a container"));
    }
    let mut request: CreateRequest = body::typed(value)?;
    let warnings = adapt::create::request(call.version, &mut request)?;
    let options = CreateOptions {
        name: call.query.owned("name"),
        platform: call.query.owned("platform").filter(|_| call.version.at_least(41)),
    };
    let mut created = call.engine().container_create(options, request).await?;
    created.warnings.extend(warnings);
    reply::json(StatusCode::CREATED, &created)
}

/// `POST /containers/{id}/update`.
pub(crate) async fn update(mut call: Call) -> Result<Reply, Failure> {
    let mut request: UpdateConfig = call.json_or_default().await?;
    adapt::create::update(call.version, &mut request);
    let answer = call.engine().container_update(&call.name, request).await?;
    reply::json(StatusCode::OK, &answer)
}
