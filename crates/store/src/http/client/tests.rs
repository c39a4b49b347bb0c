use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use steadfast_host::http::{Limits as ServerLimits, Request, Response, serve};
use steadfast_host::net::Listener;
use steadfast_host::problem::Problem;
use steadfast_host::shutdown::Shutdown;
use tokio::task::JoinHandle;

use super::*;
use crate::http::Service;
use crate::{Expect, Memory, Revision, Write};

const WITHIN: Duration = Duration::from_secs(5);

fn key() -> Key {
    Key::new(Space::new("web").unwrap(), "a")
}

fn put() -> Batch {
    Batch::one(key(), Expect::Absent, Write::Put(b"x"[..].into(), None))
}

/// A server that answers as `answer` does, and a client of it.
async fn server<F, A>(token: Option<&str>, answer: F) -> (Http, Shutdown, JoinHandle<()>)
where
    F: Fn(Request) -> A + Send + Sync + 'static,
    A: Future<Output = Response> + Send + 'static,
{
    let listener = Listener::tcp(([127, 0, 0, 1], 0).into()).unwrap();
    let port = listener.local_addr().unwrap().port();
    let shutdown = Shutdown::new();
    let running = tokio::spawn(serve(listener, Arc::new(answer), ServerLimits::default(), shutdown.clone()));
    let target = Target::Tcp { host: "127.0.0.1".parse().unwrap(), port };
    (Http::connect(target, token.map(Secret::given)).unwrap(), shutdown, running)
}

/// A real store, but for what `instead` answers.
async fn store_but(instead: fn(&Request) -> Option<Response>) -> (Http, Shutdown, JoinHandle<()>) {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    server(None, move |request| {
        let store = Arc::clone(&store);
        async move {
            match instead(&request) {
                Some(response) => response,
                None => super::super::serve(&store, request).await,
            }
        }
    })
    .await
}

/// How a commit and a read end where a server answers commits and reads with this.
async fn ends(instead: fn(&Request) -> Option<Response>) -> (Error, Error) {
    let (http, ..) = store_but(instead).await;
    (http.commit(put(), WITHIN).await.unwrap_err(), http.read(&key(), WITHIN).await.unwrap_err())
}

fn calls(request: &Request) -> bool {
    !request.path.ends_with("describe")
}

#[tokio::test]
async fn a_refused_connection_did_not_happen() {
    let (http, shutdown, running) = store_but(|_| None).await;
    shutdown.begin();
    running.await.unwrap();
    assert!(matches!(http.commit(put(), WITHIN).await, Err(Error::Unavailable(_))));
    assert!(matches!(http.read(&key(), WITHIN).await, Err(Error::Unavailable(_))));
}

