//! Reports of clients: what the application says becomes a wish, and what the books answer its answer.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};
use steadfast_core::client::ClientKey;
use steadfast_core::placement::{Placement, Refusal, TICK, Tick, Wish};
use steadfast_core::settings::Presence;
use steadfast_core::{Endpoint, EndpointName, InstanceId, Weight};
use steadfast_host::http::{HeaderValue, Response, StatusCode, header};
use steadfast_host::problem::{MEDIA_TYPE, Problem};
use steadfast_registry::{PlaceError, Snapshot, Text};

use crate::member::{Clients, sticky};

/// When it is worth asking again what depends on others' coming and going.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Where a client is at home.
#[derive(Serialize)]
struct View {
    client: Text<ClientKey>,
    set: String,
    instance: Text<InstanceId>,
    owner_epoch: u64,
    weight: Number,
    phase: &'static str,
    endpoints: BTreeMap<Text<EndpointName>, Text<Endpoint>>,
    /// How long it stays charged unless it is reported again, which the agent does by itself.
    expires_in_ms: u64,
}

/// The problem that a client's home is another instance, and the way there.
#[derive(Serialize)]
struct Elsewhere {
    title: &'static str,
    status: u16,
    reason: &'static str,
    detail: String,
    instance: Text<InstanceId>,
    endpoints: BTreeMap<Text<EndpointName>, Text<Endpoint>>,
}

impl Clients {
    /// The client is connected here.
    pub(super) async fn put(&self, client: ClientKey, body: &[u8]) -> Result<Response, Problem> {
        self.reports_count()?;
        let weight = said_weight(body)?;
        let entry = self
            .roster
            .begin(&client)
            .map_err(|full| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-reported", full.to_string()))?;
        let wish = Wish::Report { at: self.instance.clone(), weight };
        let placed = match self.placer.ask(client.clone(), wish).await {
            Ok(placed) => placed,
            Err(PlaceError::Refused(Refusal::NotHomeHere { home })) => {
                self.roster.dismiss(&client);
                return Ok(self.elsewhere(&client, home));
            }
            Err(error) => return Err(problem(&error)),
        };
        let placement = placed.client.ok_or_else(Problem::internal)?.record;
        entry.enter(placement.until);
        Ok(Response::json(StatusCode::OK, &self.view(client, &placement)))
    }

    /// Its last connection closed. One that was never here is gone as well.
    pub(super) async fn delete(&self, client: ClientKey) -> Result<Response, Problem> {
        self.reports_count()?;
        // First: whatever becomes of the wish, it is not refreshed any more, and goes idle by itself. So does one whose
        // report, still under way, is written after this.
        self.roster.remove(&client);
        let wish = Wish::Leave { at: self.instance.clone() };
        match self.placer.ask(client, wish).await {
            Ok(_) | Err(PlaceError::Refused(Refusal::NoClient)) => Ok(Response::new(StatusCode::NO_CONTENT)),
            Err(error) => Err(problem(&error)),
        }
    }

    /// Refuses what nobody listens to.
    fn reports_count(&self) -> Result<(), Problem> {
        let snapshot = self.mirror.snapshot();
        match sticky(&snapshot).map(|settings| settings.presence) {
            Some(Presence::Report) => Ok(()),
            Some(Presence::Request | Presence::Connection) => {
                let detail = format!(
                    "the set {} knows by its gateways who is there: say presence = \"report\" in its settings",
                    self.set
                );
                Err(Problem::new(StatusCode::CONFLICT, "presence-not-report", detail))
            }
            None => Err(unavailable("the set's settings are not known yet")),
        }
    }

    fn view(&self, client: ClientKey, placement: &Placement) -> View {
        let snapshot = self.mirror.snapshot();
        View {
            client: Text(client),
            set: self.set.to_string(),
            instance: Text(placement.home.clone()),
            owner_epoch: placement.owner_epoch.0,
            weight: number(placement.weight),
            phase: placement.phase.as_str(),
            endpoints: endpoints(&snapshot, &placement.home),
            expires_in_ms: left_ms(placement.until, snapshot.tick),
        }
    }

    fn elsewhere(&self, client: &ClientKey, home: InstanceId) -> Response {
        let status = StatusCode::MISDIRECTED_REQUEST;
        let problem = Elsewhere {
            title: "Misdirected Request",
            status: status.as_u16(),
            reason: "not-home-here",
            detail: format!("client {client} is at home at {home}: send it there"),
            endpoints: endpoints(&self.mirror.snapshot(), &home),
            instance: Text(home),
        };
        Response::json(status, &problem).with(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))
    }
}

/// The weight in a report's body, if it has one: `{"weight": 8}` or `{"weight": "8"}`.
pub(super) fn said_weight(body: &[u8]) -> Result<Option<Weight>, Problem> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        weight: Option<Value>,
    }
    if body.is_empty() {
        return Ok(None);
    }
    let bad =
        |why: String| Problem::bad_request("bad-weight", format!(r#"expected nothing or {{"weight": 8}}: {why}"#));
    let Body { weight } = serde_json::from_slice(body).map_err(|error| bad(error.to_string()))?;
    let text = match weight {
        None => return Ok(None),
        Some(Value::String(text)) => text,
        Some(Value::Number(number)) => number.to_string(),
        Some(other) => return Err(bad(format!("{other} is no weight"))),
    };
    let weight: Weight = text.parse().map_err(|error| bad(format!("{error}")))?;
    if weight == Weight::ZERO { Err(bad("a client weighs something".to_owned())) } else { Ok(Some(weight)) }
}

fn number(weight: Weight) -> Number {
    let milli = weight.as_milli();
    let broken = if milli.is_multiple_of(1_000) { None } else { Number::from_f64(milli as f64 / 1_000.0) };
    broken.unwrap_or_else(|| (milli / 1_000).into())
}

/// Why a report was not taken, for the application.
fn problem(error: &PlaceError) -> Problem {
    match error {
        PlaceError::Refused(refusal) => {
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, refusal.reason(), refusal.to_string());
            // What is too heavy today is so tomorrow.
            let waiting_helps = !matches!(refusal, Refusal::TooHeavy { .. });
            if waiting_helps { problem.retry_after(ASK_AGAIN_AFTER) } else { problem }
        }
        PlaceError::Unavailable(_) => unavailable(error),
        PlaceError::Busy => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", error.to_string()).retry_after(ASK_AGAIN_AFTER)
        }
        PlaceError::Books(_) => Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "store-unusable", error.to_string()),
    }
}

fn unavailable(why: impl std::fmt::Display) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "store-unavailable", why.to_string()).retry_after(ASK_AGAIN_AFTER)
}

fn endpoints(snapshot: &Snapshot, home: &InstanceId) -> BTreeMap<Text<EndpointName>, Text<Endpoint>> {
    let seen = snapshot.instances.get(home).and_then(|seen| seen.description.as_ref());
    seen.map(|description| description.endpoints.clone()).unwrap_or_default()
}

/// How long it is until `until`, at least.
fn left_ms(until: Tick, now: Tick) -> u64 {
    until.0.saturating_sub(now.0).saturating_mul(TICK.as_millis())
}
