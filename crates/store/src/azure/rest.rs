//! Requests to the account: signed, with one time-out for the whole, and never sent a second time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use steadfast_host::clock::{self, Moment};
use steadfast_host::http::{
    Call, Client, ClientLimits, HeaderMap, HeaderName, HeaderValue, Method, Reply, header, percent_encode,
};
use tokio::runtime::{Handle, Id};

use super::account::{Account, Site};
use super::batch::{self, Answer, Destination, Operation};
use super::credential::{Credential, Proof};
use super::entity::{Row, rows};
use super::failure::{Failure, Refusal};
use super::sign::{Signed, http_date};
use crate::Error;
use crate::history::locked;

/// The protocols of the two services that are spoken.
const BLOB_VERSION: &str = "2021-12-02";
const TABLE_VERSION: &str = "2020-12-06";

/// What every answer of Azure's has. Without it somebody between answers, who may have passed the request on or not.
const SIGN: &str = "x-ms-request-id";

/// Why a secret that is itself sent is not sent everywhere.
pub(super) const OPEN: &str = "an address with http:// is not on this machine: tokens and signatures could be read on the \
                               way, write https://";

/// Runtimes whose connections are kept apart; the oldest of more loses its own.
const RUNTIMES: usize = 8;

/// Requests that one call may have under way at once.
pub(super) const AT_ONCE: usize = 32;

/// Connections are given up before the emulator does (5 s), so that no request is written into one that closes.
const IDLE: Duration = Duration::from_secs(4);

/// Bytes of an answer, at most: several times what a page of the log or of records is asked to hold.
const ANSWER_BYTES: usize = 64 << 20;

/// One of the two services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Blobs,
    Tables,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    service: Service,
    method: Method,
    /// Behind the service's own address; every character is one that a path may have.
    path: String,
    query: Vec<(&'static str, String)>,
    headers: HeaderMap,
    body: Bytes,
}

impl Ask {
    pub(super) fn new(service: Service, method: Method, path: impl Into<String>) -> Ask {
        let (query, headers) = (Vec::new(), HeaderMap::new());
        Ask { service, method, path: path.into(), query, headers, body: Bytes::new() }
    }

    /// The same with a parameter.
    #[must_use]
    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Ask {
        self.query.push((name, value.into()));
        self
    }

    /// The same with a header. A value that cannot be one is our bug, and sent as nothing.
    #[must_use]
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Ask {
        let value = HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static(""));
        self.headers.insert(HeaderName::from_static(name), value);
        self
    }

    /// The same with a body.
    #[must_use]
    pub(super) fn body(self, media: &str, body: Bytes) -> Ask {
        Ask { body, ..self.with("content-type", media) }
    }
}

/// The way to one account.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) account: Account,
    pub(super) credential: Credential,
    /// A connection lives in the runtime it was made in.
    clients: Mutex<Vec<(Id, Client)>>,
}

/// Where a query that did not end goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Continuation(Vec<(&'static str, String)>);

impl Rest {
    pub(super) fn new(account: Account, credential: Credential) -> Arc<Rest> {
        Arc::new(Rest { account, credential, clients: Mutex::default() })
    }

    /// Sends a request and waits for the whole answer; an answer that is no success is [`Failure::Refused`]. Where the
    /// container or the table is not there yet, nothing was done: it is made, and the request sent again.
    pub(super) async fn ask(&self, ask: Ask, deadline: Moment) -> Result<Reply, Failure> {
        match self.ask_once(ask.clone(), deadline).await {
            Err(Failure::Refused(refusal)) if refusal.is_missing_place() => {
                self.make_place(refusal, deadline).await?;
                self.ask_once(ask, deadline).await
            }
            answered => answered,
        }
    }

