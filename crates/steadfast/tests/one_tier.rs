//! The one-tier topology on a file of one machine; on servers of other engines it is among the tests of `stores`.

mod support;

use support::{Sandbox, any_machine_takes_the_first_request};

#[test]
fn any_machine_takes_the_first_request_and_one_may_die() {
    any_machine_takes_the_first_request(Sandbox::new("one-tier"));
}
