use super::*;
use crate::Revision;

fn cursor(revision: u64, mark: &str) -> Cursor {
    Cursor { revision: Revision(revision), mark: mark.into() }
}

/// Neither numbers alone nor an answer that is older than what was told make a rollback.
#[test]
fn a_head_that_went_back_is_told_from_one_that_was_read_before() {
    let before = clock::now();
    let told_at = before + Duration::from_millis(1);
    let later = told_at + Duration::from_millis(1);
    let told = Told { at: cursor(7, "n"), since: told_at };
    for (head, asked, standing) in [
        (cursor(7, "n"), later, Standing::Level),
        // Told under the last mark, and written by hand: the head stands before it.
        (cursor(6, "n"), later, Standing::Level),
        (cursor(8, "o"), later, Standing::Behind),
        (cursor(8, "o"), before, Standing::Behind),
        (cursor(6, "m"), before, Standing::Passed),
        (cursor(6, "m"), later, Standing::RolledBack),
        (cursor(7, "m"), later, Standing::RolledBack),
        (Cursor::START, later, Standing::RolledBack),
    ] {
        assert_eq!(Standing::of(&told, asked, &head), standing, "{head}");
    }
}
