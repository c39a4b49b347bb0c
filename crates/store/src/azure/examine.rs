//! What the account says of itself, for people.

use steadfast_host::clock::{self, Moment};
use steadfast_host::http::{Method, Reply};

use super::account::Account;
use super::failure::Failure;
use super::rest::{Ask, Rest, Service};
use super::sign::http_date;
use crate::{Error, Finding, Grade};

/// A clock further away than this has its requests refused: Azure takes 15 minutes.
const CLOCK_SECONDS: u64 = 300;

/// How acknowledged writes can be lost. An account's redundancy is asked for by [`findings`] alone: not everybody may.
pub(super) fn may_lose(account: &Account) -> Option<String> {
    account
        .is_emulator()
        .then(|| "the last seconds, when the emulator dies: it saves now and then, and is for trying out".to_owned())
}

/// What the account and its answers say.
pub(super) async fn findings(rest: &Rest, deadline: Moment) -> Result<Vec<Finding>, Error> {
    let mut findings = Vec::new();
    let properties = Ask::new(Service::Blobs, Method::GET, "/").query("restype", "account").query("comp", "properties");
    match rest.ask(properties, deadline).await {
        Ok(reply) => {
            findings.push(redundancy(header(&reply, "x-ms-sku-name").unwrap_or("not told")));
            findings.extend(clock_of(&reply));
        }
        Err(Failure::Refused(refusal)) if matches!(refusal.status, 401 | 403) => findings.push(Finding {
            about: "redundancy".into(),
            value: "not known: this identity may not ask".to_owned(),
            grade: Grade::Note,
            advice: Some(
                "`az storage account show --query sku.name` tells; with GRS, see below \"What it promises\"".into(),
            ),
        }),
        Err(failure) => return Err(failure.of_look()),
    }
    findings.push(Finding {
        about: "credential".into(),
        value: rest.credential.name(),
        grade: Grade::Good,
        advice: None,
    });
    Ok(findings)
}

fn redundancy(sku: &str) -> Finding {
    // GRS, GZRS, RAGRS, RAGZRS: a copy in another region, which lags behind.
    let is_remote = sku.contains("GRS") || sku.contains("GZRS");
    Finding {
        about: "redundancy".into(),
        value: sku.to_owned(),
        grade: if is_remote { Grade::Note } else { Grade::Good },
        advice: is_remote.then(|| {
            "a failover to the other region that was not planned loses the last minutes of acknowledged writes; it is \
             noticed as a rollback. An account with ZRS loses none"
                .to_owned()
        }),
    }
}

/// How far Azure's clock is from ours.
fn clock_of(reply: &Reply) -> Option<Finding> {
    let theirs = header(reply, "date")?;
    let ours = clock::wall();
    let seconds = |text: &str| -> Option<u64> {
        let mut parts = text.get(17..25)?.split(':').map(|part| part.parse::<u64>().ok());
        Some(parts.next()?? * 3600 + parts.next()?? * 60 + parts.next()??)
    };
    let apart = seconds(theirs)?.abs_diff(seconds(&http_date(ours))?);
    // Across midnight.
    let apart = apart.min(86_400 - apart);
    let is_far = apart > CLOCK_SECONDS;
    Some(Finding {
        about: "clock".into(),
        value: format!("{apart} s away from this machine's"),
        grade: if is_far { Grade::Bad } else { Grade::Good },
        advice: is_far.then(|| "Azure refuses requests of a clock that is 15 minutes away: set it by NTP".to_owned()),
    })
}

fn header<'r>(reply: &'r Reply, name: &str) -> Option<&'r str> {
    reply.headers.get(name)?.to_str().ok()
}
