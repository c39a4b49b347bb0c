//! What an ask does to the books.
//!
//! Every decision is a new record of the client (or none); what that does to the ledgers follows from it alone, in
//! [`settle`]. A commitment that is made anew (place, return, move) is for the weight that was declared last; one that
//! stands is only reweighed, and stays as it is charged where the other weight does not fit.

use alloc::vec::Vec;

use crate::client::{ClientKey, Labels};
use crate::settings::{HomeFull, OnHomeLost, Presence, ReturnHome, StickySettings};
use crate::{Epoch, InstanceId, Span, Weight};

use super::score::{Limit, Want, best, excluded};
use super::transition::{Transition, settle};
use super::{
    Ask, Books, Change, Decision, Exclusion, Ledger, LedgerState, Member, Note, Phase, Placement, Reason, Refusal,
    Tick, Why, Wish,
};

/// What `ask` does to the record of `client`, of which the books say `known`.
pub fn decide(books: Books<'_>, client: &ClientKey, known: Option<&Placement>, ask: &Ask) -> Result<Decision, Refusal> {
    let decider = Decider { books, client, ask };
    let next = match (&ask.wish, known) {
        (Wish::Arrive { weight, labels, present }, None) => decider.arrive_new(*weight, labels, *present)?,
        (Wish::Arrive { weight, labels, present }, Some(known)) => decider.arrive(known, *weight, labels, *present)?,
        (Wish::Report { at, weight }, None) => decider.report_new(at, *weight)?,
        (Wish::Report { at, weight }, Some(known)) => decider.report(known, at, *weight)?,
        (Wish::Place { to, weight, labels }, None) => decider.place(to.as_ref(), *weight, labels)?,
        (Wish::Place { .. }, Some(_)) => Next::Stays,
        (Wish::Served { .. } | Wish::Leave { .. } | Wish::Expire, None) => Next::Stays,
        (Wish::Served { at, weight }, Some(known)) => decider.served(known, at, *weight),
        (Wish::Leave { at }, Some(known)) => decider.leave(known, at),
        (Wish::Expire, Some(known)) => decider.expire(known),
        (Wish::Move { .. } | Wish::Forget, None) => return Err(Refusal::NoClient),
        (Wish::Move { from, .. }, Some(known)) if from.as_ref().is_some_and(|from| *from != known.home) => Next::Stays,
        (Wish::Move { from: Some(from), reason: Reason::Drained, .. }, Some(_)) if !decider.is_over(from) => {
            Next::Stays
        }
        (Wish::Move { to, reason, certain_to_leave, .. }, Some(known)) => {
            decider.shift(known, to.as_ref(), *reason, *certain_to_leave)?
        }
        (Wish::Forget, Some(known)) => decider.forget(known)?,
    };
    Ok(decider.write(known, next))
}

/// What becomes of the client's record.
#[expect(clippy::large_enum_variant, reason = "it lives for one decision: a box would cost more than it saves")]
enum Next {
    Stays,
    Becomes(Placement, Vec<Note>),
    Deleted,
}

/// What an asker knows of a client's whereabouts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whereabouts {
    /// It is there: charged for `idle_after`.
    There,
    /// It is told where its home is: charged for `claim_within`, until somebody sees it there.
    OnItsWay,
}

/// Whether a client's home is still there.
enum Home<'a> {
    Stands(&'a Ledger),
    /// It is to get another.
    Lost,
    /// It is waited for.
    Awaited(Refusal),
}

struct Decider<'a> {
    books: Books<'a>,
    client: &'a ClientKey,
    ask: &'a Ask,
}

impl<'a> Decider<'a> {
    fn arrive_new(&self, said: Option<Weight>, labels: &Labels, present: bool) -> Result<Next, Refusal> {
        let weight = self.settings().weight_or_default(said);
        self.admit(weight)?;
        let home = best(self.books, self.want(weight, labels, Limit::New))?;
        Ok(self.new_client(home, weight, labels.clone(), self.whereabouts(present), Reason::Placed))
    }

    fn place(&self, to: Option<&InstanceId>, said: Option<Weight>, labels: &Labels) -> Result<Next, Refusal> {
        let weight = self.settings().weight_or_default(said);
        self.admit(weight)?;
        let want = self.want(weight, labels, Limit::New);
        let home = match to {
            Some(to) => self.chosen(to, want)?,
            None => best(self.books, want)?,
        };
        Ok(self.new_client(home, weight, labels.clone(), self.whereabouts(false), Reason::PlacedByOperator))
    }

