//! `[sets.<name>]`.

use std::collections::{BTreeMap, BTreeSet};

use steadfast_core::health::{BadPolicy, CheckPolicy};
use steadfast_core::lease::{Timing, Unsafe};
use steadfast_core::settings::{BadSettings, SetSettings, SingleSettings, StickySettings};
use steadfast_core::{Endpoint, EndpointName, InstanceId, SetName, Span, conceal};
use steadfast_gateway::{FixedCheck, FixedInstance};

use super::gateway::{DEFAULT_ENDPOINT, absolute_path};
use super::reader::{At, Table};
use super::sticky;

const DEFAULT_CHECK_PATH: &str = "/";
/// A set as the file has it.
#[derive(Clone, Debug)]
pub struct Set {
    /// Its settings, to be introduced to the store.
    pub settings: SetSettings,
    /// Instances without agents, which the gateway checks itself.
    pub instances: Vec<FixedInstance>,
}

/// The settings of a single set about which nothing was said.
pub fn default_settings() -> SetSettings {
    SetSettings::Single(SingleSettings::default())
}

/// The sets of a file; one that could not be read still has its name, so that who names it is not told that it is
/// unknown.
pub(super) type Sets = BTreeMap<SetName, At<Option<Set>>>;

pub(super) fn read(root: &Table<'_>) -> Sets {
    let Some(sets) = root.table("sets") else { return BTreeMap::new() };
    let mut found = BTreeMap::new();
    for (name, table) in sets.named_tables::<SetName>() {
        let set = read_set(&table);
        table.finish();
        found.insert(name.value, At { value: set, span: name.span });
    }
    found
}

/// What a set can be.
#[derive(Clone, Copy)]
enum Kind {
    Single,
    Sticky,
}

fn read_set(table: &Table<'_>) -> Option<Set> {
    let kind = table.choice("kind", &[(SingleSettings::KIND, Kind::Single), (StickySettings::KIND, Kind::Sticky)]);
    let kind = table.require("kind", kind, "\"single\" or \"sticky\"");
    match kind.map(|at| at.value) {
        Some(Kind::Sticky) => {
            let settings = sticky::read(table)?;
            Some(Set { settings: SetSettings::Sticky(Box::new(settings)), instances: Vec::new() })
        }
        Some(Kind::Single) => read_single(table),
        None => {
            // Whichever it is: what stands in the table is not unknown.
            read_single(table);
            sticky::skip(table);
            None
        }
    }
}

fn read_single(table: &Table<'_>) -> Option<Set> {
    let ttl = table.parsed::<Span>("lease_ttl");
    let drift = table.thousandths("clock_drift");
    let park_for = table.parsed::<Span>("park_for");
    let release_after = table.parsed::<Span>("release_after");
    let instances = read_instances(table);
    let [ttl_at, release_at, park_at] =
        [&ttl, &release_after, &park_for].map(|at| at.as_ref().map(|at| at.span.clone()));
    let drift_at = drift.as_ref().map(|at| at.span.clone());
    let settings = SingleSettings::new(
        ttl.map_or(Timing::DEFAULT_TTL, |at| at.value),
        drift.map_or(Timing::DEFAULT_DRIFT_MILLI, |at| at.value),
        release_after.map_or(Span::ZERO, |at| at.value),
        park_for.map_or(SingleSettings::DEFAULT_PARK_FOR, |at| at.value),
    );
    let settings = settings.map_err(|refused| {
        let place = match &refused {
            BadSettings::Unsafe(Unsafe::Drift { .. }) => drift_at,
            BadSettings::Unsafe(Unsafe::Overlap { .. } | Unsafe::Renewal { .. } | Unsafe::Ttl(_)) => {
                ttl_at.or(drift_at)
            }
            BadSettings::Unsafe(Unsafe::ReleaseAfter(_)) => release_at,
            BadSettings::ParkFor(_) => park_at,
            BadSettings::Sticky(_) => None,
        };
        table.source().wrong(&place.unwrap_or_else(|| table.span().clone()), refused.to_string());
    });
    let settings = settings.ok()?;
    Some(Set { settings: SetSettings::Single(settings), instances })
}

fn read_instances(table: &Table<'_>) -> Vec<FixedInstance> {
    let mut ids = BTreeSet::new();
    let mut found = Vec::new();
    for table in table.tables("instances") {
        let instance = read_instance(&table, &mut ids);
        table.finish();
        found.extend(instance);
    }
    found
}

