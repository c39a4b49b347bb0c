use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};

use super::*;

const LONG: Duration = Duration::from_secs(60);

/// Takes what is written only while it is asked to, and then does as it is told.
struct Out {
    orders: Receiver<Result<(), ErrorKind>>,
    written: std::sync::mpsc::Sender<String>,
}

impl Write for Out {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        // Nobody orders any more: whatever comes is taken.
        self.orders.recv().unwrap_or(Ok(()))?;
        drop(self.written.send(String::from_utf8_lossy(text).into_owned()));
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn scene() -> (Lines, SyncSender<Result<(), ErrorKind>>, Receiver<String>) {
    let (order, orders) = sync_channel(8);
    let (written, read) = channel();
    (Lines::start(Out { orders, written }).unwrap(), order, read)
}

fn log(lines: &Lines, line: &str) {
    lines.clone().write_all(line.as_bytes()).unwrap();
}

#[test]
fn what_is_logged_is_written_before_the_end() {
    let (lines, order, read) = scene();
    drop(order);
    log(&lines, "one\n");
    log(&lines, "two\n");
    lines.finish(LONG);
    assert_eq!(read.try_iter().collect::<String>(), "one\ntwo\n");
}

#[test]
fn a_reader_that_stands_still_costs_lines_and_holds_up_nobody() {
    let (lines, order, read) = scene();
    let long = format!("{}\n", "x".repeat(1023));
    // At most one round is taken out and stands at the reader; the next finds room until it is full.
    const FIT: usize = WAITING_BYTES / 1024;
    for _ in 0..3 * FIT {
        log(&lines, &long);
    }
    lines.finish(Duration::from_millis(1));
    drop(order);
    lines.finish(LONG);
    let text: String = read.try_iter().collect();
    let kept = text.lines().filter(|line| line.starts_with('x')).count();
    assert!((FIT..=2 * FIT).contains(&kept), "{kept}");
    let lost = format!("({} lines of this log could not be written and are lost)", 3 * FIT - kept);
    assert!(text.contains(&lost), "{lost}");
}

#[test]
fn lines_that_could_not_be_written_are_told_when_one_can() {
    let (lines, order, read) = scene();
    for kind in [ErrorKind::BrokenPipe, ErrorKind::StorageFull] {
        order.send(Err(kind)).unwrap();
        log(&lines, "lost\n");
        lines.finish(LONG);
    }
    drop(order);
    log(&lines, "back\n");
    lines.finish(LONG);
    let text: String = read.try_iter().collect();
    assert_eq!(text, "back\n(2 lines of this log could not be written and are lost)\n");
}
