//! From text to numbers, sizes, times and words, with bounds.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tranship_core::forecast::Band;
use tranship_core::object::Millis;

use super::layers::Layers;
use crate::usage::{UsageError, did_you_mean, quoted};

/// Longer suffixes first: `MiB` ends in `B`.
const UNITS: [(&str, u64); 14] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("K", 1 << 10),
    ("M", 1 << 20),
    ("G", 1 << 30),
    ("T", 1 << 40),
    ("B", 1),
    ("", 1),
];

/// Bytes of a size such as `64MiB`.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let (digits, unit) = text.split_at_checked(digits.len())?;
    let unit = unit.trim();
    let (_, bytes) = UNITS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(bytes)
}

/// Thousand-millionths of a dollar of a price such as `0.02`.
fn parse_dollars(text: &str) -> Option<u64> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let are_digits =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !are_digits(whole) || !are_digits(decimals) || decimals.len() > 9 {
        return None;
    }
    let decimals: u64 = format!("{decimals:0<9}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000_000)?.checked_add(decimals)
}

/// A size as an option takes it back: exact, in the largest unit that divides it.
pub(super) fn size_text(bytes: u64) -> String {
    let whole = |(_, unit): &(&str, u64)| bytes >= *unit && bytes.is_multiple_of(*unit);
    match UNITS.iter().take(4).rev().find(|unit| whole(unit)) {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => format!("{bytes}B"),
    }
}

impl Layers {
    /// The text of an option.
    pub(super) fn text(&self, option: &str) -> Option<&str> {
        self.get(option)?.texts.first().map(String::as_str)
    }

    pub(super) fn owned(&self, option: &str) -> Option<String> {
        self.text(option).map(str::to_owned)
    }

    pub(super) fn list(&self, option: &str) -> Vec<String> {
        self.get(option).map(|given| given.texts.clone()).unwrap_or_default()
    }

