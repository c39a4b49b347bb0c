//! `docs/stores/measured.md`, made of what one run measured on each store.

use std::fmt::Write;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{About, count, machine, number};

/// Where the page is, in the work tree.
pub(in crate::bench) const PAGE: &str = "docs/stores/measured.md";

const OPENING: &str = "\
<!-- Written by `cargo xtask bench stores --write`, from one run. Whoever edits it by hand is overwritten by the next. -->

# Stores, measured

What Steadfast does on each store: failover, new clients a second, and what it costs a store's server when nothing happens.
Clients, gateways, agents and the server share one machine, so that no network lies between them. How far your own is from
the store is what [`steadfast doctor`](README.md#look-before-you-choose) measures; the ratios here carry over.
";

const METHOD: &str = "\
[bench/README.md](../../bench/README.md#stores) says how each part is measured. Every server syncs each commit to its disk before it
answers, but Azurite, which stands for Azure Storage here and saves every five seconds: its figures say nothing of the service.
";

/// What a quotient is to be at least, and on which stores.
const GOAL: (f64, [&str; 3]) = (20.0, ["etcd", "postgres", "azure"]);

/// The whole page.
pub(in crate::bench) fn page(results: &Value, about: &About) -> Result<String> {
    let mut text = OPENING.to_owned();
    machine(&mut text, about, METHOD)?;
    text += &tables(&results["stores"])?;
    Ok(text)
}

/// The tables alone.
pub(in crate::bench) fn tables(stores: &Value) -> Result<String> {
    let stores = stores.as_array().context("no stores")?;
    let mut text = String::new();
    failover(&mut text, stores).context("the gaps")?;
    placements(&mut text, stores).context("the placements")?;
    idle(&mut text, stores).context("the idle agents")?;
    Ok(text)
}

fn name(store: &Value) -> Result<&str> {
    store["store"].as_str().context("a store without a name")
}

fn failover(text: &mut String, stores: &[Value]) -> Result<()> {
    *text += "## Failover\n\nThe longest time one of four clients went without a 200, in ms, at a lease of 3 s: the application was killed (its agent \
              says so\nat once), handed over, or died with its agent (nobody says so, and the lease has to end).\n\n\
              | | event | times | p50 | longest | requests | failed |\n|---|---|--:|--:|--:|--:|--:|\n";
    for store in stores {
        for one in store["failover"].as_array().context("no events")? {
            writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} |",
                name(store)?,
                one["event"].as_str().context("an event without a name")?,
                count(number(&one["events"])?),
                count(number(&one["gap_ms"]["p50"])?),
                count(number(&one["gap_ms"]["max"])?),
                count(number(&one["requests"])?),
                count(number(&one["failed"])?)
            )?;
        }
    }
    Ok(())
}

fn placements(text: &mut String, stores: &[Value]) -> Result<()> {
    *text += "\n## New clients\n\nEach is committed when it is answered. *A trip* is what group commit does: placements for each call of the gateways \
              to the\nstore. *Plain* is one client that makes one conditional write after the other on the same server, \
              in the same run; *x plain* is\nplacements a second beside its writes a second: how much of that is left \
              after the engine's own cost of a record. Two\ngateways write the same ledgers, and lose some of their \
              commits to each other.\n\n\
              | | plain/s | gateways | callers | placements/s | p50 ms | p99 ms | trips/s | a trip | x plain |\n\
              |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
    for store in stores {
        for row in store["placements"].as_array().context("no rows")? {
            let figure = |name: &str| number(&row[name]);
            writeln!(
                text,
                "| {} | {} | {} | {} | {} | {:.1} | {:.1} | {} | {:.0} | {:.1} |",
                name(store)?,
                count(number(&store["plain"]["per_second"])?),
                count(figure("gateways")?),
                count(figure("callers")?),
                count(figure("per_second")?),
                figure("p50_ms")?,
                figure("p99_ms")?,
                count(figure("round_trips_per_second")?),
                figure("placements_per_round_trip")?,
                figure("against_plain")?,
            )?;
        }
    }
    goal(text, stores)
}

/// Whether group commit does what it is there for.
fn goal(text: &mut String, stores: &[Value]) -> Result<()> {
    let (least, names) = GOAL;
    let mut worst: Vec<(f64, &str)> = Vec::new();
    for store in stores.iter().filter(|store| name(store).is_ok_and(|name| names.contains(&name))) {
        for row in store["placements"].as_array().context("no rows")? {
            if number(&row["gateways"])? as u64 == 1 {
                worst.push((number(&row["placements_per_round_trip"])?, name(store)?));
            }
        }
    }
    let (worst, store) = worst.into_iter().min_by(|a, b| a.0.total_cmp(&b.0)).context("no row of one gateway")?;
    let verdict = if worst >= least { "met" } else { "**missed**" };
    writeln!(
        text,
        "\nGoal: placements a second ≥ {least:.0} × the round trips a second of one gateway, on {}: {worst:.0} × at the least (on {store}), {verdict}.",
        names.join(", ")
    )?;
    Ok(())
}

fn idle(text: &mut String, stores: &[Value]) -> Result<()> {
    *text += "\n## Idle agents\n\nProcesses of `steadfast agent` in one sticky set, each with its own connections and nothing to do: what they ask \
              of the server\ntogether (a request is whatever a client says before it is answered), and the processor time \
              of the server's processes.\n\n\
              | | agents | requests/s | of each | KiB/s both ways | cores of the server | MiB of an agent |\n\
              |---|--:|--:|--:|--:|--:|--:|\n";
    for store in stores.iter().filter(|store| store["idle"].is_object()) {
        let figure = |name: &str| number(&store["idle"][name]);
        let (agents, requests) = (figure("agents")?, figure("requests_per_second")?);
        writeln!(
            text,
            "| {} | {} | {} | {:.1} | {} | {:.3} | {:.0} |",
            name(store)?,
            count(agents),
            count(requests),
            requests / agents,
            count(figure("bytes_per_second")? / 1024.0),
            figure("server_cores")?,
            figure("agent_bytes")? / 1024.0 / 1024.0,
        )?;
    }
    Ok(())
}