    /// It is there already, whatever `admit_below` says and whatever it requires: only the room counts.
    fn report_new(&self, at: &InstanceId, said: Option<Weight>) -> Result<Next, Refusal> {
        let weight = self.settings().weight_or_default(said);
        self.admit(weight)?;
        let labels = Labels::new();
        let home = self.chosen(at, self.want(weight, &labels, Limit::Known))?;
        Ok(self.new_client(home, weight, labels.clone(), Whereabouts::There, Reason::Reported))
    }

    fn arrive(&self, known: &Placement, said: Option<Weight>, labels: &Labels, present: bool) -> Result<Next, Refusal> {
        let (declared, labels) = terms(self.settings(), Some(known), said, labels);
        let arrival = Arrival { known, declared, labels, whereabouts: self.whereabouts(present) };
        match self.home(known) {
            Home::Awaited(refusal) => Err(refusal),
            Home::Lost => self.move_on(arrival, Reason::HomeLost),
            Home::Stands(ledger) => {
                if let Some(former) = self.home_is_back(&arrival) {
                    return Ok(self.moved(arrival, former, Reason::HomeBack));
                }
                if known.phase.is_charged() {
                    return Ok(self.stay(arrival, Some(ledger)));
                }
                // A home that is to be empty gets nobody back whom another one can take.
                if ledger.state == LedgerState::Draining
                    && let Ok(to) = self.another_home(&arrival)
                {
                    return Ok(self.moved(arrival, to, Reason::Drained));
                }
                if fits(ledger, arrival.declared) {
                    return Ok(self.come_back(arrival, Vec::new()));
                }
                match self.settings().home_full {
                    HomeFull::Move => self.move_on(arrival, Reason::HomeFull),
                    HomeFull::Refuse => Err(Refusal::HomeFull { home: known.home.clone() }),
                    HomeFull::Overflow => {
                        Ok(self.come_back(arrival, alloc::vec![Note::Overflow { home: known.home.clone() }]))
                    }
                }
            }
        }
    }

    /// It is at its home: nothing can move it. Where the home has no room for one that comes back, the application has
    /// to send it away, and the gateway then finds it another home if the set says so.
    fn report(&self, known: &Placement, at: &InstanceId, said: Option<Weight>) -> Result<Next, Refusal> {
        if known.home != *at {
            return Err(Refusal::NotHomeHere { home: known.home.clone() });
        }
        let (declared, labels) = terms(self.settings(), Some(known), said, &Labels::new());
        let arrival = Arrival { known, declared, labels, whereabouts: Whereabouts::There };
        let ledger = self.books.members.get(at).map(|member| &member.ledger);
        if known.phase.is_charged() {
            return Ok(self.stay(arrival, ledger));
        }
        let ledger = ledger.ok_or_else(|| Refusal::NotThere { instance: at.clone() })?;
        if ledger.state.is_lost() {
            return Err(Refusal::NotOpen { instance: at.clone(), state: ledger.state });
        }
        if fits(ledger, declared) {
            return Ok(self.come_back(arrival, Vec::new()));
        }
        match self.settings().home_full {
            HomeFull::Overflow => Ok(self.come_back(arrival, alloc::vec![Note::Overflow { home: at.clone() }])),
            HomeFull::Move | HomeFull::Refuse => Err(Refusal::HomeFull { home: at.clone() }),
        }
    }

    /// It was sent there in good faith, so there is nothing to refuse.
    fn served(&self, known: &Placement, at: &InstanceId, said: Option<Weight>) -> Next {
        let Some(member) = self.books.members.get(at).filter(|_| known.home == *at) else { return Next::Stays };
        let (declared, labels) = terms(self.settings(), Some(known), said, &Labels::new());
        let arrival = Arrival { known, declared, labels, whereabouts: self.whereabouts(false) };
        if known.phase.is_charged() {
            return self.stay(arrival, Some(&member.ledger));
        }
        let overflow = (!fits(&member.ledger, declared)).then(|| Note::Overflow { home: at.clone() });
        self.come_back(arrival, overflow.into_iter().collect())
    }

    /// A reservation whose client left was used: it ends as one that was claimed does.
    fn leave(&self, known: &Placement, at: &InstanceId) -> Next {
        let until = self.books.tick.after(Some(self.settings().idle_after));
        if known.home != *at || !known.phase.is_charged() || (known.phase == Phase::Active && known.until == until) {
            return Next::Stays;
        }
        Next::Becomes(Placement { phase: Phase::Active, until, ..known.clone() }, Vec::new())
    }

