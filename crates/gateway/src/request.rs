//! A request's whole way: screened, routed, answered.

use std::rc::Rc;

use http::header::{HOST, UPGRADE};
use http::{Request, Response, Version, request};
use hyper::body::Incoming;

use crate::answer::{Answered, problem, proxy, ready};
use crate::body::Outgoing;
use crate::config::Answer;
use crate::screen::screen;
use crate::worker::{Guest, Phase, Turn};

/// Answers one request of a connection.
pub(crate) async fn handle(guest: Rc<Guest>, request: Request<Incoming>) -> Response<Outgoing> {
    let turn = Turn::begin(guest);
    let guest = &turn.0;
    let version = request.version();
    let answer = answer(guest, request).await;
    guest.seat.enter(Phase::Answer);
    guest.seat.set_ends_with_connection(version < Version::HTTP_11 && answer.body().is_unbounded());
    let class = usize::from(answer.status().as_u16() / 100);
    if let Some(count) = guest.worker.counters().answers.get(class) {
        count.add_one();
    }
    answer.map(|content| Outgoing::new(content, turn))
}

async fn answer(guest: &Rc<Guest>, request: Request<Incoming>) -> Answered {
    let (mut head, body) = request.into_parts();
    if let Err(refused) = screen(&mut head) {
        return problem::refused(refused);
    }
    let routed = &guest.listener.routed;
    if head.uri.path() == routed.ready_path {
        return ready::answer(guest);
    }
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let Some((&route, _)) = routed.routes.find(host, head.uri.path()) else {
        return problem::no_route(host, head.uri.path());
    };
    if wants_websocket(&head) {
        return problem::no_upgrade();
    }
    match route.answer {
        Answer::Proxy => proxy::answer(guest, route, head, body).await,
        Answer::Redirect | Answer::Assign => todo!("the gateway's engineer"),
    }
}

/// Any other upgrade is an offer that may be passed over (RFC 9110 §7.8); a WebSocket client has no use for that.
fn wants_websocket(head: &request::Parts) -> bool {
    let upgrade = head.headers.get(UPGRADE);
    upgrade.is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}
