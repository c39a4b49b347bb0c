//! What lies between a client and a server, and goes wrong: connections are cut, refused, left without an answer.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::{Server, free_port, wait_until};

/// How much is read of a connection at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// What a proxy does with what passes through it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Hands everything on.
    Pass,
    /// Hands everything on, each piece late by so much.
    Delay(Duration),
    /// Takes connections and reads what clients say, and that is all: nothing arrives, nothing comes back.
    Swallow,
    /// What clients say arrives; no answer comes back.
    Mute,
    /// Nothing listens.
    Refuse,
    /// Answers whatever is said first on a connection with these bytes, and hangs up.
    Answer(Vec<u8>),
}

/// Stands before one or more ports, in a thread of its own, and counts. Passes everything on at first.
#[derive(Debug)]
pub struct Proxy {
    ports: Vec<u16>,
    /// `None` once it ends.
    orders: Option<watch::Sender<Order>>,
    counts: Arc<Counts>,
    changing: Mutex<()>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Debug)]
struct Order {
    mode: Mode,
    /// Each connection holds the one it began under, and ends once there is another.
    era: Arc<()>,
    /// How many listeners do as they are told here.
    followed: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct Counts {
    connections: AtomicU64,
    requests: AtomicU64,
    up_bytes: AtomicU64,
    down_bytes: AtomicU64,
}

impl Mode {
    /// Whether a connection has no future after it: something was lost.
    fn ruins(&self) -> bool {
        !matches!(self, Mode::Pass | Mode::Delay(_))
    }

    fn order(self) -> Order {
        Order { mode: self, era: Arc::default(), followed: Arc::default() }
    }
}

impl Proxy {
    /// Before all ports that clients of `server` use: [`Place::at`](super::Place::at) with [`Proxy::ports`] leads
    /// through it.
    pub fn before(server: &Server) -> Proxy {
        Proxy::new(server.ports())
    }

    /// Before these ports of 127.0.0.1.
    ///
    /// # Panics
    /// If it cannot listen.
    pub fn new(targets: &[u16]) -> Proxy {
        let ports: Vec<u16> = targets.iter().map(|_| free_port()).collect();
        let counts = Arc::<Counts>::default();
        let (orders, seen) = watch::channel(Mode::Pass.order());
        let ways: Vec<(u16, u16)> = ports.iter().copied().zip(targets.iter().copied()).collect();
        let thread = std::thread::spawn({
            let counts = Arc::clone(&counts);
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(async move {
                    let way = |(port, target)| listen(port, target, seen.clone(), Arc::clone(&counts));
                    ways.into_iter().map(way).collect::<JoinSet<()>>().join_all().await;
                });
            }
        });
        let first = Arc::clone(&orders.borrow().followed);
        let proxy = Proxy { ports, orders: Some(orders), counts, changing: Mutex::new(()), thread: Some(thread) };
        proxy.await_all(&first);
        proxy
    }

    /// Where it listens, on 127.0.0.1: a port for each target.
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Does so from now on; returns when it does. Connections of which something was lost end here.
    pub fn set(&self, mode: Mode) {
        let ruined = |before: &Mode| before.ruins() || matches!(mode, Mode::Refuse | Mode::Answer(_));
        self.change(|before| (mode.clone(), ruined(&before.mode)));
    }

    /// Cuts every connection there is, in whatever it is in the middle of; new ones are as before.
    pub fn cut(&self) {
        self.change(|before| (before.mode.clone(), true));
    }

    /// How many connections were made.
    pub fn connections(&self) -> u64 {
        self.counts.connections.load(Ordering::Relaxed)
    }

    /// How often clients said something: no more than the packets they sent.
    pub fn requests(&self) -> u64 {
        self.counts.requests.load(Ordering::Relaxed)
    }

    /// Bytes from clients, and bytes to clients.
    pub fn bytes(&self) -> (u64, u64) {
        (self.counts.up_bytes.load(Ordering::Relaxed), self.counts.down_bytes.load(Ordering::Relaxed))
    }

    /// Gives a new order: the mode, and whether every connection ends.
    fn change(&self, what: impl FnOnce(&Order) -> (Mode, bool)) {
        // One at a time, or the wait below could be for what a later order made void.
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(orders) = &self.orders else { return };
        let before = orders.borrow().clone();
        let (mode, cut) = what(&before);
        let mut order = mode.order();
        if !cut {
            order.era = Arc::clone(&before.era);
        }
        let followed = Arc::clone(&order.followed);
        orders.send_replace(order);
        self.await_all(&followed);
        if cut {
            wait_until("connections to end that were cut", || Arc::strong_count(&before.era) == 1);
        }
    }

