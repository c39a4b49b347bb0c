//! Events: what happened, and, for those who accept server-sent events, what happens from then on.

use std::sync::Arc;
use std::time::Duration;

use steadfast_core::SetName;
use steadfast_host::clock;
use steadfast_host::http::{Request, Response, Sink};
use steadfast_host::problem::Problem;

use super::{json, parse};
use crate::admin::view::{EventCursor, Events};
use crate::admin::{Api, Service};

/// How often the log is looked at for those who follow it.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A follower to whom nothing is said for so long is sent a comment, so that what stands between keeps the connection.
const COMMENT_EVERY: Duration = Duration::from_secs(10);

pub(super) async fn answer(service: &Arc<Service>, request: &Request) -> Result<Response, Problem> {
    let set = request.query_value("set").map(|set| parse::<SetName>(&set)).transpose()?;
    let since = request.query_value("since").or_else(|| request.header("last-event-id").map(str::to_owned));
    let since: EventCursor = since.map(|text| parse(&text)).transpose()?.unwrap_or_default();
    let first = service.events(set.as_ref(), &since).await?;
    let follows = request.header("accept").is_some_and(|accept| accept.contains("text/event-stream"));
    if !follows {
        return Ok(json(&first));
    }
    let service = Arc::clone(service);
    Ok(Response::stream("text/event-stream", move |sink| async move {
        follow(&service, set.as_ref(), first, &sink).await;
    }))
}

/// Sends events until nobody listens any more.
async fn follow(service: &Service, set: Option<&SetName>, mut found: Events, sink: &Sink) {
    let mut said = clock::now();
    loop {
        if !found.events.is_empty() {
            if sink.send(as_stream(&found)).await.is_err() {
                return;
            }
            said = clock::now();
        } else if clock::now().since(said) >= COMMENT_EVERY {
            if sink.send(": nothing new\n\n").await.is_err() {
                return;
            }
            said = clock::now();
        }
        tokio::time::sleep(LOOK_EVERY).await;
        // While the store is away nothing new is known; what happened meanwhile is told when it is back.
        match service.events(set, &found.next.0).await {
            Ok(more) => found = more,
            Err(_) => found.events.clear(),
        }
    }
}

/// Events in the form of the HTML standard's section 9.2. The last one carries the place to go on from.
fn as_stream(found: &Events) -> String {
    let mut text = String::new();
    for (index, event) in found.events.iter().enumerate() {
        if index + 1 == found.events.len() {
            text.push_str(&format!("id: {}\n", found.next.0));
        }
        let data = serde_json::to_string(event).unwrap_or_else(|e| unreachable!("an event is always JSON: {e}"));
        text.push_str(&format!("data: {data}\n\n"));
    }
    text
}
