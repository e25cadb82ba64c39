//! Numbers as people read them, and the line of progress.

use std::fmt::Write as _;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tranship_core::object::{Millis, escape};

use super::meter::View;
use crate::exit::Failure;

const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Bytes with two decimals at most, in IEC units: `1.50 GiB`.
pub fn size_text(bytes: u64) -> String {
    let mut whole = u128::from(bytes);
    let mut rest = 0;
    let mut unit = 0;
    while whole >= 1024 && unit + 1 < UNITS.len() {
        rest = whole % 1024;
        whole /= 1024;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    // Three digits are enough: 1.50, 15.0, 150.
    match (unit, whole) {
        (0, _) => format!("{whole} {name}"),
        (_, 0..10) => format!("{whole}.{:02} {name}", rest * 100 / 1024),
        (_, 10..100) => format!("{whole}.{} {name}", rest * 10 / 1024),
        _ => format!("{whole} {name}"),
    }
}

/// A moment as people and programs write it.
pub(crate) fn moment_text(at: Millis) -> String {
    let nanos = i128::from(at.0) * 1_000_000;
    let at = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok();
    at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_default()
}

/// A number with its thousands apart: `12,345,678`.
pub fn count_text(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 object`, `1,234 objects`.
pub(super) fn objects_text(count: u64) -> String {
    let noun = if count == 1 { "object" } else { "objects" };
    format!("{} {noun}", count_text(count))
}

/// `0.4s`, `12s`, `3m05s`, `2h07m`, `4d03h`.
pub fn duration_text(ms: u64) -> String {
    let seconds = ms / 1000;
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..10 => format!("{seconds}.{}s", ms % 1000 / 100),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m{:02}s", seconds % 60),
        3600..86_400 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

/// One line of everything.
pub(super) fn progress_line(view: &View) -> String {
    format!("{}, {}", amounts(view), state(view))
}

/// Objects, bytes, rate.
pub(super) fn amounts(view: &View) -> String {
    // While the listing goes on, the sums can still grow.
    let more = if view.listing_done { "" } else { "+" };
    format!(
        "{} of {}{more} objects, {} of {}{more}, {}/s",
        count_text(view.settled.objects),
        count_text(view.listed.objects),
        size_text(view.done_bytes),
        size_text(view.listed.bytes),
        size_text(view.bytes_per_second),
    )
}

/// Time left, retries, failures, time elapsed.
pub(super) fn state(view: &View) -> String {
    let eta = match view.eta_ms {
        Some(ms) => format!("ETA {}", duration_text(ms)),
        None if view.listing_done => "ETA unknown".to_owned(),
        None => "listing".to_owned(),
    };
    format!(
        "{eta}, {} retries, {} failed, {} elapsed",
        count_text(view.retries),
        count_text(view.failed),
        duration_text(view.elapsed_ms),
    )
}

/// What went wrong, where, and what to do about it. Line breaks of the remedy stay.
pub(super) fn failure(failure: &Failure) -> String {
    let mut text = format!("error: {}", escape_lines(&failure.what));
    if !failure.remedy.is_empty() {
        // Writing to a string cannot fail.
        write!(text, "\n  to do: {}", escape_lines(&failure.remedy)).unwrap_or_default();
    }
    text
}

fn escape_lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_three_digits() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (1536, "1.50 KiB"),
            (15 << 20, "15.0 MiB"),
            ((1 << 30) - 1, "1023 MiB"),
            (5 << 40, "5.00 TiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(size_text(bytes), text);
        }
    }

    #[test]
    fn counts_and_durations() {
        for (count, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")]
        {
            assert_eq!(count_text(count), text);
        }
        for (ms, text) in [
            (0, "0.0s"),
            (1_450, "1.4s"),
            (59_999, "59s"),
            (185_000, "3m05s"),
            (7_620_000, "2h07m"),
            (356_400_000, "4d03h"),
        ] {
            assert_eq!(duration_text(ms), text);
        }
    }
}
