//! The word that was meant, for messages about one that nobody knows.

use alloc::vec;
use alloc::vec::Vec;

/// A word is taken for a slip of the pen if so many letters or fewer differ.
const NEAR_EDITS: usize = 3;

/// The candidate nearest to `word`, if it is near enough to have been meant.
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let near = |candidate: &str| edits(word, candidate) <= NEAR_EDITS.min(candidate.len().max(word.len()) / 2);
    let found = candidates.into_iter().filter(|candidate| near(candidate));
    found.min_by_key(|candidate| (edits(word, candidate), candidate.len(), *candidate))
}

/// How many letters must be added, removed, changed or swapped with their neighbour to make `one` the `other`.
fn edits(one: &str, other: &str) -> usize {
    let one: Vec<char> = one.chars().collect();
    let other: Vec<char> = other.chars().collect();
    let mut rows = vec![vec![0usize; other.len() + 1]; one.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=other.len()).collect();
    for i in 1..=one.len() {
        for j in 1..=other.len() {
            let changed = rows[i - 1][j - 1] + usize::from(one[i - 1] != other[j - 1]);
            let mut fewest = changed.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && one[i - 1] == other[j - 2] && one[i - 2] == other[j - 1] {
                fewest = fewest.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = fewest;
        }
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests;
