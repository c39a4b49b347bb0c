//! One instance's side of the lease: candidate, leader, or stepping down.

use core::time::Duration;

use super::observation::{Known, News, Observation};
use super::role::{Release, Role, Step, Tenure, lost_cause};
use super::timing::{CUT, LONGEST_TTL, Pace};
use super::tries::{Tries, Try};
use super::{
    Action, Attempt, Event, Expect, Hold, LeaseRecord, Memory, Observed, Outcome, Standing, StopCause, Timing,
};
use crate::{Epoch, Incarnation, InstanceId, Moment, Nonce, Span};

/// The lease machine of one instance.
///
/// The shell feeds it an event with [`Machine::handle`], carries out what [`Machine::next_action`] says until
/// there is nothing, publishes [`Machine::standing`], sleeps until [`Machine::deadline`] and calls
/// [`Machine::tick`]. Time handed in must not go backwards.
#[derive(Clone, Debug)]
pub struct Machine {
    me: InstanceId,
    incarnation: Incarnation,
    timing: Timing,
    nonces: Nonces,
    fit: bool,
    role: Role,
    observation: Observation,
    tries: Tries,
    /// The highest epoch seen, remembered or tried: the next one is above it.
    highest: Epoch,
    /// What the shell was told to write to disk.
    written: Memory,
    /// The promise that must be on disk before a release.
    owed: Moment,
    /// The highest seen in a record.
    seen: Epoch,
    /// The life before this one, and the highest epoch that one knew of.
    previous: Option<(Incarnation, Epoch)>,
    /// What [`Action::Stop`] is still to be asked for.
    stop: Option<StopCause>,
    /// No read before this.
    read_at: Moment,
    /// The latest deadline ever published.
    promised_until: Moment,
}

impl Machine {
    /// A machine that has seen nothing. `memory` is what its agent remembers from disk; `seed` makes its
    /// nonces and must be fresh randomness for every incarnation.
    pub fn new(me: InstanceId, incarnation: Incarnation, timing: Timing, memory: Memory, seed: u64) -> Machine {
        Machine {
            me,
            incarnation,
            timing,
            nonces: Nonces(seed),
            fit: false,
            role: Role::Idle,
            observation: Observation::new(),
            tries: Tries::new(),
            highest: memory.epoch,
            written: memory,
            owed: Moment::ZERO,
            seen: Epoch::NONE,
            previous: None,
            stop: None,
            read_at: Moment::ZERO,
            promised_until: memory.promised_until,
        }
    }

    /// The life before this one, proven dead (exclusive lock on the state file, same boot): a lease it
    /// still holds may be taken at once, at a new epoch. To be said before the first event.
    ///
    /// It counts only while nothing speaks against it: the record is of the highest epoch that life knew,
    /// and the store is heard from without a break.
    pub fn succeed(&mut self, previous: Incarnation) {
        self.previous = Some((previous, self.highest));
    }

    /// Something happened.
    pub fn handle(&mut self, now: Moment, event: Event) {
        self.tick(now);
        match event {
            Event::Fit(fit) => self.set_fit(now, fit),
            Event::Seen(shown) => self.shown(now, shown),
            Event::Contact => self.observation.touch(now, &self.timing),
            Event::StoreReset => self.reset(),
            Event::Settled { nonce, outcome } => self.settled(now, nonce, outcome),
            Event::Stopped => self.stopped(),
            Event::CannotStop => self.cannot_stop(),
            Event::ApplicationDied => {
                self.step_down(now, StopCause::Died);
                self.set_fit(now, false);
            }
            Event::HandOver { to } => self.hand_over(now, to),
            Event::Retune(timing) => self.retune(timing),
        }
        self.tick(now);
    }

    /// Time passed.
    pub fn tick(&mut self, now: Moment) {
        self.tries.tick(now);
        self.expire(now);
        if matches!(self.role, Role::Watching) && self.in_touch(now) && self.free_at().is_some_and(|free| free <= now) {
            self.highest = self.highest.next();
            self.role = Role::Taking(self.highest);
            self.tries.schedule(now);
        }
        if let Role::Leading(tenure) = &self.role {
            self.promised_until = self.promised_until.max(tenure.until);
        }
    }

