//! The kinds of identity, and how each gets its token.

use std::env;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_core::error::ErrorKind;
use azure_core::http::{
    AsyncRawResponse, Body, ClientOptions, HttpClient, Request, RetryOptions, StatusCode, Transport,
    headers::{HeaderName, HeaderValue, Headers},
};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, AzureDeveloperCliCredential, AzureDeveloperCliCredentialOptions,
    AzurePipelinesCredential, AzurePipelinesCredentialOptions, ClientAssertionCredentialOptions,
    ClientSecretCredential, ClientSecretCredentialOptions, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use steadfast_host::Host;
use steadfast_host::clock;
use steadfast_host::http::{self, Call, Client, Target};
use steadfast_host::tls;

use super::Token;
use crate::history::locked;

/// What a token is asked for.
const SCOPE: &str = "https://storage.azure.com/.default";

/// Where a machine of Azure's is told who it is. Outside nobody answers there.
const METADATA: &str = "169.254.169.254";

/// How long it is waited for, where it is not known whether this is Azure.
const METADATA_WITHIN: Duration = Duration::from_secs(1);

/// The time-out of one request for a token.
const REQUEST_WITHIN: Duration = Duration::from_secs(30);

/// How an identity is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Kind {
    /// Whatever this process finds.
    Auto,
    /// The machine's, or the App Service's.
    Managed,
    /// The Kubernetes service account's.
    Workload,
    /// Whoever is logged in with `az`.
    Cli,
    /// Whoever is logged in with `azd`.
    DeveloperCli,
    /// An application's, with its secret.
    ClientSecret,
    /// A pipeline's service connection.
    Pipelines,
}

impl Kind {
    const ALL: [(Kind, &str); 7] = [
        (Kind::Auto, "auto"),
        (Kind::Managed, "managed"),
        (Kind::Workload, "workload"),
        (Kind::Cli, "cli"),
        (Kind::DeveloperCli, "developer-cli"),
        (Kind::ClientSecret, "client-secret"),
        (Kind::Pipelines, "pipelines"),
    ];

    fn as_str(self) -> &'static str {
        Kind::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Kind, ()> {
        Kind::ALL.iter().find(|(_, name)| *name == text).map(|(kind, _)| *kind).ok_or(())
    }
}

/// Whose tokens are fetched.
pub(in super::super) struct Identity {
    kind: Kind,
    client_id: Option<String>,
    tenant: Option<String>,
    secret: Option<Box<super::Source>>,
    transport: Arc<Ours>,
    /// Made at the first attempt; it remembers its own tokens.
    made: Mutex<Option<(Kind, Arc<dyn TokenCredential>)>>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("kind", &self.kind).field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

impl Identity {
    /// An identity of this kind. `secret` is an application's.
    pub(in super::super) fn new(
        kind: Kind,
        client_id: Option<String>,
        tenant: Option<String>,
        secret: Option<Box<super::Source>>,
    ) -> Identity {
        let transport = Arc::new(Ours::default());
        Identity { kind, client_id, tenant, secret, transport, made: Mutex::default() }
    }

    /// Has tokens fetched from this port of this machine.
    #[cfg(test)]
    pub(super) fn redirect(&self, port: u16) {
        let host = Host::Ip(std::net::Ipv4Addr::LOCALHOST.into());
        self.transport.instead.set(Target::Tcp { host, port }).expect("once");
    }

    /// What it is, for people.
    pub(super) fn name(&self) -> String {
        let kind = locked(&self.made).as_ref().map_or(self.kind, |(kind, _)| *kind);
        format!("credential={}", kind.as_str())
    }

    /// A token, and how long it lasts from now.
    pub(super) async fn fetch(&self) -> Result<(Token, Duration), String> {
        let made = locked(&self.made).clone();
        let credential = match made {
            Some((_, credential)) => credential,
            None => {
                let kind = if self.kind == Kind::Auto { found().await } else { self.kind };
                let credential = self.make(kind).map_err(|e| told(&e))?;
                *locked(&self.made) = Some((kind, Arc::clone(&credential)));
                credential
            }
        };
        let token = credential.get_token(&[SCOPE], None).await.map_err(|e| told(&e))?;
        let until_ms = i128::from(token.expires_on.unix_timestamp()) * 1000;
        let lasts_ms = until_ms - i128::from(clock::wall().unix_millis());
        let lasts = Duration::from_millis(u64::try_from(lasts_ms).unwrap_or_default());
        Ok((Token::new(token.token.secret()), lasts))
    }

