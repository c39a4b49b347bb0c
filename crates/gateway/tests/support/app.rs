//! An application: raw HTTP/1.1 over threads, so that every byte and every end of a connection is the test's.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// A request as the application got it.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Request line and fields, as they came.
    pub raw_head: Vec<u8>,
    /// The same as text.
    pub head: String,
    pub body: Vec<u8>,
    /// Lines behind a chunked body.
    pub trailers: Vec<String>,
    /// Counted from 0, in the order of acceptance.
    pub connection: usize,
}

impl Seen {
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The values of a field, in order.
    pub fn fields(&self, name: &str) -> Vec<String> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).collect()
    }

    pub fn field(&self, name: &str) -> Option<String> {
        self.fields(name).into_iter().next()
    }
}

/// What the application does with a request.
pub enum Reply {
    /// Writes this and waits for the next request.
    Keep(Vec<u8>),
    /// Writes this and closes.
    Close(Vec<u8>),
    /// Goes on by itself, with the connection.
    Take(Box<dyn FnOnce(&mut Wire) + Send>),
}

/// The application's end of a connection.
pub struct Wire {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.reader.read(buf)
    }
}

impl Write for Wire {
    fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
        self.writer.write(buf)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Reply {
    /// A 200 with this body.
    pub fn ok(body: &str) -> Reply {
        Reply::Keep(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
    }

    pub fn raw(text: &str) -> Reply {
        Reply::Keep(text.as_bytes().to_vec())
    }
}

type Handler = dyn Fn(&Seen) -> Reply + Send + Sync;

/// See the module.
pub struct App {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    seen: Mutex<Vec<Seen>>,
    connections: Mutex<Vec<TcpStream>>,
    accepted: AtomicUsize,
    stopped: AtomicBool,
    read_bodies: AtomicBool,
}

impl App {
    /// Answers every request with its own name.
    pub fn named(name: &'static str) -> App {
        App::new(move |_| Reply::ok(name))
    }

    pub fn new(handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> App {
        App::at("127.0.0.1:0".parse().unwrap(), handler)
    }

    pub fn at(address: SocketAddr, handler: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> App {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            seen: Mutex::default(),
            connections: Mutex::default(),
            accepted: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            read_bodies: AtomicBool::new(true),
        });
        let handler: Arc<Handler> = Arc::new(handler);
        let inner = shared.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { return };
                if inner.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let connection = inner.accepted.fetch_add(1, Ordering::SeqCst);
                inner.connections.lock().unwrap().push(stream.try_clone().unwrap());
                let (inner, handler) = (inner.clone(), handler.clone());
                std::thread::spawn(move || drop(serve(stream, connection, &inner, &*handler)));
            }
        });
        App { address, shared }
    }

    /// Leaves the reading of bodies to [`Reply::Take`].
    pub fn without_reading_bodies(self) -> App {
        self.shared.read_bodies.store(false, Ordering::SeqCst);
        self
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    pub fn requests(&self) -> usize {
        self.shared.seen.lock().unwrap().len()
    }

    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Closes every connection that is open, as an application does with old ones.
    pub fn close_connections(&self) {
        for stream in self.shared.connections.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// As kill -9: nothing listens, every connection is gone.
    pub fn kill(&self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, which lets the listener go.
        let _ = TcpStream::connect(self.address);
        let gone = || TcpStream::connect(self.address).is_err();
        super::until("the application is gone", gone);
        self.close_connections();
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        self.close_connections();
    }
}

fn serve(stream: TcpStream, connection: usize, shared: &Shared, handler: &Handler) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut wire = Wire { reader: BufReader::new(stream.try_clone()?), writer: stream };
    loop {
        let mut raw_head = Vec::new();
        loop {
            let before = raw_head.len();
            if wire.reader.read_until(b'\n', &mut raw_head)? == 0 {
                return Ok(());
            }
            if raw_head.len() - before <= 2 {
                break;
            }
        }
        let head = String::from_utf8_lossy(&raw_head).into_owned();
        let mut seen = Seen { raw_head, head, connection, ..Seen::default() };
        if shared.read_bodies.load(Ordering::SeqCst) {
            (seen.body, seen.trailers) = read_body(&mut wire.reader, &seen)?;
        }
        shared.seen.lock().unwrap().push(seen.clone());
        match handler(&seen) {
            Reply::Keep(bytes) => wire.write_all(&bytes)?,
            Reply::Close(bytes) => {
                wire.write_all(&bytes)?;
                return wire.writer.shutdown(Shutdown::Both);
            }
            Reply::Take(work) => {
                work(&mut wire);
                return wire.writer.shutdown(Shutdown::Both);
            }
        }
    }
}

fn read_body(reader: &mut impl BufRead, seen: &Seen) -> std::io::Result<(Vec<u8>, Vec<String>)> {
    let (mut body, mut trailers) = (Vec::new(), Vec::new());
    if let Some(length) = seen.field("content-length") {
        body.resize(length.parse().unwrap(), 0);
        reader.read_exact(&mut body)?;
    } else if seen.field("transfer-encoding").is_some() {
        loop {
            let mut line = next_line(reader)?;
            let size = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
            let mut chunk = vec![0; size];
            reader.read_exact(&mut chunk)?;
            body.extend(chunk);
            if size == 0 {
                loop {
                    line = next_line(reader)?;
                    if line.len() <= 2 {
                        break;
                    }
                    trailers.push(line.trim_end().to_owned());
                }
                break;
            }
            next_line(reader)?;
        }
    }
    Ok((body, trailers))
}

/// A line that is there: a body that breaks off is none.
fn next_line(reader: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = String::new();
    match reader.read_line(&mut line)? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(line),
    }
}
