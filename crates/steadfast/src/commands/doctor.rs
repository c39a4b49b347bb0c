//! `doctor`: the store as it is from here, and whether leases are safe on it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use steadfast_core::lease::{Fit, Quickness, ROOM, Suits, TRIES, Timing};
use steadfast_core::settings::SetSettings;
use steadfast_core::{SetName, Span};
use steadfast_host::state::StateDir;
use steadfast_registry::{Registry, Times};
use steadfast_store::{Description, Finding, Grade};

use super::print::{Live, Paint, json, out_text};
use super::reach;
use crate::cli::Doctor;
use crate::config::Config;
use crate::exit::{Exit, Failure, Outcome};
use crate::stores::{self, StoreName};

/// How long the store has to tell of itself.
const EXAMINED_WITHIN: Duration = Duration::from_secs(5);
/// The quantile by which a store is judged.
const HIGH: f64 = 0.99;

pub(super) async fn run(flags: &Doctor) -> Outcome {
    let config = match &flags.config {
        Some(file) => Some(Config::load(file).map_err(|problems| Failure::new(Exit::Usage, problems))?),
        None => None,
    };
    let books = open(flags, config.as_ref())?;
    let mut live = Live::detect(flags.output.json);
    live.show(&format!("measuring {} for {}", books.store().describe().place, flags.span));
    let examined = examine(&books, flags, config.as_ref()).await;
    live.end();
    let view = examined?;
    if flags.output.json {
        json(&view)?
    } else {
        out_text(view.screen(Paint::detect()))?
    }
    Ok(if view.is_well() { Exit::Yes } else { Exit::No })
}

/// The store that is meant: the one that is named, the file's, or the one in the state directory.
fn open(flags: &Doctor, config: Option<&Config>) -> Result<Registry, Failure> {
    let said = &flags.store;
    let said = StoreName::of_flags(said.url.as_deref(), said.on_command_line, said.file.as_deref())?;
    let store = match said.or_else(|| config.and_then(|config| config.store.as_deref().map(StoreName::kept))) {
        Some(store) => store,
        None => {
            let dir = config.and_then(|config| config.state_dir.clone());
            let place = dir.or_else(|| StateDir::default_places().into_iter().find(|place| place.exists()));
            StoreName::default_in(&place.ok_or_else(|| Failure::usage("no store is named: give --store or --config"))?)
        }
    };
    let of_the_file = || config.and_then(|config| config.store_token_file.clone());
    let token_file = flags.store.token_file.clone().or_else(of_the_file);
    let given = flags.store.tls.files();
    let of_the_file = config.filter(|_| !flags.store.tls.is_given()).map(|config| config.store_tls.clone());
    let store = store.with_tls(of_the_file.unwrap_or(given));
    Ok(Registry::new(store.open(token_file.as_deref(), || Ok(reach::default_token()))?))
}

async fn examine(books: &Registry, flags: &Doctor, config: Option<&Config>) -> Result<DoctorView, Failure> {
    let failed = |error: steadfast_registry::Error| match &error {
        steadfast_registry::Error::Store(store) => Failure::new(stores::exit_of(store), error.clone()),
        _ => Failure::new(Exit::No, error),
    };
    let measured = books.measure(flags.span.duration()).await.map_err(failed)?;
    let findings = books.store().examine(EXAMINED_WITHIN).await.map_err(|error| failed(error.into()))?;
    let about = books.store().describe();
    let quickness = Quickness {
        commit: measured.commit.quantile(HIGH),
        read: measured.read.quantile(HIGH),
        pace: Duration::from_millis(about.pace_ms),
    };
    let judged = timings(books, flags, config).await?;
    let leases = judged.into_iter().map(|(set, timing)| LeaseView::of(set, &timing, quickness, &about)).collect();
    let [commit_ms, read_ms, notice_ms] = [&measured.commit, &measured.read, &measured.notice].map(TimesView::of);
    Ok(DoctorView { store: about, commit_ms, read_ms, notice_ms, findings, leases })
}

