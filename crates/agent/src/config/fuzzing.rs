//! What is said of an agent's application, in the file and by flags.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use super::{ApiAddress, Check, CheckTarget, EndpointSource, Restart, Template};
use crate::Error;

/// What a text stands for is written as a text that stands for the same; a template's ports take its places alone.
pub fn agent_flags(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    stable::<CheckTarget>(text);
    stable::<EndpointSource>(text);
    stable::<ApiAddress>(text);
    stable::<Restart>(text);
    if let Some(check) = stable::<Check>(text) {
        check.target(|_| Some(8080)).expect("with any port it is a check");
    }
    // A name stands for itself: then nothing changes but the marks around it.
    let known = ["http", "stream"];
    let port = |name: &str| known.iter().position(|known| *known == name).map(|at| 7_000 + at as u16);
    match Template::new(text).fill(port) {
        Ok(filled) => assert_eq!(filled, slow(text)),
        Err(_) => assert!(slow(text).contains(".port}"), "every name in {text:?} is known"),
    }
}

/// Place by place.
fn slow(text: &str) -> String {
    text.replace("{http.port}", "7000").replace("{stream.port}", "7001")
}

fn stable<T>(text: &str) -> Option<T>
where
    T: FromStr<Err = Error> + Display + Debug + PartialEq,
{
    let value: T = text.parse().ok()?;
    let written = value.to_string();
    assert_eq!(written.parse().ok().as_ref(), Some(&value), "{text:?} is written as {written:?}");
    Some(value)
}
