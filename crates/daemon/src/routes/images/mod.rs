//! `/images/…`: the table; queries in `list`, archives and registries in `transfer`.

mod list;
mod transfer;

use crate::http::router::{Route, route};

pub(crate) const ROUTES: &[Route] = &[
    route!(POST "/commit" => transfer::commit),
    route!(GET "/images/json" => list::list),
    route!(GET "/images/search" => transfer::search),
    route!(GET "/distribution/{name}/json" => transfer::inspect_remote),
    route!(POST "/auth" => transfer::login),
    route!(GET "/images/get" => transfer::save),
    route!(POST "/images/load" => transfer::load),
    route!(POST "/images/create" => transfer::create),
    route!(POST "/images/prune" since 25 => list::prune),
    route!(GET "/images/{name}/get" => transfer::save),
    route!(GET "/images/{name}/history" => list::history),
    route!(GET "/images/{name}/json" => list::inspect),
    route!(POST "/images/{name}/push" => transfer::push),
    route!(POST "/images/{name}/tag" => list::tag),
    route!(DELETE "/images/{name}" => list::remove),
];
