//! Who may do what: users, roles, and who is at the other end.

use std::path::Path;
use std::sync::Arc;

use steadfast_host::tls::certs::{Authority, Valid};
use steadfast_store::conformance::servers::{Options, Place, Server, TlsFiles};
use steadfast_store::{Access, Error, Secret, Store, open};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::support::{LONG, Mirror, compact_as, new, read, settle, space};

/// A server that asks who comes, and a place in it; with the users `root`, `writer` and `reader` of that place, each
/// with the password `secret`.
fn guarded() -> (Server, Place) {
    let server = Server::etcd(&Options::with(&["--bcrypt-cost=4"]));
    let place = server.fresh_place();
    let prefix = prefix(&place);
    let run = |line: &str| {
        let arguments: Vec<&str> = line.split(' ').collect();
        server.etcdctl(&arguments);
    };
    run("user add root:secret");
    run("user grant-role root root");
    for (user, right) in [("reader", "read"), ("writer", "readwrite")] {
        run(&format!("role add {user}"));
        run(&format!("role grant-permission {user} {right} --prefix=true {prefix}/"));
        run(&format!("user add {user}:secret"));
        run(&format!("user grant-role {user} {user}"));
    }
    run("auth enable");
    (server, place)
}

/// What a place's keys begin with: the last part of its URL.
fn prefix(place: &Place) -> String {
    place.url().rsplit('/').next().expect("a path").to_owned()
}

/// A handle of this user's; empty: of nobody's.
fn store(place: &Place, user: &str, access: &Access) -> Arc<dyn Store> {
    let user = if user.is_empty() { String::new() } else { format!("{user}@") };
    open(&place.url().replace("://", &format!("://{user}")), access).unwrap_or_else(|e| panic!("open {place:?}: {e}"))
}

fn denied<T: std::fmt::Debug>(answer: Result<T, Error>) -> String {
    match answer {
        Err(Error::Denied(why)) => why,
        other => panic!("it should have been denied: {other:?}"),
    }
}

#[tokio::test]
async fn a_user_may_do_what_its_role_may() {
    let (server, place) = guarded();
    let secret = Access::with_secret("secret");
    let (writer, reader) = (store(&place, "writer", &secret), store(&place, "reader", &secret));
    settle(&writer, &new(&["order/1"]), LONG).await;
    assert!(read(&reader, "order/1").await.is_some());
    assert!(denied(reader.commit(new(&["order/2"]), LONG).await).contains("permission denied"));
    let head = reader.scan(&space(), b"", None, 1, LONG).await.expect("a reader's page").cursor;
    let mut watch = reader.watch(&space(), &[b""], head, LONG).await.expect("a reader's watch");
    assert!(watch.next().await.is_ok());

    assert!(
        denied(store(&place, "", &Access::default()).commit(new(&["order/2"]), LONG).await).contains("name a user")
    );
    let wrong = store(&place, "writer", &Access::with_secret("wrong"));
    assert!(denied(wrong.commit(new(&["order/2"]), LONG).await).contains("password is wrong"));
    let elsewhere = store(&server.fresh_place(), "writer", &secret);
    denied(elsewhere.commit(new(&["order/2"]), LONG).await);
    denied(elsewhere.read(&steadfast_store::Key::new(space(), "order/1"), LONG).await);

    // A change of rights makes every token one of before: the server does nothing, and is told anew who asks.
    server.etcdctl(&["--user=root:secret", "role", "add", "another"]);
    assert!(writer.commit(new(&["order/3"]), LONG).await.is_ok());
    server.etcdctl(&["--user=root:secret", "user", "revoke-role", "writer", "writer"]);
    denied(writer.commit(new(&["order/4"]), LONG).await);
}

#[tokio::test]
async fn a_password_that_is_changed_is_read_again() {
    let (mut server, place) = guarded();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("password");
    std::fs::write(&file, "secret\n").expect("write a password");
    let secret = Secret::in_file(&file).expect("a password");
    let access = Access { secret: Some(secret), ..Access::default() };
    let store = store(&place, "writer", &access);
    settle(&store, &new(&["order/1"]), LONG).await;
    server.etcdctl(&["--user=root:secret", "user", "delete", "writer"]);
    server.etcdctl(&["--user=root:secret", "user", "add", "writer:other"]);
    server.etcdctl(&["--user=root:secret", "user", "grant-role", "writer", "writer"]);
    std::fs::write(&file, "other\n").expect("write a password");
    server.kill9();
    server.start_again();
    settle(&store, &new(&["order/2"]), LONG).await;
}

/// A user made anew has none of the tokens of before. To compare a password is dear: of many callers one asks for another.
#[tokio::test]
async fn one_of_all_callers_says_who_we_are() {
    const CALLERS: usize = 32;
    let (server, place) = guarded();
    let store = store(&place, "writer", &Access::with_secret("secret"));
    settle(&store, &new(&["order/0"]), LONG).await;
    let before = authentications(&server).await;
    let changes: [&[&str]; 3] = [&["delete", "writer"], &["add", "writer:secret"], &["grant-role", "writer", "writer"]];
    for change in changes {
        server.etcdctl(&[&["--user=root:secret", "user"], change].concat());
    }
    let mut callers = JoinSet::new();
    for n in 0..CALLERS {
        let store = Arc::clone(&store);
        callers.spawn(async move { settle(&store, &new(&[&format!("order/caller-{n}")]), LONG).await });
    }
    callers.join_all().await;
    // Those of etcdctl, and one of ours.
    assert_eq!(authentications(&server).await - before, changes.len() as u64 + 1);
    // Who may write the prefix may compact, too.
    compact_as(&server, &["--user=writer:secret"]);
}

