use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use super::*;

const SOON: Duration = Duration::from_secs(30);

/// A spawner whose orders to its guardian are read by the test.
struct Overheard {
    spawner: Spawner,
    orders: pipe::Receiver,
    guardian: std::process::Child,
    memory: [i32; 8],
}

impl Overheard {
    fn new() -> Overheard {
        let (read, write) = io::pipe().unwrap();
        let orders = pipe::Receiver::from_owned_fd(read.into()).unwrap();
        let guardian = Command::new("sleep").arg("60").spawn().unwrap();
        let told = Guardian { pid: guardian.id().cast_signed(), orders: write };
        let spawner = Spawner { guardian: Some(told), ..Spawner::default() };
        Overheard { spawner, orders, guardian, memory: [0; 8] }
    }

    /// What a guardian would watch after `orders` more.
    async fn watched(&mut self, orders: usize) -> Vec<i32> {
        for _ in 0..orders {
            let mut order = [0; 4];
            let read = tokio::time::timeout(SOON, self.orders.read_exact(&mut order)).await;
            read.expect("an order comes in time").unwrap();
            sys::obey(&mut self.memory, i32::from_ne_bytes(order));
        }
        self.memory.iter().copied().filter(|group| *group != 0).collect()
    }
}

#[tokio::test]
async fn a_guardian_knows_every_group_and_none_that_may_be_anothers() {
    let mut heard = Overheard::new();
    let one = heard.spawner.start(&Spec::new(["sleep", "60"])).unwrap();
    assert_eq!(heard.watched(1).await, [one.leader.pid]);

    heard.spawner.start(&Spec::new(["/no/such/program"])).unwrap_err();
    assert_eq!(heard.watched(1).await.len(), 2, "it began, for a moment");
    assert_eq!(heard.watched(2).await, [one.leader.pid], "what never became a program is forgotten");

    let other = heard.spawner.start(&Spec::new(["sleep", "60"])).unwrap();
    assert_eq!(heard.watched(1).await, [one.leader.pid, other.leader.pid]);
    heard.spawner.bury(one.leader.pid);
    assert_eq!(heard.watched(1).await, [other.leader.pid]);
    assert_eq!(heard.spawner.all(), [sys::FORGET_ALL, other.leader.pid], "a successor is told the same");

    heard.guardian.kill().unwrap();
    heard.guardian.wait().unwrap();
}
