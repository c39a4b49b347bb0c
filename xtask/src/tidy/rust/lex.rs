//! Just enough of Rust's lexical rules to tell code from comments and strings.

/// A Rust file's text twice, each time with everything else turned into spaces: its code, and its comments.
/// Strings and character literals are in neither. Lines stay lines and columns stay columns.
#[derive(Default)]
pub(in crate::tidy) struct Parts {
    pub(in crate::tidy) code: String,
    pub(in crate::tidy) comments: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

pub(in crate::tidy) fn parts(text: &str) -> Parts {
    let chars: Vec<char> = text.chars().collect();
    let mut parts = Parts::default();
    let mut at = 0;
    while at < chars.len() {
        let (end, kind) = token(&chars, at);
        let only = |wanted| chars[at..end].iter().map(move |&c| if kind == wanted || c == '\n' { c } else { ' ' });
        parts.code.extend(only(Kind::Code));
        parts.comments.extend(only(Kind::Comment));
        at = end;
    }
    parts
}

/// Where the piece that begins at `at` ends, and what it is. Code goes one character at a time.
fn token(chars: &[char], at: usize) -> (usize, Kind) {
    let after_word = at > 0 && is_word(chars[at - 1]);
    let literal = match &chars[at..] {
        ['/', '/', ..] => return (line_end(chars, at), Kind::Comment),
        ['/', '*', ..] => return (block_comment_end(chars, at), Kind::Comment),
        ['"', ..] => Some(string_end(chars, at)),
        ['r', ..] if !after_word => raw_string_end(chars, at, 1),
        ['b' | 'c', 'r', ..] if !after_word => raw_string_end(chars, at, 2),
        ['\'', ..] => char_end(chars, at),
        _ => None,
    };
    literal.map_or((at + 1, Kind::Code), |end| (end.min(chars.len()), Kind::Literal))
}

/// Whether `word` stands in `line` with no letter, digit or `_` directly around it.
pub(in crate::tidy) fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn line_end(chars: &[char], from: usize) -> usize {
    chars[from..].iter().position(|&c| c == '\n').map_or(chars.len(), |n| from + n)
}

/// Block comments nest.
fn block_comment_end(chars: &[char], from: usize) -> usize {
    let mut depth = 0;
    let mut at = from;
    while at < chars.len() {
        match &chars[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] if depth == 1 => return at + 2,
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    chars.len()
}

fn string_end(chars: &[char], from: usize) -> usize {
    let mut at = from + 1;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

/// The end of `r"…"`, `r#"…"#` and so on, where `prefix` characters stand before the hashes; `None` if it is no such string.
fn raw_string_end(chars: &[char], from: usize, prefix: usize) -> Option<usize> {
    let hashes = chars[from + prefix..].iter().take_while(|&&c| c == '#').count();
    let mut at = from + prefix + hashes;
    if chars.get(at) != Some(&'"') {
        return None;
    }
    at += 1;
    while at < chars.len() {
        let closing = chars[at] == '"' && chars[at + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes;
        if closing {
            return Some(at + 1 + hashes);
        }
        at += 1;
    }
    Some(chars.len())
}

/// The end of a character literal; `None` for a lifetime.
fn char_end(chars: &[char], from: usize) -> Option<usize> {
    match chars.get(from + 1)? {
        '\\' => chars.get(from + 3..)?.iter().position(|&c| c == '\'').map(|n| from + 4 + n),
        _ => (chars.get(from + 2) == Some(&'\'')).then_some(from + 3),
    }
}

#[cfg(test)]
mod tests;
