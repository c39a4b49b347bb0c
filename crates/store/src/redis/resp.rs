//! RESP2, the protocol of Redis and Valkey: commands out, replies in. Every length that the other side names is held
//! against a bound before anything is kept for it. It refuses to know what a command means.

use bytes::{Buf, Bytes, BytesMut};

/// Arrays within arrays of one reply, at most: the deepest of ours has 5.
const DEPTH: usize = 8;

/// Elements of one reply's arrays together, at most: each takes more room here than it does on the way. A page of the log
/// is the largest of ours: 64 commits of 1 024 changes.
const ELEMENTS: usize = 1 << 20;

/// Bytes of one string, at most.
const STRING_BYTES: usize = 64 << 20;

/// Bytes of a line, which a status or an error is, at most.
const LINE_BYTES: usize = 64 << 10;

/// Bytes of one whole reply, at most. A page of the log is the largest of ours: 64 commits of a MiB.
const REPLY_BYTES: usize = 128 << 20;

/// Elements that room is made for before they have come.
const ELEMENTS_AT_ONCE: usize = 1024;

/// A reply, whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// `+OK`
    Status(Bytes),
    /// `-ERR …`, read as UTF-8.
    Error(String),
    /// `:1`
    Integer(i64),
    /// `$3 …`
    String(Bytes),
    /// `*2 …`
    Array(Vec<Reply>),
    /// No string, or no array.
    Nil,
}

/// What was received is no reply of this protocol, or one beyond its bounds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no reply of Redis: {0}")]
pub(super) struct Malformed(String);

/// Reads replies out of bytes that come in pieces.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// The arrays that are open, the outermost first.
    open: Vec<Open>,
    /// The length of the string whose bytes come next.
    string: Option<usize>,
    /// Bytes of the reply that were taken already.
    taken: usize,
    /// Elements that it announced already.
    announced: usize,
}

/// An array of which elements are missing.
#[derive(Debug)]
struct Open {
    missing: usize,
    elements: Vec<Reply>,
}

/// What a line begins.
enum Begun {
    Whole(Reply),
    String(usize),
    Array(usize),
}

impl Decoder {
    /// The next reply, if all of it is there. After an error nothing that follows can be understood.
    pub(super) fn next(&mut self, input: &mut BytesMut) -> Result<Option<Reply>, Malformed> {
        loop {
            let Some(mut reply) = self.element(input)? else { return Ok(None) };
            // What is complete may complete the arrays it stands in.
            loop {
                let Some(array) = self.open.last_mut() else {
                    (self.taken, self.announced) = (0, 0);
                    return Ok(Some(reply));
                };
                array.elements.push(reply);
                array.missing -= 1;
                if array.missing > 0 {
                    break;
                }
                reply = Reply::Array(self.open.pop().map(|array| array.elements).unwrap_or_default());
            }
        }
    }

    /// The next reply that is no array with elements; those are opened.
    fn element(&mut self, input: &mut BytesMut) -> Result<Option<Reply>, Malformed> {
        loop {
            if let Some(length) = self.string {
                let Some(string) = self.string_of(length, input)? else { return Ok(None) };
                self.string = None;
                return Ok(Some(Reply::String(string)));
            }
            let Some(line) = self.line(input)? else { return Ok(None) };
            match begun(&line, ELEMENTS - self.announced)? {
                Begun::Whole(reply) => return Ok(Some(reply)),
                Begun::String(length) => self.string = Some(length),
                Begun::Array(0) => return Ok(Some(Reply::Array(Vec::new()))),
                Begun::Array(_) if self.open.len() == DEPTH => return Err(Malformed(format!("over {DEPTH} deep"))),
                Begun::Array(missing) => {
                    self.announced += missing;
                    let elements = Vec::with_capacity(missing.min(ELEMENTS_AT_ONCE));
                    self.open.push(Open { missing, elements });
                }
            }
        }
    }

