//! Durations with units, such as `1m30s`.

use std::time::Duration;

/// The units, longest first, in milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Reads whole numbers with units from the longest to the shortest, each at most once.
pub(crate) fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut total_ms = 0_u64;
    loop {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
        // The iterator goes on after the unit it finds, so no unit comes twice or too late.
        let (_, unit_ms) = units.find(|(unit, _)| *unit == &rest[..letters])?;
        rest = &rest[letters..];
        total_ms = total_ms.checked_add(number.checked_mul(*unit_ms)?)?;
        if rest.is_empty() {
            return Some(Duration::from_millis(total_ms));
        }
    }
}

/// The shortest text that [`parse_duration`] reads as `duration`. Less than a millisecond is
/// dropped.
pub(crate) fn format_duration(duration: Duration) -> String {
    let mut left_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if left_ms == 0 {
        return "0s".to_owned();
    }
    let mut out = String::new();
    for (unit, unit_ms) in UNITS {
        let number = left_ms / unit_ms;
        left_ms %= unit_ms;
        if number > 0 {
            out.push_str(&format!("{number}{unit}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn units_are_read() {
        let ms = |text| parse_duration(text).map(|duration| duration.as_millis());
        assert_eq!(ms("250ms"), Some(250));
        assert_eq!(ms("5s"), Some(5_000));
        assert_eq!(ms("1m30s"), Some(90_000));
        assert_eq!(ms("1h"), Some(3_600_000));
        assert_eq!(ms("1h2ms"), Some(3_600_002));
        assert_eq!(ms("0s"), Some(0));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "5",
            "s",
            "-1s",
            "1.5s",
            "5 s",
            " 5s",
            "5s ",
            "1s1m",
            "1s1s",
            "5S",
            "1d",
            "5sec",
            "1m30",
            "99999999999999999999s",
            "9999999999999999999h",
            "１s",
        ] {
            assert_eq!(parse_duration(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn printing_and_reading_agree(ms in 0..=u64::MAX) {
            let duration = Duration::from_millis(ms);
            prop_assert_eq!(parse_duration(&format_duration(duration)), Some(duration));
        }
    }
}