/// How often somebody said to the server who it is.
async fn authentications(server: &Server) -> u64 {
    let mut stream = TcpStream::connect(("127.0.0.1", server.ports()[0])).await.expect("a server");
    let request = b"GET /metrics HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.expect("to ask");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    let counted = |line: &&str| line.starts_with("grpc_server_started_total{grpc_method=\"Authenticate\"");
    let line = answer.lines().find(counted).unwrap_or_else(|| panic!("no count of Authenticate: {answer}"));
    line.rsplit(' ').next().and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("a count: {line}"))
}

/// A connection that was proven by what counts no more ends, its watches with it.
#[tokio::test]
async fn a_new_password_or_certificate_ends_the_connection_made_with_the_former_one() {
    let directory = tempfile::tempdir().expect("a directory");
    let (guarded, place) = guarded();
    let file = directory.path().join("password");
    std::fs::write(&file, "secret\n").expect("write a password");
    let access = Access { secret: Some(Secret::in_file(&file).expect("a password")), ..Access::default() };
    // The same password: what is tested is that it is used.
    let rewrite = || std::fs::write(&file, "secret").expect("write a password");
    is_connected_anew(store(&place, "writer", &access), rewrite).await;
    drop(guarded);

    let clients = Authority::new(directory.path(), "clients");
    let (server, authority) = inside_tls(directory.path(), &["127.0.0.1"], Some(&clients));
    let issue = || clients.issue("ours", &["steadfast"], Valid::Now);
    let ours = issue();
    let place = server.fresh_place().with(&format!("ca={}", authority.file().display()));
    let place = place.with(&format!("cert={}", ours.cert.display())).with(&format!("key={}", ours.key.display()));
    is_connected_anew(place.open(), || drop(issue())).await;
}

async fn is_connected_anew(store: Arc<dyn Store>, change: impl FnOnce()) {
    settle(&store, &new(&["order/1"]), LONG).await;
    let mut mirror = Mirror::new(Arc::clone(&store)).await;
    mirror.until(|mirror| mirror.heard > 1).await;
    let before = mirror.cut;
    change();
    mirror.until(|mirror| mirror.cut > before).await;
    settle(&store, &new(&["order/2"]), LONG).await;
    mirror.until(|mirror| mirror.records.len() == 2).await;
}

#[tokio::test]
async fn a_user_for_a_server_that_asks_for_none_is_a_mistake() {
    let server = Server::etcd(&Options::default());
    let stranger = store(&server.fresh_place(), "somebody", &Access::with_secret("secret"));
    let answer = stranger.commit(new(&["order/1"]), LONG).await;
    assert!(matches!(&answer, Err(Error::Config(why)) if why.contains("asks for none")), "{answer:?}");
}

/// A server inside TLS, with a certificate for these names.
fn inside_tls(directory: &Path, names: &[&str], client_ca: Option<&Authority>) -> (Server, Authority) {
    let authority = Authority::new(directory, "authority");
    let pair = authority.issue("server", names, Valid::Now);
    let client_ca = client_ca.map(Authority::file);
    let tls = Some(TlsFiles { cert: pair.cert, key: pair.key, client_ca });
    (Server::etcd(&Options { tls, ..Options::default() }), authority)
}

#[tokio::test]
async fn only_the_right_server_is_talked_to() {
    let directory = tempfile::tempdir().expect("a directory");
    let (server, authority) = inside_tls(directory.path(), &["etcd.internal", "127.0.0.1"], None);
    let other = Authority::new(directory.path(), "other");
    let place = server.fresh_place();
    let trusting = |authority: &Authority| place.clone().with(&format!("ca={}", authority.file().display()));
    let right = trusting(&authority).open();
    settle(&right, &new(&["order/1"]), LONG).await;
    assert!(read(&right, "order/1").await.is_some());
    let why = async |place: Place| match place.open().commit(new(&["order/2"]), LONG).await {
        Err(Error::Unavailable(why)) => why,
        answer => panic!("{place:?}: {answer:?}"),
    };
    let unknown = why(trusting(&other)).await;
    assert!(unknown.contains("other.pem"), "{unknown}");
    let named = why(trusting(&authority).with("name=db.internal")).await;
    assert!(named.contains("db.internal") && named.contains("etcd.internal"), "{named}");
    let plain = open(&place.url().replace("etcds://", "etcd://"), &Access::default()).expect("a URL");
    let answer = plain.commit(new(&["order/2"]), LONG).await;
    assert!(matches!(answer, Err(Error::Unavailable(_) | Error::Config(_))), "{answer:?}");
    assert_eq!(read(&right, "order/2").await, None);
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_is_shown_ours() {
    let directory = tempfile::tempdir().expect("a directory");
    let clients = Authority::new(directory.path(), "clients");
    let (server, authority) = inside_tls(directory.path(), &["127.0.0.1"], Some(&clients));
    let place = server.fresh_place().with(&format!("ca={}", authority.file().display()));
    let ours = clients.issue("ours", &["steadfast"], Valid::Now);
    let (cert, key) = (format!("cert={}", ours.cert.display()), format!("key={}", ours.key.display()));
    settle(&place.clone().with(&cert).with(&key).open(), &new(&["order/1"]), LONG).await;
    let answer = place.open().commit(new(&["order/2"]), LONG).await;
    assert!(matches!(&answer, Err(Error::Unavailable(why)) if why.contains("ertificate")), "{answer:?}");
}
