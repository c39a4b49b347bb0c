//! What Steadfast wants to reach, and what is known where it does not.

use serde_json::Value;

use super::count;

/// One goal and the figure of a run that is held against it.
pub(super) struct Goal {
    pub(super) work: &'static str,
    bound: Bound,
    unit: &'static str,
    /// Digits after the point.
    digits: usize,
    pub(super) figure: fn(&Value) -> Option<f64>,
    /// Said where it is missed.
    pub(super) why_missed: &'static str,
}

enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

use Bound::{AtLeast, AtMost};

const PARSING: &str = "what remains beside the peer is the HTTP library (hyper): its parsing, and its map of headers.";
const ABSOLUTE: &str = "a time of this machine; the goal was set on one where nginx's `return 307` took 5.2 µs. The ratios \
                        say more.";
const PLACING: &str = "each new client costs a look-up in the store's table to learn that it is absent, which a filter of \
                       the names would save; and sustained random inserts beyond half a million pay for the table's pages.";
const GAP: &str = "no cause is established. The bench prints each event while it is measured.";
const FAILED: &str = "the bench prints each of them while it is measured, with what the client saw.";

pub(super) const GOALS: &[Goal] = &[
    Goal {
        work: "a known client sent home",
        bound: AtMost(5.2),
        unit: "µs",
        digits: 1,
        figure: |run| front(&run["redirect"]["fronts"], "steadfast", "cpu_us_per_request"),
        why_missed: ABSOLUTE,
    },
    Goal {
        work: "a known client sent home beside HAProxy with a stick table",
        bound: AtMost(0.85),
        unit: "×",
        digits: 2,
        figure: |run| front(&run["redirect"]["fronts"], "haproxy", "steadfast_ratio"),
        why_missed: PARSING,
    },
    Goal {
        work: "a known client sent home beside nginx's `return 307`, which knows nobody",
        bound: AtMost(1.0),
        unit: "×",
        digits: 2,
        figure: |run| front(&run["redirect"]["fronts"], "nginx", "steadfast_ratio"),
        why_missed: PARSING,
    },
    Goal {
        work: "memory of a remembered client in the gateway",
        bound: AtMost(64.0),
        unit: "bytes",
        digits: 0,
        figure: |run| run["redirect"]["memory_bytes_per_client"].as_f64(),
        why_missed: "what the whole process grew by is counted. A slot of the table takes 40 bytes, and the table at most \
                     64 for each client; the rest is what the answers were read and made in.",
    },
    Goal {
        work: "a proxied request beside nginx",
        bound: AtMost(1.0),
        unit: "×",
        digits: 2,
        figure: |run| front(&run["proxy"], "nginx", "steadfast_ratio"),
        why_missed: PARSING,
    },
    Goal {
        work: "a proxied request beside HAProxy",
        bound: AtMost(0.9),
        unit: "×",
        digits: 2,
        figure: |run| front(&run["proxy"], "haproxy", "steadfast_ratio"),
        why_missed: PARSING,
    },
    Goal {
        work: "a proxied request beside Envoy",
        bound: AtMost(0.3),
        unit: "×",
        digits: 2,
        figure: |run| front(&run["proxy"], "envoy", "steadfast_ratio"),
        why_missed: PARSING,
    },
    Goal {
        work: "new clients placed on empty books, one core",
        bound: AtLeast(75_000.0),
        unit: "/s",
        digits: 0,
        figure: |run| placed(run, "empty"),
        why_missed: PLACING,
    },
    Goal {
        work: "new clients placed without a pause, up to all of them",
        bound: AtLeast(75_000.0),
        unit: "/s",
        digits: 0,
        figure: |run| placed(run, "steady"),
        why_missed: PLACING,
    },
    Goal {
        work: "new clients placed in a burst beside all of them",
        bound: AtLeast(75_000.0),
        unit: "/s",
        digits: 0,
        figure: |run| placed(run, "full"),
        why_missed: PLACING,
    },
    Goal {
        work: "application killed → the next answer: p99",
        bound: AtMost(250.0),
        unit: "ms",
        digits: 0,
        figure: |run| event(run, "crash").and_then(|one| one["gap_ms"]["p99"].as_f64()),
        why_missed: GAP,
    },
    Goal {
        work: "planned switchover: p99",
        bound: AtMost(50.0),
        unit: "ms",
        digits: 0,
        figure: |run| event(run, "switchover").and_then(|one| one["gap_ms"]["p99"].as_f64()),
        why_missed: GAP,
    },
    Goal {
        work: "requests that failed at these",
        bound: AtMost(0.0),
        unit: "",
        digits: 0,
        figure: |run| Some(event(run, "crash")?["failed"].as_f64()? + event(run, "switchover")?["failed"].as_f64()?),
        why_missed: FAILED,
    },
];

impl Goal {
    pub(super) fn is_met(&self, figure: f64) -> bool {
        match self.bound {
            AtMost(most) => figure <= most,
            AtLeast(least) => figure >= least,
        }
    }

    /// A figure as the table shows it.
    pub(super) fn shown(&self, figure: f64) -> String {
        let figure = if self.digits == 0 { count(figure) } else { format!("{figure:.*}", self.digits) };
        let space = if self.unit.starts_with('/') || self.unit.is_empty() { "" } else { " " };
        format!("{figure}{space}{}", self.unit)
    }

    pub(super) fn bound(&self) -> String {
        match self.bound {
            AtMost(most) => format!("≤ {}", self.shown(most)),
            AtLeast(least) => format!("≥ {}", self.shown(least)),
        }
    }
}

/// A figure of one of the servers that were measured side by side.
fn front(fronts: &Value, name: &str, figure: &str) -> Option<f64> {
    fronts.as_array()?.iter().find(|front| front["name"] == name)?[figure].as_f64()
}

fn placed(run: &Value, phase: &str) -> Option<f64> {
    run["books"]["placer"][phase]["per_second"].as_f64()
}

/// What Steadfast's clients saw of one kind of event.
fn event<'a>(run: &'a Value, event: &str) -> Option<&'a Value> {
    run["failover"].as_array()?.iter().find(|one| one["front"] == "steadfast" && one["event"] == event)
}
