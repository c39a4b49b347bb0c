//! Which changes of a client's record are legal, and what each does to the ledgers.
//!
//! A ledger's charge and count change nowhere but in [`settle`]: by double entry, from the record before and the record
//! after. So they agree with the records whatever was decided.

use alloc::vec::Vec;

use crate::InstanceId;

use super::{Ledger, Members, Phase, Placement};

/// What becomes of a client's record.
///
/// ```text
///                place                 claim                 expire
///   (nobody) ─────────────► reserved ─────────► active ─────────────────► idle
///      │                        │               ▲  │  ▲                  │  │
///      └────────────────────────│───────────────┘  │  └──────────────────┘  │
///        place (request, report)│                  │        return          │
///   (nobody) ◄──────────────────┴──────────────────┴────────────────────────┘
///                forget: not claimed in time, by an operator, idle for too long
/// ```
///
/// A move keeps the phase, or ends where a claim or a return would: the client that comes to find its home lost gets
/// another and is charged there, in one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transition {
    /// A new client gets a home.
    Place,
    /// It was seen at the home that was reserved for it.
    Claim,
    /// Nothing but its expiry, its weight or what it asked for changes.
    Refresh,
    /// It comes back from idle, home.
    Return,
    /// It gets another home, at the next owner epoch. One that was idle comes back there or stays idle, one that was
    /// reserved may be seen there at once.
    Move,
    /// It was not seen for `idle_after`: remembered, not charged.
    Expire,
    /// It is forgotten: not claimed in time, idle for too long, or by an operator.
    Forget,
}

/// A line of the table: one that is not there is illegal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Legal {
    /// What it is.
    pub transition: Transition,
    /// The phase before; `None`: no such client.
    pub before: Option<Phase>,
    /// The phase after; `None`: no such client.
    pub after: Option<Phase>,
}

impl Transition {
    /// Every legal change.
    #[rustfmt::skip]
    pub const TABLE: &[Legal] = &[
        Legal::new(Transition::Place,   None,                  Some(Phase::Reserved)),
        Legal::new(Transition::Place,   None,                  Some(Phase::Active)),
        Legal::new(Transition::Claim,   Some(Phase::Reserved), Some(Phase::Active)),
        Legal::new(Transition::Refresh, Some(Phase::Reserved), Some(Phase::Reserved)),
        Legal::new(Transition::Refresh, Some(Phase::Active),   Some(Phase::Active)),
        Legal::new(Transition::Return,  Some(Phase::Idle),     Some(Phase::Active)),
        Legal::new(Transition::Move,    Some(Phase::Reserved), Some(Phase::Reserved)),
        Legal::new(Transition::Move,    Some(Phase::Reserved), Some(Phase::Active)),
        Legal::new(Transition::Move,    Some(Phase::Active),   Some(Phase::Active)),
        Legal::new(Transition::Move,    Some(Phase::Idle),     Some(Phase::Active)),
        Legal::new(Transition::Move,    Some(Phase::Idle),     Some(Phase::Idle)),
        Legal::new(Transition::Expire,  Some(Phase::Active),   Some(Phase::Idle)),
        Legal::new(Transition::Forget,  Some(Phase::Reserved), None),
        Legal::new(Transition::Forget,  Some(Phase::Active),   None),
        Legal::new(Transition::Forget,  Some(Phase::Idle),     None),
    ];

    /// What the change from one record to the other is; `None`: it is illegal. The owner epoch grows by one with a
    /// move, and never otherwise.
    pub fn of(before: Option<&Placement>, after: Option<&Placement>) -> Option<Transition> {
        let moves = match (before, after) {
            (Some(before), Some(after)) => {
                let moves = before.home != after.home;
                let epoch = if moves { before.owner_epoch.next() } else { before.owner_epoch };
                if after.owner_epoch != epoch {
                    return None;
                }
                moves
            }
            _ => false,
        };
        let phases = (phase(before), phase(after));
        let found = Transition::TABLE
            .iter()
            .find(|legal| (legal.before, legal.after) == phases && (legal.transition == Transition::Move) == moves);
        found.map(|legal| legal.transition)
    }
}

impl Legal {
    const fn new(transition: Transition, before: Option<Phase>, after: Option<Phase>) -> Legal {
        Legal { transition, before, after }
    }
}

/// What the change from one record to the other does to the ledgers: those that change, as they are then, and the home
/// before if its ledger is not there.
pub(super) fn settle(
    members: &Members,
    before: Option<&Placement>,
    after: Option<&Placement>,
) -> (Vec<(InstanceId, Ledger)>, Option<InstanceId>) {
    let mut ledgers = Vec::new();
    let mut absent = None;
    if let Some(before) = before
        && after.is_none_or(|after| after.home != before.home || charge(after) != charge(before))
    {
        match members.get(&before.home) {
            Some(member) => ledgers.push((before.home.clone(), without(&member.ledger, before))),
            None => absent = Some(before.home.clone()),
        }
    }
    if let Some(after) = after {
        let same = |(home, _): &&mut (InstanceId, Ledger)| *home == after.home;
        if let Some((_, ledger)) = ledgers.iter_mut().find(same) {
            *ledger = with(ledger, after);
        } else if before.is_none_or(|before| before.home != after.home)
            && let Some(member) = members.get(&after.home)
        {
            ledgers.push((after.home.clone(), with(&member.ledger, after)));
        }
    }
    (ledgers, absent)
}

/// What a client is charged now, in thousandths.
fn charge(client: &Placement) -> u64 {
    if client.phase.is_charged() { client.weight.as_milli() } else { 0 }
}

fn with(ledger: &Ledger, client: &Placement) -> Ledger {
    Ledger {
        charged_milli: ledger.charged_milli.saturating_add(charge(client)),
        clients: ledger.clients.saturating_add(1),
        ..ledger.clone()
    }
}

fn without(ledger: &Ledger, client: &Placement) -> Ledger {
    Ledger {
        charged_milli: ledger.charged_milli.saturating_sub(charge(client)),
        clients: ledger.clients.saturating_sub(1),
        ..ledger.clone()
    }
}

fn phase(client: Option<&Placement>) -> Option<Phase> {
    client.map(|client| client.phase)
}