    async fn ask_once(&self, ask: Ask, deadline: Moment) -> Result<Reply, Failure> {
        let proof = self.credential.proof(deadline).await?;
        if self.account.is_open() && !matches!(proof, Proof::Key(_)) {
            return Err(Failure::Known(Error::Config(OPEN.to_owned())));
        }
        let site = self.site(ask.service);
        let call = signed(&self.account, site, ask, &proof);
        let within = deadline.since(clock::now());
        let reply = self.client().call(&site.target, call, within).await.map_err(|e| Failure::of(&e))?;
        if !reply.headers.contains_key(SIGN) {
            let status = reply.status.as_u16();
            return Err(Failure::Unanswered(format!(
                "{} answers with status {status}, and not as Azure Storage does: is there a proxy between?",
                site.target
            )));
        }
        if reply.status.is_success() {
            return Ok(reply);
        }
        Err(Failure::Refused(Refusal::of(&reply)))
    }

    /// Does all of the operations, or none.
    pub(super) async fn transact(
        &self,
        partition: &str,
        operations: &[Operation],
        deadline: Moment,
    ) -> Result<Vec<Option<String>>, Failure> {
        let table = format!("{}/{}", self.account.tables.url, self.account.table);
        let (media, body) = batch::request(Destination { table: &table, partition }, operations);
        let ask = Ask::new(Service::Tables, Method::POST, "/$batch").body(&media, body);
        match self.transact_once(ask.clone(), operations.len(), deadline).await {
            Err(Failure::Refused(refusal)) if refusal.is_missing_place() => {
                self.make_place(refusal, deadline).await?;
                self.transact_once(ask, operations.len(), deadline).await
            }
            answered => answered,
        }
    }

    async fn transact_once(
        &self,
        ask: Ask,
        operations: usize,
        deadline: Moment,
    ) -> Result<Vec<Option<String>>, Failure> {
        let reply = self.ask_once(ask, deadline).await?;
        match batch::answer(&reply.body, operations) {
            Ok(Answer::Done(etags)) => Ok(etags),
            Ok(Answer::Refused(refusal)) => Err(Failure::Refused(refusal)),
            Err(why) => Err(Failure::Unanswered(why)),
        }
    }

    /// Makes what a request found missing; who may not is told what to do.
    async fn make_place(&self, refusal: Refusal, deadline: Moment) -> Result<(), Failure> {
        match self.prepare(deadline).await {
            Ok(_) => Ok(()),
            Err(Error::Denied(_)) => Err(Failure::Refused(refusal)),
            Err(error) => Err(Failure::Known(Error::Unavailable(error.to_string()))),
        }
    }

    /// Entities that `filter` finds, `top` of them at most, with these properties only (all, if empty). None where more
    /// are said to come: there are no others.
    pub(super) async fn query(
        &self,
        filter: &str,
        select: &str,
        mut top: usize,
        mut from: Continuation,
        deadline: Moment,
    ) -> Result<(Vec<Row>, Option<Continuation>), Failure> {
        loop {
            match self.query_once(filter, select, top, from.clone(), deadline).await {
                // Azure may give an empty page at any time, of what is there, too.
                Ok((rows, Some(more))) if rows.is_empty() => from = more,
                // Fewer, and it fits: one at least does.
                Err(Failure::TooLarge(_)) if top > 1 => top = (top / 8).max(1),
                answered => return answered,
            }
        }
    }

    async fn query_once(
        &self,
        filter: &str,
        select: &str,
        top: usize,
        from: Continuation,
        deadline: Moment,
    ) -> Result<(Vec<Row>, Option<Continuation>), Failure> {
        let mut ask = Ask::new(Service::Tables, Method::GET, format!("/{}()", self.account.table))
            .query("$filter", filter)
            .query("$top", top.to_string());
        if !select.is_empty() {
            ask = ask.query("$select", select);
        }
        ask.query.extend(from.0);
        let reply = self.ask(ask, deadline).await?;
        let next =
            |name: &'static str, header: &str| Some((name, reply.headers.get(header)?.to_str().ok()?.to_owned()));
        let partition = next("NextPartitionKey", "x-ms-continuation-nextpartitionkey");
        let more = partition.map(|partition| {
            let row = next("NextRowKey", "x-ms-continuation-nextrowkey");
            Continuation([Some(partition), row].into_iter().flatten().collect())
        });
        Ok((rows(&reply.body).map_err(Failure::Known)?, more))
    }

