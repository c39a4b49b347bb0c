//! The settings of a sticky set.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Deref;

use crate::client::{BadRequest, LabelName, Labels, RequestView, Sources};
use crate::id::words;
use crate::placement::TICK;
use crate::{Endpoint, Span, Weight, conceal};

mod keys;

pub use keys::Value;

const DAY: Span = Span::from_millis(86_400_000);

/// The settings of a sticky set, checked. Reads like [`Sticky`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StickySettings(Sticky);

/// The values of a sticky set's settings, as they are said. [`StickySettings::new`] checks them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sticky {
    /// Where a request says who its client is.
    pub client: Sources,
    /// How much work a client brings.
    pub weight: WeightRule,
    /// What a client weighs that does not say.
    pub weight_default: Weight,
    /// The heaviest weight that is taken (a heavier one is a bad request). Default: the largest capacity of the set.
    pub weight_max: Option<Weight>,
    /// Which of the instances with room a new client gets.
    pub policy: Policy,
    /// New clients fill an instance only this far, in thousandths of its capacity: 1 to 1000.
    pub admit_below_milli: u32,
    /// How the set knows that a client is there.
    pub presence: Presence,
    /// How long a place is kept for a client that was not seen at its home yet (not with `request`).
    pub claim_within: Span,
    /// How long a client stays charged after it was there last.
    pub idle_after: Span,
    /// How long a client that is not charged is remembered. `None`: for ever.
    pub forget_after: Option<Span>,
    /// How long a lost home is waited for.
    pub home_wait: Span,
    /// What becomes of its clients then.
    pub on_home_lost: OnHomeLost,
    /// Whether clients that lost their home return to it when it is back.
    pub return_home: ReturnHome,
    /// What becomes of an idle client that comes back to a full home.
    pub home_full: HomeFull,
    /// Labels an instance must have with the very value the request has there.
    pub require: BTreeMap<LabelName, Sources>,
    /// Labels it should have; each one it has not makes it less welcome.
    pub prefer: BTreeMap<LabelName, Sources>,
    /// The most clients the set remembers.
    pub max_clients: u64,
    /// New placements a second one source address may cause.
    pub new_per_source: u32,
    /// Asked (POST) that a client be sent away, with `{client}` replaced by its key: a client that is connected is
    /// moved only where this, or the gateway that carries it, can make it leave.
    pub evict: Option<String>,
}

/// How much work a client brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WeightRule {
    /// Every client the same.
    Fixed(Weight),
    /// What the request says.
    Said(Sources),
}

words!(
    /// Which of the instances with room a new client gets.
    #[derive(Default)]
    Policy,
    "a policy",
    "spread, pack or two-choice",
    /// The emptiest, so that all are equally full.
    #[default]
    Spread = "spread",
    /// The fullest, so that others stay empty.
    Pack = "pack",
    /// The emptier of two, drawn by the client's key: for many gateways that place at once.
    TwoChoice = "two-choice",
);

words!(
    /// How a set knows that a client is there.
    #[derive(Default)]
    Presence,
    "a kind of presence",
    "request, connection or report",
    /// By its requests at the gateway.
    #[default]
    Request = "request",
    /// By its connections through the gateway.
    Connection = "connection",
    /// By what the application tells its agent.
    Report = "report",
);

words!(
    /// What becomes of the clients of a home that stays lost.
    #[derive(Default)]
    OnHomeLost,
    "what becomes of clients whose home is lost",
    "move or fail",
    /// They are moved as they come.
    #[default]
    Move = "move",
    /// They are refused until it is back.
    Fail = "fail",
);

words!(
    /// Whether clients that lost their home return to it.
    #[derive(Default)]
    ReturnHome,
    "when clients return home",
    "never, when-idle or always",
    /// They stay where they are.
    #[default]
    Never = "never",
    /// When they come back from idle.
    WhenIdle = "when-idle",
    /// When they come next, and it has room.
    Always = "always",
);

words!(
    /// What becomes of an idle client that comes back to a full home.
    #[derive(Default)]
    HomeFull,
    "what becomes of clients whose home is full",
    "move, refuse or overflow",
    /// It gets another home.
    #[default]
    Move = "move",
    /// It is refused.
    Refuse = "refuse",
    /// It is charged above the capacity.
    Overflow = "overflow",
);

/// Settings of a sticky set that do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSticky {
    /// What, and what would be right.
    #[error("{key} {problem}")]
    Value {
        /// Which one.
        key: &'static str,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// A text that is not what it should be.
    #[error("{key}: {problem}")]
    Text {
        /// Whose.
        key: &'static str,
        /// What it is not, and what would be right.
        problem: String,
    },
}

