//! Follows a set by its books and asks the holder's probe: carries out what [`super::follow`] decides.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use steadfast_core::{Endpoint, Moment};
use steadfast_host::http::{Call, Client, ClientLimits, Target};
use steadfast_host::{clock, net};
use steadfast_registry::{GATEWAY_HEADER, IN_FLIGHT_HEADER, Mirror, ProbeAnswer};

use super::follow::{Answered, Follow, Question};
use crate::set::{Addresses, SetShared};

const GATEWAY: HeaderName = HeaderName::from_static(GATEWAY_HEADER);
const IN_FLIGHT: HeaderName = HeaderName::from_static(IN_FLIGHT_HEADER);
/// Bytes of a probe's answer.
const ANSWER_BYTES: usize = 16 << 10;

/// How long the address of a name is used without being looked up again.
const RESOLVED_FOR: Duration = Duration::from_secs(30);

type Asking = Pin<Box<dyn Future<Output = Told> + Send>>;

/// The end of a question.
struct Told {
    answered: Answered,
    known: Option<Known>,
}

/// Runs until it is dropped.
pub(super) async fn follow(set: Arc<SetShared>, mirror: &Mirror, gateway: String, workers: usize) {
    let mut books = mirror.subscribe();
    let gateway = HeaderValue::try_from(gateway).unwrap_or_else(|_| HeaderValue::from_static("unnamed"));
    let client = Client::new(ClientLimits { body_bytes: ANSWER_BYTES, idle_per_target: 1, ..ClientLimits::default() });
    let mut follow = Follow::new(set.clone(), workers);
    let mut asking: Option<Asking> = None;
    let mut known: Option<Known> = None;
    follow.books(clock::now(), &books.borrow_and_update().clone());
    loop {
        let now = clock::now();
        follow.tick(now);
        if asking.is_none()
            && let Some(question) = follow.question(now)
        {
            asking = Some(Box::pin(ask(client.clone(), gateway.clone(), question, known.clone())));
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
            () = set.alarm() => {
                // The trouble may be that the instance has moved.
                if let Some(known) = &mut known {
                    known.at = Moment::ZERO;
                }
                follow.alarm(clock::now());
            }
            told = finish(&mut asking) => {
                asking = None;
                known = told.known.or(known);
                follow.answered(clock::now(), told.answered);
            }
            () = clock::sleep_until(deadline), if deadline < Moment::MAX => {}
        }
    }
}

/// The end of the question under way; for ever if there is none.
async fn finish(asking: &mut Option<Asking>) -> Told {
    match asking {
        Some(asking) => asking.await,
        None => std::future::pending().await,
    }
}

async fn ask(client: Client, gateway: HeaderValue, question: Question, known: Option<Known>) -> Told {
    let asked = clock::now();
    let Question { holder, running, within } = question;
    let addresses = resolve(holder.endpoints, within, known).await;
    let call = Call::get("/").with(GATEWAY, gateway).with(IN_FLIGHT, HeaderValue::from(running));
    let answer = async {
        let reply = client.call(&Target::from(&holder.probe), call, within).await.map_err(|error| error.to_string())?;
        let answer: ProbeAnswer =
            serde_json::from_slice(&reply.body).map_err(|error| format!("the answer is not a probe's: {error}"))?;
        Ok((answer, addresses.as_ref().map_err(Clone::clone)?.addresses.clone()))
    };
    let answer = answer.await;
    Told { answered: Answered { asked, answer }, known: addresses.ok() }
}

/// The addresses of endpoints, as they were found.
#[derive(Clone, Debug)]
struct Known {
    endpoints: Vec<Option<Endpoint>>,
    addresses: Addresses,
    at: Moment,
}

/// A slow resolver must not cost a leader that is known its time: what was found is used for a while, and longer
/// where there is no newer answer.
async fn resolve(endpoints: Vec<Option<Endpoint>>, within: Duration, known: Option<Known>) -> Result<Known, String> {
    let known = known.filter(|known| known.endpoints == endpoints);
    if let Some(known) = known.as_ref().filter(|known| clock::now().since(known.at) < RESOLVED_FOR) {
        return Ok(known.clone());
    }
    let mut addresses = Vec::with_capacity(endpoints.len());
    for endpoint in &endpoints {
        addresses.push(match endpoint {
            None => None,
            Some(endpoint) => match net::resolve(endpoint.host(), endpoint.port(), within).await {
                Ok(found) => found.first().copied(),
                Err(error) => return known.ok_or_else(|| error.to_string()),
            },
        });
    }
    Ok(Known { endpoints, addresses: addresses.into(), at: clock::now() })
}
