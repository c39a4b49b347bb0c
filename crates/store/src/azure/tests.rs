//! What Azure answers when it is not as usual, as a server made here answers it.

mod leases;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;
use crate::url::Url;
use crate::{Access, Expect, Revision, Write};

const WITHIN: Duration = Duration::from_secs(30);

/// 64 bytes in base64.
const KEY: &str = "c3RlYWRmYXN0IHRlc3RzIG9ubHk6IGEga2V5IG9mIDY0IGJ5dGVzIHRoYXQgaXMgbm8gc2VjcmV0IGF0IGFsbA==";

/// A server that answers as a closure says, given the head of each request.
struct Stub {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
    serving: JoinHandle<()>,
}

impl Stub {
    async fn new(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> Stub {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let (asked, answer) = (Arc::<Mutex<Vec<String>>>::default(), Arc::new(answer));
        let heads = Arc::clone(&asked);
        let serving = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, Arc::clone(&heads), Arc::clone(&answer)));
            }
        });
        Stub { port, asked, serving }
    }

    /// The heads of the requests that begin so.
    fn asked(&self, begin: &str) -> Vec<String> {
        let asked = self.asked.lock().expect("no panic");
        asked.iter().filter(|head| head.starts_with(begin)).cloned().collect()
    }

    fn store(&self, options: &str, secret: Option<&str>) -> Azure {
        let access = secret.map(Access::with_secret).unwrap_or_default();
        let port = self.port;
        let rest = format!("//account/container?endpoint=http://127.0.0.1:{port},http://127.0.0.1:{port}{options}");
        open::read(Url::parse("azure", "", &rest).expect("a URL"), &access).expect("a store")
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(
    mut connection: TcpStream,
    asked: Arc<Mutex<Vec<String>>>,
    answer: Arc<impl Fn(&str) -> String + Send + Sync>,
) {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let whole = text.split_once("\r\n\r\n").filter(|(head, body)| {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            body.len() >= length.unwrap_or(0)
        });
        if let Some((head, _)) = whole {
            asked.lock().expect("no panic").push(head.to_owned());
            let answered = answer(head);
            if connection.write_all(answered.as_bytes()).await.is_err() || answered.contains(CLOSE) {
                return;
            }
            bytes.clear();
            continue;
        }
        match connection.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(read) => bytes.extend(&chunk[..read]),
        }
    }
}

/// Azure's answer, which is known by its having a number.
fn answer(status: &str, headers: &str, body: &str) -> String {
    strangers(status, &format!("x-ms-request-id: 1\r\n{headers}"), body)
}

