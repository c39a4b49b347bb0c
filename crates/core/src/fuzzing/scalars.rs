//! Texts of names, numbers and spans.

use alloc::string::ToString;
use core::fmt::{Debug, Display};
use core::str::FromStr;

use crate::client::{ClientKey, LabelName, Source};
use crate::placement::{LedgerState, Phase, Reason};
use crate::route::{HostPattern, PathPattern};
use crate::settings::{HomeFull, OnHomeLost, Policy, Presence, ReturnHome};
use crate::{Endpoint, EndpointName, Epoch, Host, Incarnation, InstanceId, Nonce, SetName, Size, Span, Weight};

/// An error repeats at most 80 characters of what it found, each escaped to ten at most, beside a sentence of its own.
const LONGEST_ERROR: usize = 1_200;

/// What a text stands for is written as a text that stands for the same; what has only one text is written so.
pub fn scalars(data: &[u8]) {
    if let Ok(key) = ClientKey::new(data) {
        assert_eq!(key.as_bytes(), data);
        assert_eq!(key.to_string().parse(), Ok(key), "the key is read back");
    }
    let Ok(text) = core::str::from_utf8(data) else { return };
    verbatim::<SetName>(text);
    verbatim::<InstanceId>(text);
    verbatim::<EndpointName>(text);
    verbatim::<LabelName>(text);
    verbatim::<Incarnation>(text);
    verbatim::<Nonce>(text);
    verbatim::<PathPattern>(text);
    verbatim::<Policy>(text);
    verbatim::<Presence>(text);
    verbatim::<OnHomeLost>(text);
    verbatim::<ReturnHome>(text);
    verbatim::<HomeFull>(text);
    verbatim::<LedgerState>(text);
    verbatim::<Reason>(text);
    verbatim::<Phase>(text);
    stable::<ClientKey>(text);
    stable::<Epoch>(text);
    stable::<Host>(text);
    stable::<Source>(text);
    stable::<HostPattern>(text);
    stable::<Span>(text);
    stable::<Size>(text);
    if let Some(weight) = stable::<Weight>(text) {
        assert!(weight <= Weight::MAX);
    }
    if let Some(endpoint) = stable::<Endpoint>(text) {
        assert_ne!(endpoint.port(), 0);
        let parts = alloc::format!("{}://{}", endpoint.scheme(), endpoint.authority());
        assert_eq!(parts.parse(), Ok(endpoint), "its parts make it again");
    }
}

/// Reads `text`; what it stands for is written as a text that is read as the same, and written so again.
fn stable<T>(text: &str) -> Option<T>
where
    T: FromStr<Err: Display + Debug + PartialEq> + Display + Debug + PartialEq,
{
    match text.parse::<T>() {
        Ok(value) => {
            let written = value.to_string();
            let again: T = written.parse().expect("what is written can be read");
            assert_eq!(again, value, "{written:?} is read as another value than {text:?}");
            assert_eq!(again.to_string(), written);
            Some(value)
        }
        Err(error) => {
            let error = error.to_string();
            assert!(error.len() <= LONGEST_ERROR && !error.contains('\n'), "an error is one line: {error:?}");
            None
        }
    }
}

/// The same of what has one text only.
fn verbatim<T>(text: &str)
where
    T: FromStr<Err: Display + Debug + PartialEq> + Display + Debug + PartialEq,
{
    if let Some(value) = stable::<T>(text) {
        assert_eq!(value.to_string(), text);
    }
}
