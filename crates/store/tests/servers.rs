//! The servers and the proxy that stores are tried on: a test that trusts a tool which does nothing proves nothing.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use steadfast_host::clock;
use steadfast_store::conformance::servers::{Mode, Options, Proxy, Server, wait_until};

/// How long a client here waits for an answer that must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that answers each byte with the next one.
fn successor() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut stream = stream;
                let mut byte = [0];
                while stream.read(&mut byte).is_ok_and(|read| read == 1) {
                    byte[0] += 1;
                    if stream.write_all(&byte).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

struct Client(TcpStream);

impl Client {
    fn of(proxy: &Proxy) -> Client {
        Client::try_of(proxy).expect("a connection")
    }

    fn try_of(proxy: &Proxy) -> std::io::Result<Client> {
        let stream = TcpStream::connect(("127.0.0.1", proxy.ports()[0]))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Client(stream))
    }

    fn say(&mut self, byte: u8) {
        self.0.write_all(&[byte]).expect("a connection");
    }

    /// The next byte; `None`: it ended in good order.
    fn hear(&mut self) -> std::io::Result<Option<u8>> {
        let mut byte = [0];
        Ok((self.0.read(&mut byte)? == 1).then_some(byte[0]))
    }

    /// Whether nothing comes; silence is only ever waited for where a sound would come at once.
    fn hears_nothing(&mut self) -> bool {
        self.0.set_read_timeout(Some(Duration::from_millis(100))).expect("a connection");
        let heard = self.hear();
        self.0.set_read_timeout(Some(PATIENCE)).expect("a connection");
        heard.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock)
    }
}

#[test]
fn a_proxy_hands_on_and_counts() {
    let proxy = Proxy::new(&[successor()]);
    let (mut one, mut two) = (Client::of(&proxy), Client::of(&proxy));
    for byte in 0..3 {
        one.say(byte);
        assert_eq!(one.hear().expect("an answer"), Some(byte + 1));
    }
    two.say(9);
    assert_eq!(two.hear().expect("an answer"), Some(10));
    assert_eq!((proxy.connections(), proxy.requests(), proxy.bytes()), (2, 4, (4, 4)));
    proxy.set(Mode::Delay(Duration::from_millis(30)));
    let began = clock::now();
    one.say(3);
    assert_eq!(one.hear().expect("an answer"), Some(4), "a connection is as good as it was");
    assert!(clock::now().since(began) >= Duration::from_millis(60), "late either way");
}

#[test]
fn a_proxy_swallows_and_mutes_until_it_passes_again() {
    let proxy = Proxy::new(&[successor()]);
    for mode in [Mode::Swallow, Mode::Mute] {
        let mut before = Client::of(&proxy);
        before.say(1);
        assert_eq!(before.hear().expect("an answer"), Some(2));
        let (_, answered) = proxy.bytes();
        proxy.set(mode.clone());
        let mut after = Client::of(&proxy);
        before.say(1);
        after.say(1);
        assert!(before.hears_nothing() && after.hears_nothing());
        if mode == Mode::Mute {
            wait_until("the server's answers", || proxy.bytes().1 - answered == 2);
        } else {
            assert_eq!(proxy.bytes().1, answered, "the server had something to answer");
        }
        proxy.set(Mode::Pass);
        assert!(before.hear().is_err() && after.hear().is_err(), "{mode:?}: a connection went on with a hole in it");
    }
    let mut healed = Client::of(&proxy);
    healed.say(1);
    assert_eq!(healed.hear().expect("an answer"), Some(2));
}

#[test]
fn a_proxy_cuts_refuses_and_answers() {
    let proxy = Proxy::new(&[successor()]);
    let mut client = Client::of(&proxy);
    client.say(1);
    assert_eq!(client.hear().expect("an answer"), Some(2));
    proxy.cut();
    assert!(client.hear().is_err(), "not an end in good order");
    let mut client = Client::of(&proxy);
    proxy.set(Mode::Refuse);
    assert!(client.hear().is_err());
    let refused = Client::try_of(&proxy).err().expect("refused");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    proxy.set(Mode::Answer(b"no".to_vec()));
    let mut client = Client::of(&proxy);
    client.say(1);
    let mut answer = Vec::new();
    client.0.read_to_end(&mut answer).expect("an end in good order");
    assert_eq!(answer, b"no");
    proxy.set(Mode::Pass);
    let mut client = Client::of(&proxy);
    client.say(1);
    assert_eq!(client.hear().expect("an answer"), Some(2));
}

