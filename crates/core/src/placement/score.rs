//! Which instances can be a client's home, and which of them is the best: the one ranking that [`decide`] and
//! [`explain`] share, so that an explanation never disagrees with a decision.
//!
//! Hard constraints exclude, soft ones order. [`Score`] is the policy: the order of its fields is the order of what
//! matters, and the id comes last, so that ties never depend on luck.
//!
//! [`decide`]: super::decide
//! [`explain`]: super::explain

use core::cmp::{Ordering, Reverse};

use crate::client::{ClientKey, LabelName, Labels};
use crate::settings::Policy;
use crate::{InstanceId, Weight};

use super::draw::Draw;
use super::{Books, Exclusion, LedgerState, Member, Refusal};

/// What a home is wanted for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want<'a> {
    pub(super) client: &'a ClientKey,
    pub(super) weight: Weight,
    pub(super) labels: &'a Labels,
    pub(super) limit: Limit,
    /// Not this one: where it is to leave.
    pub(super) except: Option<&'a InstanceId>,
}

/// How far an instance may be filled with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    /// A new client: to `admit_below`.
    New,
    /// One that is known already: to the capacity.
    Known,
    /// One that is only remembered: it is charged nothing now, so room does not matter. Heads are counted instead of
    /// weights, for else a thousand of them would all go where the least is charged.
    Remembered,
}

/// How good an instance is: the least is the best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Score<'a> {
    /// How many of the preferred labels it lacks.
    pub(super) lacking: u32,
    /// How full it is, as the policy likes it.
    pub(super) fullness: Fullness,
    /// Whose score this is.
    pub(super) instance: &'a InstanceId,
}

/// How full an instance is; all scores of one ranking are of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fullness {
    /// With the client: so a bigger or emptier instance never scores worse.
    Emptiest(Share),
    /// Without the client: counted with it, an empty small instance would look fuller than a large one in use. A fuller
    /// instance never scores worse; a bigger one is, charged the same, less full.
    Fullest(Reverse<Share>),
}

/// A part of a capacity above zero, compared exactly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    used: u64,
    capacity: u64,
}

impl Ord for Share {
    fn cmp(&self, other: &Share) -> Ordering {
        let product = |used: u64, capacity: u64| u128::from(used) * u128::from(capacity);
        product(self.used, other.capacity).cmp(&product(other.used, self.capacity))
    }
}

impl PartialOrd for Share {
    fn partial_cmp(&self, other: &Share) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Share {
    fn eq(&self, other: &Share) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Share {}

/// Every instance with its score, or why it is excluded; in the order of ids.
pub(super) fn scores<'a>(
    books: Books<'a>,
    want: Want<'_>,
) -> impl Iterator<Item = (&'a InstanceId, &'a Member, Result<Score<'a>, Exclusion>)> {
    let drawn = drawn(books, want);
    others(books, want).map(move |(id, member)| {
        let score = score(books, want, id, member).and_then(|score| match drawn {
            Some(drawn) if !drawn.contains(&Some(id)) => Err(Exclusion::NotDrawn),
            _ => Ok(score),
        });
        (id, member, score)
    })
}

/// The best one, or why there is none.
pub(super) fn best<'a>(books: Books<'a>, want: Want<'_>) -> Result<&'a InstanceId, Refusal> {
    let best = scores(books, want).filter_map(|(_, _, score)| score.ok()).min();
    best.map(|score| score.instance).ok_or_else(|| nobody(books, want))
}

/// Why an instance of which `used` thousandths are in use cannot be the home that is wanted.
pub(super) fn excluded(books: Books<'_>, want: Want<'_>, member: &Member, used: u64) -> Option<Exclusion> {
    let state = member.ledger.state;
    let limit = limit(books, want.limit, member);
    let weight = want.weight.as_milli();
    if state != LedgerState::Open {
        Some(Exclusion::State(state))
    } else if !has_required(books, want, member) {
        Some(Exclusion::Label)
    } else if limit == 0 || weight > limit {
        Some(Exclusion::Capacity)
    } else if want.limit != Limit::Remembered && used.saturating_add(weight) > limit {
        Some(Exclusion::Room)
    } else {
        None
    }
}

/// What is in use there: what is charged, or what it reports where that is more.
pub(super) fn used(member: &Member) -> u64 {
    member.ledger.charged_milli.max(member.load_milli.unwrap_or(0))
}

/// How many preferred labels an instance lacks.
pub(super) fn lacking(books: Books<'_>, labels: &Labels, member: &Member) -> u32 {
    let lacks = |name: &&LabelName| labels.get(*name).is_some_and(|wanted| member.labels.get(*name) != Some(wanted));
    u32::try_from(books.settings.prefer.keys().filter(lacks).count()).unwrap_or(u32::MAX)
}

fn others<'a>(books: Books<'a>, want: Want<'_>) -> impl Iterator<Item = (&'a InstanceId, &'a Member)> {
    books.members.iter().filter(move |(id, _)| want.except != Some(*id))
}

