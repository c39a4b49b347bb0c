//! Follows a set by its books and asks the holder's probe: carries out what [`super::follow`] decides.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use steadfast_core::{Endpoint, Moment};
use steadfast_host::http::{Call, Client, ClientLimits, Target};
use steadfast_host::{clock, net};
use steadfast_registry::{Mirror, ProbeAnswer, Registry};

use super::follow::{Answered, Follow, Question};
use crate::set::{Addresses, SetShared};

const GATEWAY: HeaderName = HeaderName::from_static("steadfast-gateway");
const IN_FLIGHT: HeaderName = HeaderName::from_static("steadfast-in-flight");
/// Bytes of a probe's answer.
const ANSWER_BYTES: usize = 16 << 10;

type Asking = Pin<Box<dyn Future<Output = Answered> + Send>>;

/// Runs until it is dropped.
pub(crate) async fn follow(set: Arc<SetShared>, registry: Registry, gateway: String, workers: usize) {
    let mirror = Mirror::follow(&registry, &set.name);
    let mut books = mirror.subscribe();
    let gateway = HeaderValue::try_from(gateway).unwrap_or_else(|_| HeaderValue::from_static("unnamed"));
    let client = Client::new(ClientLimits { body_bytes: ANSWER_BYTES, idle_per_target: 1, ..ClientLimits::default() });
    let mut follow = Follow::new(set.clone(), workers);
    let mut asking: Option<Asking> = None;
    follow.books(clock::now(), &books.borrow_and_update().clone());
    loop {
        let now = clock::now();
        follow.tick(now);
        if asking.is_none()
            && let Some(question) = follow.question(now)
        {
            asking = Some(Box::pin(ask(client.clone(), gateway.clone(), question)));
        }
        let deadline = follow.deadline(asking.is_some());
        tokio::select! {
            biased;
            changed = books.changed() => {
                if changed.is_err() {
                    tracing::error!(set = %set.name, "the books are not followed any more");
                    return;
                }
                let snapshot = books.borrow_and_update().clone();
                if follow.books(clock::now(), &snapshot) {
                    asking = None;
                }
            }
            () = set.alarm() => follow.alarm(clock::now()),
            answered = finish(&mut asking) => {
                asking = None;
                follow.answered(clock::now(), answered);
            }
            () = clock::sleep_until(deadline), if deadline < Moment::MAX => {}
        }
    }
}

/// The end of the question under way; for ever if there is none.
async fn finish(asking: &mut Option<Asking>) -> Answered {
    match asking {
        Some(asking) => asking.await,
        None => std::future::pending().await,
    }
}

async fn ask(client: Client, gateway: HeaderValue, question: Question) -> Answered {
    let asked = clock::now();
    let work = async {
        let addresses = addresses(&question.holder.endpoints, question.within).await?;
        let call = Call::get("/").with(GATEWAY, gateway).with(IN_FLIGHT, HeaderValue::from(question.running));
        let reply = client.call(&Target::from(&question.holder.probe), call, question.within).await;
        let reply = reply.map_err(|error| error.to_string())?;
        let answer: ProbeAnswer =
            serde_json::from_slice(&reply.body).map_err(|error| format!("the answer is not a probe's: {error}"))?;
        Ok((answer, addresses))
    };
    Answered { asked, answer: work.await }
}

async fn addresses(endpoints: &[Option<Endpoint>], within: Duration) -> Result<Addresses, String> {
    let mut found = Vec::with_capacity(endpoints.len());
    for endpoint in endpoints {
        found.push(match endpoint {
            None => None,
            Some(endpoint) => {
                let addresses = net::resolve(endpoint.host(), endpoint.port(), within).await;
                addresses.map_err(|error| error.to_string())?.first().copied()
            }
        });
    }
    Ok(found.into())
}
