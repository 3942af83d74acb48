//! The Engine API over HTTP: routes, configuration, wiring.