fn score<'a>(
    books: Books<'a>,
    want: Want<'_>,
    instance: &'a InstanceId,
    member: &Member,
) -> Result<Score<'a>, Exclusion> {
    let used = used(member);
    match excluded(books, want, member, used) {
        Some(Exclusion::State(state)) => return Err(Exclusion::State(state)),
        _ if member.suspended => return Err(Exclusion::Suspended),
        Some(other) => return Err(other),
        None => {}
    }
    let capacity = member.ledger.capacity.as_milli();
    let share = |used| Share { used, capacity };
    let fullness = match (want.limit, books.settings.policy) {
        (Limit::Remembered, _) => Fullness::Emptiest(share(member.ledger.clients.saturating_add(1))),
        (_, Policy::Pack) => Fullness::Fullest(Reverse(share(used))),
        (_, Policy::Spread | Policy::TwoChoice) => {
            Fullness::Emptiest(share(used.saturating_add(want.weight.as_milli())))
        }
    };
    Ok(Score { lacking: lacking(books, want.labels, member), fullness, instance })
}

/// The two that are drawn for a client among those that can be its home: preferred ones first, then those with the
/// greatest number of the frozen hash. `None` where nothing is drawn.
fn drawn<'a>(books: Books<'a>, want: Want<'_>) -> Option<[Option<&'a InstanceId>; 2]> {
    if books.settings.policy != Policy::TwoChoice || want.limit == Limit::Remembered {
        return None;
    }
    let draw = Draw::new(want.client);
    let able = others(books, want).filter_map(|(id, member)| score(books, want, id, member).ok());
    let mut order = able.map(|score| (score.lacking, Reverse(draw.number(score.instance)), score.instance));
    let (mut first, mut second) = (order.next(), None);
    for next in order {
        if Some(next) < first {
            second = first.replace(next);
        } else if second.is_none_or(|second| next < second) {
            second = Some(next);
        }
    }
    Some([first, second].map(|drawn| drawn.map(|(_, _, id)| id)))
}

fn has_required(books: Books<'_>, want: Want<'_>, member: &Member) -> bool {
    let has = |name: &LabelName| want.labels.get(name).is_none_or(|wanted| member.labels.get(name) == Some(wanted));
    books.settings.require.keys().all(has)
}

/// How much may be charged there, in thousandths.
fn limit(books: Books<'_>, limit: Limit, member: &Member) -> u64 {
    let capacity = member.ledger.capacity.as_milli();
    match limit {
        // At most 10^12 × 1000: far below 2^64.
        Limit::New => capacity * u64::from(books.settings.admit_below_milli) / 1_000,
        Limit::Known | Limit::Remembered => capacity,
    }
}

/// Why nobody can be the home that is wanted: what waiting does not help against comes first.
fn nobody(books: Books<'_>, want: Want<'_>) -> Refusal {
    let matching = || others(books, want).map(|(_, member)| member).filter(|member| has_required(books, want, member));
    if others(books, want).next().is_some() && matching().next().is_none() {
        return Refusal::NoMatch;
    }
    let largest = matching().map(|member| limit(books, want.limit, member)).max().unwrap_or(0);
    let open = matching().any(|member| member.ledger.state == LedgerState::Open && !member.suspended);
    match Weight::from_milli(largest) {
        Some(largest) if largest > Weight::ZERO && want.weight > largest => {
            Refusal::TooHeavy { weight: want.weight, largest }
        }
        _ if !open => Refusal::NoInstance,
        _ => Refusal::NoRoom { weight: want.weight },
    }
}
