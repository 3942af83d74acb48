//! Events that older versions didn't have.

use boxship_api::ApiVersion;
use boxship_api::event::Message;

/// Whether clients of this version know the event.
pub(crate) fn is_known(version: ApiVersion, event: &Message) -> bool {
    version.at_least(46) || !(event.kind == "image" && event.action == "create")
}
