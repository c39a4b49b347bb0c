use std::io;

use super::*;

#[test]
fn what_this_side_wants_for_is_not_the_instances_refusal() {
    for (code, ours) in [
        (libc::EMFILE, true),
        (libc::ENFILE, true),
        (libc::EADDRNOTAVAIL, true),
        (libc::ENOBUFS, true),
        (libc::ECONNREFUSED, false),
        (libc::EHOSTUNREACH, false),
        (libc::ETIMEDOUT, false),
    ] {
        assert_eq!(is_ours(&io::Error::from_raw_os_error(code)), ours, "{code}");
    }
    assert!(!is_ours(&io::ErrorKind::ConnectionRefused.into()));
}
