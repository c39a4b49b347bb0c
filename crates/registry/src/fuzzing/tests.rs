#[path = "../../../../fuzz/replay.rs"]
mod replay;

#[test]
fn the_corpus_and_its_mutations_hold() {
    replay::all(super::TARGETS);
}
