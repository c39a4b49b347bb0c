//! A small blocking HTTP/1.1 client on `std::net`, which shows what came over the wire and forgives nothing.

use std::io::{self, Error, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

/// How long one exchange may take unless a test says otherwise.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(10);
/// A head longer than this is taken for a broken server.
const MAX_HEAD_BYTES: usize = 64 * 1024;

/// One answer, read whole.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of that name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        let parsed = serde_json::from_slice(&self.body);
        parsed.unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text()))
    }

    fn says(&self, name: &str, value: &str) -> bool {
        self.header(name).is_some_and(|v| v.eq_ignore_ascii_case(value))
    }
}

/// Asks once, on a connection of its own. `url` is `http://host:port/path`.
pub fn get(url: &str) -> io::Result<Answer> {
    once("GET", url, &[], b"")
}

/// Sends a JSON body once, on a connection of its own.
pub fn post(url: &str, body: &str) -> io::Result<Answer> {
    once("POST", url, &[("content-type", "application/json")], body.as_bytes())
}

fn once(method: &str, url: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Answer> {
    let (address, path) = split(url);
    let mut connection = Connection::open(address, EXCHANGE_LIMIT)?;
    let mut with_close = headers.to_vec();
    with_close.push(("connection", "close"));
    connection.exchange(method, path, &with_close, body)
}

/// `http://host:port/path` as `host:port` and `/path`.
pub(super) fn split(url: &str) -> (&str, &str) {
    let rest = url.strip_prefix("http://").unwrap_or_else(|| panic!("no http:// address: {url}"));
    rest.find('/').map_or((rest, "/"), |at| rest.split_at(at))
}

/// A connection: for several exchanges one after the other, or for raw bytes.
pub struct Connection {
    stream: TcpStream,
    address: String,
    limit: Duration,
    /// Read, and not yet used.
    buffer: Vec<u8>,
    /// The last answer left the connection usable.
    reusable: bool,
}

impl Connection {
    /// Connects to `host:port`; each exchange may take `limit`.
    pub fn open(address: &str, limit: Duration) -> io::Result<Connection> {
        let target = address.to_socket_addrs()?.next().ok_or_else(|| Error::other("no such address"))?;
        let stream = TcpStream::connect_timeout(&target, limit)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(limit))?;
        Ok(Connection { stream, address: address.to_owned(), limit, buffer: Vec::new(), reusable: true })
    }

    /// Whether another exchange may follow.
    pub fn is_reusable(&self) -> bool {
        self.reusable
    }

    /// Sends a request and reads the whole answer.
    pub fn exchange(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Answer> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.address);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() || method != "GET" {
            head.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        self.send(&[head.as_bytes(), body].concat())?;
        self.answer(method != "HEAD")
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Reads whatever has come, at least one byte; an empty result is the end.
    pub fn receive(&mut self) -> io::Result<Vec<u8>> {
        if self.buffer.is_empty() {
            self.fill(Instant::now() + self.limit)?;
        }
        Ok(std::mem::take(&mut self.buffer))
    }

    /// Reads one answer; `with_body` is false after a HEAD.
    pub fn answer(&mut self, with_body: bool) -> io::Result<Answer> {
        let deadline = Instant::now() + self.limit;
        let mut answer = self.head(deadline)?;
        while (100..200).contains(&answer.status) && answer.status != 101 {
            answer = self.head(deadline)?;
        }
        self.reusable = !answer.says("connection", "close");
        let empty = !with_body || matches!(answer.status, 101 | 204 | 304);
        if empty {
            return Ok(answer);
        }
        answer.body = if answer.says("transfer-encoding", "chunked") {
            self.chunks(deadline)?
        } else if let Some(length) = answer.header("content-length") {
            let length = length.parse().map_err(|_| broken(format!("content-length: {length}")))?;
            self.exactly(length, deadline)?
        } else {
            self.reusable = false;
            while self.fill(deadline)? > 0 {}
            std::mem::take(&mut self.buffer)
        };
        Ok(answer)
    }

    fn head(&mut self, deadline: Instant) -> io::Result<Answer> {
        let head = self.until(b"\r\n\r\n", deadline)?;
        let head = String::from_utf8(head).map_err(|_| broken("a head that is no text".to_owned()))?;
        let mut lines = head.split("\r\n");
        let first = lines.next().unwrap_or_default();
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.ok_or_else(|| broken(format!("the first line `{first}`")))?;
        let mut headers = Vec::new();
        for line in lines.filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or_else(|| broken(format!("the header `{line}`")))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Ok(Answer { status, headers, body: Vec::new() })
    }

    fn chunks(&mut self, deadline: Instant) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.until(b"\r\n", deadline)?;
            let line = String::from_utf8_lossy(&line);
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = usize::from_str_radix(size, 16).map_err(|_| broken(format!("the chunk size `{size}`")))?;
            if size == 0 {
                // Trailers, up to the empty line.
                while self.until(b"\r\n", deadline)? != b"\r\n" {}
                return Ok(body);
            }
            body.extend(self.exactly(size, deadline)?);
            if self.exactly(2, deadline)? != b"\r\n" {
                return Err(broken("a chunk that does not end where it says".to_owned()));
            }
        }
    }

    /// The bytes up to and with `end`.
    fn until(&mut self, end: &[u8], deadline: Instant) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = self.buffer.windows(end.len()).position(|window| window == end) {
                return Ok(self.buffer.drain(..at + end.len()).collect());
            }
            if self.buffer.len() > MAX_HEAD_BYTES {
                return Err(broken("a head without an end".to_owned()));
            }
            self.more(deadline)?;
        }
    }

    fn exactly(&mut self, length: usize, deadline: Instant) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.more(deadline)?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// Like [`Self::fill`], where the end is an error.
    fn more(&mut self, deadline: Instant) -> io::Result<()> {
        match self.fill(deadline)? {
            0 if self.buffer.is_empty() => Err(Error::new(ErrorKind::UnexpectedEof, "closed before an answer")),
            0 => Err(Error::new(ErrorKind::UnexpectedEof, "closed in the middle of an answer")),
            _ => Ok(()),
        }
    }

    /// Reads once; 0 is the end of the connection.
    fn fill(&mut self, deadline: Instant) -> io::Result<usize> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::new(ErrorKind::TimedOut, format!("no answer within {:?}", self.limit)));
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut bytes = [0; 16 * 1024];
        let n = loop {
            match self.stream.read(&mut bytes) {
                // A signal to us is no failure of the server.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.buffer.extend_from_slice(&bytes[..n]);
        Ok(n)
    }
}

fn broken(what: String) -> Error {
    Error::new(ErrorKind::InvalidData, format!("the server sent {what}"))
}