    fn make(&self, kind: Kind) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let options = ClientOptions {
            transport: Some(Transport::new(Arc::clone(&self.transport) as Arc<dyn HttpClient>)),
            retry: RetryOptions::none(),
            ..ClientOptions::default()
        };
        let assertion = |client_options| ClientAssertionCredentialOptions { client_options };
        let (client_id, tenant) = (self.client_id.clone(), self.tenant.clone());
        Ok(match kind {
            Kind::Auto | Kind::Managed => ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                user_assigned_id: client_id.map(UserAssignedId::ClientId),
                client_options: options,
            }))?,
            Kind::Workload => WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
                credential_options: assertion(options),
                client_id,
                tenant_id: tenant,
                token_file_path: None,
            }))?,
            Kind::Cli => {
                let options = AzureCliCredentialOptions { tenant_id: tenant, ..Default::default() };
                AzureCliCredential::new(Some(options))?
            }
            Kind::DeveloperCli => {
                let options = AzureDeveloperCliCredentialOptions { tenant_id: tenant, ..Default::default() };
                AzureDeveloperCliCredential::new(Some(options))?
            }
            Kind::ClientSecret => ClientSecretCredential::new(
                &given(tenant, "AZURE_TENANT_ID")?,
                given(client_id, "AZURE_CLIENT_ID")?,
                given(self.secret.as_ref().map(|secret| secret().to_string()), "AZURE_CLIENT_SECRET")?.into(),
                Some(ClientSecretCredentialOptions { client_options: options }),
            )?,
            Kind::Pipelines => AzurePipelinesCredential::new(
                given(tenant, "AZURESUBSCRIPTION_TENANT_ID")?,
                given(client_id, "AZURESUBSCRIPTION_CLIENT_ID")?,
                &given(None, "AZURESUBSCRIPTION_SERVICE_CONNECTION_ID")?,
                given(None, "SYSTEM_ACCESSTOKEN")?,
                Some(AzurePipelinesCredentialOptions { credential_options: assertion(options) }),
            )?,
        })
    }
}

/// What was given, or stands in the environment.
fn given(value: Option<String>, variable: &str) -> azure_core::Result<String> {
    let value = value.or_else(|| env::var(variable).ok()).filter(|value| !value.is_empty());
    let missing = || {
        let why = format!("it needs {variable} in the environment, or the option of the URL that says the same");
        azure_core::Error::with_message(ErrorKind::Credential, why)
    };
    value.ok_or_else(missing)
}

/// The kind that this process finds itself to be.
async fn found() -> Kind {
    if env::var_os("AZURE_FEDERATED_TOKEN_FILE").is_some() {
        return Kind::Workload;
    }
    if env::var_os("AZURE_CLIENT_SECRET").is_some() {
        return Kind::ClientSecret;
    }
    if env::var_os("IDENTITY_ENDPOINT").is_some() {
        return Kind::Managed;
    }
    let Ok(host) = METADATA.parse::<Host>() else { return Kind::Managed };
    match tokio::time::timeout(METADATA_WITHIN, steadfast_host::net::connect_tcp(&host, 80)).await {
        Ok(Ok(_)) => Kind::Managed,
        _ => Kind::Cli,
    }
}

/// What a failure says, with its causes, and no more of a stranger's answer than a line.
fn told(error: &azure_core::Error) -> String {
    const SHOWN_CHARACTERS: usize = 300;
    let text = error.to_string();
    text.lines().next().unwrap_or_default().chars().take(SHOWN_CHARACTERS).collect()
}

/// Our own client, as `azure_identity` calls one.
#[derive(Debug, Default)]
struct Ours {
    /// The system's authorities are read when there is something to check.
    tls: Mutex<Option<tls::Client>>,
    /// Where tests have tokens from, whatever their address.
    #[cfg(test)]
    instead: std::sync::OnceLock<Target>,
}

impl Ours {
    fn target(&self, request: &Request) -> Result<Target, String> {
        #[cfg(test)]
        if let Some(target) = self.instead.get() {
            return Ok(target.clone());
        }
        let url = request.url();
        let host: Host = url
            .host_str()
            .and_then(|host| host.parse().ok())
            .ok_or_else(|| "the address for tokens has no host".to_owned())?;
        let port = url.port_or_known_default().ok_or_else(|| "the address for tokens has no port".to_owned())?;
        match url.scheme() {
            "http" => Ok(Target::Tcp { host, port }),
            "https" => super::super::account::secure(host, port, tls::ClientFiles::default(), &mut locked(&self.tls)),
            other => Err(format!("the address for tokens has the scheme `{other}`")),
        }
    }

    async fn call(&self, request: &Request) -> Result<http::Reply, (ErrorKind, String)> {
        let target = self.target(request).map_err(|why| (ErrorKind::Connection, why))?;
        let Body::Bytes(body) = request.body() else {
            return Err((ErrorKind::Other, "a request for a token that is a stream".to_owned()));
        };
        let strange = |_| (ErrorKind::DataConversion, "a request for a token that is none".to_owned());
        let method = request.method().as_ref().parse().map_err(|_| strange(()))?;
        let mut call = Call { body: body.clone(), ..Call::new(method, request.path_and_query()) };
        for (name, value) in request.headers().iter() {
            let name: http::HeaderName = name.as_str().parse().map_err(|_| strange(()))?;
            let mut value = http::HeaderValue::from_str(value.as_str()).map_err(|_| strange(()))?;
            value.set_sensitive(true);
            call = call.with(name, value);
        }
        // A token is asked for once an hour: no connection is kept for it.
        Client::default().call(&target, call, REQUEST_WITHIN).await.map_err(|error| {
            let kind = if error.may_have_happened() { ErrorKind::Io } else { ErrorKind::Connection };
            (kind, error.to_string())
        })
    }
}

#[async_trait]
impl HttpClient for Ours {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let reply = self.call(request).await.map_err(|(kind, why)| azure_core::Error::with_message(kind, why))?;
        let mut headers = Headers::new();
        for (name, value) in &reply.headers {
            if let Ok(value) = value.to_str() {
                headers.insert(HeaderName::from(name.as_str().to_owned()), HeaderValue::from(value.to_owned()));
            }
        }
        Ok(AsyncRawResponse::from_bytes(StatusCode::from(reply.status.as_u16()), headers, reply.body))
    }
}
