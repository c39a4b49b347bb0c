use super::*;

#[tokio::test]
async fn a_child_ends_with_its_parent_but_not_the_other_way() {
    let parent = Shutdown::new();
    let (lone, other) = (parent.child(), parent.child());
    lone.begin();
    assert!(lone.begun() && !parent.begun() && !other.begun());
    parent.begin();
    other.requested().await;
    assert!(other.begun());
}

#[tokio::test]
async fn the_second_wish_to_end_is_urgent() {
    let mut signals = signals().unwrap();
    for (number, asked) in
        [(libc::SIGHUP, Asked::Reload), (libc::SIGTERM, Asked::End), (libc::SIGINT, Asked::EndAtOnce)]
    {
        crate::sys::signal_process(std::process::id().cast_signed(), number).unwrap();
        assert_eq!(signals.next().await, asked);
    }
}