#[tokio::test]
async fn an_answer_of_another_hand_leaves_a_commit_in_doubt() {
    for bad in [502, 503, 504, 500] {
        let page: fn(&Request) -> Option<Response> = match bad {
            502 => |r| calls(r).then(|| Response::full(StatusCode::BAD_GATEWAY, "text/html", "<h1>no</h1>")),
            503 => |r| calls(r).then(|| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", "x").into()),
            504 => |r| calls(r).then(|| Response::new(StatusCode::GATEWAY_TIMEOUT)),
            _ => |r| calls(r).then(|| Problem::internal().into()),
        };
        let (commit, read) = ends(page).await;
        assert!(matches!(commit, Error::OutcomeUnknown(_)), "{bad}: {commit:?}");
        assert!(matches!(read, Error::Unavailable(_)), "{bad}: {read:?}");
    }
}

#[tokio::test]
async fn nonsense_after_a_commit_leaves_it_in_doubt() {
    let (commit, read) = ends(|request| calls(request).then(|| Response::text("welcome"))).await;
    assert!(matches!(commit, Error::OutcomeUnknown(_)), "{commit:?}");
    assert!(matches!(read, Error::Unavailable(_)), "{read:?}");
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    let refused = |r: &Request| -> Option<Response> {
        let known = r.header("authorization") == Some("Bearer right");
        (!known).then(|| Problem::new(StatusCode::UNAUTHORIZED, "token-missing", "a token is needed").into())
    };
    let (commit, read) = ends(refused).await;
    for error in [commit, read] {
        assert!(matches!(&error, Error::Denied(said) if said.contains("--token-file")), "{error:?}");
    }
    let service = Arc::new(Service(Arc::new(Memory::new())));
    let (http, ..) = server(Some(" right\n"), move |request| {
        let service = Arc::clone(&service);
        async move {
            match refused(&request) {
                Some(refusal) => refusal,
                None => steadfast_host::http::Handler::answer(service, request).await,
            }
        }
    })
    .await;
    assert!(http.commit(put(), WITHIN).await.is_ok());
}

#[tokio::test]
async fn another_server_or_protocol_is_named() {
    let (http, ..) = server(None, |_| async { Problem::not_found("nothing here").into() }).await;
    let error = http.commit(put(), WITHIN).await.unwrap_err();
    assert!(matches!(&error, Error::Config(said) if said.contains("no store of Steadfast")), "{error:?}");

    // Of what another protocol says no more than its number is known.
    for other in [r#"{"protocol":2}"#, r#"{"protocol":7,"limits":"many","description":[]}"#] {
        let (http, ..) =
            server(None, move |_| async move { Response::full(StatusCode::OK, "application/json", other) }).await;
        let error = http.commit(put(), WITHIN).await.unwrap_err();
        assert!(matches!(&error, Error::Config(said) if said.contains("speaks protocol ")), "{error:?}");
    }
    let (http, ..) = store_but(|request| {
        let mut told = serde_json::to_value(wire::Describe {
            protocol: PROTOCOL,
            limits: rules::LIMITS,
            description: Memory::new().describe(),
        })
        .unwrap();
        told["new"] = true.into();
        (!calls(request)).then(|| Response::json(StatusCode::OK, &told))
    })
    .await;
    assert!(http.commit(put(), WITHIN).await.is_ok(), "a field more is no other protocol");
}

#[tokio::test]
async fn a_silent_server_leaves_a_commit_in_doubt_only_if_it_was_sent() {
    let short = Duration::from_millis(500);
    let (told, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let (http, ..) = server(None, {
        let (told, sent) = (Arc::clone(&told), Arc::clone(&sent));
        move |request| {
            let (store, told, sent) = (Arc::clone(&store), Arc::clone(&told), Arc::clone(&sent));
            async move {
                if calls(&request) {
                    sent.store(true, Ordering::SeqCst);
                } else if told.load(Ordering::SeqCst) {
                    return super::super::serve(&store, request).await;
                }
                std::future::pending().await
            }
        }
    })
    .await;
    // Silent already when asked what it is: the commit was never sent.
    assert!(matches!(http.commit(put(), short).await, Err(Error::Unavailable(_))));
    assert!(!sent.load(Ordering::SeqCst));
    told.store(true, Ordering::SeqCst);
    assert!(http.be_told(WITHIN).await.is_ok());
    assert!(matches!(http.commit(put(), short).await, Err(Error::OutcomeUnknown(_))));
    assert!(sent.load(Ordering::SeqCst));
    assert!(matches!(http.read(&key(), short).await, Err(Error::Unavailable(_))));
}

#[tokio::test]
async fn a_watch_ends_with_its_server_or_with_its_silence() {
    let (http, shutdown, running) = store_but(|_| None).await;
    let mut watch = http.watch(&key().space, &[b""], Cursor::START, WITHIN).await.unwrap();
    assert_eq!(watch.next().await, Ok(Notice::Progress(Cursor::START)));
    shutdown.begin();
    assert!(matches!(watch.next().await, Err(Error::Unavailable(_))));
    running.await.unwrap();

    let silent = |request: &Request| {
        let watch = request.path.ends_with("watch");
        watch.then(|| Response::stream("application/x-ndjson", async |_sink| std::future::pending().await))
    };
    let (http, ..) = store_but(silent).await;
    let mut watch = http.watch(&key().space, &[b""], Cursor::START, Duration::from_millis(10)).await.unwrap();
    // Waits that are given up early do not hide the silence.
    let heard = tokio::time::timeout(WITHIN, async {
        loop {
            if let Ok(heard) = tokio::time::timeout(Duration::from_millis(50), watch.next()).await {
                return heard;
            }
        }
    });
    assert!(matches!(heard.await, Ok(Err(Error::Unavailable(said))) if said.contains("silent")));
}

#[tokio::test]
async fn what_the_server_takes_is_known_after_the_first_call() {
    let (http, ..) = store_but(|_| None).await;
    assert_eq!(http.limits(), LIMITS_UNTIL_TOLD);
    assert_eq!(http.read(&key(), WITHIN).await, Ok(None));
    assert_eq!(http.limits(), rules::LIMITS);
    assert!(http.describe().place.contains("(memory in this process)"));
}

#[test]
fn one_handle_serves_callers_of_several_runtimes() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let serving = runtime();
    let (http, ..) = serving.block_on(store_but(|_| None));
    let http = Arc::new(http);
    let stop = Shutdown::new();
    let server = {
        let stop = stop.clone();
        std::thread::spawn(move || serving.block_on(stop.requested()))
    };
    for round in 0..2 * RUNTIMES as u64 {
        let caller = Arc::clone(&http);
        let read = runtime().block_on(async move {
            let version = (round > 0).then_some(Revision(round));
            let expect = version.map_or(Expect::Absent, Expect::Version);
            caller.commit(Batch::one(key(), expect, Write::Put(b"x"[..].into(), None)), WITHIN).await
        });
        assert_eq!(read.map(|cursor| cursor.revision), Ok(Revision(round + 1)));
    }
    stop.begin();
    server.join().unwrap();
}

#[tokio::test]
async fn a_token_that_was_changed_is_told_once_the_old_one_is_refused() {
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let (mut http, ..) = server(None, move |request: Request| {
        let store = Arc::clone(&store);
        async move {
            match request.header("authorization") {
                Some("Bearer new") => super::super::serve(&store, request).await,
                _ => Problem::new(StatusCode::UNAUTHORIZED, "token-missing", "a token is needed").into(),
            }
        }
    })
    .await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "old\n").unwrap();
    http.token = Some(Secret::in_file(&file).unwrap());
    assert!(matches!(http.commit(put(), WITHIN).await, Err(Error::Denied(_))));
    // At once: nobody waits for the next look at the file.
    std::fs::write(&file, "new\n").unwrap();
    http.commit(put(), WITHIN).await.unwrap();
    let space = key().space;
    http.watch(&space, &[b"a"], Cursor::START, Duration::from_secs(1)).await.unwrap();
}

