//! Why a client is where it is, and where it would go.

use serde::{Deserialize, Serialize};
use steadfast_core::client::{ClientKey, Labels};
use steadfast_core::placement::{Exclusion, Rule};
use steadfast_core::{InstanceId, SetName, Weight};
use steadfast_registry::Text;

use super::{Amount, ClientView, LabelsView};

/// What is asked beside the client: what it would weigh, require and prefer. What is not said is as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExplainQuery {
    /// What it weighs.
    pub weight: Option<Weight>,
    /// What it requires and prefers.
    pub labels: Labels,
}

/// `GET …/explain`: the client as it is known, and what an arrival of it would come to now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExplainView {
    /// The set.
    pub set: Text<SetName>,
    /// The client.
    pub client: Text<ClientKey>,
    /// What is known of it; `null`: nothing.
    pub known: Option<ClientView>,
    /// The weight that was reckoned with.
    pub weight: Amount,
    /// The labels that were reckoned with.
    pub labels: LabelsView,
    /// Where it goes when it comes now; `null`: nowhere.
    pub instance: Option<Text<InstanceId>>,
    /// Why it goes nowhere.
    pub refused: Option<RefusedView>,
    /// What decided: `at-home`, `emptiest`, `preferred` …
    pub rule: String,
    /// Where a client that nobody knows, of this weight and these labels, would go; `null`: nowhere.
    pub new_would_go_to: Option<Text<InstanceId>>,
    /// Every instance, the best first, those that cannot be last.
    pub candidates: Vec<CandidateView>,
    /// All that as a person would say it.
    pub sentence: String,
}

/// Why a client goes nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedView {
    /// A word for programs: `no-room`, `too-heavy` …
    pub reason: String,
    /// For a person.
    pub detail: String,
}

/// An instance that was looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandidateView {
    /// Which.
    pub instance: Text<InstanceId>,
    /// Why it cannot be: `draining`, `no-room` …; `null` if it can.
    pub excluded: Option<String>,
    /// What it can carry.
    pub capacity: Amount,
    /// What is in use there: the greater of what is charged and what it reports.
    pub used: Amount,
    /// Which part of the capacity that is; `null` without a capacity.
    pub fill: Option<f64>,
    /// Which part it would be with this client; the same where the client is charged there already.
    pub fill_after: Option<f64>,
    /// How many preferred labels it lacks.
    pub lacking: u32,
}

/// A rule's word.
pub fn rule_word(rule: Rule) -> &'static str {
    match rule {
        Rule::AtHome => "at-home",
        Rule::HomeBack => "home-back",
        Rule::OnlyCandidate => "only-candidate",
        Rule::Preferred => "preferred",
        Rule::Emptiest => "emptiest",
        Rule::Fullest => "fullest",
        Rule::Drawn => "drawn",
        Rule::Id => "id",
        Rule::Nobody => "nobody",
    }
}

/// An exclusion's word.
pub fn exclusion_word(exclusion: Exclusion) -> &'static str {
    match exclusion {
        Exclusion::State(state) => state.as_str(),
        Exclusion::Suspended => "unreachable",
        Exclusion::Label => "label",
        Exclusion::Room => "no-room",
        Exclusion::Capacity => "too-heavy",
        Exclusion::NotDrawn => "not-drawn",
    }
}

#[cfg(test)]
mod tests;