/// The leases to be judged: of one set, of all that the store or the file knows, or of the default one.
async fn timings(
    books: &Registry,
    flags: &Doctor,
    config: Option<&Config>,
) -> Result<Vec<(Option<SetName>, Timing)>, Failure> {
    if let Some(ttl) = flags.ttl {
        let timing = Timing::new(ttl, Timing::DEFAULT_DRIFT_MILLI, Span::ZERO).map_err(Failure::usage)?;
        return Ok(vec![(None, timing)]);
    }
    let stored = books.sets().await.map_err(|error| Failure::new(Exit::No, error))?;
    let mut known: BTreeMap<SetName, SetSettings> = config
        .into_iter()
        .flat_map(|config| &config.sets)
        .map(|(name, set)| (name.clone(), set.settings.clone()))
        .collect();
    // The store's count, as everywhere.
    known.extend(stored.into_iter().filter_map(|(set, it)| Some((set.clone(), it.record.settings(&set).ok()?))));
    if let Some(only) = &flags.set {
        if !known.contains_key(only) {
            return Err(Failure::usage(format!("there is no set {only} in the store")));
        }
        known.retain(|set, _| set == only);
    }
    let mut timings: Vec<(Option<SetName>, Timing)> = known
        .into_iter()
        .filter_map(|(set, settings)| match settings {
            SetSettings::Single(single) => Some((Some(set), single.timing())),
            SetSettings::Sticky(_) => None,
        })
        .collect();
    if timings.is_empty() {
        timings.push((None, Timing::default()));
    }
    Ok(timings)
}

/// What the doctor found.
#[derive(Serialize)]
struct DoctorView {
    store: Description,
    commit_ms: TimesView,
    read_ms: TimesView,
    notice_ms: TimesView,
    findings: Vec<Finding>,
    leases: Vec<LeaseView>,
}

#[derive(Serialize)]
struct TimesView {
    p50: f64,
    p99: f64,
    count: usize,
}

/// A lease on this store.
#[derive(Serialize)]
struct LeaseView {
    /// None: no set's, but one of the TTL that was asked about, or the default.
    set: Option<String>,
    ttl_ms: u64,
    /// `fits`, `tight` or `too-slow`.
    verdict: &'static str,
    /// What it was reckoned from.
    sums: Vec<String>,
    /// The shortest TTL that fits; null: none does.
    least_ttl_ms: Option<u64>,
}

fn ms(span: Duration) -> f64 {
    (span.as_secs_f64() * 1e5).round() / 100.0
}

impl TimesView {
    fn of(times: &Times) -> TimesView {
        TimesView { p50: ms(times.quantile(0.5)), p99: ms(times.quantile(HIGH)), count: times.count() }
    }
}

impl LeaseView {
    fn of(set: Option<SetName>, timing: &Timing, quickness: Quickness, about: &Description) -> LeaseView {
        let suits = timing.on(quickness);
        let mut view = LeaseView {
            set: set.map(|set| set.to_string()),
            ttl_ms: timing.ttl().as_millis(),
            verdict: match suits.fit {
                Fit::Fits => "fits",
                Fit::Tight => "tight",
                Fit::TooSlow => "too-slow",
            },
            sums: sums(timing, quickness, &suits),
            least_ttl_ms: suits.least_ttl.map(Span::as_millis),
        };
        if let Some(lasts) = about.lease_lasts_ms.filter(|lasts| *lasts < timing.ttl().as_millis()) {
            view.verdict = "too-slow";
            view.sums.push(format!("TTL {} > {lasts}ms, for which the store itself holds a lease", timing.ttl()));
            view.least_ttl_ms = None;
        }
        view
    }
}

