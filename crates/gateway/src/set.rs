//! What the control thread tells the workers of a set: its target, and until when.
//!
//! The control thread alone writes; workers read at every use. Forwarding is bounded by one number, [`Target::until`],
//! which is zero for a target that has ended: no message has to arrive for traffic to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use steadfast_core::{EndpointName, Epoch, Incarnation, InstanceId, Moment, SetName, Span};
use tokio::sync::Notify;

use crate::home::View;

/// A set, as shared by the control thread and the workers.
#[derive(Debug)]
pub(crate) struct SetShared {
    pub(crate) name: SetName,
    /// The endpoint names its routes use; a route knows its place in here.
    pub(crate) endpoints: Vec<EndpointName>,
    park_for_ms: AtomicU64,
    version: AtomicU64,
    /// [`Known`], as a number.
    known: AtomicU8,
    target: ArcSwapOption<Target>,
    /// Set where it is known to be a sticky one.
    view: ArcSwapOption<View>,
    alarm: Notify,
    bells: Arc<[Notify]>,
    pub(crate) parked: AtomicUsize,
}

impl SetShared {
    pub(crate) fn new(name: SetName, endpoints: Vec<EndpointName>, park_for: Span, bells: Arc<[Notify]>) -> SetShared {
        SetShared {
            name,
            endpoints,
            park_for_ms: AtomicU64::new(park_for.as_millis()),
            version: AtomicU64::new(0),
            known: AtomicU8::new(Known::NotYet as u8),
            target: ArcSwapOption::empty(),
            view: ArcSwapOption::empty(),
            alarm: Notify::new(),
            bells,
            parked: AtomicUsize::new(0),
        }
    }

    /// Changes whenever there is something new to see.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(crate) fn target(&self) -> Option<Arc<Target>> {
        self.target.load_full()
    }

    /// Whether it is known to be a single set.
    pub(crate) fn is_single(&self) -> bool {
        self.known.load(Ordering::Relaxed) == Known::Single as u8
    }

    /// What is known of a set that is not known to be a sticky one.
    pub(crate) fn known(&self) -> Known {
        let known = self.known.load(Ordering::Relaxed);
        [Known::Single, Known::Absent, Known::Unheard].into_iter().find(|k| *k as u8 == known).unwrap_or(Known::NotYet)
    }

    /// The set, where it is known to be a sticky one.
    pub(crate) fn view(&self) -> Option<Arc<View>> {
        self.view.load_full()
    }

    pub(crate) fn park_for(&self) -> Span {
        Span::from_millis(self.park_for_ms.load(Ordering::Relaxed))
    }

    /// A worker asks for a look at the target: a connection to it failed, or the last request of a closed one ended.
    pub(crate) fn raise_alarm(&self) {
        self.alarm.notify_one();
    }

    /// Control: returns when a worker raised the alarm since the last time.
    pub(crate) async fn alarm(&self) {
        self.alarm.notified().await;
    }

    /// Control: what kind of set it is, as far as is known.
    pub(crate) fn set_known(&self, known: Known) {
        if self.known.swap(known as u8, Ordering::Relaxed) != known as u8 {
            self.ring();
        }
    }

    /// Control: a sticky set's news.
    pub(crate) fn show(&self, view: Option<View>) {
        self.view.store(view.map(Arc::new));
        self.ring();
    }

    /// Control: new settings. They count for those who wait already, too.
    pub(crate) fn set_park_for(&self, park_for: Span) {
        if self.park_for_ms.swap(park_for.as_millis(), Ordering::Relaxed) != park_for.as_millis() {
            self.ring();
        }
    }

    /// Control: a new target. The former one ends.
    pub(crate) fn publish(&self, target: Option<Arc<Target>>) {
        if let Some(former) = self.target.swap(target) {
            former.end();
        }
        self.ring();
    }

    /// Control: something about the target changed that those who wait for it want to know.
    pub(crate) fn ring(&self) {
        self.version.fetch_add(1, Ordering::Release);
        for bell in self.bells.iter() {
            bell.notify_one();
        }
    }
}

/// What is known of a set whose view there is none of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// The books have not been read yet.
    NotYet,
    /// It is a single set.
    Single,
    /// The books know no such set.
    Absent,
    /// The books cannot be read.
    Unheard,
}

/// Where each endpoint of a set is, in the order of [`SetShared::endpoints`].
pub(crate) type Addresses = Box<[Option<SocketAddr>]>;

