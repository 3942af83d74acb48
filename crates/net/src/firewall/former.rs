//! What daemons of former versions left: policies of the IPsec kind that blocked forwarding while the table was missing
//! ([`super::last_resort`] does that now). They stay in the kernel until the host starts anew, and would block all that
//! is forwarded for containers that run on: the table no longer gives the mark that they look for. So they are removed.
//!
//! Those of a table are known by their priority, which was made of the table's name. Others are never touched.

use crate::Result;
use crate::netlink::{Connection, Message, Protocol, Received};

use super::last_resort::hash_of;

const NEW_POLICY: u16 = 0x13;
const DELETE_POLICY: u16 = 0x14;
const GET_POLICY: u16 = 0x15;
const MARK: u16 = 21;
/// The mark that they looked for.
const SEEN: u32 = 1 << 13;
/// Lengths of `xfrm_selector`, `xfrm_userpolicy_info`, and where in it priority and direction stand.
const SELECTOR: usize = 56;
const POLICY: usize = 168;
const PRIORITY_AT: usize = 152;
const DIRECTION_AT: usize = 160;

/// Removes a table's policies. A kernel without such policies has none.
pub(super) fn remove_policies(table: &str) -> Result<()> {
    let Ok(connection) = Connection::open(Protocol::Xfrm) else { return Ok(()) };
    let priority = priority_of(table);
    let mut question = Message::new("list", "IPsec policies", GET_POLICY, 0);
    question.raw(&[0; SELECTOR + 8]);
    let removals = connection.dump(&question, |answer| removal(&answer, priority))?;
    removals.into_iter().try_for_each(|removal| match connection.order(removal) {
        Err(error) if error.errno() == Some(boxship_sys::Errno::NOENT) => Ok(()),
        done => done,
    })
}

/// Behind all that an administrator would write.
pub(super) fn priority_of(table: &str) -> u32 {
    hash_of(table) | 0x8000_0000
}

/// The order to remove a listed policy, if it bears the priority.
fn removal(answer: &Received<'_>, priority: u32) -> Option<Message> {
    let policy = answer.fixed::<POLICY>()?;
    let is_ours = answer.kind == NEW_POLICY
        && policy.get(PRIORITY_AT..PRIORITY_AT + 4) == Some(&priority.to_ne_bytes()[..]);
    let mut mark = [0; 8];
    mark[4..].copy_from_slice(&SEEN.to_ne_bytes());
    let mut message = Message::new("remove", "IPsec policy", DELETE_POLICY, 0);
    message.raw(policy.get(..SELECTOR)?).raw(&[0, 0, 0, 0, policy[DIRECTION_AT], 0, 0, 0]).bytes(MARK, &mark);
    is_ours.then_some(message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn garbage_is_no_policy(payload in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = removal(&Received { kind: NEW_POLICY, flags: 0, sequence: 0, payload: &payload }, 0);
        }
    }
}
