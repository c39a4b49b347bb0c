use std::future::poll_fn;
use std::io::{Read, Write};

use tokio::io::AsyncReadExt;

use super::*;

#[test]
fn what_was_answered_is_read_though_nothing_more_can_be_written() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut wire = Wire::new(ours);
        let (mut theirs, _) = listener.accept().unwrap();
        let begun = poll_fn(|cx| Pin::new(&mut wire).poll_write(cx, b"a request that ")).await;
        assert_eq!(begun.unwrap(), 15);
        theirs.read_exact(&mut [0; 2]).unwrap();
        theirs.write_all(b"no").unwrap();
        // With bytes unread, the end is a reset.
        drop(theirs);
        let refused = poll_fn(|cx| {
            loop {
                match Pin::new(&mut wire).poll_write(cx, &[0; 4_096]) {
                    Poll::Ready(Ok(_)) => {}
                    Poll::Ready(Err(error)) => return Poll::Ready(Some(error)),
                    Poll::Pending => return Poll::Ready(None),
                }
            }
        });
        assert!(refused.await.is_none(), "it stands still");
        let mut answer = Vec::new();
        let _ = wire.read_to_end(&mut answer).await;
        assert_eq!(answer, b"no");
        let mut at_end = false;
        while !at_end {
            at_end = wire.read(&mut [0; 1]).await.is_ok_and(|count| count == 0);
        }
    });
}