    /// When to call [`Machine::tick`] next; `None`: only an event changes anything.
    pub fn deadline(&self) -> Option<Moment> {
        let read = self.read_due();
        let own = match &self.role {
            Role::Idle => None,
            Role::Watching => self.free_at().filter(|free| self.in_touch(*free)),
            Role::Taking(_) => earliest(Some(self.tries.deadline()), self.breaks_at()),
            Role::Leading(tenure) => earliest(Some(tenure.until), self.next_try()),
            Role::Stepping(tenure, Step::Stopping { .. }) => earliest(Some(tenure.until), self.next_try()),
            Role::Stepping(tenure, Step::Stopped { since }) => {
                earliest(earliest(Some(tenure.until), Some(self.release_at(*since))), self.next_try())
            }
            Role::Stepping(tenure, Step::Lapsing) => Some(tenure.expires()),
            Role::Releasing(release) => earliest(Some(self.release_ends(release)), self.next_try()),
        };
        earliest(own, read)
    }

    /// What to do next; ask until there is nothing. `now` must be read just before the action is carried
    /// out: it is an attempt's sending moment.
    pub fn next_action(&mut self, now: Moment) -> Option<Action> {
        self.tick(now);
        if let Some(cause) = self.stop.take() {
            return Some(Action::Stop(cause));
        }
        if self.highest > self.written.epoch || self.owed > self.written.promised_until {
            self.written = Memory { epoch: self.highest, promised_until: self.promised_until };
            return Some(Action::Remember(self.written));
        }
        if self.read_due().is_some_and(|due| due <= now) {
            self.read_at = now + self.timing.pace().read_after();
            return Some(Action::Read { within: self.timing.try_timeout() });
        }
        self.next_attempt(now).map(Action::Attempt)
    }

    /// Where this instance stands: to be published after every step, whole.
    pub fn standing(&self) -> Standing {
        let (epoch, serve_until, held_until) = match &self.role {
            Role::Leading(tenure) => (tenure.epoch, tenure.until, tenure.until),
            Role::Stepping(tenure, Step::Stopping { .. }) => (tenure.epoch, Moment::ZERO, tenure.until),
            Role::Stepping(tenure, _) => (tenure.epoch, Moment::ZERO, Moment::ZERO),
            Role::Releasing(release) => (release.epoch, Moment::ZERO, Moment::ZERO),
            Role::Idle | Role::Watching | Role::Taking(_) => (self.seen, Moment::ZERO, Moment::ZERO),
        };
        let promised_until = match self.promised_until {
            Moment::ZERO => Moment::ZERO,
            until => until + CUT,
        };
        Standing { phase: self.role.phase(), epoch, serve_until, held_until, promised_until }
    }
}

/// What time does.
impl Machine {
    /// Ends what has run out.
    fn expire(&mut self, now: Moment) {
        match &self.role {
            Role::Idle | Role::Watching | Role::Taking(_) if self.in_touch(now) => {}
            // The watch is broken, or has not begun: what was under way counts no more.
            Role::Idle | Role::Watching | Role::Taking(_) => {
                if *self.observation.known() != Known::Nothing {
                    self.previous = None;
                }
                self.observation.break_off();
                self.tries.forget();
                self.stand_by();
            }
            Role::Leading(tenure) if now >= tenure.until => self.lose(),
            Role::Stepping(tenure, Step::Stopping { .. } | Step::Stopped { .. }) if now >= tenure.until => self.lose(),
            Role::Stepping(tenure, Step::Stopped { since }) if now >= self.release_at(*since) => {
                self.role = Role::Releasing(Release { epoch: tenure.epoch, since: now, until: tenure.until });
                self.tries.rest();
                self.tries.schedule(now);
            }
            Role::Stepping(tenure, Step::Lapsing) if now >= tenure.expires() => {
                self.observation.begin(now, &self.timing);
                self.stand_by();
            }
            Role::Releasing(release) if now >= self.release_ends(release) => {
                self.tries.forget();
                self.stand_by();
            }
            Role::Leading(_) | Role::Stepping(..) | Role::Releasing(_) => {}
        }
    }

