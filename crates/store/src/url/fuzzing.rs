//! The store's URL.

use std::os::unix::ffi::OsStrExt;

use steadfast_host::http::percent_encode;

use super::{Named, parse};
use crate::Error;

/// A message shows at most three parts of a URL, each escaped, beside the forms that are taken.
const LONGEST_MESSAGE: usize = 1_000;

/// What a URL names is written as a URL that names the same; what is wrong with one is said in a line without secrets.
pub fn store_url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match parse(text) {
        Ok(Named::Memory) => assert_eq!(text, "memory:"),
        Ok(Named::Sqlite(path)) => {
            assert!(path.is_absolute());
            let bytes = path.as_os_str().as_bytes();
            let parts: Vec<String> = bytes.split(|byte| *byte == b'/').map(percent_encode).collect();
            let again = format!("sqlite://{}", parts.join("/"));
            assert_eq!(parse(&again), Ok(Named::Sqlite(path)), "{again}");
        }
        Ok(Named::Http(target)) => {
            assert!(!text.contains('@'), "a URL with a secret is taken");
            let again = target.to_string();
            assert_eq!(parse(&again), Ok(Named::Http(target)), "{again}");
        }
        Err(Error::Config(why)) => {
            assert!(why.len() < LONGEST_MESSAGE && why.chars().all(|c| !c.is_control()), "{why:?}");
            // What stands before an `@` is a name and a password: whatever they are, the same is said of them.
            let has_secret =
                text.split_once(':').is_some_and(|(scheme, rest)| scheme != "sqlite" && rest.contains('@'));
            assert!(!has_secret || parse("http://@") == Err(Error::Config(why)), "a secret may be quoted");
        }
        Err(other) => panic!("a URL is read without asking anybody: {other}"),
    }
}
