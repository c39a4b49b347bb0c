//! Users who may do some of what is needed, and secrets that change.

use std::fs;

use steadfast_store::Secret;
use steadfast_store::conformance::servers::Proxy;

use super::*;

const USER: &str = "steadfast";
const PASSWORD: &str = "first";

/// The words by which the document sets a user up, with a password of ours.
fn documented() -> Vec<String> {
    const DOCUMENT: &str = include_str!("../../../../../docs/stores/redis.md");
    let line = DOCUMENT.lines().find(|line| line.starts_with("ACL SETUSER steadfast ")).expect("the line of the user");
    let words = line.split_whitespace();
    words.map(|word| if word.starts_with('>') { format!(">{PASSWORD}") } else { word.to_owned() }).collect()
}

/// A server on which the documented user may do what the document says.
fn guarded() -> Server {
    let server = server(&[]);
    let words = documented();
    acl(&server, &words.iter().skip(3).map(String::as_str).collect::<Vec<_>>());
    server
}

/// Changes what the user may do.
fn acl(server: &Server, rules: &[&str]) {
    let words = [&["ACL", "SETUSER", USER][..], rules].concat();
    assert_eq!(server.redis_cli(&words).trim(), "OK", "{words:?}");
}

fn as_user(port: u16) -> String {
    url(port).replace("redis://", &format!("redis://{USER}@"))
}

/// All records, by name.
async fn records(store: &Arc<dyn Store>) -> Vec<(Vec<u8>, Record)> {
    let page = store.scan(&web(), b"", None, 1000, WITHIN).await.expect("a page");
    assert!(page.next.is_none());
    page.records
}

/// Where the log stands.
async fn stands(store: &Arc<dyn Store>) -> Cursor {
    store.scan(&web(), b"", None, 1, WITHIN).await.expect("a page").cursor
}

/// Writes, changes and deletes something of every kind that a commit can have.
async fn try_all_kinds(store: &Arc<dyn Store>, round: usize, held: Revision, old: Revision) -> Result<Cursor, Error> {
    let delete = Change { name: b"order/old".into(), expect: Expect::Version(old), write: Write::Delete };
    let changes = vec![
        put(&format!("order/{round}"), Expect::Absent, "x"),
        put(&format!("client/{round}"), Expect::Absent, "x"),
        put("order/held", Expect::Version(held), "y"),
        delete,
    ];
    commit(store, changes).await
}

/// A user who lacks one of the rights is refused as a whole, or lacks nothing that a commit needs.
#[tokio::test]
async fn a_right_that_is_missing_leaves_nothing_half_done() {
    let server = guarded();
    let port = server.ports()[0];
    let master = open(&url(port));
    let mut without: Vec<[String; 2]> = documented()
        .iter()
        .filter_map(|word| word.strip_prefix('+'))
        .map(|command| [format!("-{command}"), format!("+{command}")])
        .collect();
    let keys = ["head", "records", "names", "log", "bulk"].map(|key| format!("steadfast:{{web}}:{key}"));
    for one in &keys {
        let others = keys.iter().filter(|key| *key != one).map(|key| format!("~{key}")).collect::<Vec<_>>().join(" ");
        without.push([format!("resetkeys %R~{one} {others}"), "resetkeys ~steadfast:*".to_owned()]);
    }
    let (mut refused, mut held) = (0, add(&master, "order/held").await.revision);
    for (round, [takes, gives]) in without.iter().enumerate() {
        let old = add(&master, "order/old").await.revision;
        let (before, stood) = (records(&master).await, stands(&master).await);
        acl(&server, &takes.split(' ').collect::<Vec<_>>());
        let user = open_with(&as_user(port), Some(PASSWORD));
        let answer = try_all_kinds(&user, round, held, old).await;
        acl(&server, &gives.split(' ').collect::<Vec<_>>());
        if let Err(error) = answer {
            refused += 1;
            assert!(matches!(&error, Error::Denied(why) if why.contains("lacks a right")), "{takes}: {error:?}");
            assert_eq!((records(&master).await, stands(&master).await), (before, stood), "{takes}");
            try_all_kinds(&user, round, held, old).await.unwrap_or_else(|e| panic!("{gives}: {e}"));
        }
        held = read(&master, "order/held").await.expect("it is there").version;
        assert!(read(&master, "order/old").await.is_none(), "{takes}");
    }
    assert!(refused > 15, "only {refused} rights are needed");
    // What the log tells is what is there.
    let (mut told, end) = (std::collections::BTreeMap::new(), stands(&master).await);
    let mut watch = watch(&master, Cursor::START).await.expect("nothing was trimmed");
    loop {
        match tokio::time::timeout(PATIENCE, watch.next()).await.expect("a notice").expect("no end") {
            Notice::Committed(commit) => {
                for (name, record) in commit.changes {
                    match record {
                        Some(record) => told.insert(name, record),
                        None => told.remove(&name),
                    };
                }
                if commit.cursor == end {
                    break;
                }
            }
            Notice::Progress(_) => {}
        }
    }
    assert_eq!(told.into_iter().collect::<Vec<_>>(), records(&master).await);
}

