//! One token, kept fresh by one task.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use steadfast_host::clock::{self, Moment};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Identity, Token};
use crate::history::locked;

/// A token is renewed so long before it expires.
const EARLY: Duration = Duration::from_secs(300);

/// A token is fetched at most so often.
const AT_LEAST: Duration = Duration::from_secs(10);

/// The first and the longest pause after a failure.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// The longest that one attempt may take: the metadata service of a machine may be asked for more than a minute.
const ATTEMPT: Duration = Duration::from_secs(100);

/// A token that is kept fresh.
#[derive(Debug)]
pub(in super::super) struct Tokens {
    identity: Arc<Identity>,
    state: watch::Sender<State>,
    /// It lives in the runtime that asked first, and is begun anew in another when that one has ended.
    task: Mutex<Option<JoinHandle<()>>>,
}

/// What there is of it.
#[derive(Clone, Debug, Default)]
struct State {
    token: Option<(Token, Moment)>,
    /// Why the last attempt brought none.
    trouble: Option<String>,
}

impl Tokens {
    pub(super) fn new(identity: Identity) -> Tokens {
        let (state, task) = (watch::Sender::new(State::default()), Mutex::default());
        Tokens { identity: Arc::new(identity), state, task }
    }

    pub(super) fn name(&self) -> String {
        self.identity.name()
    }

    #[cfg(test)]
    pub(super) fn redirect(&self, port: u16) {
        self.identity.redirect(port);
    }

    /// The token. Until there is one it is waited for; an attempt that failed is told at once.
    pub(super) async fn current(&self, deadline: Moment) -> Result<Token, String> {
        self.keep();
        let mut states = self.state.subscribe();
        let known = |state: &State| state.valid().is_some() || state.trouble.is_some();
        let state = match clock::timeout_at(deadline, states.wait_for(known)).await {
            Some(Ok(state)) => state.clone(),
            Some(Err(_)) | None => State::default(),
        };
        let none = || format!("no token yet from {}", self.identity.name());
        state.valid().ok_or_else(|| match &state.trouble {
            Some(why) => format!("{}: {why}", none()),
            None => none(),
        })
    }

    /// Sees to it that somebody fetches it.
    fn keep(&self) {
        let mut task = locked(&self.task);
        if task.as_ref().is_none_or(JoinHandle::is_finished) {
            *task = Some(tokio::spawn(keep(Arc::clone(&self.identity), self.state.clone())));
        }
    }
}

impl Drop for Tokens {
    fn drop(&mut self) {
        if let Some(task) = locked(&self.task).take() {
            task.abort();
        }
    }
}

impl State {
    fn valid(&self) -> Option<Token> {
        self.token.as_ref().filter(|(_, until)| clock::now() < *until).map(|(token, _)| token.clone())
    }
}

async fn keep(identity: Arc<Identity>, state: watch::Sender<State>) {
    let mut pause = PAUSE.0;
    loop {
        let fetched = match tokio::time::timeout(ATTEMPT, identity.fetch()).await {
            Ok(fetched) => fetched,
            Err(_) => Err(format!("there was no answer within {ATTEMPT:?}")),
        };
        match fetched {
            Ok((token, lasts)) => {
                pause = PAUSE.0;
                let until = clock::now() + lasts;
                state.send_replace(State { token: Some((token, until)), trouble: None });
                clock::sleep_until(clock::now() + lasts.saturating_sub(EARLY).max(AT_LEAST)).await;
            }
            Err(why) => {
                tracing::warn!(identity = identity.name(), why, "no token for Azure Storage");
                // One that still holds goes on to be used.
                state.send_modify(|state| state.trouble = Some(why));
                tokio::time::sleep(pause).await;
                pause = (2 * pause).min(PAUSE.1);
            }
        }
    }
}
