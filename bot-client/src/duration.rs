//! Durations on the command line.

use std::time::Duration;

/// Why a text is not a duration.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("expected a number with its unit, such as 500ms, 10s or 2m")]
pub struct BadDuration;

/// Parses a number with a unit: `ms`, `s` or `m`.
pub fn parse(text: &str) -> Result<Duration, BadDuration> {
    let digits = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_s = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        _ => return Err(BadDuration),
    };
    let number: f64 = number.parse().map_err(|_| BadDuration)?;
    Duration::try_from_secs_f64(number * unit_s).map_err(|_| BadDuration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        check("10s", Some(10_000));
        check("500ms", Some(500));
        check("1.5m", Some(90_000));
        for bad in ["", "10", "s", "10 s", "-1s", "1..5s", "10h"] {
            check(bad, None);
        }
    }

    #[track_caller]
    fn check(text: &str, expected_millis: Option<u64>) {
        assert_eq!(parse(text).ok(), expected_millis.map(Duration::from_millis), "{text:?}");
    }
}
