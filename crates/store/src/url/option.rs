//! What stands after the `?` of a store's URL: each engine takes what it knows, and what is left is refused with what
//! there is.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use steadfast_host::tls::{self, Alpn};
use steadfast_host::{Span, nearest};

use super::{decoded, decoded_path, shown, wrong};
use crate::secret::TlsFiles;
use crate::{Access, Error};

/// Options whose values no message shows.
const SECRET: [&str; 3] = ["password", "sig", "key"];

/// The options of a URL that nobody took yet, and the names of those that somebody asked for.
#[derive(Debug)]
pub(crate) struct Options {
    /// What stands before them in a message: `etcd://`.
    scheme: String,
    given: Vec<Given>,
    takes: Vec<&'static str>,
}

struct Given {
    name: String,
    /// As written.
    value: String,
}

impl std::fmt::Debug for Given {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

/// Whether a store is reached over TLS, and with which files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TlsOption {
    pub(crate) on: bool,
    pub(crate) files: TlsFiles,
}

impl TlsOption {
    /// What goes over TLS with these files, and offers `alpn` inside; `None`: in the open.
    pub(crate) fn client(&self, alpn: Alpn) -> Result<Option<tls::Client>, Error> {
        if !self.on {
            return Ok(None);
        }
        tls::Client::new(self.files.clone(), alpn).map(Some).map_err(|error| Error::Config(error.to_string()))
    }
}

