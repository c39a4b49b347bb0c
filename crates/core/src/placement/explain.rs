//! Why a client is where it is, and where it would go.

use alloc::string::String;
use alloc::vec::Vec;

use crate::client::{ClientKey, Labels};
use crate::settings::Policy;
use crate::{InstanceId, Weight};

use super::decide::terms;
use super::score::{Limit, Score, Want, lacking, scores, used};
use super::{Ask, Books, Decision, Member, Placement, Reason, Refusal, Wish, decide};

/// An answer to "why is it there?" and "where would it go?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// Where a client of this key, weight and labels goes now, if it goes anywhere.
    pub outcome: Result<InstanceId, Refusal>,
    /// What decided that.
    pub rule: Rule,
    /// Where it would go if nobody knew it: a known client of its weight and labels is compared with that.
    pub as_new: Result<InstanceId, Refusal>,
    /// Every instance, the best first, those that were excluded last.
    pub candidates: Vec<Candidate>,
}

/// What decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It is at home there already.
    AtHome,
    /// It returns to the home it had lost.
    HomeBack,
    /// It is the only one that can be.
    OnlyCandidate,
    /// It has more of the preferred labels.
    Preferred,
    /// It is the emptiest (`spread`).
    Emptiest,
    /// It is the fullest with room (`pack`).
    Fullest,
    /// It is the emptier of the two that were drawn (`two-choice`).
    Drawn,
    /// They were equal: the id decided.
    Id,
    /// Nobody can be.
    Nobody,
}

/// An instance that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub instance: InstanceId,
    /// Why it cannot be; `None` if it can.
    pub excluded: Option<Exclusion>,
    /// What it can carry.
    pub capacity: Weight,
    /// What is in use there, in thousandths: the greater of what is charged and what it reports.
    pub used_milli: u64,
    /// How many preferred labels it lacks.
    pub lacking: u32,
}

/// Why an instance cannot be a client's home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exclusion {
    /// It is not open.
    State(super::LedgerState),
    /// It could not be reached from here just now.
    Suspended,
    /// It lacks a required label.
    Label,
    /// It has no room.
    Room,
    /// It could never carry it.
    Capacity,
    /// It was not drawn (`two-choice`).
    NotDrawn,
}

/// Explains where a client goes, and why: what [`decide`] would do if it came now.
pub fn explain(
    books: Books<'_>,
    client: &ClientKey,
    known: Option<&Placement>,
    weight: Option<Weight>,
    labels: &Labels,
) -> Explanation {
    let arrives = |known: Option<&Placement>, weight: Option<Weight>, labels: &Labels| {
        let wish = Wish::Arrive { weight, labels: labels.clone(), present: false };
        let decision = decide(books, client, known, &Ask { wish, by: String::new(), at: String::new() });
        decision.map(|decision| match decision {
            Decision::Keep => known.cloned(),
            Decision::Write(change) => change.client,
        })
    };
    let outcome = arrives(known, weight, labels);
    let (weight, labels) = terms(books.settings, known, weight, labels);
    let as_new = arrives(None, Some(weight), &labels);
    let limit = if known.is_some() { Limit::Known } else { Limit::New };
    let mut ranking: Ranking<'_> =
        scores(books, Want { client, weight, labels: &labels, limit, except: None }).collect();
    ranking.sort_by(|(_, _, left), (_, _, right)| match (left, right) {
        (Ok(left), Ok(right)) => left.cmp(right),
        // Those that were excluded come last, and stay in the order of their ids.
        (left, right) => left.is_err().cmp(&right.is_err()),
    });
    let rule = match (known, &outcome) {
        (Some(known), Ok(Some(after))) if known.home == after.home => Rule::AtHome,
        (_, Ok(Some(after))) if after.why.reason == Reason::HomeBack => Rule::HomeBack,
        (_, Ok(_)) => deciding(books, &ranking),
        (_, Err(_)) => Rule::Nobody,
    };
    let candidates = ranking.iter().map(|(id, member, score)| Candidate {
        instance: (*id).clone(),
        excluded: score.as_ref().err().copied(),
        capacity: member.ledger.capacity,
        used_milli: used(member),
        lacking: lacking(books, &labels, member),
    });
    // An arrival never deletes a client.
    let home = |after: Option<Placement>| after.map(|after| after.home).ok_or(Refusal::NoClient);
    let (outcome, as_new) = (outcome.and_then(home), as_new.and_then(home));
    Explanation { outcome, rule, as_new, candidates: candidates.collect() }
}

type Ranking<'a> = Vec<(&'a InstanceId, &'a Member, Result<Score<'a>, Exclusion>)>;

/// The first field of the score in which the best differs from the next.
fn deciding(books: Books<'_>, ranking: &Ranking<'_>) -> Rule {
    let mut able = ranking.iter().filter_map(|(_, _, score)| score.as_ref().ok());
    match (able.next(), able.next()) {
        (None, _) => Rule::Nobody,
        (Some(_), None) => Rule::OnlyCandidate,
        (Some(first), Some(second)) if first.lacking != second.lacking => Rule::Preferred,
        (Some(first), Some(second)) if first.fullness == second.fullness => Rule::Id,
        _ => match books.settings.policy {
            Policy::Spread => Rule::Emptiest,
            Policy::Pack => Rule::Fullest,
            Policy::TwoChoice => Rule::Drawn,
        },
    }
}
