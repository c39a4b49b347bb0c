//! Events: what happened, and, for those who accept server-sent events, what happens from then on.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use steadfast_core::SetName;
use steadfast_host::clock;
use steadfast_host::http::{Request, Response, Sink};
use steadfast_host::problem::Problem;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::input::Query;
use super::json;
use super::slots::Slots;
use crate::admin::view::{EventCursor, Events};
use crate::admin::{Api, Service};

/// How often the log is looked at for those who follow it.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// A follower to whom nothing is said for so long is sent a comment, so that what stands between keeps the connection.
const COMMENT_EVERY: Duration = Duration::from_secs(10);

/// Looks at the log for all who follow it, so that hundreds of pages that show nothing new cost the store as much as one.
#[derive(Default)]
pub(super) struct News(OnceLock<LookingOut>);

struct LookingOut {
    /// Where the logs ended when they were looked at last.
    ends: watch::Sender<EventCursor>,
    task: JoinHandle<()>,
}

impl News {
    /// Tells whenever there may be something new. The first who asks begins the looking.
    fn subscribe(&self, service: &Arc<Service>) -> watch::Receiver<EventCursor> {
        let begin = || {
            let ends = watch::Sender::default();
            let task = tokio::spawn(look_out(Arc::clone(service), ends.clone()));
            LookingOut { ends, task }
        };
        self.0.get_or_init(begin).ends.subscribe()
    }
}

impl Drop for LookingOut {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Looks for as long as it is let, but only while somebody wants to know.
async fn look_out(service: Arc<Service>, ends: watch::Sender<EventCursor>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let end = ends.borrow().clone();
        if ends.receiver_count() > 0
            && let Ok(found) = service.events(None, &end).await
            && found.next.0 != end
        {
            ends.send_replace(found.next.0);
        }
    }
}

pub(super) async fn answer(
    service: &Arc<Service>,
    followers: &Slots,
    news: &News,
    request: &Request,
) -> Result<Response, Problem> {
    let mut query = Query::of(request)?;
    let set: Option<SetName> = query.value("set")?;
    let since: Option<EventCursor> = query.value("since")?;
    query.finish("set and since are")?;
    let since = match (since, request.header("last-event-id")) {
        (Some(since), _) => since,
        (None, Some(last)) => {
            last.parse().map_err(|error| Problem::bad_request("bad-query", format!("Last-Event-ID: {error}")))?
        }
        (None, None) => EventCursor::default(),
    };
    if !follows(request) {
        return Ok(json(&service.events(set.as_ref(), &since).await?));
    }
    let place = followers.take()?;
    // Before the first look: what happens after it is news.
    let news = news.subscribe(service);
    let first = service.events(set.as_ref(), &since).await?;
    let service = Arc::clone(service);
    let stream = Response::stream("text/event-stream", move |sink| async move {
        follow(&service, set.as_ref(), first, news, &sink).await;
    });
    Ok(stream.keeping(place))
}

/// Whether server-sent events are asked for.
fn follows(request: &Request) -> bool {
    let accepted = request.header("accept").unwrap_or_default().split(',');
    accepted.filter_map(|range| range.split(';').next()).any(|range| range.trim() == "text/event-stream")
}

/// Sends events until nobody listens any more.
async fn follow(
    service: &Service,
    set: Option<&SetName>,
    mut found: Events,
    mut news: watch::Receiver<EventCursor>,
    sink: &Sink,
) {
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
        found.events.clear();
        match clock::timeout_at(said + COMMENT_EVERY, news.changed()).await {
            None => continue,
            // Nobody looks any more: the API ends.
            Some(Err(_)) => return,
            Some(Ok(())) => {}
        }
        match service.events(set, &found.next.0).await {
            Ok(more) => found = more,
            // While the store is away nothing new is known; what happened meanwhile is told when it is back.
            Err(_) => {
                news.mark_changed();
                tokio::time::sleep(LOOK_EVERY).await;
            }
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
