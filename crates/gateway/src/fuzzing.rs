//! What the fuzzers run here, and what must hold: see the module of this name in `steadfast-core` for how and why.

mod head;
mod origin;

pub use crate::framing::fuzzing::framing;
pub use head::head;
pub use origin::origin;

/// A name, and what is run on any bytes.
pub type Target = (&'static str, fn(&[u8]));

/// The targets of this crate, by name.
pub const TARGETS: &[Target] = &[("framing", framing), ("head", head), ("origin", origin)];

/// The lines of a head as a parser of HTTP/1 gives them: names in lower case, values without control characters.
fn fields(lines: &[u8]) -> http::HeaderMap {
    let fields = lines.split(|byte| *byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = http::HeaderName::from_bytes(&line[..colon]).ok()?;
        Some((name, http::HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?))
    });
    let mut headers = http::HeaderMap::new();
    for (name, value) in fields {
        headers.append(name, value);
    }
    headers
}

#[cfg(test)]
mod tests;
