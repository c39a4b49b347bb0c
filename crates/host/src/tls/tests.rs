use std::fs;
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::certs::{Authority, Pair, Valid};
use super::*;
use crate::net::{Address, DialError, dial};

/// How long anything here may take on a machine that is busy with something else.
const SOON: Duration = Duration::from_secs(60);

/// A directory with an authority in it.
struct Stage {
    dir: tempfile::TempDir,
    ca: Authority,
}

impl Stage {
    fn new() -> Stage {
        let dir = tempfile::tempdir().unwrap();
        let ca = Authority::new(dir.path(), "ca");
        Stage { dir, ca }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A client that trusts the authority.
    fn trusting(&self) -> ClientFiles {
        ClientFiles { ca: Some(self.ca.file()), ..ClientFiles::default() }
    }
}

fn server(pair: &Pair) -> Server {
    Server::new(files_of(pair), Alpn::Http1).unwrap()
}

fn files_of(pair: &Pair) -> ServerFiles {
    ServerFiles { cert: pair.cert.clone(), key: pair.key.clone(), client_ca: None }
}

fn client(files: ClientFiles) -> Client {
    Client::new(files, Alpn::Http1).unwrap()
}

fn localhost() -> Host {
    "localhost".parse().unwrap()
}

/// One connection: the server gives back what it is sent. What the client got, and what the server says.
async fn meet(server: &Server, client: &Client, host: &Host) -> (io::Result<String>, Result<(), Unaccepted>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let served = async {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut stream = server.accept(tcp, SOON).await?;
        let mut said = [0; 5];
        let _ = stream.read_exact(&mut said).await;
        let _ = stream.write_all(&said).await;
        let _ = stream.shutdown().await;
        Ok(())
    };
    let asked = async {
        let tcp = TcpStream::connect(address).await?;
        let mut stream = client.connect(tcp, host).await?;
        stream.write_all(b"hello").await?;
        stream.flush().await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    };
    let both = async { tokio::join!(asked, served) };
    tokio::time::timeout(SOON, both).await.expect("both sides come to an end")
}

/// What the client says, which is refused; the port, which is another each time, shown as `PORT`.
async fn refusal(server: &Server, client: &Client, host: &str) -> String {
    let (asked, _) = meet(server, client, &host.parse().unwrap()).await;
    let error = asked.expect_err("a client that is refused");
    assert!(Refused::is_in(&error), "{error:?}");
    let text = error.to_string();
    let (before, after) = text.split_once(':').expect("a port");
    format!("{before}:PORT{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
}

#[tokio::test]
async fn the_right_authority_and_name_make_a_connection() {
    let stage = Stage::new();
    let pair = stage.ca.issue("server", &["localhost", "127.0.0.1"], Valid::Now);
    let (server, client) = (server(&pair), client(stage.trusting()));
    for host in ["localhost", "127.0.0.1"] {
        let (asked, served) = meet(&server, &client, &host.parse().unwrap()).await;
        assert_eq!(asked.unwrap(), "hello");
        served.unwrap();
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_and_both_names_are_named() {
    let stage = Stage::new();
    let pair = stage.ca.issue("server", &["pg.internal", "10.9.8.7"], Valid::Now);
    let server = server(&pair);
    let plain = client(stage.trusting());
    assert_eq!(
        refusal(&server, &plain, "localhost").await,
        "the certificate of localhost:PORT is for pg.internal, 10.9.8.7, not localhost (add name=pg.internal if that is meant)"
    );
    assert!(refusal(&server, &plain, "127.0.0.1").await.contains("not 127.0.0.1"));
    // Meant: by its name, wherever it is dialled.
    let name = Some("pg.internal".parse().unwrap());
    let named = client(ClientFiles { name, ..stage.trusting() });
    assert_eq!(meet(&server, &named, &localhost()).await.0.unwrap(), "hello");
}

#[tokio::test]
async fn of_many_names_a_few_are_told_and_none_with_a_wildcard_is_advised() {
    let stage = Stage::new();
    let client = client(stage.trusting());
    let wild = server(&stage.ca.issue("wild", &["*.internal"], Valid::Now));
    assert_eq!(
        refusal(&wild, &client, "localhost").await,
        "the certificate of localhost:PORT is for *.internal, not localhost"
    );
    let many = server(&stage.ca.issue("many", &["*.a", "b.a", "c.a", "d.a", "e.a", "f.a", "g.a"], Valid::Now));
    assert_eq!(
        refusal(&many, &client, "localhost").await,
        "the certificate of localhost:PORT is for *.a, b.a, c.a, d.a, e.a and 2 more, not localhost (add name=b.a if that is meant)"
    );
}

#[tokio::test]
async fn a_certificate_without_names_is_for_nobody() {
    let stage = Stage::new();
    let server = server(&stage.ca.issue("server", &[], Valid::Now));
    assert_eq!(
        refusal(&server, &client(stage.trusting()), "localhost").await,
        "the certificate of localhost:PORT names nobody, and is to name localhost: it has no subjectAltName"
    );
}

#[tokio::test]
async fn a_certificate_of_an_authority_that_is_not_known_is_refused() {
    let stage = Stage::new();
    let stranger = Authority::new(stage.path(), "stranger");
    let server = server(&stranger.issue("server", &["localhost"], Valid::Now));
    assert_eq!(
        refusal(&server, &client(stage.trusting()), "localhost").await,
        format!(
            "the certificate of localhost:PORT is signed by no authority that {} knows: give the one that signed it",
            stage.ca.file().display()
        )
    );
}

#[tokio::test]
async fn a_certificate_that_counts_no_longer_or_not_yet_is_refused() {
    let stage = Stage::new();
    let client = client(stage.trusting());
    let expired = server(&stage.ca.issue("expired", &["localhost"], Valid::Expired));
    assert_eq!(
        refusal(&expired, &client, "localhost").await,
        "the certificate of localhost:PORT expired at 2001-01-01T00:00:00Z"
    );
    let early = server(&stage.ca.issue("early", &["localhost"], Valid::NotYet));
    let said = refusal(&early, &client, "localhost").await;
    assert!(said.starts_with("the certificate of localhost:PORT is valid from 3000-01-01T00:00:00Z on"), "{said}");
}

#[tokio::test]
async fn an_authoritys_own_certificate_is_no_servers() {
    let stage = Stage::new();
    let own = Pair { cert: stage.ca.file(), key: stage.ca.key_file() };
    let server = server(&own);
    assert_eq!(
        refusal(&server, &client(stage.trusting()), "localhost").await,
        "the certificate of localhost:PORT is an authority's own, which no server may show: sign one for the server with it"
    );
}

#[tokio::test]
async fn a_client_certificate_is_wanted_proven_and_refused() {
    let stage = Stage::new();
    let pair = stage.ca.issue("server", &["localhost"], Valid::Now);
    let clients = Authority::new(stage.path(), "clients");
    let files = ServerFiles { client_ca: Some(clients.file()), ..files_of(&pair) };
    let server = Server::new(files, Alpn::Http1).unwrap();
    let with = |pair: Pair| client(ClientFiles { cert: Some(pair.cert), key: Some(pair.key), ..stage.trusting() });

    let known = with(clients.issue("known", &["agent-1"], Valid::Now));
    assert_eq!(meet(&server, &known, &localhost()).await.0.unwrap(), "hello");

    assert_eq!(
        refusal(&server, &client(stage.trusting()), "localhost").await,
        "localhost:PORT wants a client certificate, and none is given: give one with its key"
    );
    for other in [stage.ca.issue("other", &["agent-2"], Valid::Now), clients.issue("old", &["agent-1"], Valid::Expired)]
    {
        let said = refusal(&server, &with(other), "localhost").await;
        assert!(said.starts_with("localhost:PORT does not accept our client certificate"), "{said}");
    }
}

#[tokio::test]
async fn a_certificate_that_is_replaced_counts_from_the_next_connection_on() {
    let stage = Stage::new();
    let pair = stage.ca.issue("server", &["before"], Valid::Now);
    let server = server(&pair);
    let client = client(stage.trusting());
    let (before, after) = ("before".parse().unwrap(), "after".parse().unwrap());
    assert_eq!(meet(&server, &client, &before).await.0.unwrap(), "hello");

    // A key that belongs to another certificate is not taken, and the old pair goes on.
    let other = stage.ca.issue("other", &["after"], Valid::Now);
    fs::copy(&other.key, &pair.key).unwrap();
    server.0.look_now();
    assert_eq!(meet(&server, &client, &before).await.0.unwrap(), "hello");

    fs::copy(&other.cert, &pair.cert).unwrap();
    server.0.look_now();
    assert_eq!(meet(&server, &client, &after).await.0.unwrap(), "hello");
    assert!(meet(&server, &client, &before).await.0.is_err());
}

#[tokio::test]
async fn a_server_looks_at_its_files_by_itself() {
    let stage = Stage::new();
    let pair = stage.ca.issue("server", &["before"], Valid::Now);
    let server = server(&pair);
    let client = client(stage.trusting());
    stage.ca.issue("server", &["after"], Valid::Now);
    let after: Host = "after".parse().unwrap();
    let deadline = clock::now() + SOON;
    while meet(&server, &client, &after).await.0.is_err() {
        assert!(clock::now() < deadline, "the new certificate is not used");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn an_authority_that_is_taken_away_lets_nobody_in_who_was_in_before() {
    let stage = Stage::new();
    let pair = stage.ca.issue("server", &["localhost"], Valid::Now);
    let clients = Authority::new(stage.path(), "clients");
    let own = clients.issue("agent", &["agent"], Valid::Now);
    let files = ServerFiles { client_ca: Some(clients.file()), ..files_of(&pair) };
    let server = Server::new(files, Alpn::Http1).unwrap();
    let client = client(ClientFiles { cert: Some(own.cert), key: Some(own.key), ..stage.trusting() });
    assert_eq!(meet(&server, &client, &localhost()).await.0.unwrap(), "hello");

    // The server's side: other clients are trusted from now on.
    fs::copy(Authority::new(stage.path(), "successor").file(), clients.file()).unwrap();
    server.0.look_now();
    let said = meet(&server, &client, &localhost()).await.0.unwrap_err().to_string();
    assert!(said.contains("does not accept our client certificate"), "{said}");

    // The client's side: another authority signs servers.
    let before = client.generation();
    fs::copy(Authority::new(stage.path(), "other").file(), stage.ca.file()).unwrap();
    client.0.current.look_now();
    assert_eq!(client.generation(), before + 1);
    let said = meet(&server, &client, &localhost()).await.0.unwrap_err().to_string();
    assert!(said.contains("is signed by no authority"), "{said}");
}

#[tokio::test]
async fn a_client_that_would_resume_is_proven_in_full_each_time() {
    let stage = Stage::new();
    let pair = stage.ca.issue("server", &["localhost"], Valid::Now);
    let server = server(&pair);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let authority = fs::read(stage.ca.file()).unwrap();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        // Not one of ours: as rustls makes them, and most others are, it keeps what it is given to resume with.
        let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(&[version]).unwrap();
        let roots = files::authorities(&stage.ca.file(), &authority).unwrap();
        let eager = TlsConnector::from(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()));
        for _ in 0..2 {
            let served = async {
                let mut stream = server.accept(listener.accept().await.unwrap().0, SOON).await.unwrap();
                stream.write_all(b"hello").await.unwrap();
                stream.shutdown().await.unwrap();
                stream
            };
            let asked = async {
                let tcp = TcpStream::connect(address).await.unwrap();
                let mut stream = eager.connect(server_name(&localhost()).unwrap(), tcp).await.unwrap();
                let mut said = String::new();
                stream.read_to_string(&mut said).await.unwrap();
                (said, stream.get_ref().1.handshake_kind())
            };
            let (_served, (said, kind)) =
                tokio::time::timeout(SOON, async { tokio::join!(served, asked) }).await.unwrap();
            assert_eq!((said.as_str(), kind), ("hello", Some(rustls::HandshakeKind::Full)), "{version:?}");
        }
    }
}

#[tokio::test]
async fn what_is_no_tls_is_told_on_both_sides() {
    let stage = Stage::new();
    let pair = stage.ca.issue("server", &["localhost"], Valid::Now);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();

    // A client that speaks HTTP to a TLS port: the connection is given back with all that came.
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let (tcp, _) = listener.accept().await.unwrap();
    let Err(Unaccepted::NotTls(mut tcp)) = server(&pair).accept(tcp, SOON).await else { panic!("it is not TLS") };
    let mut said = [0; 3];
    tcp.read_exact(&mut said).await.unwrap();
    assert_eq!(&said, b"GET");

    // A server that speaks HTTP to a TLS client.
    let client = client(stage.trusting());
    let answering = async {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        tcp
    };
    let asking = async { client.connect(TcpStream::connect(address).await?, &localhost()).await };
    let (asked, _answered) = tokio::join!(asking, answering);
    let said = asked.expect_err("no TLS").to_string();
    assert_eq!(
        said,
        format!("localhost:{} answers, and it is not TLS: is that port for plain connections?", address.port())
    );

    // One that hangs up.
    let hanging_up = async { drop(listener.accept().await.unwrap()) };
    let asking = async { client.connect(TcpStream::connect(address).await?, &localhost()).await };
    let (asked, ()) = tokio::join!(asking, hanging_up);
    assert!(asked.is_err());
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_given_up_on_both_sides() {
    let stage = Stage::new();
    let pair = stage.ca.issue("server", &["localhost"], Valid::Now);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let within = Duration::from_millis(50);

    let mut silent = TcpStream::connect(address).await.unwrap();
    silent.write_all(&[0x16, 0x03]).await.unwrap();
    let (tcp, _) = listener.accept().await.unwrap();
    assert!(matches!(server(&pair).accept(tcp, within).await, Err(Unaccepted::Late(late)) if late == within));

    // Nobody takes this one out of the backlog; the kernel alone has made the connection.
    let to = Address::Tcp { host: Host::Ip(address.ip()), port: address.port() };
    let client = client(stage.trusting());
    let dialled = dial(&to, Some(&client), clock::now() + Duration::from_millis(500)).await;
    assert!(matches!(dialled, Err(DialError::LateHandshake | DialError::Late)), "{dialled:?}");
}

#[tokio::test]
async fn dialling_ends_in_a_stream_or_says_why_not() {
    let stage = Stage::new();
    let pair = stage.ca.issue("server", &["localhost"], Valid::Now);
    let server = server(&pair);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let _ = server.accept(tcp, SOON).await;
        }
    });
    let client = client(stage.trusting());
    let to = |host: &str| Address::Tcp { host: host.parse().unwrap(), port };
    let at = || clock::now() + SOON;
    assert!(matches!(dial(&to("localhost"), Some(&client), at()).await, Ok(Stream::Tls(_))));
    assert!(matches!(dial(&to("localhost"), None, at()).await, Ok(Stream::Tcp(_))));
    let refused = dial(&to("127.0.0.1"), Some(&client), at()).await.unwrap_err();
    assert!(matches!(refused, DialError::Refused(_)), "{refused:?}");
    assert!(refused.to_string().contains("is for localhost, not 127.0.0.1"), "{refused}");

    serving.abort();
    let _ = serving.await;
    let gone = dial(&to("127.0.0.1"), Some(&client), at()).await.unwrap_err();
    assert!(matches!(gone, DialError::Unreachable(_)), "{gone:?}");
    let path = stage.path().join("socket");
    let nobody = dial(&Address::Unix(path), Some(&client), at()).await.unwrap_err();
    assert!(matches!(nobody, DialError::Unreachable(_)), "{nobody:?}");
}

#[test]
fn what_cannot_be_used_is_refused_at_the_start_with_its_files() {
    let stage = Stage::new();
    let one = stage.ca.issue("one", &["localhost"], Valid::Now);
    let two = stage.ca.issue("two", &["localhost"], Valid::Now);
    let shown = |path: &Path| path.display().to_string();
    let said = |cert: &Path, key: &Path| {
        let files = ServerFiles { cert: cert.to_path_buf(), key: key.to_path_buf(), client_ca: None };
        Server::new(files, Alpn::None).unwrap_err().to_string()
    };
    assert_eq!(
        said(&one.cert, &two.key),
        format!("the key in {} is not the key of the certificate in {}", shown(&two.key), shown(&one.cert))
    );
    assert_eq!(
        said(&one.key, &one.key),
        format!("{} holds no certificate: expected `-----BEGIN CERTIFICATE-----`", shown(&one.key))
    );
    assert_eq!(
        said(&one.cert, &one.cert),
        format!("{} holds no private key: expected `-----BEGIN PRIVATE KEY-----`", shown(&one.cert))
    );
    let nowhere = stage.path().join("nowhere.pem");
    assert_eq!(
        said(&nowhere, &one.key),
        format!("cannot read {}: No such file or directory (os error 2)", shown(&nowhere))
    );
    let locked = stage.path().join("locked.key");
    fs::write(&locked, "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n").unwrap();
    assert!(said(&one.cert, &locked).contains("is encrypted"));

    let half = ClientFiles { cert: Some(one.cert), ..stage.trusting() };
    assert_eq!(
        Client::new(half, Alpn::None).unwrap_err().to_string(),
        "a certificate and its key go together: a certificate is given, and no key"
    );
    let half = ClientFiles { key: Some(one.key), ..stage.trusting() };
    assert_eq!(
        Client::new(half, Alpn::None).unwrap_err().to_string(),
        "a certificate and its key go together: a key is given, and no certificate"
    );
}

#[test]
fn two_clients_are_never_taken_for_one() {
    let stage = Stage::new();
    let (one, other) = (client(stage.trusting()), client(stage.trusting()));
    assert_eq!(one, one.clone());
    assert_ne!(one, other);
}
