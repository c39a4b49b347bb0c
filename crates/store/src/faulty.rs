//! A store that fails as stores do, around any other: slow, refusing, silent, or done without saying so.
//! For the tests of those who must survive it; told what to do by a [`Control`], call by call or by a seeded [`Plan`].

use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, pending};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::history::locked;
use crate::{
    Batch, Cursor, Description, Error, Finding, Key, Limits, Notice, Page, PageToken, Record, Space, Store, Watch,
};

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is made this much later. Longer than the caller's time-out: like [`Fault::Hang`].
    Delay(Duration),
    /// It is not made: [`Error::Unavailable`] at once.
    Refuse,
    /// It is made and the reply lost: a commit ends with [`Error::OutcomeUnknown`] at once.
    LoseReply,
    /// It is not made, and nothing is said until the caller's time-out.
    Hang,
    /// It is made, and nothing is said until the caller's time-out.
    HangDone,
    /// Nothing is said until the caller's time-out, and the call is made this long after that.
    HangLate(Duration),
    /// It is not made, since here whoever calls is killed: nothing is ever said, and no later call is made.
    Die,
    /// It is made, and whoever calls is killed before it hears of that.
    DieDone,
}

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// [`Store::read`].
    Read,
    /// [`Store::commit`].
    Commit,
    /// [`Store::scan`].
    Scan,
    /// [`Store::watch`]; for the notices of a running watch see [`Control::cut_watches`].
    Watch,
}

/// Faults drawn at random, the same ones for the same seed and order of calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plan {
    /// Where the drawing begins.
    pub seed: u64,
    /// Every call waits up to this long.
    pub delay_up_to: Duration,
    /// Of a hundred calls, so many are refused.
    pub refuse_percent: u8,
    /// … lose their reply.
    pub lose_reply_percent: u8,
    /// … hang, half of them done.
    pub hang_percent: u8,
    /// Of a hundred notices, so many are replaced by the watch's end.
    pub cut_watch_percent: u8,
}

/// Tells a [`Faulty`] what to do; every clone tells the same one.
#[derive(Clone)]
pub struct Control(Arc<State>);

/// A store around another, with faults.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn Store>,
    control: Control,
}

struct State {
    orders: Mutex<Orders>,
    /// Whoever uses this store was killed.
    dead: watch::Sender<bool>,
    /// Counts the cuts: a watch ends when it changes.
    cuts: watch::Sender<u64>,
    /// Calls still to be made after their caller gave up.
    late: Mutex<JoinSet<()>>,
}

#[derive(Debug, Default)]
struct Orders {
    next: VecDeque<(Call, Fault)>,
    /// What the call of this number meets, counted over those of one kind, or over all.
    at: Option<(Option<Call>, u64, Fault)>,
    always: Option<Fault>,
    plan: Option<(Plan, Dice)>,
    calls: u64,
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same on every machine.
#[derive(Debug)]
struct Dice(u64);

impl Faulty {
    /// Around `inner`, without a fault until its control says so.
    pub fn new(inner: Arc<dyn Store>) -> Faulty {
        let (orders, late) = (Mutex::default(), Mutex::new(JoinSet::new()));
        let state = State { orders, dead: watch::Sender::new(false), cuts: watch::Sender::new(0), late };
        Faulty { inner, control: Control(Arc::new(state)) }
    }

    /// Around `inner`, by `plan`.
    pub fn planned(inner: Arc<dyn Store>, plan: Plan) -> Faulty {
        let faulty = Faulty::new(inner);
        faulty.control.plan(plan);
        faulty
    }

    /// What tells it what to do.
    pub fn control(&self) -> Control {
        self.control.clone()
    }
}

impl Control {
    /// The next call of this kind that has no other order waiting meets `fault`.
    pub fn next(&self, call: Call, fault: Fault) {
        locked(&self.0.orders).next.push_back((call, fault));
    }

    /// The `number`th call from now on (0: the next), of this kind or of any, meets `fault`; comes before all other
    /// orders. So a test can visit every step of an operation, until one visit finds no such step any more.
    pub fn at(&self, call: Option<Call>, number: u64, fault: Fault) {
        locked(&self.0.orders).at = Some((call, number, fault));
    }

