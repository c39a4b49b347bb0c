//! A client of raw bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::DEADLINE;

/// See the module.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer, and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Got {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
    /// It is all there.
    pub whole: bool,
}

impl Got {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn field(&self, name: &str) -> Option<String> {
        let mut fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
    }

    /// The `reason` of a problem.
    pub fn reason(&self) -> String {
        assert_eq!(self.field("content-type").as_deref(), Some("application/problem+json"), "{self:?}");
        let document: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        document["reason"].as_str().unwrap().to_owned()
    }
}

impl From<TcpStream> for Client {
    fn from(stream: TcpStream) -> Client {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        Client { stream, buffer: Vec::new() }
    }
}

/// What was read with a head comes first.
impl Read for Client {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        if self.buffer.is_empty() {
            return self.stream.read(buf);
        }
        let count = self.buffer.len().min(buf.len());
        buf[..count].copy_from_slice(&self.buffer[..count]);
        self.buffer.drain(..count);
        Ok(count)
    }
}

impl Write for Client {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.stream.write(buf)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        Client::from(TcpStream::connect(address).unwrap())
    }

    /// A second hand on the same connection.
    pub fn try_clone(&self) -> Client {
        Client { stream: self.stream.try_clone().unwrap(), buffer: Vec::new() }
    }

    /// Sends what can be sent: the other end may have closed already.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// One request, its answer.
    pub fn exchange(&mut self, request: impl AsRef<[u8]>) -> Got {
        assert!(self.send(request));
        self.read_answer()
    }

    pub fn get(&mut self, path: &str) -> Got {
        self.exchange(format!("GET {path} HTTP/1.1\r\nHost: example.org\r\n\r\n"))
    }

    pub fn finish_writing(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// False at the end of the connection, however it came.
    fn fill(&mut self) -> bool {
        let mut chunk = [0; 64 << 10];
        match self.stream.read(&mut chunk) {
            Ok(0) => false,
            Ok(n) => {
                self.buffer.extend_from_slice(&chunk[..n]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("nothing from the gateway: {error}; {} bytes unread", self.buffer.len()),
        }
    }

    /// Whether the connection ended with a reset rather than a clean end. Reads to the end.
    pub fn ends_with_reset(&mut self) -> bool {
        let mut chunk = [0; 16 << 10];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return false,
                Ok(_) => {}
                Err(error) => return error.kind() == ErrorKind::ConnectionReset,
            }
        }
    }

    /// Nothing more comes: the connection is closed.
    pub fn is_at_end(&mut self) -> bool {
        self.buffer.is_empty() && !self.fill()
    }

    /// Everything to the end of the connection.
    pub fn read_rest(&mut self) -> Vec<u8> {
        while self.fill() {}
        std::mem::take(&mut self.buffer)
    }

    /// So many bytes of whatever comes.
    pub fn read_some(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count && self.fill() {}
        let count = count.min(self.buffer.len());
        self.buffer.drain(..count).collect()
    }

    pub fn read_head(&mut self) -> String {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                return String::from_utf8(head).unwrap();
            }
            if !self.fill() {
                return String::new();
            }
        }
    }

    pub fn read_answer(&mut self) -> Got {
        self.read_answer_to("GET")
    }

    pub fn read_answer_to(&mut self, method: &str) -> Got {
        let head = self.read_head();
        let mut got = Got {
            status: head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0),
            head,
            ..Got::default()
        };
        if got.status == 100 {
            return self.read_answer_to(method);
        }
        if method == "HEAD" || matches!(got.status, 204 | 304) {
            got.whole = true;
        } else if let Some(length) = got.field("content-length") {
            let length = length.parse().unwrap();
            got.body = self.read_some(length);
            got.whole = got.body.len() == length;
        } else if got.field("transfer-encoding").is_some() {
            got.whole = self.read_chunks(&mut got.body);
        } else {
            while self.fill() {}
            got.body = std::mem::take(&mut self.buffer);
        }
        got
    }

    fn read_line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
                return String::from_utf8(line[..end].to_vec()).ok();
            }
            if !self.fill() {
                return None;
            }
        }
    }

    fn read_chunks(&mut self, body: &mut Vec<u8>) -> bool {
        while let Some(line) = self.read_line() {
            let Ok(size) = usize::from_str_radix(line.trim(), 16) else { return false };
            if size == 0 {
                while let Some(trailer) = self.read_line() {
                    if trailer.is_empty() {
                        return true;
                    }
                }
                return false;
            }
            let chunk = self.read_some(size + 2);
            body.extend_from_slice(&chunk[..size.min(chunk.len())]);
            if chunk.len() < size + 2 {
                return false;
            }
        }
        false
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
