//! The filter `until` of the prunes of containers and networks.

use std::time::SystemTime;

use boxship_api::Filters;
use boxship_api::timestamp::Timestamp;

use crate::{Error, Result};

/// The time, in nanoseconds since 1970, before which things must be made to go; `None` when it is not asked for.
pub(crate) fn until(filters: &Filters) -> Result<Option<i64>> {
    let mut values = filters.get("until");
    let Some(text) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Error::invalid("more than one until filter specified"));
    }
    let now = Timestamp::from_system(SystemTime::now());
    Timestamp::parse_parameter(text, now, 0)
        .map(|time| Some(time.to_nanos() as i64))
        .ok_or_else(|| Error::invalid(format!("failed to parse value as time or duration: {text:?}")))
}