    /// Whether what [`Control::at`] ordered still waits for its call.
    pub fn waits(&self) -> bool {
        locked(&self.0.orders).at.is_some()
    }

    /// Kills whoever uses this store: no call is made from now on, and none that is under way is answered. As if its
    /// process were gone, as far as a store can tell.
    pub fn kill(&self) {
        self.0.dead.send_replace(true);
    }

    /// Returns when whoever uses this store was killed.
    pub async fn died(&self) {
        // The sender lives as long as we do.
        let _ = self.0.dead.subscribe().wait_for(|dead| *dead).await;
    }

    /// Every call meets `fault` from now on. What [`Control::next`] ordered comes first.
    pub fn always(&self, fault: Fault) {
        locked(&self.0.orders).always = Some(fault);
    }

    /// Faults are drawn by `plan` from now on. What the other two ordered comes first.
    pub fn plan(&self, plan: Plan) {
        locked(&self.0.orders).plan = Some((plan, Dice(plan.seed)));
    }

    /// No faults from now on; what hangs, hangs on, and who is dead stays dead.
    pub fn heal(&self) {
        *locked(&self.0.orders) = Orders { calls: self.calls(), ..Orders::default() };
    }

    /// Ends every running watch with [`Error::Unavailable`].
    pub fn cut_watches(&self) {
        self.0.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// How many calls were made, with or without a fault.
    pub fn calls(&self) -> u64 {
        locked(&self.0.orders).calls
    }

    fn fault(&self, call: Call) -> Option<Fault> {
        if *self.0.dead.borrow() {
            return Some(Fault::Die);
        }
        let fault = self.ordered(call);
        match fault {
            // Of what changes nothing nobody can tell whether it was done.
            Some(Fault::DieDone) if call != Call::Commit => {
                self.kill();
                Some(Fault::Die)
            }
            Some(Fault::Die) => {
                self.kill();
                fault
            }
            _ => fault,
        }
    }

    fn ordered(&self, call: Call) -> Option<Fault> {
        let mut orders = locked(&self.0.orders);
        orders.calls += 1;
        if let Some((kind, left, fault)) = &mut orders.at
            && kind.is_none_or(|kind| kind == call)
        {
            if *left == 0 {
                let fault = *fault;
                orders.at = None;
                return Some(fault);
            }
            *left -= 1;
        }
        if let Some(place) = orders.next.iter().position(|(of, _)| *of == call) {
            return orders.next.remove(place).map(|(_, fault)| fault);
        }
        orders.always.or_else(|| orders.plan.as_mut().and_then(|(plan, dice)| dice.fault(plan)))
    }

    fn cuts_a_watch_now(&self) -> bool {
        let mut orders = locked(&self.0.orders);
        orders.plan.as_mut().is_some_and(|(plan, dice)| dice.below(100) < u64::from(plan.cut_watch_percent))
    }

    /// Makes `made` after its caller gave up.
    fn later(&self, wait: Duration, made: impl Future<Output = ()> + Send + 'static) {
        let mut late = locked(&self.0.late);
        while late.try_join_next().is_some() {}
        late.spawn(async move {
            sleep(wait).await;
            made.await;
        });
    }
}

impl Dice {
    fn fault(&mut self, plan: &Plan) -> Option<Fault> {
        let drawn = self.below(100);
        let refuse = u64::from(plan.refuse_percent);
        let lose = refuse + u64::from(plan.lose_reply_percent);
        let hang = lose + u64::from(plan.hang_percent);
        match drawn {
            drawn if drawn < refuse => Some(Fault::Refuse),
            drawn if drawn < lose => Some(Fault::LoseReply),
            drawn if drawn < hang => Some(if self.below(2) == 0 { Fault::Hang } else { Fault::HangDone }),
            _ if plan.delay_up_to.is_zero() => None,
            _ => Some(Fault::Delay(plan.delay_up_to.mul_f64(self.below(1000) as f64 / 1000.0))),
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// A call that changes nothing, with its fault.
async fn look<T>(
    fault: Option<Fault>,
    within: Duration,
    made: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match fault {
        None => made.await,
        Some(Fault::Delay(wait)) if wait < within => {
            sleep(wait).await;
            made.await
        }
        Some(Fault::Refuse) => Err(refused()),
        Some(Fault::LoseReply) => Err(Error::Unavailable("the reply was lost, by order".to_owned())),
        Some(Fault::Die | Fault::DieDone) => pending().await,
        Some(Fault::Delay(_) | Fault::Hang | Fault::HangDone | Fault::HangLate(_)) => {
            sleep(within).await;
            Err(Error::Unavailable(format!("silence for {within:?}, by order")))
        }
    }
}

fn refused() -> Error {
    Error::Unavailable("refused, by order".to_owned())
}

#[async_trait]
impl Store for Faulty {
    async fn read(&self, key: &Key, within: Duration) -> Result<Option<Record>, Error> {
        look(self.control.fault(Call::Read), within, self.inner.read(key, within)).await
    }

    async fn commit(&self, batch: Batch, within: Duration) -> Result<Cursor, Error> {
        let silence = || Error::OutcomeUnknown(format!("silence for {within:?}, by order"));
        match self.control.fault(Call::Commit) {
            None => {
                let answer = self.inner.commit(batch, within).await;
                if *self.control.0.dead.borrow() { pending().await } else { answer }
            }
            Some(Fault::Delay(wait)) if wait < within => {
                sleep(wait).await;
                self.inner.commit(batch, within - wait).await
            }
            Some(Fault::Refuse) => Err(refused()),
            Some(Fault::LoseReply) => {
                // Whatever it was: the caller learns nothing.
                drop(self.inner.commit(batch, within).await);
                Err(Error::OutcomeUnknown("the reply was lost, by order".to_owned()))
            }
            Some(Fault::Delay(_) | Fault::Hang) => {
                sleep(within).await;
                Err(silence())
            }
            Some(Fault::HangDone) => {
                tokio::join!(sleep(within), self.inner.commit(batch, within)).0;
                Err(silence())
            }
            Some(Fault::HangLate(wait)) => {
                let inner = Arc::clone(&self.inner);
                self.control.later(within + wait, async move { drop(inner.commit(batch, within).await) });
                sleep(within).await;
                Err(silence())
            }
            Some(Fault::Die) => pending().await,
            Some(Fault::DieDone) => {
                drop(self.inner.commit(batch, within).await);
                self.control.kill();
                pending().await
            }
        }
    }

    async fn scan(
        &self,
        space: &Space,
        prefix: &[u8],
        page: Option<PageToken>,
        limit: usize,
        within: Duration,
    ) -> Result<Page, Error> {
        look(self.control.fault(Call::Scan), within, self.inner.scan(space, prefix, page, limit, within)).await
    }

    async fn watch(
        &self,
        space: &Space,
        prefixes: &[&[u8]],
        from: Cursor,
        progress_every: Duration,
    ) -> Result<Box<dyn Watch>, Error> {
        let cuts = self.control.0.cuts.subscribe();
        let made = self.inner.watch(space, prefixes, from, progress_every);
        let inner = look(self.control.fault(Call::Watch), progress_every, made).await?;
        Ok(Box::new(FaultyWatch { inner, control: self.control.clone(), cuts }))
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    fn describe(&self) -> Description {
        self.inner.describe()
    }

    async fn examine(&self, within: Duration) -> Result<Vec<Finding>, Error> {
        self.inner.examine(within).await
    }
}

struct FaultyWatch {
    inner: Box<dyn Watch>,
    control: Control,
    cuts: watch::Receiver<u64>,
}

#[async_trait]
impl Watch for FaultyWatch {
    async fn next(&mut self) -> Result<Notice, Error> {
        let cut = || Error::Unavailable("the watch was cut, by order".to_owned());
        tokio::select! {
            biased;
            () = self.control.died() => pending().await,
            _ = self.cuts.changed() => Err(cut()),
            notice = self.inner.next() => {
                if self.control.cuts_a_watch_now() { Err(cut()) } else { notice }
            }
        }
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Control").field(&*locked(&self.0.orders)).finish()
    }
}

#[cfg(test)]
mod tests;
