//! What somebody who misspelt a word may have meant.

/// Most letters that may be wrong.
const DISTANCE_MAX: usize = 2;

/// The one of some words that is closest to a misspelt one, or the only one that ends with it;
/// `None` when none is close.
pub(crate) fn closest<'a>(
    misspelt: &str,
    words: impl Iterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let misspelt = misspelt.to_lowercase();
    let whole = words.clone();
    let ends = |word: &&str| misspelt.len() > 2 && word.to_lowercase().ends_with(&misspelt);
    let mut longer = whole.filter(ends);
    let only = longer.next().filter(|_| longer.next().is_none());
    let near = words
        .map(|word| (distance(&misspelt, &word.to_lowercase()), word))
        .filter(|(distance, word)| *distance <= DISTANCE_MAX && *distance < word.len() / 2)
        .min();
    near.map(|(_, word)| word).or(only)
}

/// Letters to insert, remove or replace (Levenshtein); words too different in length are as far
/// apart as need be.
fn distance(one: &str, other: &str) -> usize {
    if one.len().abs_diff(other.len()) > DISTANCE_MAX {
        return usize::MAX;
    }
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, wanted) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *wanted);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}