    fn await_all(&self, followed: &AtomicUsize) {
        wait_until("a proxy to listen", || {
            let alive = self.thread.as_ref().is_some_and(|thread| !thread.is_finished());
            assert!(alive, "the proxy before {:?} could not listen", self.ports);
            followed.load(Ordering::Relaxed) >= self.ports.len()
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.orders.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Takes connections until there is nobody to give orders.
async fn listen(port: u16, target: u16, mut orders: watch::Receiver<Order>, counts: Arc<Counts>) {
    let mut connections = JoinSet::new();
    loop {
        let order = orders.borrow_and_update().clone();
        let listener = match order.mode {
            Mode::Refuse => None,
            _ => Some(TcpListener::bind(("127.0.0.1", port)).await.expect("a port of our own")),
        };
        order.followed.fetch_add(1, Ordering::Relaxed);
        // Only an order that changes whether somebody listens makes a difference here.
        let refuse = order.mode == Mode::Refuse;
        drop(order);
        loop {
            let accepted = async {
                match &listener {
                    Some(listener) => listener.accept().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = orders.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let order = orders.borrow_and_update().clone();
                    if (order.mode == Mode::Refuse) != refuse {
                        orders.mark_changed();
                        break;
                    }
                    order.followed.fetch_add(1, Ordering::Relaxed);
                }
                Ok((client, _)) = accepted => {
                    counts.connections.fetch_add(1, Ordering::Relaxed);
                    let (orders, counts) = (orders.clone(), Arc::clone(&counts));
                    connections.spawn(async move { connection(client, target, orders, &counts).await.ok() });
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

/// One connection, until it ends or is ended.
async fn connection(
    mut client: TcpStream,
    target: u16,
    mut orders: watch::Receiver<Order>,
    counts: &Counts,
) -> io::Result<()> {
    let Order { mode, era, .. } = orders.borrow_and_update().clone();
    let watched = orders.clone();
    let over = async move { while orders.changed().await.is_ok() && Arc::ptr_eq(&era, &orders.borrow().era) {} };
    client.set_nodelay(true)?;
    let lasting = async {
        match mode {
            // It was taken a moment before nothing was to listen.
            Mode::Refuse => return Err(io::ErrorKind::ConnectionRefused.into()),
            Mode::Swallow | Mode::Answer(_) => return hold(&mut client, &mode, counts).await,
            _ => {}
        }
        let mut server = TcpStream::connect(("127.0.0.1", target)).await?;
        server.set_nodelay(true)?;
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let up = hand_on(from_client, to_server, Way::Up, &watched, counts);
        let down = hand_on(from_server, to_client, Way::Down, &watched, counts);
        tokio::try_join!(up, down).map(drop)
    };
    let ended = tokio::select! {
        ended = lasting => ended,
        () = over => Err(io::ErrorKind::ConnectionAborted.into()),
    };
    if ended.is_err() {
        // So that the client is not left to think that the server ended in good order.
        client.set_zero_linger()?;
    }
    ended
}

/// A connection that never had a server.
async fn hold(client: &mut TcpStream, mode: &Mode, counts: &Counts) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = client.read(&mut chunk).await?;
        if read == 0 {
            return Ok(());
        }
        counts.requests.fetch_add(1, Ordering::Relaxed);
        counts.up_bytes.fetch_add(read as u64, Ordering::Relaxed);
        if let Mode::Answer(answer) = mode {
            client.write_all(answer).await?;
            client.shutdown().await?;
            // Read to its end: a connection closed with something unread in it is reset, and the answer lost.
            while client.read(&mut chunk).await? > 0 {}
            return Ok(());
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Up,
    Down,
}

async fn hand_on(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    way: Way,
    orders: &watch::Receiver<Order>,
    counts: &Counts,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let read = from.read(&mut chunk).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        if way == Way::Up {
            counts.requests.fetch_add(1, Ordering::Relaxed);
        }
        let bytes = if way == Way::Up { &counts.up_bytes } else { &counts.down_bytes };
        bytes.fetch_add(read as u64, Ordering::Relaxed);
        let mode = orders.borrow().mode.clone();
        match mode {
            Mode::Delay(late) => sleep(late).await,
            Mode::Swallow => continue,
            Mode::Mute if way == Way::Down => continue,
            _ => {}
        }
        to.write_all(&chunk[..read]).await?;
    }
}