    /// When the lease is free for us, if the watch does not break before.
    fn free_at(&self) -> Option<Moment> {
        if self.highest == self.highest.next() {
            // Above the last of all numbers there is no epoch to take it at.
            return None;
        }
        let wait = match self.observation.known() {
            Known::Nothing => return None,
            Known::Absent => self.timing.ttl(),
            Known::Record(known) if self.at_once(&known.record) => return Some(self.observation.since()),
            Known::Record(known) => known.record.ttl,
        };
        Some(self.observation.since() + wait.max(self.observation.caution()).duration())
    }

    /// Released before our eyes by another, or held by our own former life.
    fn at_once(&self, record: &LeaseRecord) -> bool {
        self.is_inherited(record) || (self.observation.saw_released() && !self.is_mine(record))
    }

    fn is_inherited(&self, record: &LeaseRecord) -> bool {
        self.previous.is_some_and(|(incarnation, highest)| {
            record.holder == self.me && record.incarnation == incarnation && !record.released && record.epoch >= highest
        })
    }

    fn is_mine(&self, record: &LeaseRecord) -> bool {
        record.holder == self.me && record.incarnation == self.incarnation
    }

    fn in_touch(&self, now: Moment) -> bool {
        !self.observation.lost(now, &self.timing)
    }

    /// When the watch breaks if the store stays silent: the first moment at which it is broken.
    fn breaks_at(&self) -> Option<Moment> {
        self.observation.contact().map(|contact| contact + self.timing.renew_every() + Duration::from_nanos(1))
    }

    fn release_at(&self, since: Moment) -> Moment {
        since + self.timing.release_after().duration()
    }

    /// A release is tried while it is of use and the store is not silent: a silent store may come back with
    /// an older history, in which releasing again would give away what a successor holds.
    fn release_ends(&self, release: &Release) -> Moment {
        let heard = self.observation.contact().map_or(release.since, |contact| contact.max(release.since));
        release.until.min(heard + self.timing.renew_every())
    }
}

/// What to ask of the store.
impl Machine {
    fn next_attempt(&mut self, now: Moment) -> Option<Attempt> {
        if !self.tries.due(now) {
            return None;
        }
        let wished = self.timing.ttl();
        let (hold, epoch, pace) = match &self.role {
            Role::Taking(epoch) => (Hold::Take, *epoch, self.timing.pace()),
            Role::Leading(tenure) | Role::Stepping(tenure, Step::Stopping { .. } | Step::Stopped { .. }) => {
                (Hold::Renew, tenure.epoch, tenure.pace(wished))
            }
            Role::Releasing(release) => (Hold::Release, release.epoch, self.timing.pace()),
            Role::Idle | Role::Watching | Role::Stepping(_, Step::Lapsing) => return None,
        };
        let expect = match self.observation.known() {
            Known::Nothing => return None,
            Known::Absent => Expect::Absent,
            Known::Record(known) => Expect::Version(known.version),
        };
        let ttl = if hold == Hold::Release { wished } else { self.ttl_at(now) };
        let one = Try { nonce: self.nonces.next(), hold, epoch, expect, ttl, sent: now };
        if let Role::Leading(tenure) | Role::Stepping(tenure, _) = &mut self.role {
            tenure.sent(&one);
        }
        self.tries.send(one, pace.try_timeout(), pace.retry_after());
        Some(Attempt { hold, expect, record: self.record(&one), within: pace.try_timeout() })
    }

    /// The TTL to write: as wished, or longer while what was promised under a longer one has not run out.
    /// (Others go by what is written as soon as it is sent; a gateway goes by what it was told.)
    fn ttl_at(&self, now: Moment) -> Span {
        self.timing.ttl().max(Pace::lasting(self.promised_until.since(now)).0)
    }

