//! All routes: one file per group, each with its table. A route decodes, calls the engine once, encodes.

mod absent;
mod containers;
mod events;
mod exec;
mod images;
mod networks;
mod system;
mod volumes;

use crate::http::router::Route;

/// Every table, in the order in which they are searched.
pub(crate) const TABLES: &[&[Route]] = &[
    system::ROUTES,
    events::ROUTES,
    containers::ROUTES,
    exec::ROUTES,
    images::ROUTES,
    networks::ROUTES,
    volumes::ROUTES,
    absent::ROUTES,
];
