//! How a run went over time: what was counted at one moment, whoever counted it, and how fast bytes went
//! from one to the next.

use tranship_core::outcome::Outcome;
use tranship_core::progress::ProgressReading;
use tranship_core::timeline;

/// The counters of a run at one moment. Those of one process and those of a ledger are not the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Reading {
    /// Read from the source, repetitions included: only a process counts it.
    pub(crate) bytes_moved: Option<u64>,
    /// Of the objects that are copied.
    pub(crate) bytes_copied: u64,
    /// Keys of the source that have an outcome.
    pub(crate) settled_objects: u64,
    /// Calls that were made again: only a process counts them.
    pub(crate) retries: Option<u64>,
    /// Only a ledger counts them.
    pub(crate) failed_deliveries: Option<u64>,
}

/// The readings of a run, each with its moment.
pub(crate) type Timeline = timeline::Timeline<Reading>;

impl From<ProgressReading> for Reading {
    fn from(reading: ProgressReading) -> Self {
        let of_source = reading.settled.iter().filter(|(outcome, ..)| outcome.is_of_source());
        Self {
            bytes_moved: Some(reading.bytes_moved),
            bytes_copied: reading.of(Outcome::Copied).1,
            settled_objects: of_source.map(|(_, objects, _)| objects).sum(),
            retries: Some(reading.retries),
            failed_deliveries: None,
        }
    }
}

impl Reading {
    /// The bytes that say how fast it goes.
    fn bytes(&self) -> u64 {
        self.bytes_moved.unwrap_or(self.bytes_copied)
    }
}

/// Bytes a second from each point to the next, at the later one; the first holds from the beginning on.
pub(crate) fn rates(points: &[(u64, Reading)]) -> Vec<(u64, u64)> {
    let pairs = points.iter().zip(points.iter().skip(1));
    let rate = |((from_ms, one), (at_ms, next)): (&(u64, Reading), &(u64, Reading))| {
        let ms = at_ms.saturating_sub(*from_ms);
        let bytes = next.bytes().saturating_sub(one.bytes());
        let rate = (ms > 0).then(|| u128::from(bytes) * 1_000 / u128::from(ms))?;
        Some((*at_ms, u64::try_from(rate).unwrap_or(u64::MAX)))
    };
    let mut rates: Vec<_> = pairs.filter_map(rate).collect();
    if let (Some((begin_ms, _)), Some((_, rate))) = (points.first(), rates.first()) {
        rates.insert(0, (*begin_ms, *rate));
    }
    rates
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(moved: u64) -> Reading {
        Reading::from(ProgressReading {
            bytes_moved: moved,
            settled: vec![(Outcome::Copied, moved / 10, moved / 2), (Outcome::Extra, 99, 0)],
            ..ProgressReading::default()
        })
    }

    #[test]
    fn what_only_the_destination_has_is_not_the_sources() {
        let one = reading(100);
        assert_eq!((one.settled_objects, one.bytes_copied, one.bytes_moved), (10, 50, Some(100)));
    }

    #[test]
    fn a_rate_is_of_what_was_moved_or_else_of_what_was_copied() {
        let points = [(0, reading(0)), (2_000, reading(600)), (2_000, reading(700))];
        assert_eq!(rates(&points), [(0, 300), (2_000, 300)], "no time, no rate");
        let copied = |bytes_copied| Reading { bytes_copied, ..Reading::default() };
        let points = [(0, copied(0)), (1_000, copied(10)), (61_000, copied(610))];
        assert_eq!(rates(&points), [(0, 10), (1_000, 10), (61_000, 10)]);
        assert_eq!(rates(&points[..1]), []);
    }
}