impl BadSticky {
    /// The key of the value that is wrong.
    pub fn key(&self) -> &'static str {
        match self {
            BadSticky::Value { key, .. } | BadSticky::Text { key, .. } => key,
        }
    }
}

impl StickySettings {
    /// The kind of a set with such settings.
    pub const KIND: &'static str = "sticky";

    /// The most places that one key, weight or label is looked for at.
    pub const MOST_PLACES: usize = 8;
    /// The most labels that are required, and preferred.
    pub const MOST_LABELS: usize = 16;
    /// The longest span of any kind: ten years.
    pub const LONGEST: Span = Span::from_millis(3_650 * 86_400_000);
    /// The most clients a set may remember.
    pub const MOST_CLIENTS: u64 = 1_000_000_000;

    /// Checks every value and what they must keep to each other.
    ///
    /// # Errors
    /// The first that is wrong: its key in the file, and what would be right.
    pub fn new(values: Sticky) -> Result<StickySettings, BadSticky> {
        values.check_places()?;
        values.check_weights()?;
        values.check_spans()?;
        values.check_bounds()?;
        Ok(StickySettings(values))
    }

    /// The weight of a client of which `said` was said.
    pub fn weight_or_default(&self, said: Option<Weight>) -> Weight {
        let unsaid = match &self.0.weight {
            WeightRule::Fixed(weight) => *weight,
            WeightRule::Said(_) => self.0.weight_default,
        };
        said.unwrap_or(unsaid)
    }

    /// The weight that a request says its client has, by the rule of its route or else by the set's. A set where all
    /// weigh the same is told nothing; a route's fixed weight is said by each of its requests.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub fn weight_said(
        &self,
        route: Option<&WeightRule>,
        request: &impl RequestView,
    ) -> Result<Option<Weight>, BadRequest> {
        let said = match route.unwrap_or(&self.0.weight) {
            WeightRule::Fixed(weight) => route.map(|_| *weight),
            WeightRule::Said(sources) => sources.weight(request)?,
        };
        match (said, self.0.weight_max) {
            (Some(weight), Some(most)) if weight > most => Err(BadRequest::TooHeavy { weight, most }),
            _ => Ok(said),
        }
    }

    /// What a request requires and prefers: the labels that it gives a value.
    ///
    /// # Errors
    /// What is wrong with the request.
    pub fn labels_said(&self, request: &impl RequestView) -> Result<Labels, BadRequest> {
        let mut labels = Labels::new();
        for (name, sources) in self.0.require.iter().chain(&self.0.prefer) {
            if let Some(value) = sources.text(request)? {
                labels.insert(name.clone(), value);
            }
        }
        Ok(labels)
    }
}

impl Sticky {
    /// The values of a set that knows its clients in this way and about which nothing else was said.
    pub fn with_presence(presence: Presence) -> Sticky {
        let idle_after = match presence {
            Presence::Request => DAY,
            Presence::Connection | Presence::Report => Span::from_millis(60_000),
        };
        Sticky { presence, idle_after, ..Sticky::default() }
    }

    fn check_places(&self) -> Result<(), BadSticky> {
        if self.client.0.is_empty() {
            return bad("client", "is missing: it says where a request names its client, such as \"query:camera\"");
        }
        check_places("client", &self.client)?;
        if let WeightRule::Said(sources) = &self.weight {
            check_places("weight", sources)?;
        }
        for (key, labels) in [("require", &self.require), ("prefer", &self.prefer)] {
            if labels.len() > StickySettings::MOST_LABELS {
                return bad(key, format!("has {} labels: {} at most", labels.len(), StickySettings::MOST_LABELS));
            }
            for (name, sources) in labels {
                if sources.0.is_empty() {
                    return bad(key, format!("says of {name} no place to read it from, such as \"query:{name}\""));
                }
                check_places(key, sources)?;
            }
        }
        match self.prefer.keys().find(|name| self.require.contains_key(*name)) {
            Some(name) => bad("prefer", format!("has {name}, which is required already: leave it out of one of them")),
            None => Ok(()),
        }
    }

