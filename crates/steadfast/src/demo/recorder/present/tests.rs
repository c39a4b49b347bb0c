use super::*;

fn present() -> (Present, mpsc::Receiver<String>) {
    let (changed, changes) = mpsc::channel(8);
    (Present { cameras: Arc::default(), changed }, changes)
}

#[test]
fn what_is_told_is_what_is_so_when_it_is_told() {
    let (present, mut changes) = present();
    let told = |method: Method| settle(&present.cameras, "cam-01", &method);
    let first = present.came("cam-01");
    let second = present.came("cam-01");
    assert_eq!(due(&present.cameras, "cam-01"), Some(Method::PUT));
    told(Method::PUT);
    drop(first);
    assert_eq!(due(&present.cameras, "cam-01"), None, "one connection is left");
    drop(second);
    assert_eq!(due(&present.cameras, "cam-01"), Some(Method::DELETE));
    let again = present.came("cam-01");
    assert_eq!(due(&present.cameras, "cam-01"), None, "it left and came back before anybody was told");
    drop(again);
    told(Method::DELETE);
    assert!(lock(&present.cameras).is_empty(), "nobody is remembered");
    assert_eq!(std::iter::from_fn(|| changes.try_recv().ok()).count(), 6, "a word for each coming and going");
}

#[test]
fn one_that_was_sent_away_and_comes_back_may_stay() {
    let (present, _changes) = present();
    let sent_away = present.came("cam-01");
    sent_away.leave.begin();
    assert!(!present.came("cam-01").leave.begun());
    assert!(sent_away.leave.begun());
}

#[test]
fn an_agent_is_found_where_its_variable_says() {
    assert_eq!(target("unix:/run/api.sock"), Some(Target::Unix("/run/api.sock".into())));
    assert_eq!(target("http://127.0.0.1:7402").map(|at| at.to_string()).as_deref(), Some("http://127.0.0.1:7402"));
    assert_eq!(target("nonsense"), None);
}
