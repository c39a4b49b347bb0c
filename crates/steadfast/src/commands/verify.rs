//! `verify`: whether the books of sticky sets agree.

use steadfast_core::settings::StickySettings;

use super::print::{Paint, count, err, json, out};
use super::reach::api;
use crate::admin::view::VerifyView;
use crate::cli;
use crate::exit::{Exit, Outcome};

pub(super) async fn run(flags: &cli::Verify) -> Outcome {
    let api = api(&flags.reach)?;
    let sets = match &flags.set {
        Some(set) => vec![set.clone()],
        None => {
            let all = api.sets().await?.sets.into_iter();
            let sticky = all.filter(|set| set.settings.as_ref().is_some_and(|it| it.kind() == StickySettings::KIND));
            sticky.map(|set| set.set.0).collect()
        }
    };
    if sets.is_empty() && !flags.output.json {
        err("there is no sticky set: nothing is to be verified");
    }
    let mut exit = Exit::Yes;
    for set in sets {
        let found = api.verify(&set).await?;
        if !found.ok {
            exit = Exit::No;
        }
        if flags.output.json { json(&found)? } else { tell(Paint::detect(), &found)? }
    }
    Ok(exit)
}

fn tell(paint: Paint, found: &VerifyView) -> std::io::Result<()> {
    let set = &found.set.0;
    let looked_at = format!(
        "{} clients and {} instances, as of revision {}",
        count(found.clients),
        count(found.instances),
        found.revision
    );
    if found.ok {
        return out(format_args!("{set}: {}, {looked_at}", paint.good("the books agree")));
    }
    out(format_args!("{set}: {}, {looked_at}:", paint.bad("the books do not agree")))?;
    found.faults.iter().try_for_each(|fault| out(format_args!("  {}", fault.detail)))
}
