//! `store init`: what a store needs before it is used.

use std::time::Duration;

use serde::Serialize;
use steadfast_store::Prepared;

use super::print::{json, out, out_text};
use super::reach;
use crate::cli::StoreInit;
use crate::exit::{Exit, Failure, Outcome};
use crate::stores::{self, StoreName};

/// How long the store has to be made ready.
const PREPARED_WITHIN: Duration = Duration::from_secs(60);

pub(super) async fn init(flags: &StoreInit) -> Outcome {
    let Some(store) = StoreName::of_flags(Some(&flags.url), true, None)? else {
        return Err(Failure::usage("no store is named"));
    };
    let access =
        store.with_tls(flags.tls.files()).access(flags.token_file.as_deref(), || Ok(reach::default_token()))?;
    let role = flags.role.as_deref();
    let failed = |error| Failure::new(stores::exit_of(&error), error);
    if flags.print_sql {
        let text = steadfast_store::preparation(&flags.url, &access, role).map_err(failed)?;
        if flags.output.json {
            json(&serde_json::json!({ "sql": text }))?;
        } else {
            out_text(text)?;
        }
        return Ok(Exit::Yes);
    }
    let prepared = steadfast_store::prepare(&flags.url, &access, role, PREPARED_WITHIN).await.map_err(failed)?;
    let Prepared { engine, made } = &prepared;
    if flags.output.json {
        json(&InitView { engine, made: made.as_deref().unwrap_or_default() })?;
        return Ok(Exit::Yes);
    }
    match made.as_deref() {
        None => out(format_args!("{engine} needs no preparation"))?,
        Some([]) => out("nothing to do")?,
        Some(made) => made.iter().try_for_each(|what| out(format_args!("made {what}")))?,
    }
    Ok(Exit::Yes)
}

#[derive(Serialize)]
struct InitView<'a> {
    engine: &'a str,
    /// Empty where all was there, or nothing is needed.
    made: &'a [String],
}