/// The arithmetic, in the words of the settings.
fn sums(timing: &Timing, quickness: Quickness, suits: &Suits) -> Vec<String> {
    let (commit, try_timeout) = (ms(quickness.commit), ms(suits.try_timeout));
    let (tries, lasts) = (suits.try_timeout * TRIES, timing.ttl().duration() - timing.margin());
    let sign = |holds: bool| if holds { "<=" } else { "> " };
    vec![
        format!(
            "{ROOM} x commit p99 = {ROOM} x {commit} ms {} try_timeout = TTL/6 = {try_timeout} ms",
            sign(quickness.commit * ROOM <= suits.try_timeout)
        ),
        format!(
            "renew_every + {TRIES} x try_timeout = {} + {} ms <= TTL - margin = {} ms",
            ms(suits.renew_every),
            ms(tries),
            ms(lasts)
        ),
        format!(
            "contact every {} ms + read p99 {} ms {} renew_every = {} ms",
            ms(suits.contact.saturating_sub(quickness.read)),
            ms(quickness.read),
            sign(suits.contact <= suits.renew_every),
            ms(suits.renew_every)
        ),
    ]
}

impl DoctorView {
    fn is_well(&self) -> bool {
        self.findings.iter().all(|finding| finding.grade != Grade::Bad)
            && self.leases.iter().all(|lease| lease.verdict != "too-slow")
    }

    fn screen(&self, paint: Paint) -> String {
        let mut text = String::new();
        let longest = self.findings.iter().map(|finding| finding.about.len()).max().unwrap_or(0);
        let width = longest.max("lease_ttl".len()) + 2;
        let mut line = |about: &str, what: &str| {
            let _ = writeln!(text, "{}{what}", paint.bold(&format!("{about:width$}")));
        };
        let store = &self.store;
        let pushes = if store.push { "changes are pushed" } else { "changes are polled for" };
        line("store", &format!("{} at {}", store.engine, store.place));
        line("", if store.durable { "acknowledged writes survive a crash" } else { "a crash may lose writes" });
        line(
            "",
            &if store.pace_ms > 0 { format!("{pushes}, contact every {} ms", store.pace_ms) } else { pushes.into() },
        );
        if let Some(how) = &store.may_lose {
            line("", &format!("{} {how}", paint.unsure("may lose acknowledged writes:")));
        }
        store.notes.iter().for_each(|note| line("", note));
        for (about, times) in [("commit", &self.commit_ms), ("read", &self.read_ms), ("notice", &self.notice_ms)] {
            line(about, &format!("p50 {} ms  p99 {} ms  ({} of them)", times.p50, times.p99, times.count));
        }
        for finding in &self.findings {
            // Marked as `status` marks what is wrong: colours are not always there.
            let value = match finding.grade {
                Grade::Good => finding.value.clone(),
                Grade::Note => paint.unsure(&format!("! {}", finding.value)),
                Grade::Bad => paint.bad(&format!("!! {}", finding.value)),
            };
            line(&finding.about, &value);
            finding.advice.iter().for_each(|advice| line("", &paint.dim(advice)));
        }
        for lease in &self.leases {
            let whose = lease.set.as_ref().map_or_else(String::new, |set| format!(" of set {set}"));
            let verdict = match lease.verdict {
                "fits" => paint.good("safe"),
                "tight" => paint.unsure("! safe, and tight: an ordinary slow moment costs a try"),
                _ => paint.bad("!! too short for this store"),
            };
            line("lease_ttl", &format!("{}{whose}: {verdict}", Span::from_millis(lease.ttl_ms)));
            lease.sums.iter().for_each(|sum| line("", &paint.dim(sum)));
            if lease.verdict != "fits" {
                let least = lease.least_ttl_ms.map(|ms| format!("{} or more fits", Span::from_millis(ms)));
                line("", &least.unwrap_or_else(|| "no lease_ttl fits".to_owned()));
            }
        }
        text
    }
}

#[cfg(test)]
mod tests;
