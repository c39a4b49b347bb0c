//! What proves who we are: a secret that was given, or a token that is fetched in the background.
//!
//! A token is never fetched inside a call's time-out: one task keeps it fresh, and calls take what there is. `azure_identity`
//! says how each kind of identity gets its token; the requests for it go through our own client.

mod identity;
mod tokens;

use std::fmt;
use std::sync::{Arc, Mutex};

use steadfast_host::clock::Moment;

use super::failure::Failure;
use super::sign::{Key, Sas};
use crate::Error;
use crate::history::locked;
pub(super) use identity::{Identity, Kind};
use tokens::Tokens;

/// How requests of a store prove who sends them.
#[derive(Debug)]
pub(super) enum Credential {
    Given(Given),
    Token(Tokens),
}

/// What one request is proven with.
#[derive(Clone, Debug)]
pub(super) enum Proof {
    Key(Arc<Key>),
    Sas(Arc<Sas>),
    /// A bearer's token.
    Token(Token),
}

/// A token. It is shown nowhere but in a request.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Token(Arc<str>);

impl Token {
    pub(super) fn new(text: &str) -> Token {
        Token(text.into())
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Gives the secret as it is now.
type Source = dyn Fn() -> Arc<str> + Send + Sync;

/// A key or a shared access signature, which may be another one tomorrow.
pub(super) struct Given {
    source: Box<Source>,
    last: Mutex<(Arc<str>, Proof)>,
}

impl Given {
    /// What `source` gives, which has to be usable now.
    pub(super) fn new(source: impl Fn() -> Arc<str> + Send + Sync + 'static) -> Result<Given, Error> {
        let text = source();
        let proof = proof(&text)?;
        Ok(Given { source: Box::new(source), last: Mutex::new((text, proof)) })
    }

    /// Whether it is a key, which is sent to nobody.
    pub(super) fn is_key(&self) -> bool {
        matches!(locked(&self.last).1, Proof::Key(_))
    }

    /// What is given now. What is neither key nor signature is told in the log, once, and what was given before counts on.
    fn proof(&self) -> Proof {
        let text = (self.source)();
        let mut last = locked(&self.last);
        if last.0 != text {
            match proof(&text) {
                Ok(proof) => last.1 = proof,
                Err(error) => {
                    tracing::error!(%error, "the secret of Azure Storage has become useless: the former is used")
                }
            }
            last.0 = text;
        }
        last.1.clone()
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Given(…)")
    }
}

fn proof(text: &str) -> Result<Proof, Error> {
    if Sas::is_one(text) {
        return Ok(Proof::Sas(Arc::new(Sas::new(text)?)));
    }
    Ok(Proof::Key(Arc::new(Key::new(text)?)))
}

impl Credential {
    /// Tokens of this identity.
    pub(super) fn token(identity: Identity) -> Credential {
        Credential::Token(Tokens::new(identity))
    }

    /// What a request is proven with; waits for the first token, if there is none yet.
    pub(super) async fn proof(&self, deadline: Moment) -> Result<Proof, Failure> {
        match self {
            Credential::Given(given) => Ok(given.proof()),
            Credential::Token(tokens) => tokens.current(deadline).await.map(Proof::Token).map_err(Failure::NotSent),
        }
    }

    /// Has tokens fetched from this port of this machine.
    #[cfg(test)]
    pub(super) fn redirect(&self, port: u16) {
        match self {
            Credential::Given(_) => panic!("what is given is not fetched"),
            Credential::Token(tokens) => tokens.redirect(port),
        }
    }

    /// What it is, for people.
    pub(super) fn name(&self) -> String {
        match self {
            Credential::Given(given) if given.is_key() => "the account's key".to_owned(),
            Credential::Given(_) => "a shared access signature".to_owned(),
            Credential::Token(tokens) => tokens.name(),
        }
    }
}