#[tokio::test]
async fn a_store_is_reached_over_tls_by_whoever_can_prove_it() {
    use steadfast_host::http::serve_tls;
    use steadfast_host::tls::certs::{Authority, Valid};
    use steadfast_host::tls::{Alpn, Server, ServerFiles};

    let directory = tempfile::tempdir().unwrap();
    let ca = Authority::new(directory.path(), "ca");
    let own = ca.issue("server", &["127.0.0.1"], Valid::Now);
    let client = ca.issue("client", &["agent-1"], Valid::Now);
    let files = ServerFiles { cert: own.cert, key: own.key, client_ca: Some(ca.file()) };
    let listener = Listener::tcp(([127, 0, 0, 1], 0).into()).unwrap();
    let port = listener.local_addr().unwrap().port();
    let handler = Arc::new(Service(Arc::new(Memory::new())));
    let (tls, shutdown) = (Server::new(files, Alpn::Http1).unwrap(), Shutdown::new());
    let running = tokio::spawn(serve_tls(listener, tls, handler, ServerLimits::default(), shutdown.clone()));

    let open = |options: String| crate::open(&format!("https://127.0.0.1:{port}?{options}"), &crate::Access::default());
    let trusted = format!("ca={}", ca.file().display());
    let known = format!("{trusted}&cert={}&key={}", client.cert.display(), client.key.display());
    let store = open(known.clone()).unwrap();
    store.commit(put(), WITHIN).await.unwrap();
    assert_eq!(store.read(&key(), WITHIN).await.unwrap().unwrap().value.as_ref(), b"x");
    assert!(store.describe().place.starts_with(&format!("https://127.0.0.1:{port} (memory")), "{:?}", store.describe());

    // Who is not let in knows that nothing was written.
    for (options, said) in [
        (trusted, "wants a client certificate"),
        (format!("{known}&name=other"), "is for 127.0.0.1, not other"),
        (format!("ca={}", Authority::new(directory.path(), "stranger").file().display()), "signed by no authority"),
    ] {
        match open(options).unwrap().commit(put(), WITHIN).await {
            Err(Error::Unavailable(why)) => assert!(why.contains(said), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    let nowhere = open("ca=/nowhere/ca.pem".to_owned()).unwrap_err();
    assert!(matches!(&nowhere, Error::Config(why) if why.contains("/nowhere/ca.pem")), "{nowhere:?}");
    drop(store);
    shutdown.begin();
    running.await.unwrap();
}

#[tokio::test]
async fn what_the_server_is_is_asked_again_now_and_then_by_who_only_looks() {
    let asked = Arc::new(AtomicUsize::new(0));
    let store: Arc<dyn Store> = Arc::new(Memory::new());
    let (http, ..) = server(None, move |request| {
        let (store, asked) = (Arc::clone(&store), Arc::clone(&asked));
        async move {
            if calls(&request) {
                return super::super::serve(&store, request).await;
            }
            match asked.fetch_add(1, Ordering::Relaxed) {
                2 => Response::new(StatusCode::BAD_GATEWAY),
                time => {
                    let description = Description { notes: vec![format!("asked {time} times")], ..store.describe() };
                    let limits = store.limits();
                    Response::json(StatusCode::OK, &wire::Describe { protocol: PROTOCOL, limits, description })
                }
            }
        }
    })
    .await;
    let long_ago = || locked(&http.told).as_mut().unwrap().asked = Moment::ZERO;
    let notes = || http.describe().notes.concat();
    for _ in 0..2 {
        http.read(&key(), WITHIN).await.unwrap();
        assert_eq!(notes(), "asked 0 times");
    }
    long_ago();
    http.commit(put(), WITHIN).await.unwrap();
    assert_eq!(notes(), "asked 0 times", "a commit asks for nothing else");
    http.scan(&key().space, b"", None, 1, WITHIN).await.unwrap();
    assert_eq!(notes(), "asked 1 times");
    // Without an answer it is as it was.
    long_ago();
    http.read(&key(), WITHIN).await.unwrap();
    assert_eq!(notes(), "asked 1 times");
}

#[tokio::test]
async fn what_the_store_says_of_itself_comes_through() {
    let directory = tempfile::tempdir().unwrap();
    let store: Arc<dyn Store> = Arc::new(crate::Sqlite::open(directory.path().join("state.db")).unwrap());
    let found = store.examine(WITHIN).await.unwrap();
    let about: Vec<&str> = found.iter().map(|finding| &*finding.about).collect();
    assert_eq!(about, ["version", "size", "disk"]);
    let (http, ..) = server(None, move |request| {
        let store = Arc::clone(&store);
        async move { super::super::serve(&store, request).await }
    })
    .await;
    let told = http.examine(WITHIN).await.unwrap();
    let without_size = |findings: Vec<crate::Finding>| {
        findings.into_iter().filter(|finding| finding.about != "size").collect::<Vec<_>>()
    };
    assert_eq!(without_size(told), without_size(found));
}
