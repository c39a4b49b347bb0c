//! Says what the books say as a person would: why a client is where it is, and where it would go.

use steadfast_core::placement::Reason;
use steadfast_core::settings::Policy;

use super::view::{CandidateView, ClientView, ExplainView};

/// The answer to "why is it there?" and "where would it go?".
pub(super) fn explanation(view: &ExplainView, policy: Policy) -> String {
    let client = view.client.0.to_string();
    let Some(known) = &view.known else {
        return format!(
            "Nobody knows {client} yet. If it came now, with a weight of {}, {}.",
            view.weight,
            fate(view, policy)
        );
    };
    let mut said = vec![format!("{} {}.", place(known), origin(known))];
    if known.declared != known.weight {
        said.push(format!(
            "It says that it weighs {}, which did not fit: it stays at {}.",
            known.declared, known.weight
        ));
    }
    said.push(match (&view.instance, &view.refused) {
        (Some(now), _) if *now == known.instance => {
            format!("When it comes next it stays there. If it came new, {}.", fate_of_new(view, policy))
        }
        (Some(_), _) => format!("When it comes next, {}.", fate(view, policy)),
        (None, Some(refused)) => {
            format!(
                "If it came now it would be refused: {}. If it came new, {}.",
                refused.detail,
                fate_of_new(view, policy)
            )
        }
        (None, None) => "Where it would go is not known.".to_owned(),
    });
    said.join(" ")
}

/// Where a client is: its home, weight and phase.
fn place(known: &ClientView) -> String {
    let (client, home, weight) = (known.client.0.to_string(), &known.instance.0, known.weight);
    let since = format!("since {}", at(&known.since));
    match known.phase {
        steadfast_core::placement::Phase::Active => {
            format!("{client} is at home at {home} (weight {weight}, active) {since}:")
        }
        steadfast_core::placement::Phase::Reserved => {
            format!("{client} has a place at {home} (weight {weight}, reserved until it comes) {since}:")
        }
        steadfast_core::placement::Phase::Idle => {
            format!(
                "{client} is not there now and is remembered at {home} (weight {weight}, not charged), its home {since}:"
            )
        }
    }
}

/// What brought it there.
pub(crate) fn origin(known: &ClientView) -> String {
    let by = &known.by;
    let from = known.from.as_ref().map_or_else(|| "its former home".to_owned(), |from| from.0.to_string());
    match known.reason.parse::<Reason>() {
        Ok(Reason::Placed) => format!("it was new, and {by} placed it there"),
        Ok(Reason::Returned) => format!("it came back to its home, through {by}"),
        Ok(Reason::HomeLost) => format!("{from} was lost, and {by} moved it"),
        Ok(Reason::HomeBack) => format!("that home was back, and {by} brought it there again, from {from}"),
        Ok(Reason::HomeFull) => format!("{from} had no room when it came back, and {by} moved it"),
        Ok(Reason::Drained) => format!("{from} was drained, and {by} moved it"),
        Ok(Reason::PlacedByOperator) => format!("it was placed there by hand ({by})"),
        Ok(Reason::MovedByOperator) => format!("it was moved there by hand, from {from} ({by})"),
        Ok(Reason::Reported) => format!("it was there before anybody had placed it, as {by} reported"),
        Err(_) => format!("{} (by {by})", known.reason),
    }
}

/// What becomes of the client when it comes now.
fn fate(view: &ExplainView, policy: Policy) -> String {
    match (&view.instance, &view.refused) {
        (Some(id), _) => {
            let candidate = view.candidates.iter().find(|one| one.instance == *id);
            let why = match view.rule.as_str() {
                "home-back" => "the home it had lost".to_owned(),
                "at-home" => "its home".to_owned(),
                "only-candidate" => "the only one that can take it".to_owned(),
                "preferred" => "which has more of what it prefers".to_owned(),
                "emptiest" => "the least full with it".to_owned(),
                "fullest" => "the fullest that has room".to_owned(),
                "drawn" => "the less full of the two drawn for it".to_owned(),
                "id" => "which is as good as others, and first by its name".to_owned(),
                _ => best(view, policy).to_owned(),
            };
            format!("it would go to {}, {why}{}", id.0, candidate.map(change).unwrap_or_default())
        }
        (None, Some(refused)) => format!("it would be refused: {}", refused.detail),
        (None, None) => "nobody knows where it would go".to_owned(),
    }
}

/// What would become of it if nobody knew it.
fn fate_of_new(view: &ExplainView, policy: Policy) -> String {
    let best_one = view.new_would_go_to.as_ref();
    match best_one.and_then(|id| view.candidates.iter().find(|one| one.instance == *id)) {
        Some(one) => format!("it would go to {}, {}{}", one.instance.0, best(view, policy), change(one)),
        None => "no instance could take it".to_owned(),
    }
}

/// Why the first of the candidates is the first.
fn best(view: &ExplainView, policy: Policy) -> &'static str {
    let mut able = view.candidates.iter().filter(|one| one.excluded.is_none());
    match (able.next(), able.next(), policy) {
        (_, None, _) => "the only one that can take it",
        (Some(first), Some(second), _) if first.lacking < second.lacking => "which has more of what it prefers",
        (Some(first), Some(second), _) if first.fill_after == second.fill_after => {
            "which is as good as others, and first by its name"
        }
        (_, _, Policy::Spread) => "the least full with it",
        (_, _, Policy::Pack) => "the fullest that has room",
        (_, _, Policy::TwoChoice) => "the less full of the two drawn for it",
    }
}

/// How its fill would change: ` (34 % → 42 %)`.
fn change(one: &CandidateView) -> String {
    match (one.fill, one.fill_after) {
        (Some(before), Some(after)) if before != after => format!(" ({} → {})", percent(before), percent(after)),
        (Some(fill), _) => format!(" ({} full)", percent(fill)),
        _ => String::new(),
    }
}

/// A part as people read it: `34 %`.
pub(crate) fn percent(part: f64) -> String {
    let hundredths = part * 100.0;
    match hundredths {
        h if h > 0.0 && h < 1.0 => "under 1 %".to_owned(),
        h => format!("{h:.0} %"),
    }
}

/// A time of the books as people read it.
fn at(since: &str) -> String {
    let text = since.trim_end_matches('Z').replacen('T', " ", 1);
    let whole = text.split_once('.').map_or(text.as_str(), |(whole, _)| whole);
    format!("{whole} UTC")
}

#[cfg(test)]
mod tests;