#[test]
fn redis_is_killed_frozen_and_rolled_back() {
    let mut redis = Server::redis(&Options::with(&["--requirepass", "a b"]));
    assert_eq!(redis.secret(), Some("a b"));
    let set = |redis: &Server, value: &str| assert_eq!(redis.redis_cli(&["set", "x", value]), "OK\n");
    let get = |redis: &Server| redis.redis_cli(&["get", "x"]);
    set(&redis, "1");
    let snapshot = redis.save();
    set(&redis, "2");
    redis.kill9();
    redis.start_again();
    assert_eq!(get(&redis), "2\n", "every command is on disk");
    redis.restore(&snapshot);
    assert_eq!(get(&redis), "1\n");
    redis.freeze();
    let proxy = Proxy::before(&redis);
    let mut client = Client::of(&proxy);
    client.say(b'\n');
    assert!(client.hears_nothing());
    redis.thaw();
    assert_eq!(get(&redis), "1\n");
    let (process, directory) = (format!("/proc/{}", redis.pid()), redis.directory().to_owned());
    assert!(Path::new(&process).exists() && directory.exists());
    drop(redis);
    assert!(!Path::new(&process).exists() && !directory.exists());
}

#[test]
fn a_sentinel_watches_over_a_master() {
    let master = Server::redis(&Options::default());
    let port = master.ports()[0];
    let replica = Server::redis(&Options::with(&["--replicaof", &format!("127.0.0.1 {port}")]));
    let sentinel = Server::sentinel("main", port, 1);
    assert!(sentinel.fresh_url().starts_with("redis+sentinel://127.0.0.1:"));
    let asked = || sentinel.redis_cli(&["sentinel", "get-master-addr-by-name", "main"]);
    assert_eq!(asked(), format!("127.0.0.1\n{port}\n"));
    wait_until("the Sentinel to know the replica", || sentinel.log().contains("+slave slave"));
    drop(master);
    wait_until("the replica to be master", || asked() == format!("127.0.0.1\n{}\n", replica.ports()[0]));
}

#[test]
fn etcd_keeps_what_it_was_told() {
    let mut etcd = Server::etcd(&Options::default());
    etcd.etcdctl(&["put", "x", "1"]);
    let snapshot = etcd.save();
    etcd.etcdctl(&["put", "x", "2"]);
    etcd.kill9();
    etcd.start_again();
    assert_eq!(etcd.etcdctl(&["get", "x", "--print-value-only"]), "2\n");
    etcd.restore(&snapshot);
    assert_eq!(etcd.etcdctl(&["get", "x", "--print-value-only"]), "1\n");
}

#[test]
fn three_members_of_etcd_do_without_one() {
    let mut members = Server::etcd_members(3, &Options::default());
    members[0].etcdctl(&["put", "x", "1"]);
    members[0].kill9();
    assert_eq!(members[1].etcdctl(&["get", "x", "--print-value-only"]), "1\n");
}

#[test]
fn postgres_is_killed_frozen_and_rolled_back() {
    let mut postgres = Server::postgres(&Options::with(&["-c", "log_statement=all"]));
    postgres.sql("create table x(n int); insert into x values (1)");
    let snapshot = postgres.save();
    postgres.sql("update x set n = 2");
    postgres.kill9();
    postgres.start_again();
    assert_eq!(postgres.sql("select n from x"), "2");
    let pooler = Server::pgbouncer(&postgres);
    assert_eq!(pooler.sql("select n from x"), "2");
    postgres.restore(&snapshot);
    assert_eq!(postgres.sql("select n from x"), "1");
    assert!(postgres.log().contains("select n from x"));
}

#[test]
fn azurite_serves_blobs_and_tables() {
    let mut azurite = Server::azurite(&Options::default());
    let answers = |port: u16| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("a connection");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.to_lowercase()
    };
    for start_again in [false, true] {
        if start_again {
            azurite.kill9();
            azurite.start_again();
        }
        assert!(answers(azurite.ports()[0]).contains("azurite-blob"));
        assert!(answers(azurite.ports()[1]).contains("azurite-table"));
    }
}
