//! Every difference between API versions, by noun. The engine speaks the newest version only; requests of
//! older ones are brought up to it here, and answers brought down.

pub(crate) mod container;
pub(crate) mod create;
pub(crate) mod event;
pub(crate) mod image;
pub(crate) mod system;