    /// A line without its end.
    fn line(&mut self, input: &mut BytesMut) -> Result<Option<Bytes>, Malformed> {
        let Some(length) = input.iter().take(LINE_BYTES + 1).position(|byte| *byte == b'\n') else {
            if input.len() > LINE_BYTES {
                return Err(Malformed(format!("a line of more than {LINE_BYTES} bytes")));
            }
            return Ok(None);
        };
        self.take(length + 1)?;
        let mut line = input.split_to(length + 1).freeze();
        if length == 0 || line[length - 1] != b'\r' {
            return Err(Malformed(format!("the line `{}` does not end as one", shown(&line))));
        }
        line.truncate(length - 1);
        Ok(Some(line))
    }

    fn string_of(&mut self, length: usize, input: &mut BytesMut) -> Result<Option<Bytes>, Malformed> {
        if input.len() < length + 2 {
            return Ok(None);
        }
        self.take(length + 2)?;
        let string = input.split_to(length).freeze();
        if !input.starts_with(b"\r\n") {
            return Err(Malformed("a string is longer than it says".to_owned()));
        }
        input.advance(2);
        Ok(Some(string))
    }

    fn take(&mut self, bytes: usize) -> Result<(), Malformed> {
        self.taken += bytes;
        if self.taken > REPLY_BYTES {
            return Err(Malformed(format!("a reply of more than {REPLY_BYTES} bytes")));
        }
        Ok(())
    }
}

/// What `line` is or begins, in a reply that may have so many elements more.
fn begun(line: &Bytes, elements: usize) -> Result<Begun, Malformed> {
    let wrong = || Malformed(format!("the line `{}`", shown(line)));
    let (kind, rest) = line.split_first().ok_or_else(wrong)?;
    let number = || {
        let digits = rest.strip_prefix(b"-").unwrap_or(rest);
        let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
        let text = std::str::from_utf8(rest).ok().filter(|_| plain);
        text.and_then(|text| text.parse::<i64>().ok()).ok_or_else(wrong)
    };
    // -1 says that there is none.
    let length = |bound: usize| match number()? {
        -1 => Ok(None),
        length => match usize::try_from(length) {
            Ok(length) if length <= bound => Ok(Some(length)),
            _ => Err(Malformed(format!("`{}` announces more than {bound}", shown(line)))),
        },
    };
    Ok(match kind {
        b'+' => Begun::Whole(Reply::Status(line.slice(1..))),
        b'-' => Begun::Whole(Reply::Error(String::from_utf8_lossy(rest).into_owned())),
        b':' => Begun::Whole(Reply::Integer(number()?)),
        b'$' => length(STRING_BYTES)?.map_or(Begun::Whole(Reply::Nil), Begun::String),
        b'*' => length(elements)?.map_or(Begun::Whole(Reply::Nil), Begun::Array),
        _ => return Err(wrong()),
    })
}

/// The beginning of a line as a message may show it.
fn shown(line: &[u8]) -> String {
    const SHOWN_BYTES: usize = 40;
    line[..line.len().min(SHOWN_BYTES)].trim_ascii_end().escape_ascii().to_string()
}

/// Commands as they are sent, one behind the other.
#[derive(Clone, Debug, Default)]
pub(super) struct Commands {
    bytes: Vec<u8>,
    count: usize,
}

impl Commands {
    /// Room for about so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Commands {
        Commands { bytes: Vec::with_capacity(bytes), count: 0 }
    }

    /// These commands and one more.
    pub(super) fn and<A: AsRef<[u8]>>(mut self, arguments: &[A]) -> Commands {
        self.begin(arguments.len());
        arguments.iter().for_each(|argument| self.argument(argument));
        self
    }

    /// Begins one more command, of which so many arguments follow.
    pub(super) fn begin(&mut self, arguments: usize) {
        self.length(b'*', arguments);
        self.count += 1;
    }

    /// The next argument of the command begun last.
    pub(super) fn argument(&mut self, argument: impl AsRef<[u8]>) {
        let argument = argument.as_ref();
        self.length(b'$', argument.len());
        self.bytes.extend_from_slice(argument);
        self.bytes.extend_from_slice(b"\r\n");
    }

    fn length(&mut self, kind: u8, length: usize) {
        self.bytes.push(kind);
        self.bytes.extend_from_slice(length.to_string().as_bytes());
        self.bytes.extend_from_slice(b"\r\n");
    }

    /// How many they are, which is how many replies come.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// As they are sent.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
#[cfg(test)]
mod tests;
