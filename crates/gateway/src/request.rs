//! A request's whole way: validated, routed, answered.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;

use http::header::{CONNECTION, HOST, HeaderValue};
use http::{Request, Response, Version, request};
use http_body::Body;
use hyper::body::Incoming;

use crate::answer::sticky::{self, Way};
use crate::answer::{Answered, problem, proxy, ready};
use crate::body::Outgoing;
use crate::config::Answer;
use crate::route::Route;
use crate::validate::validate;
use crate::worker::{Guest, Phase, Turn};

const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// Answers one request of a connection.
pub(crate) async fn handle(guest: Rc<Guest>, request: Request<Incoming>) -> Response<Outgoing> {
    let turn = Turn::begin(guest);
    let guest = &turn.0;
    let version = request.version();
    let refused = guest.intake.borrow().refused();
    let (mut head, body) = request.into_parts();
    let mut body = Some(body);
    let mut answer = match refused {
        Some(refused) => {
            refused.limit.inspect(|limit| guest.worker.counters().limited(*limit));
            problem::refused(refused)
        }
        None => answer(guest, &mut head, &mut body).await,
    };
    if let Some(unread) = body
        && !is_out_of_the_way(guest, unread).await
    {
        answer.headers_mut().insert(CONNECTION, CLOSE);
    }
    guest.conn.enter(Phase::Answer);
    guest.conn.set_ends_with_connection(version < Version::HTTP_11 && answer.body().is_unbounded());
    let class = usize::from(answer.status().as_u16() / 100);
    if let Some(count) = guest.worker.counters().answers.get(class) {
        count.add_one();
    }
    answer.map(|content| Outgoing::new(content, turn))
}

/// Whether a body that nobody wanted has passed, so that another request can follow: it has if all of it came together
/// with its head. Nobody waits for more.
async fn is_out_of_the_way(guest: &Guest, mut body: Incoming) -> bool {
    if body.is_end_stream() {
        return true;
    }
    let mut read = guest.intake.borrow().is_complete();
    while read {
        match poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            Some(Ok(_)) => {}
            Some(Err(_)) => read = false,
            None => break,
        }
    }
    read
}

/// Takes the head where it is passed on, and leaves of the body what nobody has read.
async fn answer(guest: &Rc<Guest>, head: &mut request::Parts, body: &mut Option<Incoming>) -> Answered {
    if let Err(refused) = validate(head) {
        return problem::refused(refused);
    }
    // A body whose length is announced is refused before anything is done for its request.
    let announced = body.as_ref().map_or(0, |body| body.size_hint().lower());
    if guest.conn.check_body(announced).is_err() {
        return problem::body_too_large(guest.conn.most_body());
    }
    let routed = &guest.listener.routed;
    if head.uri.path() == routed.ready_path {
        return ready::answer(guest);
    }
    let host = head.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let Some((route, captures)) = routed.routes.find(host, head.uri.path()) else {
        return problem::no_route(host, head.uri.path());
    };
    if guest.worker.sets[route.set].shared.is_single() {
        drop(captures);
        return single(guest, route, head, body).await;
    }
    let way = sticky::find(guest, route, &captures, head).await;
    drop(captures);
    match way {
        Way::Single => single(guest, route, head, body).await,
        Way::Home(client) => sticky::answer(guest, route, client, head, body).await,
        Way::Refused(answer) => answer,
    }
}

/// Only one instance of a single set may answer: it is no secret which, but nobody is sent there past the gateway.
async fn single(guest: &Rc<Guest>, route: &Route, head: &mut request::Parts, body: &mut Option<Incoming>) -> Answered {
    match (route.answer, body.take()) {
        (Answer::Proxy, Some(taken)) => {
            let (answer, unread) = proxy::answer(guest, route, head, taken).await;
            *body = unread;
            answer
        }
        (_, unread) => {
            *body = unread;
            problem::not_sticky(&guest.worker.sets[route.set].shared)
        }
    }
}
