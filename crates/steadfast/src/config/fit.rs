//! What must fit together between a set, the routes to it and its agents.

use std::collections::BTreeMap;
use std::ops::Range;

use steadfast_core::client::{Source, Sources};
use steadfast_core::route::PathPattern;
use steadfast_core::settings::{Presence, SetSettings, StickySettings, WeightRule};
use steadfast_core::{SetName, Span, Weight};
use steadfast_gateway::Answer;

use super::Set;
use super::reader::{At, Source as File, Table};
use super::sets::Sets;

/// A redirected client that is not asked for again within this time is no rarity worth a warning.
const LONG_CHARGE: Span = Span::from_millis(24 * 3_600_000);

/// Why an instance of a sticky set has no gate.
pub(super) const NO_GATE: &str =
    "a gate is for single sets: it cannot tell which clients of a sticky set are at home here";

/// What a route says of its clients.
pub(super) struct Way {
    pub(super) path: At<PathPattern>,
    pub(super) answer: Option<At<Answer>>,
    pub(super) client: Option<At<Sources>>,
    pub(super) weight: Option<At<WeightRule>>,
}

impl Way {
    /// Tells what does not fit the set it leads to.
    pub(super) fn check(&self, table: &Table<'_>, set: &Set) {
        match &set.settings {
            SetSettings::Single(_) => self.check_single(table),
            SetSettings::Sticky(sticky) => self.check_sticky(table, sticky),
        }
    }

    fn check_single(&self, table: &Table<'_>) {
        if let Some(answer) = self.answer.as_ref().filter(|answer| answer.value != Answer::Proxy) {
            let what = "only a sticky set's clients have a home to be sent to: a single set is reached with answer = \"proxy\"";
            table.source().wrong(&answer.span, what);
        }
        let client = self.client.as_ref().map(|at| ("client", &at.span));
        let weight = self.weight.as_ref().map(|at| ("weight", &at.span));
        for (key, span) in [client, weight].into_iter().flatten() {
            let what = format!("{key} is for routes to sticky sets: a single set does not tell its clients apart");
            table.source().wrong(span, what);
        }
    }

    fn check_sticky(&self, table: &Table<'_>, sticky: &StickySettings) {
        let source = table.source();
        let path = &self.path.value;
        let caught = |name: &str| path.captures().any(|known| known == name);
        let missing = |sources: &Sources| {
            let names = sources.0.iter().filter_map(|source| match source {
                Source::Path(name) if !caught(name) => Some(name.clone()),
                _ => None,
            });
            names.collect::<Vec<_>>()
        };
        match &self.client {
            Some(client) if client.value.0.is_empty() => {
                source.wrong(
                    &client.span,
                    "client names no place in a request: write one, such as \"query:camera\", or leave it out",
                );
            }
            Some(client) => {
                for name in missing(&client.value) {
                    source.wrong(
                        &client.span,
                        format!("path:{{{name}}} catches nothing: the path {path} of this route has no {{{name}}}"),
                    );
                }
            }
            // With another place to look at, a path that catches nothing is one of the ways a client may come.
            None => {
                let names = missing(&sticky.client);
                if let Some(name) = names.first().filter(|_| names.len() == sticky.client.0.len()) {
                    source.wrong(
                        &self.path.span,
                        format!("no request of this route would say who its client is: the set's client is {}, and the path {path} has no {{{name}}}", sticky.client),
                    );
                }
            }
        }
        let Some(weight) = &self.weight else { return };
        match &weight.value {
            WeightRule::Fixed(Weight::ZERO) => source.wrong(&weight.span, "weight is to be more than 0"),
            WeightRule::Fixed(fixed) => {
                if let Some(most) = sticky.weight_max.filter(|most| fixed > most) {
                    source.wrong(&weight.span, format!("weight {fixed} is more than the set's weight_max {most}"));
                }
            }
            WeightRule::Said(sources) => {
                for name in missing(sources) {
                    source.wrong(
                        &weight.span,
                        format!("path:{{{name}}} catches nothing: the path {path} of this route has no {{{name}}}"),
                    );
                }
            }
        }
    }
}

/// The ways to each set, of all listeners.
#[derive(Default)]
pub(super) struct Ways(BTreeMap<SetName, Vec<(Answer, Range<usize>)>>);

impl Ways {
    /// One more. `table`: where its route begins.
    pub(super) fn add(&mut self, set: &SetName, way: &Way, table: &Range<usize>) {
        let answer = way.answer.as_ref();
        let (answer, span) = answer.map_or((Answer::Proxy, table), |at| (at.value, &at.span));
        self.0.entry(set.clone()).or_default().push((answer, span.clone()));
    }

    /// Tells where a client that is sent away could outlive its charge.
    pub(super) fn check(&self, file: &File<'_>, sets: &Sets) {
        for (name, ways) in &self.0 {
            let settings = sets.get(name).and_then(|set| set.value.as_ref()).map(|set| &set.settings);
            let Some(SetSettings::Sticky(sticky)) = settings else { continue };
            let away: Vec<_> = ways.iter().filter(|(answer, _)| *answer != Answer::Proxy).collect();
            let Some((_, first)) = away.first() else { continue };
            match sticky.presence {
                Presence::Connection if away.len() == ways.len() => file.wrong(
                    first,
                    format!(
                        "nobody would see the clients of {name} at home: with presence = \"connection\" they are there while \
                         they are connected through a gateway, and every route to {name} sends them past it; let the \
                         application tell its agent (presence = \"report\"), or count requests (presence = \"request\")"
                    ),
                ),
                Presence::Connection => file.doubt(
                    first,
                    format!(
                        "clients of {name} that go this way are connected past the gateway: with presence = \"connection\" \
                         they are charged only while a connection through the gateway is open too; presence = \"report\" \
                         sees them all"
                    ),
                ),
                Presence::Request if sticky.idle_after < LONG_CHARGE => file.doubt(
                    first,
                    format!(
                        "a client of {name} that stays at home longer than idle_after {} without asking a gateway again is \
                         no longer charged while it is still there; presence = \"report\" sees it",
                        sticky.idle_after
                    ),
                ),
                Presence::Request | Presence::Report => {}
            }
        }
    }
}

/// What an agent says that only some sets have a use for.
pub(super) struct Offer<'a> {
    pub(super) capacity: Option<&'a At<Weight>>,
    pub(super) labels: Option<&'a Range<usize>>,
    pub(super) gate: Option<&'a Range<usize>>,
}

impl Offer<'_> {
    /// Tells what does not fit the set.
    pub(super) fn check(&self, table: &Table<'_>, name: &SetName, set: &Set) {
        let source = table.source();
        if let SetSettings::Single(_) = &set.settings {
            let capacity = self.capacity.map(|at| ("capacity", &at.span));
            for (key, span) in [capacity, self.labels.map(|span| ("labels", span))].into_iter().flatten() {
                source.wrong(
                    span,
                    format!(
                        "{key} is for instances of sticky sets: {name:?} is single, and one carries all",
                        name = name.as_str()
                    ),
                );
            }
            return;
        }
        if self.capacity.is_none() {
            let example = "100: what this instance can carry, in the unit of its clients' weights";
            table.require("capacity", None::<()>, example);
        }
        if let Some(gate) = self.gate {
            source.wrong(gate, NO_GATE);
        }
    }
}

#[cfg(test)]
mod tests;
