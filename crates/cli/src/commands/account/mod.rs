//! A user's accounts at registries.

pub mod login;
pub mod logout;