    fn expire(&self, known: &Placement) -> Next {
        if self.books.tick < known.until {
            return Next::Stays;
        }
        match known.phase {
            Phase::Reserved | Phase::Idle => Next::Deleted,
            Phase::Active => {
                let until = self.books.tick.after(self.settings().forget_after);
                Next::Becomes(Placement { phase: Phase::Idle, until, ..known.clone() }, Vec::new())
            }
        }
    }

    fn forget(&self, known: &Placement) -> Result<Next, Refusal> {
        if self.is_connected(known) && self.settings().evict.is_none() {
            return Err(Refusal::Connected { home: known.home.clone() });
        }
        Ok(Next::Deleted)
    }

    /// Moves a client that did not come by itself.
    fn shift(
        &self,
        known: &Placement,
        to: Option<&InstanceId>,
        reason: Reason,
        certain_to_leave: bool,
    ) -> Result<Next, Refusal> {
        if to == Some(&known.home) {
            return Ok(Next::Stays);
        }
        let limit = if known.phase.is_charged() { Limit::Known } else { Limit::Remembered };
        let want = Want { except: Some(&known.home), ..self.want(known.declared, &known.labels, limit) };
        let to = match to {
            Some(to) => self.chosen(to, want)?,
            None => best(self.books, want)?,
        };
        // Only now: nobody is asked to leave who has nowhere to go.
        if self.is_connected(known) && !certain_to_leave {
            return Err(Refusal::Connected { home: known.home.clone() });
        }
        let mut after = self.at_new_home(known, to, reason);
        if self.settings().presence != Presence::Request && after.phase.is_charged() {
            // It has to find its way: what it was charged at its former home may be nearly over.
            after.until = after.until.max(self.ahead(Whereabouts::OnItsWay));
        }
        Ok(Next::Becomes(after, Vec::new()))
    }

    /// An arriving client whose home cannot be had gets another.
    fn move_on(&self, arrival: Arrival<'_>, reason: Reason) -> Result<Next, Refusal> {
        let to = self.another_home(&arrival)?;
        Ok(self.moved(arrival, to, reason))
    }

