//! `[limits]`: how much of everything the gateway takes, and how long it waits.

use std::ops::RangeInclusive;
use std::time::Duration;

use steadfast_core::{Size, Span};
use steadfast_gateway::Bounds;

use super::reader::{At, Table};

/// What no request does without, and what no reader of requests should hold.
const HEAD_BYTES: RangeInclusive<u64> = 1 << 10..=1 << 20;
/// A longer target than 65534 bytes is none to the HTTP library.
const REQUEST_LINE_BYTES: RangeInclusive<u64> = 256..=64 << 10;
const HEAD_FIELDS: RangeInclusive<usize> = 1..=1_000;
/// The word for no limit.
const UNLIMITED: &str = "unlimited";

pub(super) fn read(root: &Table<'_>) -> Bounds {
    let mut bounds = Bounds::default();
    let Some(table) = root.table("limits") else { return bounds };
    let line = size(&table, "request_line", &REQUEST_LINE_BYTES, &mut bounds.request_line_bytes);
    let head = size(&table, "head", &HEAD_BYTES, &mut bounds.head_bytes);
    // The line is a part of the head: one that is made smaller takes the default of the other with it.
    match (line, head) {
        (None, Some(_)) => bounds.request_line_bytes = bounds.request_line_bytes.min(bounds.head_bytes),
        (Some(_), None) => bounds.head_bytes = bounds.head_bytes.max(bounds.request_line_bytes),
        (Some(line), Some(head)) if line.value > head.value => {
            let what =
                format!("request_line {} is more than the whole head may have, which is {}", line.value, head.value);
            table.source().wrong(&line.span, what);
        }
        _ => {}
    }
    count(&table, "head_fields", Some(*HEAD_FIELDS.end()), |fields| bounds.head_fields = fields);
    if let Some(body) = table.text("body") {
        bounds.body_bytes = unlimited_or_size(&table, body);
    }
    for (key, bound) in [
        ("head_within", &mut bounds.head_within),
        ("body_stalled", &mut bounds.body_stalled_for),
        ("idle", &mut bounds.idle_for),
        ("reader_stalled", &mut bounds.reader_stalled_for),
        ("answer_stalled", &mut bounds.stalled_for),
        ("connect_within", &mut bounds.connect_within),
        ("answer_within", &mut bounds.answer_within),
        ("tunnel_idle", &mut bounds.tunnel_idle_for),
    ] {
        span(&table, key, bound);
    }
    if let Some(rate) = table.parsed::<Size>("body_rate") {
        bounds.body_rate = rate.value.as_bytes();
    }
    let all = count(&table, "connections", None, |most| bounds.connections = Some(most));
    let one = count(&table, "connections_per_source", None, |most| bounds.connections_per_source = Some(most));
    if let (Some(all), Some(one)) = (all, one)
        && one.value > all.value
    {
        let what = format!("connections_per_source {} is more than connections, which is {}", one.value, all.value);
        table.source().wrong(&one.span, what);
    }
    table.finish();
    bounds
}

/// Sets `bound` to the size that is written there, if it is one of those allowed.
fn size(table: &Table<'_>, key: &'static str, allowed: &RangeInclusive<u64>, bound: &mut usize) -> Option<At<Size>> {
    let size = table.parsed::<Size>(key)?;
    if !allowed.contains(&size.value.as_bytes()) {
        let (least, most) = (Size::from_bytes(*allowed.start()), Size::from_bytes(*allowed.end()));
        table.source().wrong(&size.span, format!("{key} is to be a size from {least} to {most}"));
        return None;
    }
    *bound = usize::try_from(size.value.as_bytes()).unwrap_or(usize::MAX);
    Some(size)
}

fn unlimited_or_size(table: &Table<'_>, text: At<String>) -> Option<u64> {
    if text.value == UNLIMITED {
        return None;
    }
    match text.value.parse::<Size>() {
        Ok(size) => Some(size.as_bytes()),
        Err(error) => {
            table.source().wrong(&text.span, format!("body: {error}, or {UNLIMITED:?}"));
            None
        }
    }
}

/// Sets `bound` to the span that is written there: no time at all is no limit but an end.
fn span(table: &Table<'_>, key: &'static str, bound: &mut Duration) {
    let Some(span) = table.parsed::<Span>(key) else { return };
    if span.value == Span::ZERO {
        table.source().wrong(&span.span, format!("{key} is to be longer than 0s"));
    }
    *bound = span.value.duration();
}

/// Hands a whole number from 1 on to `set`, if it is written there.
fn count(table: &Table<'_>, key: &'static str, most: Option<usize>, set: impl FnOnce(usize)) -> Option<At<usize>> {
    let At { value, span } = table.whole(key, 1)?;
    let number = At { value: value as usize, span };
    if let Some(most) = most.filter(|most| number.value > *most) {
        table.source().wrong(&number.span, format!("{key} is to be at most {most}"));
        return None;
    }
    set(number.value);
    Some(number)
}