impl Options {
    pub(super) fn parse(scheme: &str, has_authority: bool, text: &str) -> Result<Options, Error> {
        let mut given: Vec<Given> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let Some((name, value)) = pair.split_once('=') else {
                return Err(wrong(format!("gives `{}` no value: write `{}=…`", shown(pair), shown(pair))));
            };
            if given.iter().any(|given| given.name == name) {
                return Err(wrong(format!("gives `{}` twice", shown(name))));
            }
            given.push(Given { name: name.to_owned(), value: value.to_owned() });
        }
        let slashes = if has_authority { "//" } else { "" };
        Ok(Options { scheme: format!("{scheme}:{slashes}"), given, takes: Vec::new() })
    }

    /// Whether `name` is given, for what is refused with a sentence of its own.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.given.iter().any(|given| given.name == name)
    }

    /// The value of `name`, decoded, if it is given.
    pub(crate) fn take(&mut self, name: &'static str) -> Result<Option<String>, Error> {
        let Some(value) = self.take_raw(name) else { return Ok(None) };
        match decoded(&value) {
            Some(text) if !text.is_empty() => Ok(Some(text)),
            _ => Err(bad(name, &value, "text, percent-encoded")),
        }
    }

    /// A file's absolute path.
    pub(crate) fn take_file(&mut self, name: &'static str) -> Result<Option<PathBuf>, Error> {
        let Some(value) = self.take_raw(name) else { return Ok(None) };
        let path = decoded_path(&value).filter(|path| path.is_absolute());
        path.map(Some).ok_or_else(|| bad(name, &value, "the absolute path of a file"))
    }

    /// A whole number within `range`; `what` says what it counts: `a number of replicas`.
    pub(crate) fn take_whole(
        &mut self,
        name: &'static str,
        what: &str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, Error> {
        let Some(value) = self.take_raw(name) else { return Ok(None) };
        let digits = value.bytes().all(|byte| byte.is_ascii_digit());
        match value.parse().ok().filter(|number| digits && range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(bad(name, &value, &format!("{what}, {} to {}", range.start(), range.end()))),
        }
    }

    /// A span of time within `range`, written `250ms`, `10m`.
    pub(crate) fn take_span(
        &mut self,
        name: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Result<Option<Duration>, Error> {
        let Some(value) = self.take_raw(name) else { return Ok(None) };
        span(name, &value, &range, "").map(Some)
    }

    /// The same, or `never`: `Some(None)`.
    pub(crate) fn take_span_or_never(
        &mut self,
        name: &'static str,
        range: RangeInclusive<Duration>,
    ) -> Result<Option<Option<Duration>>, Error> {
        let Some(value) = self.take_raw(name) else { return Ok(None) };
        if value == "never" {
            return Ok(Some(None));
        }
        span(name, &value, &range, ", or `never`").map(|span| Some(Some(span)))
    }

    /// One of some words.
    pub(crate) fn take_word<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)]) -> Result<Option<T>, Error> {
        let Some(value) = self.take_raw(name) else { return Ok(None) };
        match words.iter().find(|(word, _)| *word == value) {
            Some((_, meant)) => Ok(Some(*meant)),
            None => Err(bad(name, &value, &listed(words.iter().map(|(word, _)| *word)))),
        }
    }

    /// The five options of TLS, or the files given apart. Which of `tls=on` and `off` counts where nothing is said, the
    /// engine knows.
    pub(crate) fn take_tls(&mut self, on_by_default: bool, access: &Access) -> Result<TlsOption, Error> {
        let said = self.take_word("tls", &[("off", false), ("on", true)])?;
        let (ca, cert, key) = (self.take_file("ca")?, self.take_file("cert")?, self.take_file("key")?);
        let name = match self.take("name")? {
            Some(name) => Some(name.parse().map_err(|_| bad("name", &name, "a host's name or address"))?),
            None => None,
        };
        let files = TlsFiles { ca, cert, key, name };
        match (&files.cert, &files.key) {
            (Some(_), None) => return Err(wrong("gives `cert` without `key`: both, or neither")),
            (None, Some(_)) => return Err(wrong("gives `key` without `cert`: both, or neither")),
            _ => {}
        }
        let named_here = files != TlsFiles::default();
        let named_apart = access.tls != TlsFiles::default();
        if named_here && named_apart {
            return Err(wrong("gives files for TLS, and so does what stands apart from it: give one of them"));
        }
        let on = said.unwrap_or(on_by_default || named_here || named_apart);
        if !on && named_here {
            return Err(wrong("gives `tls=off` and files for TLS: leave one of them out"));
        }
        Ok(TlsOption { on, files: if named_here { files } else { access.tls.clone() } })
    }

    /// Refuses what nobody took.
    pub(super) fn finish(&self) -> Result<(), Error> {
        let Some(Given { name, .. }) = self.given.first() else { return Ok(()) };
        let (scheme, takes) = (&self.scheme, &self.takes);
        let which = format!("has the option `{}`, which {scheme} does not take", shown(name));
        if takes.is_empty() {
            return Err(wrong(format!("{which}; it takes none")));
        }
        let meant = match nearest(name, takes.iter().copied()) {
            Some(near) => format!("; did you mean `{near}`?"),
            None => ".".to_owned(),
        };
        Err(wrong(format!("{which}{meant} It takes: {}", takes.join(", "))))
    }

    /// What is given as `name`, which is taken from now on.
    fn take_raw(&mut self, name: &'static str) -> Option<String> {
        self.takes.push(name);
        let at = self.given.iter().position(|given| given.name == name)?;
        Some(self.given.remove(at).value)
    }
}

fn span(name: &str, value: &str, range: &RangeInclusive<Duration>, or: &str) -> Result<Duration, Error> {
    let span = value.parse().ok().map(Span::duration).filter(|span| range.contains(span));
    span.ok_or_else(|| {
        let (least, most) = (as_span(*range.start()), as_span(*range.end()));
        bad(name, value, &format!("a time such as 250ms or 10m, {least} to {most}{or}"))
    })
}

fn as_span(span: Duration) -> Span {
    Span::from_millis(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

/// `` `one`, `two` or `three` ``.
fn listed<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let quoted: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

fn bad(name: &str, value: &str, expected: &str) -> Error {
    let shown = if SECRET.contains(&name) { "…".to_owned() } else { shown(value) };
    wrong(format!("gives `{name}` the value `{shown}`; expected {expected}"))
}