/// The least that a server can be bothered with by somebody whom it will not tell of commits.
#[tokio::test]
async fn who_may_not_listen_does_not_knock_without_end() {
    const WHILE: Duration = Duration::from_secs(4);
    // After 100, 200, 400, 800, 1600 and 3200 ms, beside the one for all calls and the first.
    const AT_MOST: u64 = 8;
    let server = guarded();
    acl(&server, &["-subscribe"]);
    let proxy = Proxy::before(&server);
    let store = open_with(&as_user(proxy.ports()[0]), Some(PASSWORD));
    let first = add(&store, "order/1").await;
    let mut watch = watch(&store, first).await.expect("a watch");
    tokio::time::sleep(WHILE).await;
    assert!(proxy.connections() <= AT_MOST, "{} connections in {WHILE:?}", proxy.connections());
    // It is told all the same, by looking.
    let next = add(&open(&url(server.ports()[0])), "order/2").await;
    let heard = async {
        loop {
            if let Notice::Committed(commit) = watch.next().await.expect("no end")
                && commit.cursor == next
            {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.expect("the second commit");
    let notes = store.describe().notes;
    assert!(notes.iter().any(|note| note.contains("not told of commits") && note.contains("NOPERM")), "{notes:?}");
}

/// `steadfast doctor` says which rights are missing before a commit does.
#[tokio::test]
async fn what_is_missing_is_shown_before_it_is_needed() {
    let server = guarded();
    let rights = async |store: &Arc<dyn Store>| {
        let findings = store.examine(WITHIN).await.expect("it is shown");
        let found = findings.into_iter().find(|found| found.about == "rights").expect("the rights");
        (found.value, found.grade)
    };
    let store = open_with(&as_user(server.ports()[0]), Some(PASSWORD));
    assert_eq!(rights(&store).await, ("all that are needed".to_owned(), Grade::Good));
    for (takes, lacks) in [
        (&["-xadd", "-hdel"][..], "lacks HDEL, XADD"),
        (&["-hset", "-publish"], "lacks HSET, HDEL, XADD, PUBLISH"),
        (&["resetkeys", "~another:*"], "may run no script on its keys"),
    ] {
        acl(&server, takes);
        let (value, grade) = rights(&store).await;
        assert!(value.starts_with(lacks) && grade == Grade::Bad, "{value}");
    }
    assert_eq!(server.redis_cli(&["DBSIZE"]).trim(), "0", "a look writes nothing");
}

/// Both connections of a process are made anew with the password that the file has by now.
#[tokio::test]
async fn another_password_is_taken_up_without_a_restart() {
    let server = guarded();
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("password");
    fs::write(&file, PASSWORD).expect("write the password");
    let secret = Some(Secret::in_file(&file).expect("a password"));
    let access = Access { secret, ..Access::default() };
    let store = steadfast_store::open(&as_user(server.ports()[0]), &access).expect("a store");
    let mut last = add(&store, "order/1").await;
    let mut watch = watch(&store, last.clone()).await.expect("a watch");
    let clients = |kind: &str| {
        let list = server.redis_cli(&["CLIENT", "LIST", "TYPE", kind]);
        let id = |line: &str| line.split_whitespace().next().map(str::to_owned);
        list.lines().filter(|line| line.contains(" user=steadfast ")).filter_map(id).collect::<Vec<String>>()
    };
    until("somebody to listen", async || match clients("pubsub").len() {
        1 => Ok(()),
        listen => Err(Error::Unavailable(format!("{listen} do"))),
    })
    .await;
    let (calls, listens) = (clients("normal"), clients("pubsub"));
    acl(&server, &[">second", &format!("<{PASSWORD}")]);
    // The connections there are stay as they are; a new one needs the new password.
    fs::write(&file, "second").expect("write the password");
    let began = clock::now();
    let differ = |now: &[String], then: &[String]| now.len() == 1 && now != then;
    while !(differ(&clients("normal"), &calls) && differ(&clients("pubsub"), &listens)) {
        assert!(clock::now().since(began) < PATIENCE, "{:?} {:?}", clients("normal"), clients("pubsub"));
        last = commit(&store, vec![put("order/1", Expect::Version(last.revision), "x")]).await.expect("a commit");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let heard =
        async { while !matches!(watch.next().await, Ok(Notice::Committed(commit)) if commit.cursor == last) {} };
    tokio::time::timeout(PATIENCE, heard).await.expect("the watch goes on");
}
