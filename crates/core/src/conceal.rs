//! Texts as they may be shown: in a log, in an error, by the API. A URL in them may carry a secret, as the user
//! information before its host or as a parameter of its query.

use alloc::string::String;

/// `text`, in which the user information of every URL, and the values of its query, are stars: as many as there were
/// characters, so that a mark below the text still points at its place. A value with a `{placeholder}` is no secret.
pub fn urls(text: &str) -> String {
    let mut done = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, url) = rest.split_at(at + "://".len());
        done.push_str(before);
        let end = end_of(url, &before[..at]);
        url_into(&url[..end], &mut done);
        rest = &url[end..];
    }
    done.push_str(rest);
    done
}

/// Where a URL ends that stands after `before` and its scheme. In quotation marks it may hold those of another kind: they
/// are right in a password.
fn end_of(url: &str, before: &str) -> usize {
    let before = before.trim_end_matches(|c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    let opened = before.chars().next_back().filter(|c| is_quote(*c));
    // Of a text within a text the marks are escaped, both of them.
    let escaped = opened.is_some_and(|quote| before.trim_end_matches(quote).ends_with('\\'));
    let mut last = ' ';
    let end = url.char_indices().find(|(_, c)| {
        let closes = opened.map_or(is_quote(*c), |quote| *c == quote && (escaped || last != '\\'));
        last = *c;
        closes || c.is_whitespace()
    });
    end.map_or(url.len(), |(at, _)| at)
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '`')
}

/// Whether a query of this URL has a value that was concealed: who writes it back would lose what it stood for.
pub fn is_concealed(url: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    query.split('&').filter_map(|pair| Some(pair.split_once('=')?.1)).any(is_stars)
}

fn is_stars(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte == b'*')
}

/// A URL without its scheme.
fn url_into(url: &str, done: &mut String) {
    let (place, query) = match url.split_once('?') {
        Some((place, query)) => (place, Some(query)),
        None => (url, None),
    };
    // A password may hold any mark, also one that would end the host: what is before the last @ is concealed.
    let host = place.rfind('@').unwrap_or(0);
    stars(&place[..host], done);
    done.push_str(&place[host..]);
    let Some(query) = query else { return };
    for (index, pair) in query.split('&').enumerate() {
        done.push(if index == 0 { '?' } else { '&' });
        match pair.split_once('=') {
            _ if pair.contains('{') => done.push_str(pair),
            Some((name, value)) => {
                done.push_str(name);
                done.push('=');
                stars(value, done);
            }
            None => stars(pair, done),
        }
    }
}

fn stars(text: &str, done: &mut String) {
    done.extend(text.chars().map(|_| '*'));
}

#[cfg(test)]
mod tests;
