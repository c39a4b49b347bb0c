//! Whether what a command printed is what its document shows.

/// Whether `printed` is like `shown`, where `…` stands for anything within a line, and alone for any number of lines.
/// Runs of spaces are equal whatever their length, since the width of a column follows what stands in it.
pub(crate) fn is_like(shown: &str, printed: &str) -> bool {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines = |text: &str| text.trim_end().lines().map(words).collect::<Vec<String>>();
    matches(&lines(shown), &lines(printed), |line| line == "…", |shown, line| line_is_like(shown, line))
}

fn line_is_like(shown: &str, printed: &str) -> bool {
    let chars = |text: &str| text.chars().collect::<Vec<char>>();
    matches(&chars(shown), &chars(printed), |c| *c == '…', |shown, c| shown == c)
}

/// Whether `items` can be read as `pattern`, where what is `any` stands for any number of them.
fn matches<T>(pattern: &[T], items: &[T], any: impl Fn(&T) -> bool, same: impl Fn(&T, &T) -> bool) -> bool {
    // Where to go on when what followed the last `any` fits nowhere here: let that one stand for one item more.
    let mut again: Option<(usize, usize)> = None;
    let (mut at, mut item) = (0, 0);
    while item < items.len() {
        if pattern.get(at).is_some_and(&any) {
            again = Some((at + 1, item));
            at += 1;
        } else if pattern.get(at).is_some_and(|one| same(one, &items[item])) {
            (at, item) = (at + 1, item + 1);
        } else if let Some((after, from)) = again {
            again = Some((after, from + 1));
            (at, item) = (after, from + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(any)
}

#[test]
fn what_differs_is_told_apart_and_what_may_differ_is_not() {
    for (shown, printed) in [
        ("", ""),
        ("a", "a\n"),
        ("ID  FILL\nr-1 3 %", "ID       FILL\nr-1      3 %"),
        ("since …: it was new", "since 2026-01-01 00:00:00 UTC: it was new"),
        ("…", "anything\nat all"),
        ("…", ""),
        ("…\nlast", "first\nsecond\nlast"),
        ("a … c … e", "a b c c d e"),
    ] {
        assert!(is_like(shown, printed), "{shown:?} {printed:?}");
    }
    for (shown, printed) in [
        ("a", ""),
        ("", "a"),
        ("a", "a\nb"),
        ("a\nb", "a"),
        ("since …: it was new", "since today: it was moved"),
        ("…\nlast", "last\nand more"),
        ("200", "503"),
    ] {
        assert!(!is_like(shown, printed), "{shown:?} {printed:?}");
    }
}
