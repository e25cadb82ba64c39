//! From counters to a rate and the time left, in whole numbers.

use tranship_core::object::Millis;
use tranship_core::outcome::{Count, Outcome};
use tranship_core::progress::ProgressReading;

/// The rate forgets what is older than about this, in milliseconds: long enough to be steady over
/// parts of seconds, short enough to follow a throttle.
const SMOOTHING_MS: u64 = 10_000;

/// Below this rate, in bytes a second, a time left would be a guess.
const RATE_MIN: u64 = 1;

/// Smooths the rate from one look to the next.
#[derive(Debug, Default)]
pub struct Meter {
    last: Option<(Millis, u64)>,
    /// In thousandths, so that rounding does not pull a slow rate down look by look.
    millibytes_per_second: u64,
}

/// What is shown of one look at the counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct View {
    pub elapsed_ms: u64,
    pub listed: Count,
    pub listing_done: bool,
    /// Keys of the source that have an outcome.
    pub settled: Count,
    /// Bytes of settled objects, and those of unsettled ones that have moved.
    pub done_bytes: u64,
    pub bytes_per_second: u64,
    /// `None` until the listing is done, or while nothing moves.
    pub eta_ms: Option<u64>,
    pub retries: u64,
    pub failed: u64,
}

impl Meter {
    /// Takes a reading at a time since the run began.
    pub fn view(&mut self, reading: &ProgressReading, listing_done: bool, elapsed: Millis) -> View {
        let of = |wanted: Outcome| {
            let found = reading.settled.iter().find(|(outcome, ..)| *outcome == wanted);
            found
                .map(|(_, objects, bytes)| Count { objects: *objects, bytes: *bytes })
                .unwrap_or_default()
        };
        let mut settled = Count::default();
        for (_, objects, bytes) in
            reading.settled.iter().filter(|(outcome, ..)| outcome.is_of_source())
        {
            settled.add(Count { objects: *objects, bytes: *bytes });
        }
        let copied = of(Outcome::Copied).bytes;
        // A server-side copy moves no byte through here, and still makes way.
        let bytes_per_second = self.rate(elapsed, reading.bytes_moved.max(copied));
        let under_way = reading.bytes_moved.saturating_sub(copied);
        let listed = Count { objects: reading.listed_objects, bytes: reading.listed_bytes };
        let done_bytes = settled.bytes.saturating_add(under_way).min(listed.bytes);
        let left = listed.bytes - done_bytes;
        let all_settled = settled.objects >= listed.objects;
        let eta_ms = match (listing_done, bytes_per_second) {
            (true, _) if all_settled => Some(0),
            (true, rate) if rate >= RATE_MIN => Some(scale(left, 1_000, rate)),
            _ => None,
        };
        View {
            elapsed_ms: elapsed.0,
            listed,
            listing_done,
            settled,
            done_bytes,
            bytes_per_second,
            eta_ms,
            retries: reading.retries,
            failed: of(Outcome::Failed).objects,
        }
    }

    /// An exponential mean: a look after `t` counts for `t / (smoothing + t)`.
    fn rate(&mut self, now: Millis, bytes: u64) -> u64 {
        let (earlier, before) = self.last.unwrap_or_default();
        let since = now.since(earlier);
        if since > 0 {
            let latest = scale(bytes.saturating_sub(before), 1_000_000, since);
            // The first looks weigh what they are worth: all of the run so far.
            let memory = SMOOTHING_MS.min(earlier.0);
            let old = scale(self.millibytes_per_second, memory, memory + since);
            self.millibytes_per_second = old.saturating_add(scale(latest, since, memory + since));
            self.last = Some((now, bytes));
        }
        self.millibytes_per_second / 1_000
    }
}

/// `a × b ÷ c` without overflow on the way. `c` is not zero.
fn scale(a: u64, b: u64, c: u64) -> u64 {
    u64::try_from(u128::from(a) * u128::from(b) / u128::from(c.max(1))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(moved: u64, copied: (u64, u64), listed: (u64, u64)) -> ProgressReading {
        ProgressReading {
            bytes_moved: moved,
            listed_objects: listed.0,
            listed_bytes: listed.1,
            settled: vec![(Outcome::Copied, copied.0, copied.1), (Outcome::Deleted, 7, 7)],
            retries: 0,
            throttles: 0,
            parked: 0,
        }
    }

    #[test]
    fn a_steady_flow_has_its_own_rate_and_a_true_eta() {
        let mut meter = Meter::default();
        let mut view = View::default();
        for second in 1..=100 {
            view = meter.view(
                &reading(second * 1_000, (0, 0), (10, 200_000)),
                second > 50,
                Millis(second * 1_000),
            );
            assert_eq!(view.bytes_per_second.div_ceil(10), 100, "{second}");
            assert_eq!(view.eta_ms.is_some(), second > 50);
        }
        let eta = view.eta_ms.unwrap();
        assert!((99_000..102_000).contains(&eta), "{eta}");
        assert_eq!(
            view.settled,
            Count::default(),
            "what only the destination had is not the source's"
        );
    }

    #[test]
    fn a_stall_lets_the_rate_sink_and_the_eta_go() {
        let mut meter = Meter::default();
        meter.view(&reading(1_000_000, (0, 0), (10, 2_000_000)), true, Millis(1_000));
        let slower = meter.view(&reading(1_000_000, (0, 0), (10, 2_000_000)), true, Millis(11_000));
        assert!(slower.bytes_per_second < 200_000);
        for step in 2..300 {
            meter.view(&reading(1_000_000, (0, 0), (10, 2_000_000)), true, Millis(step * 10_000));
        }
        let stalled =
            meter.view(&reading(1_000_000, (0, 0), (10, 2_000_000)), true, Millis(3_000_000));
        assert_eq!((stalled.bytes_per_second, stalled.eta_ms), (0, None));
    }

    #[test]
    fn repeated_bytes_never_show_more_than_was_listed() {
        let view = Meter::default().view(&reading(900, (1, 100), (2, 200)), true, Millis(0));
        assert_eq!((view.done_bytes, view.eta_ms), (200, None));
        let done = Meter::default().view(&reading(900, (2, 200), (2, 200)), true, Millis(0));
        assert_eq!(done.eta_ms, Some(0));
    }
}