fn read_instance(table: &Table<'_>, ids: &mut BTreeSet<InstanceId>) -> Option<FixedInstance> {
    let id = table.parsed::<InstanceId>("id");
    let id = table.require("id", id, "\"b1\"");
    if let Some(id) = id.as_ref().filter(|id| !ids.insert(id.value.clone())) {
        table.source().wrong(&id.span, format!("the id {:?} is there twice in this set", id.value.as_str()));
    }
    let endpoints = table.table("endpoints").map(|below| {
        let named = below.named_texts::<EndpointName>().into_iter();
        let parsed = named.filter_map(|(name, text)| {
            let endpoint = below.parse::<Endpoint>(name.value.as_str(), text)?;
            Some((name.value, endpoint.value))
        });
        parsed.collect::<Vec<_>>()
    });
    let endpoints = table.require("endpoints", endpoints, "{ http = \"http://10.0.0.5:80\" }");
    let (path, policy) = read_check(table);
    let endpoints = endpoints?;
    let http = endpoints.iter().find(|(name, _)| name.as_str() == DEFAULT_ENDPOINT).or(endpoints.first());
    let Some((_, endpoint)) = http.cloned() else {
        table
            .source()
            .wrong(table.span(), "an instance needs an endpoint, such as endpoints.http = \"http://10.0.0.5:80\"");
        return None;
    };
    Some(FixedInstance { id: id?.value, endpoints, check: FixedCheck { endpoint, path, policy } })
}

fn read_check(table: &Table<'_>) -> (String, CheckPolicy) {
    let Some(check) = table.table("check") else { return (DEFAULT_CHECK_PATH.to_owned(), CheckPolicy::default()) };
    let path = check.text("path").and_then(|path| absolute_path(&check, "path", path));
    let policy = read_policy(&check);
    check.finish();
    (path.unwrap_or_else(|| DEFAULT_CHECK_PATH.to_owned()), policy)
}

/// `every`, `timeout`, `rise` and `fall` of a check.
pub(super) fn read_policy(check: &Table<'_>) -> CheckPolicy {
    let every = check.parsed::<Span>("every");
    let timeout = check.parsed::<Span>("timeout");
    let rise = check.whole("rise", 1);
    let fall = check.whole("fall", 1);
    let place = every.as_ref().or(timeout.as_ref()).map_or(check.span(), |at| &at.span).clone();
    let wanted =
        (every.map(|at| at.value), timeout.map(|at| at.value), rise.map(|at| at.value), fall.map(|at| at.value));
    policy(wanted.0, wanted.1, wanted.2, wanted.3).unwrap_or_else(|refused| {
        check.source().wrong(&place, refused.to_string());
        CheckPolicy::default()
    })
}

/// A policy of which some parts were said. A check that is made more often than the default may take has less time.
pub(super) fn policy(
    every: Option<Span>,
    timeout: Option<Span>,
    rise: Option<u32>,
    fall: Option<u32>,
) -> Result<CheckPolicy, BadPolicy> {
    let default = CheckPolicy::default();
    let every = every.unwrap_or(default.every());
    let timeout = timeout.unwrap_or(default.timeout().min(every));
    CheckPolicy::new(every, timeout, rise.unwrap_or(default.rise()), fall.unwrap_or(default.fall()))
}

/// Each key of a set's settings and its value, as they stand in a file; without those that say nothing.
pub(crate) fn lines(settings: &SetSettings) -> Vec<(&'static str, String)> {
    let mut lines = vec![("kind", format!("\"{}\"", settings.kind()))];
    match settings {
        SetSettings::Single(single) => {
            let timing = single.timing();
            lines.extend([
                ("lease_ttl", format!("\"{}\"", timing.ttl())),
                ("clock_drift", format!("{}", f64::from(timing.drift_milli()) / 1000.0)),
                ("park_for", format!("\"{}\"", single.park_for())),
                ("release_after", format!("\"{}\"", timing.release_after())),
            ]);
        }
        SetSettings::Sticky(sticky) => {
            lines.extend(sticky.entries().into_iter().map(|(key, value)| (key, value.to_string())));
        }
    }
    lines
}

/// A key, what it was and what it is; `None` where it says nothing.
pub(crate) type ChangedLine = (&'static str, Option<String>, Option<String>);

/// The lines that differ, in the order of a file, as they may be shown.
pub(crate) fn changed_lines(before: &SetSettings, now: &SetSettings) -> Vec<ChangedLine> {
    let (before, now) = (lines(before), lines(now));
    let value = |lines: &[(&str, String)], key: &str| {
        lines.iter().find(|(known, _)| *known == key).map(|(_, value)| value.clone())
    };
    let gone = before.iter().filter(|(key, _)| value(&now, key).is_none());
    let keys = now.iter().chain(gone).map(|(key, _)| *key);
    let pairs = keys.map(|key| (key, value(&before, key), value(&now, key)));
    let shown = |value: Option<String>| value.map(|text| conceal::urls(&text));
    pairs.filter(|(_, before, now)| before != now).map(|(key, before, now)| (key, shown(before), shown(now))).collect()
}
