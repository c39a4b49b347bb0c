//! `copy`: everything from one store to another.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use steadfast_host::clock;
use steadfast_registry::{Copied, CopyError, CopyNews, CopyRules, Registry};

use super::print::{Live, count, json, out};
use super::reach;
use crate::cli;
use crate::exit::{Exit, Failure, Outcome, told_once};
use crate::stores::{self, StoreName};

pub(super) async fn run(flags: &cli::Copy) -> Outcome {
    let from = books("FROM", &flags.from, flags.from_token_file.as_deref())?;
    let to = books("TO", &flags.to, flags.to_token_file.as_deref())?;
    let place = |books: &Registry| books.store().describe().place;
    if flags.from == flags.to || place(&from) == place(&to) {
        return Err(Failure::usage(format!("FROM and TO are one store: {}", place(&from))));
    }
    let rules = CopyRules { update: flags.update, dry_run: flags.dry_run };
    let begin = clock::now();
    let mut live = Live::detect(flags.output.json);
    let copied = from.copy_to(&to, rules, |news| live.show(&line(&news))).await;
    live.end();
    let copied = copied.map_err(failure)?;
    let view = CopyView::new(&copied, rules, clock::now().since(begin));
    if flags.output.json {
        json(&view)?
    } else {
        view.tell()?
    }
    Ok(Exit::Yes)
}

/// The books in the store at `url`, which is the `which` of the two.
fn books(which: &str, url: &str, token_file: Option<&Path>) -> Result<Registry, Failure> {
    let Some(store) = StoreName::of_flags(Some(url), true, None)? else {
        return Err(Failure::usage("no store is named"));
    };
    let opened = store.open(token_file, || Ok(reach::default_token()));
    let named =
        |failure: Failure| Failure { error: anyhow::anyhow!("{which}: {}", told_once(&failure.error)), ..failure };
    Ok(Registry::new(opened.map_err(named)?))
}

fn line(news: &CopyNews) -> String {
    match news {
        CopyNews::Watching(span) => format!("watching both stores for {}s: nobody may use them", span.as_secs()),
        CopyNews::Copying(space, records) => format!("{space}: {}", some(*records, "record")),
        CopyNews::Comparing(space, records) => format!("{space}: {} compared", some(*records, "record")),
    }
}

/// So many of them: `1 set`, `4 212 records`.
fn some(number: u64, what: &str) -> String {
    format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" })
}

fn failure(error: CopyError) -> Failure {
    let exit = match &error {
        CopyError::NothingThere | CopyError::OtherSets(_) | CopyError::TooLarge { .. } => Exit::Refused,
        CopyError::NotEmpty(_) | CopyError::FromInUse(_) | CopyError::ToInUse(_) | CopyError::Differ(..) => Exit::No,
        CopyError::From(of_store) | CopyError::To(of_store) => match of_store {
            steadfast_registry::Error::Store(error) => stores::exit_of(error),
            _ => Exit::No,
        },
    };
    Failure::new(exit, error)
}

#[derive(Serialize)]
struct CopyView {
    /// False after a dry run that found something to do.
    equal: bool,
    dry_run: bool,
    sets: Vec<SetCopied>,
    records: u64,
    bytes: u64,
    written: u64,
    deleted: u64,
    took_ms: u64,
}

#[derive(Serialize)]
struct SetCopied {
    set: String,
    /// Where FROM stood.
    revision: u64,
}

impl CopyView {
    fn new(copied: &Copied, rules: CopyRules, took: Duration) -> CopyView {
        let sets = copied.sets.iter().map(|(set, at)| SetCopied { set: set.to_string(), revision: at.revision.0 });
        CopyView {
            equal: !rules.dry_run || copied.written + copied.deleted == 0,
            dry_run: rules.dry_run,
            sets: sets.collect(),
            records: copied.records,
            bytes: copied.bytes,
            written: copied.written,
            deleted: copied.deleted,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        }
    }

    fn tell(&self) -> std::io::Result<()> {
        let at: Vec<String> = self.sets.iter().map(|it| format!("{}@{}", it.set, it.revision)).collect();
        let (records, megabytes) = (some(self.records, "record"), self.bytes as f64 / 1e6);
        let (written, deleted) = (count(self.written), count(self.deleted));
        if self.dry_run {
            let what = format!("of {records} ({megabytes:.1} MB) {written} would be written, {deleted} deleted");
            return out(format_args!("{what}, at {}", at.join(", ")));
        }
        let (sets, seconds) = (some(self.sets.len() as u64, "set"), self.took_ms as f64 / 1e3);
        out(format_args!("{sets}, {records} ({megabytes:.1} MB), in {seconds:.1} s"))?;
        out(format_args!("written: {written}, deleted: {deleted}; both hold the same at {}", at.join(", ")))
    }
}
