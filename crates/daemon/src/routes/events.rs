//! `/events`: what happened and what happens, one JSON object per line.

use boxship_engine::events::EventsOptions;
use futures_util::StreamExt;

use crate::adapt;
use crate::http::router::{Route, route};
use crate::http::{Call, Failure, Reply, reply};

pub(crate) const ROUTES: &[Route] = &[route!(GET "/events" => events)];

async fn events(call: Call) -> Result<Reply, Failure> {
    let options = EventsOptions {
        since: call.query.owned("since"),
        until: call.query.owned("until"),
        filters: call.query.filters()?,
    };
    let version = call.version;
    let events = call.engine().events(options)?;
    let events = events.filter(move |event| std::future::ready(adapt::event::is_known(version, event)));
    Ok(reply::lines("application/json", call.until_stop(events)))
}
