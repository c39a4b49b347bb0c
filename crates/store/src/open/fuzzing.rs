//! The store's URL.

use std::os::unix::ffi::OsStrExt;

use steadfast_host::http::percent_encode;

use super::read;
use crate::{Access, Error, http, sqlite};

/// A message shows a few parts of a URL, each cut and escaped, beside the forms that are taken.
const LONGEST_MESSAGE: usize = 2_000;

/// What a URL names is written as a URL that names the same; what is wrong with one is said in a line without secrets.
pub fn store_url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match named(text) {
        Ok(Some(again)) => assert_eq!(named(&again), Ok(Some(again.clone())), "{text}"),
        Ok(None) => {}
        Err(Error::Config(why)) => {
            assert!(why.len() < LONGEST_MESSAGE && why.chars().all(|c| !c.is_control()), "{why:?}");
            assert_eq!(named(&with_another_secret(text)), Err(Error::Config(why)), "a secret may be quoted");
        }
        Err(other) => panic!("a URL is read without asking anybody: {other}"),
    }
}

/// What a URL names, as a URL; `None` where that takes an engine to know.
fn named(text: &str) -> Result<Option<String>, Error> {
    let (engine, mut url) = read(text)?;
    match engine.schemes[0] {
        "sqlite" => {
            let path = sqlite::path_of(&url)?;
            assert!(path.is_absolute());
            let bytes = path.as_os_str().as_bytes();
            let parts: Vec<String> = bytes.split(|byte| *byte == b'/').map(percent_encode).collect();
            Ok(Some(format!("sqlite://{}", parts.join("/"))))
        }
        "http" => {
            let (place, tls) = http::place_of(&mut url, &Access::default())?;
            assert!(!text.contains('@'), "a URL with a secret is taken");
            Ok(Some(format!("{}://{place}", if tls.on { "https" } else { "http" })))
        }
        // The other engines ask nobody either, and what they hold of a secret is shown nowhere.
        _ => {
            let store = super::open(text, &Access { url_may_hold_a_password: true, ..Access::default() })?;
            drop(store);
            Ok(None)
        }
    }
}

/// The same URL with another user and password: whatever they are, the same is to be said of them.
fn with_another_secret(text: &str) -> String {
    let begin = text.find(':').map_or(0, |colon| colon + 1);
    let end = text.rfind('@').filter(|end| *end > begin && !text.starts_with("sqlite:"));
    let Some(end) = end else { return text.to_owned() };
    // Digits and the first letters may be part of a character's code, which is to stay right or wrong as it is.
    let other = |c: char| if c.is_ascii_alphabetic() && !c.is_ascii_hexdigit() { 'x' } else { c };
    let secret: String = text[begin..end].chars().map(other).collect();
    format!("{}{secret}{}", &text[..begin], &text[end..])
}
