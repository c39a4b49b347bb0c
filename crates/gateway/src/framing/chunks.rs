//! The end of a body in the chunked coding (RFC 9112 §7.1), read as strictly as it is written there: hexadecimal digits
//! and CR LF, nothing around them.

use super::{Limits, is_control, is_token};

/// The longest line that begins a chunk, in bytes: its size and its extensions, which nobody uses and everybody has to
/// read. Beyond: the body is refused.
const LINE_BYTES: usize = 256;
/// Digits of a size. Further ones could only be zeros, or more than anybody has.
const DIGITS: u8 = 16;

/// How far a body was read.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    at: At,
    /// The size of the chunk, then what is left of it.
    size: u64,
    /// Bytes of the line under way or, in trailers, of all of them.
    bytes: usize,
    /// Fields among the trailers.
    fields: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// In a size of which so many digits were read.
    Size(u8),
    #[default]
    Begin,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// At the beginning of a line behind the last chunk.
    Trailer,
    TrailerName,
    TrailerValue,
    TrailerLf,
    EndLf,
}

const SIZE: &str = "a chunk does not begin with its size in at most 16 hexadecimal digits and CR LF";
const LINE: &str = "the line that begins a chunk is longer than 256 bytes, or has control characters";
const DATA: &str = "a chunk is not followed by CR LF";
const TRAILER: &str = "a trailer is not a field on a line of its own that ends in CR LF";
const TRAILERS: &str = "the trailers are more than a head may have";

impl Chunks {
    /// Reads on: how many bytes belong to the body, and whether it has ended with them.
    pub(super) fn scan(&mut self, bytes: &[u8], limits: &Limits) -> Result<(usize, bool), &'static str> {
        let mut rest = bytes;
        while let Some((byte, behind)) = rest.split_first() {
            if self.at == At::Data {
                let here = usize::try_from(self.size).unwrap_or(usize::MAX).min(rest.len());
                self.size -= here as u64;
                rest = &rest[here..];
                if self.size == 0 {
                    self.at = At::DataCr;
                }
                continue;
            }
            rest = behind;
            if self.at == At::EndLf {
                return if *byte == b'\n' { Ok((bytes.len() - rest.len(), true)) } else { Err(TRAILER) };
            }
            self.at = self.next(*byte, limits)?;
        }
        Ok((bytes.len(), false))
    }

    fn next(&mut self, byte: u8, limits: &Limits) -> Result<At, &'static str> {
        match self.at {
            At::Begin => {
                (self.size, self.bytes) = (0, 0);
                self.digit(byte, 0)
            }
            At::Size(read) if byte.is_ascii_hexdigit() => self.digit(byte, read),
            At::Size(_) | At::Extension if byte == b'\r' => Ok(At::SizeLf),
            At::Size(_) if byte != b';' => Err(SIZE),
            At::Size(_) | At::Extension => {
                self.bytes += 1;
                let fits = self.bytes + usize::from(DIGITS) <= LINE_BYTES && !is_control(byte);
                if fits { Ok(At::Extension) } else { Err(LINE) }
            }
            At::SizeLf if byte != b'\n' => Err(SIZE),
            At::SizeLf if self.size > 0 => Ok(At::Data),
            At::SizeLf => {
                self.bytes = 0;
                Ok(At::Trailer)
            }
            At::DataCr if byte == b'\r' => Ok(At::DataLf),
            At::DataLf if byte == b'\n' => Ok(At::Begin),
            At::Data | At::DataCr | At::DataLf => Err(DATA),
            At::Trailer if byte == b'\r' => Ok(At::EndLf),
            At::Trailer | At::TrailerName | At::TrailerValue | At::TrailerLf | At::EndLf => self.trailer(byte, limits),
        }
    }

    fn digit(&mut self, byte: u8, read: u8) -> Result<At, &'static str> {
        let digit = char::from(byte).to_digit(16).filter(|_| read < DIGITS).ok_or(SIZE)?;
        // Sixteen digits are 64 bits.
        self.size = self.size << 4 | u64::from(digit);
        Ok(At::Size(read + 1))
    }

    fn trailer(&mut self, byte: u8, limits: &Limits) -> Result<At, &'static str> {
        self.bytes += 1;
        self.fields += usize::from(self.at == At::Trailer);
        if self.bytes > limits.head || self.fields > limits.fields {
            return Err(TRAILERS);
        }
        match (self.at, byte) {
            (At::Trailer | At::TrailerName, _) if is_token(byte) => Ok(At::TrailerName),
            (At::TrailerName, b':') => Ok(At::TrailerValue),
            (At::TrailerValue, b'\r') => Ok(At::TrailerLf),
            (At::TrailerValue, _) if !is_control(byte) => Ok(At::TrailerValue),
            (At::TrailerLf, b'\n') => Ok(At::Trailer),
            _ => Err(TRAILER),
        }
    }
}
