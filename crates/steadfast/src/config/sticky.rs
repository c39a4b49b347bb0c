//! `[sets.<name>]` of a sticky set.

use std::collections::BTreeMap;

use steadfast_core::settings::StickySettings;

use super::reader::Table;

/// The settings in this table.
pub(super) fn read(table: &Table<'_>) -> Option<StickySettings> {
    table.refuse(
        "instances",
        "a sticky set has no instances in the file: its instances are the [[agents]], or `steadfast agent` beside each \
         copy, which keep its capacity and its clients in the store",
    );
    let mut places = BTreeMap::new();
    let read = StickySettings::read(|key| {
        let value = table.value(key)?;
        places.insert(key, value.span);
        Some(value.value)
    });
    let problems = match read {
        Ok(settings) => return Some(settings),
        Err(problems) => problems,
    };
    for problem in problems {
        if problem.key() == "client" && !places.contains_key("client") {
            table.require("client", None::<()>, "\"query:camera\"");
            continue;
        }
        let place = places.get(problem.key()).unwrap_or(table.span());
        table.source().wrong(place, problem.to_string());
    }
    None
}

/// Asks for every key, so that none of them is unknown.
pub(super) fn skip(table: &Table<'_>) {
    for key in StickySettings::KEYS {
        table.value(key);
    }
}