    fn check_weights(&self) -> Result<(), BadSticky> {
        let fixed = match self.weight {
            WeightRule::Fixed(weight) => Some(weight),
            WeightRule::Said(_) => None,
        };
        let all = [("weight", fixed), ("weight_default", Some(self.weight_default)), ("weight_max", self.weight_max)];
        for (key, weight) in all {
            match (weight, self.weight_max) {
                (Some(Weight::ZERO), _) => return bad(key, "is to be more than 0"),
                (Some(weight), Some(most)) if weight > most => {
                    return bad(key, format!("{weight} is more than weight_max {most}"));
                }
                _ => {}
            }
        }
        if !(1..=1_000).contains(&self.admit_below_milli) {
            return bad(
                "admit_below",
                "is to be a number from 0.001 to 1: the part of an instance new clients may fill",
            );
        }
        Ok(())
    }

    fn check_spans(&self) -> Result<(), BadSticky> {
        let all = [
            ("claim_within", self.claim_within, TICK),
            ("idle_after", self.idle_after, TICK),
            ("forget_after", self.forget_after.unwrap_or(StickySettings::LONGEST), Span::ZERO),
            ("home_wait", self.home_wait, Span::ZERO),
        ];
        for (key, span, least) in all {
            if span < least {
                return bad(key, format!("{span} is too short: {least} at least, since time is kept in steps of it"));
            }
            if span > StickySettings::LONGEST {
                return bad(key, format!("{span} is too long: {} at most", StickySettings::LONGEST));
            }
        }
        match self.forget_after {
            Some(forget_after) if forget_after < self.idle_after => {
                let idle_after = self.idle_after;
                bad("forget_after", format!("{forget_after} is shorter than idle_after {idle_after}: make it as long"))
            }
            _ => Ok(()),
        }
    }

    fn check_bounds(&self) -> Result<(), BadSticky> {
        let most = StickySettings::MOST_CLIENTS;
        if !(1..=most).contains(&self.max_clients) {
            return bad("max_clients", format!("is to be from 1 to {most}"));
        }
        if self.new_per_source == 0 {
            return bad("new_per_source", "is to be 1 or more: with 0 no client would ever be placed");
        }
        let Some(evict) = &self.evict else { return Ok(()) };
        let after = evict.strip_prefix("http://").and_then(|rest| rest.split_once('/'));
        let there = after.filter(|(host, _)| format!("http://{host}").parse::<Endpoint>().is_ok());
        if !there.is_some_and(|(_, path)| path.contains("{client}")) || !evict.bytes().all(|b| b.is_ascii_graphic()) {
            let example = "http://127.0.0.1:8081/clients/{client}/leave";
            return bad(
                "evict",
                format!("is to be an http:// URL with {{client}} in its path or query, such as {example}"),
            );
        }
        if conceal::is_concealed(evict) {
            return bad("evict", "has stars where a value is, as it is shown: write the value itself");
        }
        Ok(())
    }
}

fn check_places(key: &'static str, sources: &Sources) -> Result<(), BadSticky> {
    match sources.0.len() {
        0..=StickySettings::MOST_PLACES => Ok(()),
        many => bad(key, format!("has {many} places: {} at most", StickySettings::MOST_PLACES)),
    }
}

fn bad(key: &'static str, problem: impl Into<String>) -> Result<(), BadSticky> {
    Err(BadSticky::Value { key, problem: problem.into() })
}

impl StickySettings {
    /// The same, as it may be shown to whoever reads: without what may be a secret. It is not to be written.
    #[must_use]
    pub fn concealed(&self) -> StickySettings {
        let evict = self.evict.as_deref().map(conceal::urls);
        StickySettings(Sticky { evict, ..self.0.clone() })
    }
}

impl Deref for StickySettings {
    type Target = Sticky;

    fn deref(&self) -> &Sticky {
        &self.0
    }
}

impl Default for Sticky {
    fn default() -> Sticky {
        Sticky {
            client: Sources::default(),
            weight: WeightRule::Said(Sources(Vec::new())),
            weight_default: Weight::ONE,
            weight_max: None,
            policy: Policy::default(),
            admit_below_milli: 1_000,
            presence: Presence::default(),
            claim_within: Span::from_millis(30_000),
            idle_after: DAY,
            forget_after: Some(Span::from_millis(30 * DAY.as_millis())),
            home_wait: Span::ZERO,
            on_home_lost: OnHomeLost::default(),
            return_home: ReturnHome::default(),
            home_full: HomeFull::default(),
            require: BTreeMap::new(),
            prefer: BTreeMap::new(),
            max_clients: 10_000_000,
            new_per_source: 1_000,
            evict: None,
        }
    }
}

#[cfg(test)]
mod tests;
