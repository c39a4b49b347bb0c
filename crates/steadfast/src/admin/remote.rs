//! Asks a running Steadfast, over its API.

use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use steadfast_core::client::ClientKey;
use steadfast_core::settings::SetSettings;
use steadfast_core::{Endpoint, InstanceId, SetName, conceal};
use steadfast_host::http::{Call, CallError, Client, HeaderValue, Method, StatusCode, Target, header, percent_encode};
use steadfast_host::problem::Problem;
use steadfast_host::tls::{self, Alpn};
use steadfast_registry::Text;
use steadfast_store::{Secret, TlsFiles};

use super::Api;
use super::view::{
    ClientQuery, ClientView, Clients, DrainOrder, DrainView, EventCursor, Events, ExplainQuery, ExplainView,
    ForgottenView, Instances, LeaderView, MoveOrder, PlaceOrder, PlacedView, SetView, Sets, SettingsChange,
    SettingsView, StateChange, StatusView, SwitchoverOrder, SwitchoverOrdered, VerifyView,
};

/// How long an answer may take: as long as the Steadfast that is asked may wait for its store, and a little more.
const ANSWER_WITHIN: Duration = Duration::from_secs(12);

/// A Steadfast somewhere else.
#[derive(Debug)]
pub struct Remote {
    url: String,
    target: Target,
    token: Option<Secret>,
    client: Client,
}

impl Remote {
    /// The Steadfast whose API is at `url`, asked with `token` where there is one.
    ///
    /// # Errors
    /// What is wrong with the URL or the token.
    pub fn new(url: &str, token: Option<&str>) -> Result<Remote, String> {
        Remote::over(url, token.map(Secret::given), TlsFiles::default())
    }

    /// The same, with a token that may change meanwhile, and with these files where `url` is one of `https`.
    ///
    /// # Errors
    /// What is wrong with the URL, the token or the files.
    pub fn over(url: &str, token: Option<Secret>, tls: TlsFiles) -> Result<Remote, String> {
        let expected = "expected http://host:port or https://host:port";
        // It may hold a password, which no API has a use for.
        let shown = conceal::urls(url);
        let endpoint: Endpoint = url.parse().map_err(|_| format!("{shown:?} is not the URL of an API: {expected}"))?;
        let target = match endpoint.scheme() {
            "https" => {
                let tls = tls::Client::new(tls, Alpn::Http1).map_err(|error| error.to_string())?;
                Target::Tls { host: endpoint.host().clone(), port: endpoint.port(), tls }
            }
            "http" if tls != TlsFiles::default() => {
                return Err(format!("{shown:?} is not asked over TLS, and files for TLS are given: write https"));
            }
            "http" => Target::from(&endpoint),
            scheme => return Err(format!("{shown:?}: {scheme} is not spoken here; {expected}")),
        };
        if let Some(token) = &token {
            bearer(&token.text())?;
        }
        Ok(Remote { url: url.to_owned(), target, token, client: Client::default() })
    }

    async fn get<T: DeserializeOwned>(&self, path: String) -> Result<T, Problem> {
        self.call(Call::get(path)).await
    }

    async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        path: String,
        body: &impl Serialize,
    ) -> Result<T, Problem> {
        self.call(Call::json(method, path, body)).await
    }

    async fn call<T: DeserializeOwned>(&self, mut call: Call) -> Result<T, Problem> {
        if let Some(token) = &self.token {
            let value = bearer(&token.text()).map_err(|why| Problem::bad_request("bad-token", why))?;
            call.headers.insert(header::AUTHORIZATION, value);
        }
        let reply =
            self.client.call(&self.target, call, ANSWER_WITHIN).await.map_err(|error| self.unreachable(&error))?;
        match reply.problem() {
            // Some other server's page.
            Some(problem) if problem.reason.starts_with("http-") => Err(self.not_the_api(&problem.detail)),
            Some(problem) => Err(self.explained(problem)),
            None => serde_json::from_slice(&reply.body).map_err(|error| self.not_the_api(&error.to_string())),
        }
    }

    fn not_the_api(&self, why: &str) -> Problem {
        let detail = format!("{} answers, but not as Steadfast's API does: {why}", self.url);
        Problem::new(StatusCode::BAD_GATEWAY, "not-the-api", detail)
    }

    fn unreachable(&self, error: &CallError) -> Problem {
        let advice = match error {
            CallError::NotSent { .. } => {
                "; is `steadfast run` running there? Say --admin URL for another place, or --store URL to go to the store itself"
            }
            _ => "; whether it was done is not known: look with `steadfast status`",
        };
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "unreachable", format!("{error}{advice}"))
    }

    fn explained(&self, mut problem: Problem) -> Problem {
        if problem.status == StatusCode::UNAUTHORIZED.as_u16() {
            problem.detail.push_str(match self.token {
                None => "; name its file with --token-file",
                Some(_) => "; the token that was sent is another one: name the right file with --token-file",
            });
        }
        problem
    }
}

/// The token as a header. What it is, is not told.
fn bearer(token: &str) -> Result<HeaderValue, String> {
    let value = HeaderValue::try_from(format!("Bearer {token}"));
    let mut value = value.map_err(|_| "the token has characters that cannot be sent: is it the right file?")?;
    value.set_sensitive(true);
    Ok(value)
}

