//! `watch`: the little client that asks again and again, and tells who answers, each change and each gap.

mod ask;
mod tally;

use std::io::IsTerminal;
use std::time::Duration;

use serde::Serialize;
use steadfast_host::clock;
use steadfast_host::shutdown;

use self::ask::Asker;
pub(crate) use self::ask::INSTANCE_HEADER;
use self::tally::{News, Tally};
use crate::cli::Watch;
use crate::commands::print::{CLEAR_LINE, Paint, count, json, out, out_text};
use crate::exit::{Exit, Failure, Outcome};

/// How often the line that is written over is written.
const LIVE_EVERY: Duration = Duration::from_millis(200);

pub(crate) async fn run(flags: &Watch) -> Outcome {
    let asker = Asker::new(&flags.url, flags.fresh, flags.within.duration()).map_err(Failure::usage)?;
    let mut signals = shutdown::signals()?;
    let teller = Teller::new(flags.output.json);
    let start = clock::now();
    let end = flags.for_.map(|span| start + span.duration());
    let mut tally = Tally::new(start);
    let mut live = start;
    if !flags.output.json {
        out(format_args!("asking {} every {}; Ctrl-C ends it", flags.url, flags.every))?;
    }
    loop {
        let due = clock::now() + flags.every.duration();
        let asked = tokio::select! {
            asked = asker.ask() => asked,
            _ = signals.next() => break,
        };
        if let Some(news) = tally.take(clock::now(), asked) {
            teller.tell(&news)?;
        }
        if clock::now() >= live {
            teller.live(&tally)?;
            live = clock::now() + LIVE_EVERY;
        }
        if end.is_some_and(|end| due >= end) {
            break;
        }
        tokio::select! {
            () = clock::sleep_until(due) => {}
            _ = signals.next() => break,
        }
    }
    teller.sum_up(&tally, clock::now().since(start))?;
    Ok(if flags.strict && tally.failed > 0 { Exit::No } else { Exit::Yes })
}

/// Tells what happens: lines, and below them on a terminal one that is written over.
struct Teller {
    json: bool,
    live: bool,
    paint: Paint,
}

/// One line of `--json`.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line<'n> {
    Answers {
        at: String,
        instance: &'n str,
        epoch: Option<u64>,
        from: Option<&'n str>,
        gap_ms: Option<u64>,
        failed: u64,
    },
    Fails {
        at: String,
        reason: &'n str,
    },
    Summary {
        requests: u64,
        failed: u64,
        changes: u64,
        longest_gap_ms: u64,
        for_ms: u64,
    },
}

impl Teller {
    fn new(json: bool) -> Teller {
        Teller { json, live: !json && std::io::stdout().is_terminal(), paint: Paint::detect() }
    }

    fn tell(&self, news: &News) -> Result<(), Failure> {
        let at = clock::wall().to_string();
        if self.json {
            return json(&match news {
                News::Answers { who, epoch, from, gap, failed } => Line::Answers {
                    at,
                    instance: who,
                    epoch: *epoch,
                    from: from.as_deref(),
                    gap_ms: gap.map(millis),
                    failed: *failed,
                },
                News::Fails { reason } => Line::Fails { at, reason },
            });
        }
        let time = at.get(11..23).unwrap_or(&at);
        let (clear, time) = (self.clear(), self.paint.dim(time));
        Ok(out(format_args!("{clear}{time}  {}", sentence(self.paint, news)))?)
    }

    /// What takes the line that is written over away.
    fn clear(&self) -> &'static str {
        if self.live { CLEAR_LINE } else { "" }
    }

    fn live(&self, tally: &Tally) -> Result<(), Failure> {
        if self.live {
            out_text(format_args!("{CLEAR_LINE}{}", self.paint.dim(&totals(tally))))?;
        }
        Ok(())
    }

    fn sum_up(&self, tally: &Tally, ran: Duration) -> Result<(), Failure> {
        if self.json {
            return json(&Line::Summary {
                requests: tally.requests,
                failed: tally.failed,
                changes: tally.changes,
                longest_gap_ms: millis(tally.longest_gap),
                for_ms: millis(ran),
            });
        }
        Ok(out(format_args!("{}{}", self.clear(), totals(tally)))?)
    }
}

fn totals(tally: &Tally) -> String {
    let plural =
        |number: u64, one: &str, more: &str| format!("{} {}", count(number), if number == 1 { one } else { more });
    format!(
        "{}, {} failed, {}, longest time without an answer {} ms",
        plural(tally.requests, "request", "requests"),
        count(tally.failed),
        plural(tally.changes, "change", "changes"),
        count(millis(tally.longest_gap))
    )
}

fn sentence(paint: Paint, news: &News) -> String {
    match news {
        News::Fails { reason } => format!("{} {reason}", paint.bad("no answer:")),
        News::Answers { who, epoch, from, gap, failed } => {
            let epoch = epoch.map(|epoch| format!(" (epoch {epoch})")).unwrap_or_default();
            let who = paint.good(who);
            let after = match (from, gap) {
                (Some(from), Some(gap)) => format!(", {} ms after the last answer of {from}", count(millis(*gap))),
                (None, Some(gap)) => format!(" again, {} ms after the last answer", count(millis(*gap))),
                _ => String::new(),
            };
            let failed = if *failed > 0 { format!("; {} failed meanwhile", count(*failed)) } else { String::new() };
            format!("{who} answers{epoch}{after}{failed}")
        }
    }
}

pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
