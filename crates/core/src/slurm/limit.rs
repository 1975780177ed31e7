//! Time limits as sbatch takes them.

use std::time::Duration;

/// `minutes`, `minutes:seconds`, `hours:minutes:seconds`, `days-hours`, `days-hours:minutes`, `days-hours:minutes:seconds`;
/// `None` for no limit, and for what is none of these.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let (days, rest) = match text.split_once('-') {
        Some((days, rest)) => (Some(days.parse::<u64>().ok()?), rest),
        None => (None, text),
    };
    let parts: Vec<u64> = rest.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let seconds = match (days, &parts[..]) {
        (None, [m]) => m * 60,
        (None, [m, s]) => m * 60 + s,
        (Some(_), [h]) => h * 3600,
        (Some(_), [h, m]) => h * 3600 + m * 60,
        (_, [h, m, s]) => h * 3600 + m * 60 + s,
        _ => return None,
    };
    Some(Duration::from_secs(days.unwrap_or(0) * 86_400 + seconds)).filter(|limit| !limit.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_sbatch_is_read() {
        let seconds = |text: &str| parse(text).map(|limit| limit.as_secs());
        for (text, expected) in
            [("90", 5400), ("1:30", 90), ("2:00:00", 7200), ("1-0", 86_400), ("1-2:30", 95_400), ("0-0:0:5", 5)]
        {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for text in ["", "0", "UNLIMITED", "infinite", "1:2:3:4", "x", "1-"] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }
}