    /// The entity of this key, if there is one.
    pub(super) async fn entity(&self, partition: &str, row: &str, deadline: Moment) -> Result<Option<Row>, Failure> {
        let filter = format!("PartitionKey eq '{partition}' and RowKey eq '{row}'");
        let (rows, _) = self.query(&filter, "", 1, Continuation::default(), deadline).await?;
        Ok(rows.into_iter().next())
    }

    /// Makes the container and the table, as far as they are not there; says what was made.
    pub(super) async fn prepare(&self, deadline: Moment) -> Result<Vec<String>, Error> {
        let mut made = Vec::new();
        let container = Ask::new(Service::Blobs, Method::PUT, format!("/{}", self.account.container));
        let container = container.query("restype", "container");
        let table = serde_json::json!({ "TableName": self.account.table }).to_string();
        let table = Ask::new(Service::Tables, Method::POST, "/Tables").body("application/json", table.into());
        let wanted = [
            (container, "ContainerAlreadyExists", format!("container {}", self.account.container)),
            (table, "TableAlreadyExists", format!("table {}", self.account.table)),
        ];
        for (ask, exists, what) in wanted {
            match self.ask_once(ask, deadline).await {
                Ok(_) => made.push(what),
                Err(Failure::Refused(refusal)) if refusal.code == exists => {}
                Err(failure) => return Err(failure.of_look()),
            }
        }
        Ok(made)
    }

    fn site(&self, service: Service) -> &Site {
        match service {
            Service::Blobs => &self.account.blobs,
            Service::Tables => &self.account.tables,
        }
    }

    /// The client of the runtime this is called in.
    fn client(&self) -> Client {
        let here = Handle::current().id();
        let mut clients = locked(&self.clients);
        if let Some((_, client)) = clients.iter().find(|(runtime, _)| *runtime == here) {
            return client.clone();
        }
        if clients.len() == RUNTIMES {
            clients.remove(0);
        }
        let limits =
            ClientLimits { idle_per_target: AT_ONCE, idle: IDLE, body_bytes: ANSWER_BYTES, ..Default::default() };
        let client = Client::new(limits);
        clients.push((here, client.clone()));
        client
    }
}

/// The request with all it needs to be believed.
fn signed(account: &Account, site: &Site, mut ask: Ask, proof: &Proof) -> Call {
    let version = match ask.service {
        Service::Blobs => BLOB_VERSION,
        Service::Tables => TABLE_VERSION,
    };
    ask = ask.with("x-ms-version", version).with("x-ms-date", &http_date(clock::wall()));
    if ask.service == Service::Tables {
        ask = ask.with("dataserviceversion", "3.0;").with("accept", "application/json;odata=minimalmetadata");
    }
    let path = format!("{}{}", site.base, ask.path);
    let text = |(name, value): &(&str, String)| format!("{name}={}", percent_encode(value.as_bytes()));
    let mut query = ask.query.iter().map(text).collect::<Vec<_>>().join("&");
    let request = Signed {
        account: &account.name,
        method: &ask.method,
        path: &path,
        query: &ask.query,
        headers: &ask.headers,
        body_bytes: ask.body.len(),
    };
    let authorization = match (proof, ask.service) {
        (Proof::Key(key), Service::Blobs) => Some(key.shared_key(&request)),
        (Proof::Key(key), Service::Tables) => Some(key.shared_key_lite(&request)),
        (Proof::Token(token), _) => Some(format!("Bearer {}", token.text())),
        (Proof::Sas(sas), _) => {
            let between = if query.is_empty() { "" } else { "&" };
            query = format!("{query}{between}{}", sas.query());
            None
        }
    };
    if ask.body.is_empty() && ask.method == Method::PUT {
        // Azure wants to be told, and nobody else would say it.
        ask.headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    if let Some(mut value) = authorization.and_then(|text| HeaderValue::from_str(&text).ok()) {
        value.set_sensitive(true);
        ask.headers.insert(header::AUTHORIZATION, value);
    }
    let path = if query.is_empty() { path } else { format!("{path}?{query}") };
    Call { headers: ask.headers, body: ask.body, ..Call::new(ask.method, path) }
}