    fn record(&self, one: &Try) -> LeaseRecord {
        LeaseRecord {
            epoch: one.epoch,
            holder: self.me.clone(),
            incarnation: self.incarnation,
            ttl: one.ttl,
            nonce: one.nonce,
            released: one.hold == Hold::Release,
        }
    }

    /// When an attempt is to be sent or given up; none is sent over a record that was not seen.
    fn next_try(&self) -> Option<Moment> {
        let possible = self.tries.waiting() || *self.observation.known() != Known::Nothing;
        possible.then(|| self.tries.deadline())
    }

    /// A candidate reads when the store's watch does not keep it in touch; a holder only when it lost the version.
    fn read_due(&self) -> Option<Moment> {
        let blind = *self.observation.known() == Known::Nothing;
        let wanted = match (&self.role, self.observation.contact()) {
            (Role::Watching | Role::Taking(_), Some(contact)) if !blind => contact + self.timing.pace().read_after(),
            (Role::Watching | Role::Taking(_), _) => Moment::ZERO,
            (Role::Leading(_) | Role::Stepping(_, Step::Stopping { .. } | Step::Stopped { .. }), _) if blind => {
                Moment::ZERO
            }
            _ => return None,
        };
        Some(wanted.max(self.read_at))
    }
}

/// What the store says.
impl Machine {
    /// The record as the store shows it, from whatever source.
    fn shown(&mut self, now: Moment, shown: Option<Observed>) {
        if let Some(shown) = &shown {
            self.seen = self.seen.max(shown.record.epoch);
            self.highest = self.highest.max(shown.record.epoch);
            if matches!(self.role, Role::Idle | Role::Watching) && self.observation.is_ahead_of(shown) {
                // A late answer, or a store that went back in time: nobody can tell. Watching what it shows from now
                // on is right for both: it only delays us, and a write that believes in it fails if it was late.
                self.observation.reset();
                self.previous = None;
            }
        }
        match self.observation.see(now, shown, &self.timing) {
            News::Stale | News::Same => {}
            News::Changed => self.changed(now),
        }
    }

    fn changed(&mut self, now: Moment) {
        self.inherit_promises(now);
        let record = match self.observation.known() {
            Known::Record(known) => Some(known),
            Known::Absent | Known::Nothing => None,
        };
        let confirmed = self.tries.settle(record);
        let mine = record
            .filter(|known| self.is_mine(&known.record) && !known.record.released)
            .map(|known| known.record.epoch);
        match (&mut self.role, mine, confirmed) {
            (Role::Idle | Role::Watching | Role::Taking(_), Some(epoch), Some(take)) if take.hold == Hold::Take => {
                self.won(now, epoch, &take);
            }
            (Role::Idle | Role::Watching | Role::Taking(_), ..) => self.stand_by(),
            (Role::Leading(tenure) | Role::Stepping(tenure, _), Some(epoch), renewal) if tenure.epoch == epoch => {
                if let Some(renewal) = renewal {
                    tenure.confirmed(&renewal);
                    let next = tenure.renew_at(self.timing.ttl());
                    self.tries.schedule(next);
                }
            }
            (Role::Leading(_) | Role::Stepping(..), ..) => self.lose(),
            // A renewal overtook the release: once more, on top of it.
            (Role::Releasing(release), Some(epoch), _) if release.epoch == epoch => self.tries.schedule(now),
            (Role::Releasing(_), ..) => self.stand_by(),
        }
    }

    /// Our take is in the record.
    fn won(&mut self, now: Moment, epoch: Epoch, take: &Try) {
        let tenure = Tenure::new(epoch, take);
        self.previous = None;
        if now >= tenure.until {
            self.stand_by();
        } else if self.fit {
            self.tries.schedule(tenure.renew_at(self.timing.ttl()));
            self.role = Role::Leading(tenure);
        } else {
            self.tries.schedule(now);
            self.role = Role::Releasing(Release { epoch, since: now, until: tenure.until });
        }
    }