/// Anybody's answer.
fn strangers(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// A connection whose answer says so is closed after it.
const CLOSE: &str = "Connection: close\r\n";

/// An empty table, whose transactions end so.
async fn table(transaction: &'static str, code: &'static str) -> Stub {
    Stub::new(move |head| match head {
        _ if head.starts_with("GET") => answer("200 OK", "", r#"{"value":[]}"#),
        _ => {
            let body = format!(r#"{{"odata.error":{{"code":"{code}","message":{{"value":"so it is"}}}}}}"#);
            answer(transaction, "", &body)
        }
    })
    .await
}

fn batch() -> Batch {
    let write = Write::Put("x".into(), None);
    let change = Change { name: b"order/1".to_vec(), expect: Expect::Absent, write };
    Batch { space: Space::new("web").unwrap(), changes: vec![change] }
}

#[tokio::test]
async fn what_azure_says_of_a_transaction_is_what_is_told_and_nothing_is_sent_twice() {
    type Is = fn(&Error) -> bool;
    let cases: [(&str, &str, Is); 9] = [
        ("503 Server Busy", "ServerBusy", |error| matches!(error, Error::Unavailable(_))),
        ("429 Too Many Requests", "", |error| matches!(error, Error::Unavailable(_))),
        ("409 Conflict", "TableBeingDeleted", |error| matches!(error, Error::Unavailable(_))),
        (
            "507 Insufficient Storage",
            "",
            |error| matches!(error, Error::Unavailable(why) if why.contains("out of space")),
        ),
        // Not a word of throttling: whoever says so may have had it done first.
        ("503 Service Unavailable", "", |error| matches!(error, Error::OutcomeUnknown(_))),
        ("500 Internal", "OperationTimedOut", |error| matches!(error, Error::OutcomeUnknown(_))),
        ("403 Forbidden", "AuthorizationPermissionMismatch", |error| matches!(error, Error::Denied(_))),
        ("413 Too Large", "RequestBodyTooLarge", |error| matches!(error, Error::Config(_))),
        // Nobody knows what this is, so nobody knows what it did.
        ("202 Accepted", "", |error| matches!(error, Error::OutcomeUnknown(_))),
    ];
    for (status, code, is) in cases {
        let stub = table(status, code).await;
        let error = stub.store("", Some(KEY)).commit(batch(), WITHIN).await.expect_err(code);
        assert!(is(&error), "{status} {code}: {error:?}");
        assert_eq!(stub.asked("POST").len(), 1, "{status} {code}: sent more than once");
    }
}

#[tokio::test]
async fn who_is_not_azure_is_believed_nothing() {
    for status in ["200 OK", "302 Found", "403 Forbidden", "404 Not Found", "407 Log In", "413 Too Large", "503 Away"] {
        let page = move || strangers(status, "Content-Type: text/html\r\n", "<html>Log in to our network</html>");
        let stub = Stub::new(move |head| match head {
            _ if head.starts_with("GET /account/container()") => answer("200 OK", "", r#"{"value":[]}"#),
            _ => page(),
        })
        .await;
        let store = stub.store("", Some(KEY));
        let error = store.commit(batch(), WITHIN).await.expect_err("nobody knows what it did");
        assert!(matches!(&error, Error::OutcomeUnknown(why) if why.contains("proxy")), "{status}: {error:?}");
        assert_eq!(stub.asked("POST").len(), 1, "{status}: sent more than once");
        let lease = store.read(&Key::new(Space::new("web").unwrap(), "lease/web"), WITHIN).await;
        assert!(matches!(lease, Err(Error::Unavailable(_))), "{status}: {lease:?}");
        let stub = Stub::new(move |_| page()).await;
        let look = stub.store("", Some(KEY)).read(&Key::new(Space::new("web").unwrap(), "clock"), WITHIN).await;
        assert!(matches!(look, Err(Error::Unavailable(_))), "{status}: {look:?}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_leaves_doubt() {
    let stub = Stub::new(|head| match head {
        _ if head.starts_with("GET") => answer("200 OK", "", r#"{"value":[]}"#),
        _ => {
            format!("HTTP/1.1 202 Accepted\r\n{CLOSE}x-ms-request-id: 1\r\nContent-Length: 900\r\n\r\n--batchresponse_")
        }
    })
    .await;
    let error = stub.store("", Some(KEY)).commit(batch(), WITHIN).await.expect_err("half an answer");
    assert!(matches!(error, Error::OutcomeUnknown(_)), "{error:?}");
}

#[tokio::test]
async fn an_empty_page_with_more_behind_it_is_not_the_end() {
    let stub = Stub::new(|head| match head {
        _ if head.contains("NextPartitionKey=there") => {
            let row = r#"{"value":[{"RowKey":"x","odata.etag":"W/\"1\"","Version":"7","Value":"x"}]}"#;
            answer("200 OK", "", row)
        }
        _ => answer("200 OK", "x-ms-continuation-NextPartitionKey: there\r\n", r#"{"value":[]}"#),
    })
    .await;
    let found = stub.store("", Some(KEY)).read(&Key::new(Space::new("web").unwrap(), "clock"), WITHIN).await;
    assert_eq!(found.expect("a look").expect("it is there").version, Revision(7));
}

#[tokio::test]
async fn beliefs_alone_hold_where_nothing_was_committed_meanwhile() {
    // The head is another one at each of the first looks: somebody commits all the time.
    let looks = Mutex::new(0);
    let stub = Stub::new(move |head| {
        if !head.contains("%27h%27") {
            return answer("200 OK", "", r#"{"value":[]}"#);
        }
        let mut looks = looks.lock().expect("no panic");
        *looks = 4.min(*looks + 1);
        let row = format!(r#"{{"RowKey":"h","odata.etag":"W/\"{looks}\"","Revision":"{looks}","Mark":"","Base":"0"}}"#);
        answer("200 OK", "", &format!(r#"{{"value":[{row}]}}"#))
    })
    .await;
    let belief = Change { name: b"order/1".to_vec(), expect: Expect::Absent, write: Write::Nothing };
    let batch = Batch { space: Space::new("web").unwrap(), changes: vec![belief] };
    let held = stub.store("", Some(KEY)).commit(batch, WITHIN).await.expect("it holds in the end");
    assert_eq!(held.revision, Revision(4), "where it stood when it was looked at for the last time");
}

#[tokio::test]
async fn a_secret_may_change_and_one_that_is_none_changes_nothing() {
    let stub = table("403 Forbidden", "AuthenticationFailed").await;
    let secret = Arc::new(Mutex::new("sv=1&sig=first"));
    let given = Arc::clone(&secret);
    let mut store = stub.store("&credential=sas", Some("sv=1&sig=first"));
    let given = credential::Given::new(move || Arc::from(*given.lock().expect("no panic"))).expect("a signature");
    store.rest = Rest::new(store.rest.account.clone(), credential::Credential::Given(given));
    for (text, sent) in [("sv=1&sig=first", "sig=first"), ("sv=2&sig=second", "sig=second"), ("oops", "sig=second")] {
        *secret.lock().expect("no panic") = text;
        let error = store.commit(batch(), WITHIN).await.expect_err("it may not write");
        assert!(matches!(error, Error::Denied(_)), "{error:?}");
        let asked = stub.asked("POST");
        assert!(asked.last().expect("a request").contains(sent), "{text}: {asked:?}");
    }
}

#[tokio::test]
async fn an_account_without_a_table_is_given_one_where_that_is_allowed() {
    let stub = Stub::new(|head| match head {
        _ if head.starts_with("GET") => answer("404 Not Found", "x-ms-error-code: TableNotFound\r\n", ""),
        _ => answer("403 Forbidden", "x-ms-error-code: AuthorizationPermissionMismatch\r\n", ""),
    })
    .await;
    let error = stub.store("", Some(KEY)).commit(batch(), WITHIN).await.expect_err("there is no table");
    assert!(matches!(&error, Error::Config(why) if why.contains("az storage table create")), "{error:?}");
}

#[tokio::test]
async fn a_signature_goes_into_the_query_and_nowhere_else() {
    let stub = table("403 Forbidden", "AuthenticationFailed").await;
    let store = stub.store("&credential=sas", Some("?sv=2020-12-06&sp=rl&sig=hunter2%3D"));
    let error = store.commit(batch(), WITHIN).await.expect_err("it may only read");
    let asked = stub.asked("");
    assert!(asked.iter().all(|head| head.contains("&sig=hunter2%3D ") || head.contains("?sv=")), "{asked:?}");
    assert!(asked.iter().all(|head| !head.to_lowercase().contains("authorization")), "{asked:?}");
    let gone = Url::parse("azure", "", "//account/container?endpoint=http://127.0.0.1:1,http://127.0.0.1:1").unwrap();
    let gone = open::read(gone, &Access::with_secret("sv=1&sig=hunter2")).expect("a URL");
    let away = gone.commit(batch(), WITHIN).await.expect_err("nobody is there");
    assert!(matches!(away, Error::Unavailable(_)), "{away:?}");
    let shown = format!("{error:?} {error} {store:?} {:?} {away:?} {gone:?}", store.describe());
    assert!(!shown.contains("hunter2"), "{shown}");
}

/// What a metadata service or a directory answers.
fn token(text: &str, lasts: u64) -> String {
    let until = clock::wall().unix_millis().unsigned_abs() / 1000 + lasts;
    answer(
        "200 OK",
        "Content-Type: application/json\r\n",
        &format!(
            r#"{{"access_token":"{text}","expires_in":{lasts},"expires_on":"{until}","token_type":"Bearer","resource":"x"}}"#
        ),
    )
}

/// A table, and a place for tokens, which is asked `begin`.
async fn with_tokens(begin: &'static str) -> Stub {
    Stub::new(move |head| {
        if head.starts_with(begin) {
            return token("hunter2", 3_600);
        }
        answer("403 Forbidden", "x-ms-error-code: AuthorizationPermissionMismatch\r\n", "")
    })
    .await
}

#[tokio::test]
async fn a_machines_identity_has_a_token_which_every_request_bears() {
    let stub = with_tokens("GET /metadata/identity/oauth2/token").await;
    let store = stub.store("&credential=managed&client_id=who", None);
    store.rest.credential.redirect(stub.port);
    let mut errors = Vec::new();
    for _ in 0..3 {
        errors.push(store.commit(batch(), WITHIN).await.expect_err("it has no role"));
    }
    assert!(
        errors.iter().all(|error| matches!(error, Error::Denied(why) if why.contains("Contributor"))),
        "{errors:?}"
    );
    let [asked] = &stub.asked("GET /metadata")[..] else { panic!("asked for a token more than once") };
    assert!(asked.contains("client_id=who") && asked.contains("resource=https%3A%2F%2Fstorage.azure.com"), "{asked}");
    assert!(asked.to_lowercase().contains("metadata: true"), "{asked}");
    let asked = stub.asked("GET /account");
    assert_eq!(asked.len(), 3);
    assert!(asked.iter().all(|head| head.to_lowercase().contains("authorization: bearer hunter2")), "{asked:?}");
    let shown = format!("{errors:?} {store:?} {:?}", store.describe());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[tokio::test]
async fn an_application_has_a_token_for_its_secret() {
    let stub = with_tokens("POST /tenant-1/oauth2/v2.0/token").await;
    let store = stub.store("&credential=client-secret&client_id=app&tenant=tenant-1", Some("hunter3"));
    store.rest.credential.redirect(stub.port);
    let error = store.commit(batch(), WITHIN).await.expect_err("it has no role");
    assert!(matches!(error, Error::Denied(_)), "{error:?}");
    assert_eq!(stub.asked("POST /tenant-1").len(), 1);
    let shown = format!("{error:?} {store:?}");
    assert!(!shown.contains("hunter"), "{shown}");
}

#[tokio::test]
async fn without_a_token_a_call_is_unavailable_and_says_why() {
    let stub = Stub::new(|_| answer("400 Bad Request", "Content-Type: application/json\r\n", "{}")).await;
    let store = stub.store("&credential=managed", None);
    store.rest.credential.redirect(stub.port);
    let error = store.commit(batch(), WITHIN).await.expect_err("no token");
    assert!(matches!(&error, Error::Unavailable(why) if why.contains("credential=managed")), "{error:?}");
    assert_eq!(stub.asked("GET /account").len() + stub.asked("POST /account").len(), 0, "nothing is sent unproven");
}