/// One life of one instance at one epoch, to which requests may be forwarded for a while.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) instance: InstanceId,
    /// None for a fixed instance that tells none.
    pub(crate) incarnation: Option<Incarnation>,
    pub(crate) epoch: Option<Epoch>,
    pub(crate) addresses: Addresses,
    pub(crate) instance_header: HeaderValue,
    pub(crate) epoch_header: Option<HeaderValue>,
    /// Nothing new begins in so much time before the end: it could hardly finish.
    reserve: Duration,
    until: AtomicU64,
    asked: AtomicU64,
    closed: AtomicBool,
    /// A worker could not reach it, and wants it asked.
    doubted: AtomicBool,
    /// When a connection to it was refused last.
    refused: AtomicU64,
    lanes: Box<[Lane]>,
}

/// How many requests a worker has at a target. A cache line of its own: it is written twice a request.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Lane(AtomicUsize);

impl Target {
    pub(crate) fn new(
        instance: InstanceId,
        incarnation: Option<Incarnation>,
        epoch: Option<Epoch>,
        addresses: Addresses,
        reserve: Duration,
        workers: usize,
    ) -> Target {
        let text = |text: String| HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""));
        Target {
            instance_header: text(instance.to_string()),
            epoch_header: epoch.map(|epoch| HeaderValue::from(epoch.0)),
            instance,
            incarnation,
            epoch,
            addresses,
            reserve,
            until: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            doubted: AtomicBool::new(false),
            refused: AtomicU64::new(0),
            lanes: (0..workers).map(|_| Lane::default()).collect(),
        }
    }

    /// Whether what was begun may go on. To be asked before every piece that is passed on.
    pub(crate) fn alive(&self, now: Moment) -> bool {
        now.as_nanos() < self.until.load(Ordering::Acquire)
    }

    /// Forward while `now <` this.
    pub(crate) fn until(&self) -> Moment {
        Moment::from_nanos(self.until.load(Ordering::Acquire))
    }

    /// When the question was sent whose answer vouched for it last.
    pub(crate) fn asked(&self) -> Moment {
        Moment::from_nanos(self.asked.load(Ordering::Acquire))
    }

    /// How long before its end nothing new begins any more.
    pub(crate) fn reserve(&self) -> Duration {
        self.reserve
    }

    pub(crate) fn closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Counts a request in, if one may begin now. Counted *before* the look at `closed`, as [`Target::close`] is
    /// done before the count is read: either the request sees the door closed, or the count has it.
    pub(crate) fn enter(&self, worker: usize, now: Moment) -> bool {
        let Some(Lane(lane)) = self.lanes.get(worker) else { return false };
        lane.fetch_add(1, Ordering::SeqCst);
        let may = !self.closed() && self.alive(now + self.reserve);
        if !may {
            lane.fetch_sub(1, Ordering::SeqCst);
        }
        may
    }

    /// Counts a request out. True if it was this worker's last one and somebody waits for that.
    pub(crate) fn leave(&self, worker: usize) -> bool {
        let left = self.lanes.get(worker).map_or(0, |Lane(lane)| lane.fetch_sub(1, Ordering::SeqCst) - 1);
        left == 0 && self.closed()
    }

    /// How many requests are there now, from all workers.
    pub(crate) fn running(&self) -> usize {
        self.lanes.iter().map(|Lane(lane)| lane.load(Ordering::SeqCst)).sum()
    }

    /// A worker could not reach it: it is used again when it has been asked who it is.
    pub(crate) fn doubt(&self) {
        self.doubted.store(true, Ordering::Release);
    }

    /// A connection to it could not be opened.
    pub(crate) fn refuse(&self, now: Moment) {
        self.refused.fetch_max(now.as_nanos(), Ordering::AcqRel);
    }

    /// Whether it has not been asked who it is since a connection to it was refused.
    pub(crate) fn is_refused(&self) -> bool {
        let refused = self.refused.load(Ordering::Acquire);
        refused > 0 && self.asked.load(Ordering::Acquire) <= refused
    }

    /// Control: whether a worker doubted it since the last time.
    pub(crate) fn take_doubt(&self) -> bool {
        self.doubted.swap(false, Ordering::AcqRel)
    }

    /// Control: vouched for until then, by an answer to a question sent at `asked`.
    pub(crate) fn vouch(&self, asked: Moment, until: Moment) {
        self.until.store(until.as_nanos(), Ordering::Release);
        self.asked.store(asked.as_nanos(), Ordering::Release);
    }

    /// Control: nothing new begins there; what runs goes on while it may. True if it was open.
    pub(crate) fn close(&self) -> bool {
        !self.closed.swap(true, Ordering::SeqCst)
    }

    /// Control: takes [`Target::close`] back. True if it was closed.
    pub(crate) fn open(&self) -> bool {
        self.closed.swap(false, Ordering::SeqCst)
    }

    /// Control: over, also for what runs.
    pub(crate) fn end(&self) {
        self.close();
        self.until.store(0, Ordering::Release);
    }
}
