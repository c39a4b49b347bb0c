//! How a request proves who sends it: with the account's key (SharedKey for the container, SharedKeyLite for the table),
//! a shared access signature, or a token.
//!
//! <https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key>

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use steadfast_host::clock::WallTime;
use steadfast_host::http::{HeaderMap, Method};

use crate::Error;

/// Bytes of an account's key.
const KEY_BYTES: usize = 64;

/// An account's key.
#[derive(Clone)]
pub(super) struct Key(hmac::Key);

impl Key {
    /// The key that is written so in base64.
    pub(super) fn new(text: &str) -> Result<Key, Error> {
        let wrong = || {
            Error::Config(
                "the store's secret is no account key (base64 of 64 bytes, as `az storage account keys list` shows it) \
                 and no shared access signature (`sv=…&sig=…`)"
                    .to_owned(),
            )
        };
        let bytes = STANDARD.decode(text.trim()).map_err(|_| wrong())?;
        if bytes.len() != KEY_BYTES {
            return Err(wrong());
        }
        Ok(Key(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    fn sign(&self, text: &str) -> String {
        STANDARD.encode(hmac::sign(&self.0, text.as_bytes()))
    }

    /// `Authorization` of a request to the container's service.
    pub(super) fn shared_key(&self, request: &Signed<'_>) -> String {
        format!("SharedKey {}:{}", request.account, self.sign(&request.shared_key_text()))
    }

    /// `Authorization` of a request to the table's service.
    pub(super) fn shared_key_lite(&self, request: &Signed<'_>) -> String {
        format!("SharedKeyLite {}:{}", request.account, self.sign(&request.shared_key_lite_text()))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// A shared access signature: parameters that are added to every request's query.
#[derive(Clone)]
pub(super) struct Sas(String);

impl Sas {
    /// Whether `text` is meant to be one.
    pub(super) fn is_one(text: &str) -> bool {
        text.trim().trim_start_matches('?').split('&').any(|part| part.starts_with("sig="))
    }

    /// The signature of this query.
    pub(super) fn new(text: &str) -> Result<Sas, Error> {
        let query = text.trim().trim_start_matches('?');
        if !query.bytes().all(|b| b.is_ascii_graphic() && !b"\"#<>\\^`{|}".contains(&b)) {
            return Err(Error::Config(
                "the store's shared access signature has characters that no query has: copy it as the portal shows it"
                    .to_owned(),
            ));
        }
        Ok(Sas(query.to_owned()))
    }

    /// Its query, without `?`.
    pub(super) fn query(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Sas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sas(…)")
    }
}

/// What of a request is signed.
#[derive(Debug)]
pub(super) struct Signed<'a> {
    pub(super) account: &'a str,
    pub(super) method: &'a Method,
    /// The path as sent.
    pub(super) path: &'a str,
    /// The query, decoded.
    pub(super) query: &'a [(&'static str, String)],
    /// `x-ms-date` among them.
    pub(super) headers: &'a HeaderMap,
    pub(super) body_bytes: usize,
}

impl Signed<'_> {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn shared_key_text(&self) -> String {
        let length = if self.body_bytes == 0 { String::new() } else { self.body_bytes.to_string() };
        let mut text = format!("{}\n", self.method);
        // Encoding, language, length, MD5, type, date (`x-ms-date` instead), and the conditions.
        for value in ["", "", &length, "", self.header("content-type"), "", ""] {
            text.push_str(value);
            text.push('\n');
        }
        for value in [self.header("if-match"), self.header("if-none-match"), "", ""] {
            text.push_str(value);
            text.push('\n');
        }
        let mut ours: Vec<(&str, &str)> = self
            .headers
            .iter()
            .filter(|(name, _)| name.as_str().starts_with("x-ms-"))
            .map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default().trim()))
            .collect();
        ours.sort_unstable();
        for (name, value) in ours {
            text.push_str(&format!("{name}:{value}\n"));
        }
        text.push_str(&format!("/{}{}", self.account, self.path));
        let mut query: Vec<&(&str, String)> = self.query.iter().collect();
        query.sort_unstable();
        for (name, value) in query {
            text.push_str(&format!("\n{name}:{value}"));
        }
        text
    }

    fn shared_key_lite_text(&self) -> String {
        let text = format!("{}\n/{}{}", self.header("x-ms-date"), self.account, self.path);
        match self.query.iter().find(|(name, _)| *name == "comp") {
            Some((_, value)) => format!("{text}?comp={value}"),
            None => text,
        }
    }
}

/// A time as HTTP writes it: `Sun, 22 Nov 2026 06:22:38 GMT` (RFC 9110 §5.6.7).
pub(super) fn http_date(time: WallTime) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let text = time.to_string();
    let part = |range: std::ops::Range<usize>| text.get(range).unwrap_or_default();
    let day = usize::try_from(time.unix_millis().div_euclid(86_400_000).rem_euclid(7)).unwrap_or_default();
    let month: usize = part(5..7).parse().unwrap_or(1);
    format!("{}, {} {} {} {} GMT", DAYS[day], part(8..10), MONTHS[(month - 1) % 12], part(0..4), part(11..19))
}

#[cfg(test)]
mod tests;