    /// Our former life may have vouched for as long as a renewal lasts that it sent just now.
    fn inherit_promises(&mut self, now: Moment) {
        if let Known::Record(known) = self.observation.known()
            && self.is_inherited(&known.record)
        {
            self.promised_until = self.promised_until.max(now + Pace(known.record.ttl.min(LONGEST_TTL)).lasts());
        }
    }

    /// An attempt ended. One that is not remembered was settled by what the store showed since.
    fn settled(&mut self, now: Moment, nonce: Nonce, outcome: Outcome) {
        let Some(one) = self.tries.find(nonce) else { return };
        self.tries.answered(nonce);
        match outcome {
            Outcome::Unknown => {}
            Outcome::Unavailable => self.tries.failed(nonce),
            Outcome::Committed(version) => {
                let record = self.record(&one);
                self.shown(now, Some(Observed { version, record }));
            }
            Outcome::Conflict(shown) => {
                self.tries.failed(nonce);
                let older = |version| shown.as_ref().is_some_and(|shown| shown.version < version);
                if matches!(one.expect, Expect::Version(expected) if older(expected)) {
                    // Versions only grow: this is another history.
                    self.reset();
                }
                self.shown(now, shown);
            }
        }
    }

    fn reset(&mut self) {
        self.observation.reset();
        self.previous = None;
        self.read_at = Moment::ZERO;
        match self.role {
            Role::Leading(_) | Role::Stepping(..) => {}
            Role::Idle | Role::Watching | Role::Taking(_) | Role::Releasing(_) => {
                self.tries.forget();
                self.stand_by();
            }
        }
    }
}

/// What the agent and the operator say.
impl Machine {
    fn set_fit(&mut self, now: Moment, fit: bool) {
        self.fit = fit;
        match self.role {
            Role::Leading(_) if !fit => self.step_down(now, StopCause::Unfit),
            Role::Idle | Role::Watching | Role::Taking(_) if fit != self.role.is_candidate() => {
                self.tries.rest();
                self.stand_by();
            }
            _ => {}
        }
    }

    /// Stops serving now; the lease is kept until what served has stopped.
    fn step_down(&mut self, now: Moment, cause: StopCause) {
        if let Role::Leading(tenure) = self.role {
            self.role = Role::Stepping(tenure, Step::Stopping { since: now });
            self.stop = Some(cause);
            self.owed = self.promised_until;
        }
    }

    fn stopped(&mut self) {
        if let Role::Stepping(tenure, Step::Stopping { since }) = self.role {
            self.role = Role::Stepping(tenure, Step::Stopped { since });
        }
    }

    fn cannot_stop(&mut self) {
        if let Role::Stepping(tenure, Step::Stopping { .. }) = self.role {
            self.role = Role::Stepping(tenure, Step::Lapsing);
            self.tries.rest();
        }
    }

    fn hand_over(&mut self, now: Moment, to: Option<InstanceId>) {
        let to_another = to.as_ref().is_some_and(|to| *to != self.me);
        match self.role {
            Role::Leading(_) if to.is_none() || to_another => self.step_down(now, StopCause::HandOver),
            Role::Idle | Role::Watching | Role::Taking(_) if to_another => self.observation.pass_over(),
            _ => {}
        }
    }

    fn retune(&mut self, timing: Timing) {
        self.timing = timing;
        if let Some(tenure) = self.role.tenure() {
            self.tries.hasten(tenure.renew_at(timing.ttl()));
        }
    }

    /// Another one holds the lease, or its time is over.
    fn lose(&mut self) {
        self.stop = lost_cause(&self.role).or(self.stop);
        self.tries.forget();
        self.stand_by();
    }

    fn stand_by(&mut self) {
        self.role = if self.fit { Role::Watching } else { Role::Idle };
    }
}

fn earliest(a: Option<Moment>, b: Option<Moment>) -> Option<Moment> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

/// Marks that do not repeat (SplitMix64: Steele, Lea, Flood, OOPSLA 2014).
#[derive(Clone, Debug)]
struct Nonces(u64);

impl Nonces {
    fn next(&mut self) -> Nonce {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Nonce(mixed ^ (mixed >> 31))
    }
}

#[cfg(test)]
mod tests;