    fn another_home(&self, arrival: &Arrival<'_>) -> Result<&'a InstanceId, Refusal> {
        let want = self.want(arrival.declared, &arrival.labels, Limit::Known);
        best(self.books, Want { except: Some(&arrival.known.home), ..want })
    }

    fn moved(&self, arrival: Arrival<'_>, to: &InstanceId, reason: Reason) -> Next {
        let Arrival { known, declared, labels, whereabouts } = arrival;
        let phase = match (known.phase, whereabouts) {
            (Phase::Reserved, Whereabouts::OnItsWay) => Phase::Reserved,
            _ => Phase::Active,
        };
        let until = if known.phase.is_charged() { known.until } else { Tick::default() }.max(self.ahead(whereabouts));
        let after = self.at_new_home(known, to, reason);
        Next::Becomes(Placement { weight: declared, declared, phase, until, labels, ..after }, Vec::new())
    }

    /// The record with another home, at the next owner epoch.
    fn at_new_home(&self, known: &Placement, to: &InstanceId, reason: Reason) -> Placement {
        let return_to = match reason {
            Reason::HomeLost if self.settings().return_home == ReturnHome::Never => None,
            // The first of several lost homes: it has what the client brought longest.
            Reason::HomeLost => known.return_to.clone().or_else(|| Some(known.home.clone())),
            Reason::HomeFull | Reason::Drained => known.return_to.clone(),
            _ => None,
        };
        Placement {
            home: to.clone(),
            owner_epoch: known.owner_epoch.next(),
            weight: known.declared,
            return_to: return_to.filter(|former| former != to),
            why: self.why(reason, Some(known.home.clone())),
            ..known.clone()
        }
    }

    /// A charged client whose home stands: claimed, refreshed and reweighed as it needs.
    fn stay(&self, arrival: Arrival<'_>, ledger: Option<&Ledger>) -> Next {
        let Arrival { known, declared, labels, whereabouts } = arrival;
        let mut after = known.clone();
        let mut notes = Vec::new();
        if known.phase == Phase::Reserved && whereabouts == Whereabouts::There {
            after.phase = Phase::Active;
            after.until = known.until.max(self.ahead(whereabouts));
        } else if known.until < self.books.tick.after(Some(self.span(whereabouts))) {
            after.until = self.ahead(whereabouts);
        }
        // What did not fit is tried again only where the record is written anyway.
        if declared != known.declared || (declared != known.weight && after != *known) {
            after.declared = declared;
            if ledger.is_some_and(|ledger| self.can_reweigh(known, ledger, declared)) {
                after.weight = declared;
            } else if known.declared == known.weight {
                // Said once, until something fits again.
                notes.push(Note::Overweight { declared, charged: known.weight });
            }
        }
        if after == *known {
            return Next::Stays;
        }
        Next::Becomes(Placement { labels, ..after }, notes)
    }

    /// An idle client is charged again, at home.
    fn come_back(&self, arrival: Arrival<'_>, notes: Vec<Note>) -> Next {
        let Arrival { known, declared, labels, whereabouts } = arrival;
        let after = Placement {
            weight: declared,
            declared,
            phase: Phase::Active,
            until: self.ahead(whereabouts),
            labels,
            why: self.why(Reason::Returned, known.why.from.clone()),
            ..known.clone()
        };
        Next::Becomes(after, notes)
    }

    fn new_client(
        &self,
        home: &InstanceId,
        weight: Weight,
        labels: Labels,
        whereabouts: Whereabouts,
        reason: Reason,
    ) -> Next {
        let after = Placement {
            home: home.clone(),
            owner_epoch: Epoch::NONE.next(),
            weight,
            declared: weight,
            phase: if whereabouts == Whereabouts::There { Phase::Active } else { Phase::Reserved },
            until: self.ahead(whereabouts),
            labels,
            return_to: None,
            why: self.why(reason, None),
        };
        Next::Becomes(after, Vec::new())
    }

    /// Whether the set takes another client at all, and one of this weight. Several that are placed at the very same
    /// moment may pass `max_clients` together: it bounds memory, not safety.
    fn admit(&self, weight: Weight) -> Result<(), Refusal> {
        let settings = self.settings();
        let clients = |sum: u64, member: &Member| sum.saturating_add(member.ledger.clients);
        if self.books.members.values().fold(0, clients) >= settings.max_clients {
            return Err(Refusal::TooManyClients { most: settings.max_clients });
        }
        match settings.weight_max {
            Some(largest) if weight > largest => Err(Refusal::TooHeavy { weight, largest }),
            _ => Ok(()),
        }
    }

    /// The instance somebody chose, if it can be the home that is wanted. Only what is charged counts: who chooses
    /// knows better than a load report.
    fn chosen<'t>(&self, to: &'t InstanceId, want: Want<'_>) -> Result<&'t InstanceId, Refusal> {
        let member = self.books.members.get(to).ok_or_else(|| Refusal::NotThere { instance: to.clone() })?;
        let weight = want.weight;
        match excluded(self.books, want, member, member.ledger.charged_milli) {
            None => Ok(to),
            Some(Exclusion::State(state)) => Err(Refusal::NotOpen { instance: to.clone(), state }),
            Some(Exclusion::Label) => Err(Refusal::NoMatch),
            Some(Exclusion::Capacity) => Err(Refusal::TooHeavy { weight, largest: member.ledger.capacity }),
            Some(_) => Err(Refusal::NoRoom { weight }),
        }
    }

    /// The home an arriving client had lost, if the set returns it there now. One that is seen at its present home is
    /// left there until it is idle, where nothing can make it leave.
    fn home_is_back<'k>(&self, arrival: &Arrival<'k>) -> Option<&'k InstanceId> {
        let known = arrival.known;
        let former = known.return_to.as_ref().filter(|former| **former != known.home)?;
        let returns = match self.settings().return_home {
            ReturnHome::Never => false,
            ReturnHome::WhenIdle => !known.phase.is_charged(),
            ReturnHome::Always => !self.is_connected(known) || self.settings().evict.is_some(),
        };
        let member = self.books.members.get(former).filter(|member| returns && !member.suspended)?;
        let want = self.want(arrival.declared, &arrival.labels, Limit::Known);
        excluded(self.books, want, member, member.ledger.charged_milli).is_none().then_some(former)
    }

    fn home(&self, known: &Placement) -> Home<'_> {
        let awaited = |ticks| Home::Awaited(Refusal::HomeLost { home: known.home.clone(), ticks });
        let fails = self.settings().on_home_lost == OnHomeLost::Fail;
        // A home without a ledger was taken out of the set for good: there is nothing to wait for.
        let Some(member) = self.books.members.get(&known.home) else {
            return if fails { awaited(None) } else { Home::Lost };
        };
        if !member.ledger.state.is_lost() {
            return Home::Stands(&member.ledger);
        }
        let wait = self.settings().home_wait;
        match member.ledger.lost_at {
            _ if fails => awaited(None),
            Some(lost_at) if wait > Span::ZERO && self.books.tick < lost_at.after(Some(wait)) => {
                awaited(Some(lost_at.after(Some(wait)).0 - self.books.tick.0))
            }
            _ => Home::Lost,
        }
    }

    /// Whether somebody saw it at its home and it may be there still. In a set with `presence = "request"` nobody can
    /// know, and nothing is open to be cut.
    fn is_connected(&self, known: &Placement) -> bool {
        let lost = |member: &Member| member.ledger.state.is_lost();
        self.settings().presence != Presence::Request
            && known.phase == Phase::Active
            && self.books.tick < known.until
            && !self.books.members.get(&known.home).is_none_or(lost)
    }

    /// Whether an instance is being drained and those at home there are to be moved by now.
    fn is_over(&self, drained: &InstanceId) -> bool {
        let ledger = self.books.members.get(drained).map(|member| &member.ledger);
        ledger.is_some_and(|ledger| {
            ledger.state == LedgerState::Draining && ledger.move_at.is_some_and(|move_at| move_at <= self.books.tick)
        })
    }

    fn can_reweigh(&self, known: &Placement, ledger: &Ledger, declared: Weight) -> bool {
        let others = ledger.charged_milli.saturating_sub(known.weight.as_milli());
        let allowed = self.settings().weight_max.is_none_or(|largest| declared <= largest);
        let has_room = others.saturating_add(declared.as_milli()) <= ledger.capacity.as_milli();
        declared <= known.weight || (allowed && has_room)
    }

    fn whereabouts(&self, present: bool) -> Whereabouts {
        match self.settings().presence {
            Presence::Request => Whereabouts::There,
            Presence::Connection if present => Whereabouts::There,
            Presence::Connection | Presence::Report => Whereabouts::OnItsWay,
        }
    }

    fn span(&self, whereabouts: Whereabouts) -> Span {
        match whereabouts {
            Whereabouts::There => self.settings().idle_after,
            Whereabouts::OnItsWay => self.settings().claim_within,
        }
    }

    /// An expiry: a quarter further away than promised, so that it need not be written each time it is seen.
    fn ahead(&self, whereabouts: Whereabouts) -> Tick {
        let ms = self.span(whereabouts).as_millis();
        self.books.tick.after(Some(Span::from_millis(ms.saturating_add(ms / 4))))
    }

    fn want<'w>(&self, weight: Weight, labels: &'w Labels, limit: Limit) -> Want<'w>
    where
        'a: 'w,
    {
        Want { client: self.client, weight, labels, limit, except: None }
    }

    fn why(&self, reason: Reason, from: Option<InstanceId>) -> Why {
        Why { reason, since: self.ask.at.clone(), from, by: self.ask.by.clone() }
    }

    fn settings(&self) -> &StickySettings {
        self.books.settings
    }

    fn write(&self, known: Option<&Placement>, next: Next) -> Decision {
        let (client, notes) = match next {
            Next::Stays => return Decision::Keep,
            Next::Becomes(client, notes) => (Some(client), notes),
            Next::Deleted => (None, Vec::new()),
        };
        debug_assert!(Transition::of(known, client.as_ref()).is_some(), "{known:?} becomes {client:?}");
        let (ledgers, absent) = settle(self.books.members, known, client.as_ref());
        Decision::Write(Change { client, ledgers, absent, notes })
    }
}

/// What a client weighs and wants, by what a request says of it. What it does not say is no change: a client's second
/// connection often says less than its first.
pub(super) fn terms(
    settings: &StickySettings,
    known: Option<&Placement>,
    said: Option<Weight>,
    labels: &Labels,
) -> (Weight, Labels) {
    let weight = settings.weight_or_default(said.or(known.map(|known| known.declared)));
    let mut all = known.map(|known| known.labels.clone()).unwrap_or_default();
    all.extend(labels.iter().map(|(name, value)| (name.clone(), value.clone())));
    (weight, all)
}

/// A known client that comes.
struct Arrival<'a> {
    known: &'a Placement,
    /// What it weighs, by what it says now or said last.
    declared: Weight,
    labels: Labels,
    whereabouts: Whereabouts,
}

/// Whether a client that is not charged there has room, up to the capacity.
fn fits(ledger: &Ledger, weight: Weight) -> bool {
    ledger.charged_milli.saturating_add(weight.as_milli()) <= ledger.capacity.as_milli()
}

#[cfg(test)]
mod tests;
