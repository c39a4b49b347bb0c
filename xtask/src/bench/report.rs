//! `docs/performance.md`, made of what one run measured: every figure in it comes from that run.

mod goals;
mod stores;

use std::fmt::Write;

use anyhow::{Context, Result};
use serde_json::Value;

use goals::GOALS;
pub(super) use stores::{PAGE as STORES_PAGE, page as stores_page, tables as stores};

/// Where the page is, in the work tree.
pub(super) const PAGE: &str = "docs/performance.md";

/// The run: when, where, of what.
pub(super) struct About {
    /// As the machine says it, `2026-11-22`.
    pub(super) date: String,
    /// The commit, and whether there was more than it.
    pub(super) commit: String,
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) memory_gib: f64,
    pub(super) kernel: String,
    pub(super) versions: Vec<(&'static str, String)>,
    /// What follows `cargo xtask bench` to measure the same again.
    pub(super) options: String,
}

const OPENING: &str = "\
<!-- Written by `cargo xtask bench --write`, from one run. Whoever edits it by hand is overwritten by the next. -->

# Performance

What Steadfast costs beside nginx, HAProxy and Envoy, measured on one machine in one run.

**How to read it.** The figure to compare is processor time: user and system time of a server's whole process tree,
divided by the requests that were answered. It holds on a noisy machine, where requests a second do not. A ratio is
Steadfast's figure divided by the peer's in the same run: 0.80 × means a fifth less. Absolute times are those of this
machine; the ratios are what carries over. Figures are medians of the runs; nothing is left out.
";

const METHOD: &str = "\
[bench/README.md](../bench/README.md) says how each part is measured, and every server's configuration lies beside it.
";

const NOT_MEASURED: &str = "\
## Not measured

- **TCP**, bytes through at full rate: there is no listener for plain TCP yet.
- **Pingora** as a peer (goal: a proxied request at 0.45 ×): it is a library that needs cmake to build, and no package has it.
- **The same redirect from 10 thousand to 10 million clients** (goal: flat within 20 %): one run has one number of clients.
  `cargo xtask bench redirect --clients N` measures another.
