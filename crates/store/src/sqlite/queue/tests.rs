use super::*;
use crate::{Expect, Space, Write};

fn commit(value: usize) -> (Call, Answer<Cursor>) {
    let key = Key::new(Space::new("web").unwrap(), "a");
    let batch = Batch::one(key, Expect::Absent, Write::Put(vec![0; value].into(), None));
    let (reply, answer) = answer();
    (Call::Commit(batch, reply), answer)
}

const SHORT: Duration = Duration::from_millis(5);

#[tokio::test]
async fn a_call_given_up_before_it_began_never_begins() {
    let queue = Queue::default();
    let (call, answer) = commit(1);
    queue.push(call);
    assert!(matches!(answer.wait(SHORT, Error::OutcomeUnknown).await, Err(Error::Unavailable(_))));
    let Some(Call::Commit(_, reply)) = queue.take(None).unwrap().pop() else { panic!("no call") };
    assert!(!reply.begin());
}

#[tokio::test]
async fn a_call_given_up_after_it_began_may_have_happened() {
    let queue = Queue::default();
    let (call, answer) = commit(1);
    queue.push(call);
    let Some(Call::Commit(_, reply)) = queue.take(None).unwrap().pop() else { panic!("no call") };
    assert!(reply.begin());
    assert!(matches!(answer.wait(SHORT, Error::OutcomeUnknown).await, Err(Error::OutcomeUnknown(_))));
}

#[test]
fn a_caller_that_leaves_takes_its_call_with_it() {
    let (call, answer) = commit(1);
    drop(answer);
    let Call::Commit(_, reply) = call else { panic!("no commit") };
    assert!(!reply.begin());
}

#[tokio::test]
async fn a_thread_that_dies_says_what_it_knows() {
    for (began, unknown) in [(false, false), (true, true)] {
        let (call, answer) = commit(1);
        let Call::Commit(_, reply) = call else { panic!("no commit") };
        assert!(!began || reply.begin());
        drop(reply);
        let ended = answer.wait(Duration::from_secs(9), Error::OutcomeUnknown).await;
        assert_eq!(matches!(ended, Err(Error::OutcomeUnknown(_))), unknown, "{ended:?}");
    }
}

#[tokio::test]
async fn the_queue_is_bounded_in_calls_and_in_bytes() {
    for (size, fit) in [(0, WAITING_CALLS), (1 << 20, WAITING_BYTES >> 20)] {
        let queue = Queue::default();
        let waiting: Vec<_> = (0..fit)
            .map(|_| {
                let (call, answer) = commit(size);
                queue.push(call);
                answer
            })
            .collect();
        let (call, answer) = commit(size);
        queue.push(call);
        assert!(matches!(answer.wait(SHORT, Error::OutcomeUnknown).await, Err(Error::Unavailable(_))));
        let group = queue.take(None).unwrap();
        assert!(group.len() <= GROUP_CHANGES && group.iter().map(Call::bytes).sum::<usize>() < GROUP_BYTES + (2 << 20));
        let (call, _answer) = commit(size);
        queue.push(call);
        let mut left = fit + 1 - group.len();
        while left > 0 {
            left -= queue.take(None).unwrap().len();
        }
        drop(waiting);
    }
}

#[tokio::test]
async fn a_closed_queue_refuses_what_waits_and_what_comes() {
    let queue = Queue::default();
    let (call, before) = commit(1);
    queue.push(call);
    queue.close(Error::Unavailable("closed".to_owned()));
    let (call, after) = commit(1);
    queue.push(call);
    for answer in [before, after] {
        let ended = answer.wait(Duration::from_secs(9), Error::OutcomeUnknown).await;
        assert_eq!(ended, Err(Error::Unavailable("closed".to_owned())));
    }
    assert!(queue.take(None).is_none());
}
