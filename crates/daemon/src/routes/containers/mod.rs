//! `/containers/…`: the table; one file per kind of work.

mod archive;
mod attach;
mod create;
mod life;
mod list;
mod logs;
mod wait;

pub(crate) use attach::size;

use crate::http::router::{Route, route};

pub(crate) const ROUTES: &[Route] = &[
    route!(GET "/containers/json" => list::list),
    route!(POST "/containers/create" => create::create),
    route!(POST "/containers/prune" since 25 => life::prune),
    route!(GET "/containers/{name}/json" => list::inspect),
    route!(GET "/containers/{name}/top" => list::top),
    route!(GET "/containers/{name}/changes" => list::changes),
    route!(GET "/containers/{name}/logs" => logs::logs),
    route!(GET "/containers/{name}/stats" => logs::stats),
    route!(GET "/containers/{name}/attach/ws" => attach::websocket),
    route!(GET "/containers/{name}/export" => archive::unavailable),
    route!(GET "/containers/{name}/archive" => archive::unavailable),
    route!(HEAD "/containers/{name}/archive" => archive::unavailable),
    route!(PUT "/containers/{name}/archive" => archive::unavailable),
    route!(POST "/containers/{name}/start" => life::start),
    route!(POST "/containers/{name}/stop" => life::stop),
    route!(POST "/containers/{name}/restart" => life::restart),
    route!(POST "/containers/{name}/kill" => life::kill),
    route!(POST "/containers/{name}/pause" => life::pause),
    route!(POST "/containers/{name}/unpause" => life::unpause),
    route!(POST "/containers/{name}/rename" => life::rename),
    route!(POST "/containers/{name}/resize" => attach::resize),
    route!(POST "/containers/{name}/update" => create::update),
    route!(POST "/containers/{name}/wait" waits => wait::wait),
    route!(POST "/containers/{name}/attach" => attach::attach),
    route!(POST "/containers/{name}/exec" => super::exec::create),
    route!(DELETE "/containers/{name}" => life::remove),
];
