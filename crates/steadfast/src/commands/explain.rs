//! `explain`: an answer, and what it was taken from.

use super::print::{Cell, Paint, json, out, out_text, table};
use super::reach::api;
use crate::admin::percent;
use crate::admin::view::{CandidateView, ExplainQuery, ExplainView};
use crate::cli;
use crate::exit::{Exit, Outcome};

pub(super) async fn run(flags: &cli::Explain) -> Outcome {
    let asked = ExplainQuery { weight: flags.weight, labels: flags.labels.iter().cloned().collect() };
    let found = api(&flags.reach)?.explain(&flags.set, &flags.client, &asked).await?;
    if flags.output.json {
        json(&found)?;
    } else {
        out(&found.sentence)?;
        if !found.candidates.is_empty() {
            out_text(format_args!("\n{}", candidates(Paint::detect(), &found)))?;
        }
    }
    Ok(if found.instance.is_some() { Exit::Yes } else { Exit::No })
}

/// The instances that were looked at, the best first.
fn candidates(paint: Paint, found: &ExplainView) -> String {
    let with = format!("WITH {}", found.weight);
    let rows: Vec<Vec<Cell>> = found.candidates.iter().map(|one| row(found, one)).collect();
    table(paint, "", &["INSTANCE", "USED", "OF", "FILL", &with, ""], &rows)
}

fn row(found: &ExplainView, one: &CandidateView) -> Vec<Cell> {
    let part = |part: Option<f64>| Cell::plain(part.map_or_else(|| "-".to_owned(), percent));
    let home = found.known.as_ref().is_some_and(|known| known.instance == one.instance);
    let mut said = Vec::new();
    if home {
        said.push("its home");
    }
    if found.new_would_go_to.as_ref() == Some(&one.instance) {
        said.push("the best for a new one");
    }
    let lacking = match one.lacking {
        0 => String::new(),
        1 => "lacks 1 preferred label".to_owned(),
        n => format!("lacks {n} preferred labels"),
    };
    let excluded = one.excluded.as_deref().map(excluded).unwrap_or_default();
    let rest = [lacking.as_str(), excluded].into_iter().filter(|text| !text.is_empty());
    let verdict = said.into_iter().chain(rest).collect::<Vec<_>>().join(", ");
    let verdict = match (&one.excluded, verdict.as_str()) {
        (Some(_), _) => Cell::dim(verdict),
        (None, "") => Cell::plain(""),
        (None, _) => Cell::good(verdict),
    };
    vec![
        Cell::plain(one.instance.0.as_str()),
        Cell::plain(one.used.to_string()),
        Cell::plain(one.capacity.to_string()),
        part(one.fill),
        part(one.fill_after),
        verdict,
    ]
}

/// Why an instance cannot be, for people.
fn excluded(word: &str) -> &str {
    match word {
        "no-room" => "has no room",
        "too-heavy" => "could never carry it",
        "label" => "lacks what is required",
        "unreachable" => "could not be reached just now",
        "not-drawn" => "was not drawn for it",
        state => state,
    }
}

#[cfg(test)]
mod tests;
