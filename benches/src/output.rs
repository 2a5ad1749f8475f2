//! Output of results.

use std::{
    fs,
    io::{self, Write},
    path::Path,
};

use serde::Serialize;

/// Writes one JSON object to a file, or to stdout for `-`.
pub fn write_json(file: &Path, results: &impl Serialize) -> io::Result<()> {
    let json = serde_json::to_string_pretty(results)? + "\n";
    if file == Path::new("-") {
        io::stdout().write_all(json.as_bytes())
    } else {
        fs::write(file, json)
    }
}

/// The median of some numbers; of two in the middle, the lower. `None` if there are none.
#[must_use]
pub fn median(numbers: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut numbers: Vec<_> = numbers.into_iter().collect();
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_one_of_the_numbers() {
        assert_eq!(median([]), None);
        assert_eq!(median([3.0]), Some(3.0));
        assert_eq!(median([3.0, 1.0]), Some(1.0));
        assert_eq!(median([9.0, 1.0, 4.0]), Some(4.0));
    }
}