    /// A switch; `None` if it was given nowhere.
    pub(super) fn switch(&self, option: &str) -> Result<Option<bool>, UsageError> {
        match self.text(option) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(text) => {
                let what =
                    format!("{} is neither true nor false: {}", self.name(option), quoted(text));
                Err(self.error(option, what, "write true or false"))
            }
        }
    }

    pub(super) fn is_on(&self, option: &str) -> Result<bool, UsageError> {
        Ok(self.switch(option)?.unwrap_or(false))
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(
        &self,
        option: &str,
        choices: &[(&'static str, T)],
    ) -> Result<Option<T>, UsageError> {
        let Some(text) = self.text(option) else { return Ok(None) };
        if let Some((_, value)) = choices.iter().find(|(word, _)| *word == text) {
            return Ok(Some(*value));
        }
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let otherwise = format!("give one of {}", words.join(", "));
        let what = format!("{} does not know {}", self.name(option), quoted(text));
        Err(self.error(option, what, did_you_mean(text, words, &otherwise)))
    }

    /// A size within bounds, both included.
    pub(super) fn size(&self, option: &str, min: u64, max: u64) -> Result<Option<u64>, UsageError> {
        let Some(text) = self.text(option) else { return Ok(None) };
        let range = format!("give a size from {} to {}", size_text(min), size_text(max));
        let Some(bytes) = parse_size(text) else {
            let what = format!("{} is not a size: {}", self.name(option), quoted(text));
            return Err(self.error(
                option,
                what,
                format!("{range}, as a whole number with a unit, such as 64MiB"),
            ));
        };
        if bytes < min {
            let what = format!(
                "{} {} is below the least, {}",
                self.name(option),
                size_text(bytes),
                size_text(min)
            );
            return Err(self.error(option, what, range));
        }
        if bytes > max {
            let what = format!(
                "{} {} is above the most, {}",
                self.name(option),
                size_text(bytes),
                size_text(max)
            );
            return Err(self.error(option, what, range));
        }
        Ok(Some(bytes))
    }

    /// A whole number within bounds, both included.
    pub(super) fn number(
        &self,
        option: &str,
        min: u64,
        max: u64,
    ) -> Result<Option<u64>, UsageError> {
        let Some(text) = self.text(option) else { return Ok(None) };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let remedy = format!("give a whole number from {min} to {max}");
        match text.parse::<u64>() {
            Ok(number) if digits && (min..=max).contains(&number) => Ok(Some(number)),
            Ok(number) if digits => {
                let what = format!("{} {number} is not within {min} to {max}", self.name(option));
                Err(self.error(option, what, remedy))
            }
            _ => {
                let what = format!(
                    "{} is not a whole number within {min} to {max}: {}",
                    self.name(option),
                    quoted(text)
                );
                Err(self.error(option, what, remedy))
            }
        }
    }

    /// Bytes a second: two sizes with two dots between them, or one for both.
    pub(super) fn rate(&self, option: &str) -> Result<Option<Band>, UsageError> {
        let Some(text) = self.text(option) else { return Ok(None) };
        let (low, high) = text.split_once("..").unwrap_or((text, text));
        let band = parse_size(low.trim()).zip(parse_size(high.trim()));
        match band {
            Some((low, high)) if low >= 1 && low <= high => Ok(Some(Band { low, high })),
            _ => {
                let what = format!("{} is not a rate: {}", self.name(option), quoted(text));
                let remedy =
                    "give the least and the most that moves in a second, such as 50MiB..200MiB";
                Err(self.error(option, what, remedy))
            }
        }
    }

    /// Thousand-millionths of a dollar.
    pub(super) fn dollars(&self, option: &str) -> Result<Option<u64>, UsageError> {
        let Some(text) = self.text(option) else { return Ok(None) };
        parse_dollars(text).map(Some).ok_or_else(|| {
            let what = format!("{} is not a price: {}", self.name(option), quoted(text));
            self.error(option, what, "give dollars with at most nine decimals, such as 0.02")
        })
    }

    /// A moment, in milliseconds since 1970.
    pub(super) fn moment(&self, option: &str) -> Result<Option<Millis>, UsageError> {
        let Some(text) = self.text(option) else { return Ok(None) };
        let parsed = OffsetDateTime::parse(text, &Rfc3339).ok();
        let millis =
            parsed.and_then(|at| u64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok());
        millis.map(|ms| Some(Millis(ms))).ok_or_else(|| {
            let what = format!(
                "{} is not a time since 1970 in RFC 3339: {}",
                self.name(option),
                quoted(text)
            );
            self.error(option, what, "write date, time and offset, such as 2024-05-01T00:00:00Z")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_whole_numbers_with_a_unit() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("17", Some(17)),
            ("17B", Some(17)),
            ("64MiB", Some(64 << 20)),
            ("64 mib", Some(64 << 20)),
            ("5G", Some(5 << 30)),
            ("5GB", Some(5_000_000_000)),
            ("1TiB", Some(1 << 40)),
            ("", None),
            ("MiB", None),
            ("-1MiB", None),
            ("+1MiB", None),
            ("1.5GiB", None),
            ("1PiB", None),
            ("64MiBs", None),
            ("99999999999TiB", None),
            ("1é", None),
        ] {
            assert_eq!(parse_size(text), bytes, "{text}");
        }
    }

    #[test]
    fn prices_are_dollars_with_decimals() {
        for (text, nanodollars) in [
            ("0", Some(0)),
            ("0.02", Some(20_000_000)),
            ("1.123456789", Some(1_123_456_789)),
            ("3", Some(3_000_000_000)),
            ("0.1234567891", None),
            ("-1", None),
            (".5", None),
            ("1.", None),
            ("1,5", None),
            ("$1", None),
            ("99999999999", None),
        ] {
            assert_eq!(parse_dollars(text), nanodollars, "{text}");
        }
    }

    #[test]
    fn sizes_are_written_as_they_can_be_read() {
        for (bytes, text) in
            [(0, "0B"), (5 << 20, "5MiB"), (5 << 30, "5GiB"), (1_500, "1500B"), (1536, "1536B")]
        {
            assert_eq!(size_text(bytes), text);
            assert_eq!(parse_size(text), Some(bytes));
        }
    }
}