- **The death of a host** (goal: the lease's time and 300 ms): here the applications die, not the machine with its agent;
  that is measured [with the stores](stores/measured.md).
- **TLS, HTTP/2, large bodies, several cores**: every server has one core, speaks HTTP/1.1 on loopback, and passes small
  bodies.
";

/// The whole page.
pub(super) fn page(results: &Value, about: &About) -> Result<String> {
    let mut text = OPENING.to_owned();
    machine(&mut text, about, METHOD)?;
    goals(&mut text, results)?;
    redirect(&mut text, results).context("the part redirect")?;
    proxy(&mut text, results).context("the part proxy")?;
    placements(&mut text, results).context("the part place")?;
    failover(&mut text, results).context("the part failover")?;
    text += NOT_MEASURED;
    Ok(text)
}

fn machine(text: &mut String, about: &About, method: &str) -> Result<()> {
    let versions: Vec<String> = about.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    writeln!(
        text,
        "\n## This run\n\n| | |\n|---|---|\n| date | {} |\n| Steadfast | {} |\n| peers and load | {} |\n\
         | machine | {}, {} cores, {:.0} GiB of memory, Linux {} |\n\nAgain: `cargo xtask bench{}`. {method}",
        about.date,
        about.commit,
        versions.join(", "),
        about.processor,
        about.cores,
        about.memory_gib,
        about.kernel,
        about.options,
    )?;
    Ok(())
}

fn goals(text: &mut String, results: &Value) -> Result<()> {
    *text += "## Goals\n\n| work | measured | goal | |\n|---|--:|--:|---|\n";
    // What several misses have in common is said once.
    let mut missed: Vec<(&str, Vec<&str>)> = Vec::new();
    for goal in GOALS {
        let figure = (goal.figure)(results).with_context(|| format!("no figure for \"{}\"", goal.work))?;
        let verdict = if goal.is_met(figure) { "met" } else { "**missed**" };
        writeln!(text, "| {} | {} | {} | {verdict} |", goal.work, goal.shown(figure), goal.bound())?;
        if goal.is_met(figure) {
            continue;
        }
        match missed.iter_mut().find(|(why, _)| *why == goal.why_missed) {
            Some((_, works)) => works.push(goal.work),
            None => missed.push((goal.why_missed, vec![goal.work])),
        }
    }
    if !missed.is_empty() {
        *text += "\nWhat misses its goal, and what is known of it:\n\n";
    }
    for (why, works) in missed {
        writeln!(text, "- **{}**: {why}", works.join("; "))?;
    }
    *text += "\n";
    Ok(())
}

fn redirect(text: &mut String, results: &Value) -> Result<()> {
    let part = &results["redirect"];
    writeln!(
        text,
        "## Redirect\n\nA client that is known is sent to its home: one look-up among {} clients, and a 307. HAProxy \
         remembers the same clients in a stick\ntable; nginx and Envoy remember nobody and send everybody to one \
         place.\n\n{}\nA remembered client takes {:.0} bytes of the gateway's memory, counted as what the process \
         grew by.\n",
        count(number(&part["clients"])?),
        fronts(&part["fronts"])?,
        number(&part["memory_bytes_per_client"])?,
    )?;
    Ok(())
}

fn proxy(text: &mut String, results: &Value) -> Result<()> {
    writeln!(
        text,
        "## Proxy\n\nKept connections on both sides, a small body, the same back end behind all.\n\n{}",
        fronts(&results["proxy"])?
    )?;
    Ok(())
}

/// The table of servers measured side by side.
fn fronts(fronts: &Value) -> Result<String> {
    let mut text =
        "| | CPU µs a request | Steadfast ÷ it | requests/s | p99 ms | failed |\n|---|--:|--:|--:|--:|--:|\n"
            .to_owned();
    for front in fronts.as_array().context("no servers")? {
        let figure = |name: &str| number(&front[name]);
        writeln!(
            text,
            "| {} | {:.2} | {:.2} × | {} | {:.2} | {} |",
            front["name"].as_str().context("a server without a name")?,
            figure("cpu_us_per_request")?,
            figure("steadfast_ratio")?,
            count(figure("requests_per_second")?),
            figure("p99_ms")?,
            count(figure("failed")?),
        )?;
    }
    Ok(text)
}

fn placements(text: &mut String, results: &Value) -> Result<()> {
    *text += "## New clients\n\nEach is durable when it is answered: written to a SQLite file and synced. One placer, in the \
              process that serves the\nstore, on one core, with thousands of callers:\n\n\
              | known before | placed | clients/s | CPU µs a client |\n|--:|--:|--:|--:|\n";
    for phase in ["empty", "steady", "full"] {
        let figure = |name: &str| number(&results["books"]["placer"][phase][name]);
        writeln!(
            text,
            "| {} | {} | {} | {:.2} |",
            count(figure("present")?),
            count(figure("placed")?),
            count(figure("per_second")?),
            figure("cpu_us_per_client")?
        )?;
    }
    let place = &results["place"];
    writeln!(
        text,
        "\nOver HTTP, through gateways that share a core, on {} connections, beside {} known clients:\n\n\
         | | clients/s | CPU µs a client | p99 ms | failed |\n|---|--:|--:|--:|--:|",
        count(number(&place["connections"])?),
        count(number(&place["clients"])?)
    )?;
    for (name, key) in [("one gateway", "one_gateway"), ("two gateways, half of them each", "two_gateways")] {
        let figure = |name: &str| number(&place[key][name]);
        writeln!(
            text,
            "| {name} | {} | {:.2} | {:.1} | {} |",
            count(figure("clients_per_second")?),
            figure("cpu_us_per_client")?,
            figure("p99_ms")?,
            count(figure("failed")?)
        )?;
    }
    let lag = |when: &str, which: &str| number(&place["mirror_lag_ms"][when][which]);
    writeln!(
        text,
        "\nA move made at one gateway is known at the other after {:.1} ms (p99; {:.1} ms while new clients come in). A \
         gateway that\nwas killed, and serves the store, sends its first client home {:.0} ms after it is started again \
         (median; the longest\ntook {:.0} ms).\n",
        lag("quiet", "p99")?,
        lag("busy", "p99")?,
        number(&place["restart_ms"]["p50"])?,
        number(&place["restart_ms"]["max"])?,
    )?;
    Ok(())
}

fn failover(text: &mut String, results: &Value) -> Result<()> {
    *text += "## Failover\n\nThe longest time one of four clients went without a 200 when the application that answered was \
              killed with `kill -9`, or\nhanded over, in ms. Only Steadfast keeps two copies from answering at once: the \
              others ask whichever answers, and are\nhere for the length of the gap a client is used to.\n\n\
              | | event | times | p50 | p99 | longest | requests | failed |\n|---|---|--:|--:|--:|--:|--:|--:|\n";
    for one in results["failover"].as_array().context("no fronts")? {
        let text_of = |name: &str| one[name].as_str().with_context(|| format!("no {name}"));
        let gap = |name: &str| number(&one["gap_ms"][name]);
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            text_of("front")?,
            text_of("event")?,
            count(number(&one["events"])?),
            count(gap("p50")?),
            count(gap("p99")?),
            count(gap("max")?),
            count(number(&one["requests"])?),
            count(number(&one["failed"])?)
        )?;
    }
    *text += "\n";
    Ok(())
}

fn number(value: &Value) -> Result<f64> {
    value.as_f64().with_context(|| format!("a figure is missing: {value}"))
}

/// A whole number as people read it: `1 100 000`.
pub(super) fn count(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