fn of_set(set: &SetName, rest: &str) -> String {
    format!("/api/v1/sets/{set}{rest}")
}

fn of_instance(set: &SetName, instance: &InstanceId, verb: &str) -> String {
    of_set(set, &format!("/instances/{}/{verb}", percent_encode(instance.as_str().as_bytes())))
}

/// A client's key is written as it stands in a URL.
fn of_client(set: &SetName, client: &ClientKey, rest: &str) -> String {
    of_set(set, &format!("/clients/{client}{rest}"))
}

/// `?first=value&second=value` of what was said; the values as they stand in a URL.
fn query<'n>(pairs: impl IntoIterator<Item = (&'n str, Option<String>)>) -> String {
    let said = pairs.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?)));
    let said: Vec<String> = said.collect();
    if said.is_empty() { String::new() } else { format!("?{}", said.join("&")) }
}

/// The body of a change that says everything in its path.
#[derive(Serialize)]
struct Nothing {}

#[async_trait]
impl Api for Remote {
    async fn status(&self) -> Result<StatusView, Problem> {
        self.get("/api/v1/status".to_owned()).await
    }

    async fn sets(&self) -> Result<Sets, Problem> {
        self.get("/api/v1/sets".to_owned()).await
    }

    async fn set(&self, set: &SetName) -> Result<SetView, Problem> {
        self.get(of_set(set, "")).await
    }

    async fn instances(&self, set: &SetName) -> Result<Instances, Problem> {
        self.get(of_set(set, "/instances")).await
    }

    async fn leader(&self, set: &SetName) -> Result<LeaderView, Problem> {
        self.get(of_set(set, "/leader")).await
    }

    async fn events(&self, set: Option<&SetName>, since: &EventCursor) -> Result<Events, Problem> {
        let since = percent_encode(since.to_string().as_bytes());
        let only = set.map(|set| format!("&set={set}")).unwrap_or_default();
        self.get(format!("/api/v1/events?since={since}{only}")).await
    }

    async fn clients(&self, set: &SetName, asked: &ClientQuery) -> Result<Clients, Problem> {
        let pairs = [
            ("after", asked.after.as_ref().map(ToString::to_string)),
            ("limit", asked.limit.as_ref().map(ToString::to_string)),
            ("home", asked.home.as_ref().map(|home| percent_encode(home.as_str().as_bytes()))),
            ("phase", asked.phase.as_ref().map(ToString::to_string)),
        ];
        self.get(of_set(set, &format!("/clients{}", query(pairs)))).await
    }

    async fn client(&self, set: &SetName, client: &ClientKey) -> Result<ClientView, Problem> {
        self.get(of_client(set, client, "")).await
    }

    async fn explain(&self, set: &SetName, client: &ClientKey, asked: &ExplainQuery) -> Result<ExplainView, Problem> {
        let labels = asked.labels.iter().map(|(name, value)| (name.as_str(), Some(percent_encode(value.as_bytes()))));
        let weight = asked.weight.map(|weight| weight.to_string());
        let pairs = [("client", Some(client.to_string())), ("weight", weight)].into_iter().chain(labels);
        self.get(of_set(set, &format!("/explain{}", query(pairs)))).await
    }

    async fn place(&self, set: &SetName, client: &ClientKey, order: &PlaceOrder) -> Result<PlacedView, Problem> {
        self.change(Method::PUT, of_client(set, client, ""), order).await
    }

    async fn move_client(&self, set: &SetName, client: &ClientKey, order: &MoveOrder) -> Result<PlacedView, Problem> {
        self.change(Method::POST, of_client(set, client, "/move"), order).await
    }

    async fn forget(&self, set: &SetName, client: &ClientKey) -> Result<ForgottenView, Problem> {
        self.change(Method::DELETE, of_client(set, client, ""), &Nothing {}).await
    }

    async fn drain(&self, set: &SetName, instance: &InstanceId, order: &DrainOrder) -> Result<StateChange, Problem> {
        self.change(Method::POST, of_instance(set, instance, "drain"), order).await
    }

    async fn drain_progress(&self, set: &SetName, instance: &InstanceId) -> Result<DrainView, Problem> {
        self.get(of_instance(set, instance, "drain")).await
    }

    async fn undrain(&self, set: &SetName, instance: &InstanceId) -> Result<StateChange, Problem> {
        self.change(Method::POST, of_instance(set, instance, "undrain"), &Nothing {}).await
    }

    async fn lost(&self, set: &SetName, instance: &InstanceId) -> Result<StateChange, Problem> {
        self.change(Method::POST, of_instance(set, instance, "lost"), &Nothing {}).await
    }

    async fn verify(&self, set: &SetName) -> Result<VerifyView, Problem> {
        self.get(of_set(set, "/verify")).await
    }

    async fn switchover(&self, set: &SetName, to: Option<&InstanceId>) -> Result<SwitchoverOrdered, Problem> {
        let order = SwitchoverOrder { to: to.cloned().map(Text) };
        self.change(Method::POST, of_set(set, "/switchover"), &order).await
    }

    async fn apply(&self, set: &SetName, settings: &SetSettings) -> Result<SettingsChange, Problem> {
        self.change(Method::PUT, of_set(set, ""), &SettingsView::new(settings)).await
    }
}
