use super::*;

/// The longest a test waits for what must come.
const SOON: Duration = Duration::from_secs(60);

fn read(life: &Life) -> String {
    std::fs::read_to_string(life.epoch_file()).unwrap()
}

#[test]
fn what_could_not_be_written_is_written_again() {
    // One thread that may block: what is handed to it is done in order.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().max_blocking_threads(1).build();
    runtime.unwrap().block_on(written_again());
}

async fn written_again() {
    let root = tempfile::tempdir().unwrap();
    let life = Arc::new(Life::begin(root.path(), &"web".parse().unwrap(), &"web-1".parse().unwrap()).unwrap());
    // Nothing can replace a directory.
    std::fs::create_dir(life.epoch_file()).unwrap();
    assert!(!write(&life, Some(Epoch(7))).await);
    let file = EpochFile::start(Arc::clone(&life));
    file.tell(Some(Epoch(7)));
    tokio::task::yield_now().await;
    tokio::task::spawn_blocking(|| ()).await.unwrap();
    // Refused once by now.
    std::fs::remove_dir(life.epoch_file()).unwrap();
    file.finish(SOON).await;
    assert_eq!(read(&life), "7\n");

    let file = EpochFile::start(Arc::clone(&life));
    file.tell(Some(Epoch(8)));
    file.tell(None);
    file.finish(SOON).await;
    assert_eq!(read(&life), "", "the last wish counts");
}
