//! What a run did over time, in a bounded number of points: when they are too many, every second one
//! goes, and the pause between two of them doubles.

use tranship_core::progress::ProgressReading;

/// Points that are kept: as many as a plot can show.
const POINTS_MAX: usize = 240;
/// The first pause between two points.
const FIRST_PAUSE_MS: u64 = 250;

/// The counters of a run at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Point {
    pub(crate) at_ms: u64,
    pub(crate) bytes_moved: u64,
    /// Keys of the source that have an outcome.
    pub(crate) settled_objects: u64,
    pub(crate) retries: u64,
}

/// The points of a run, in order.
#[derive(Debug)]
pub(crate) struct Timeline {
    pause_ms: u64,
    points: Vec<Point>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { pause_ms: FIRST_PAUSE_MS, points: Vec::new() }
    }
}

impl Timeline {
    /// How long to wait for the next point.
    pub(crate) fn pause_ms(&self) -> u64 {
        self.pause_ms
    }

    pub(crate) fn points(&self) -> &[Point] {
        &self.points
    }

    pub(crate) fn add(&mut self, at_ms: u64, reading: &ProgressReading) {
        if self.points.len() >= POINTS_MAX {
            let mut index = 0_usize;
            self.points.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.pause_ms = self.pause_ms.saturating_mul(2);
        }
        let of_source = reading.settled.iter().filter(|(outcome, ..)| outcome.is_of_source());
        self.points.push(Point {
            at_ms,
            bytes_moved: reading.bytes_moved,
            settled_objects: of_source.map(|(_, objects, _)| objects).sum(),
            retries: reading.retries,
        });
    }

    /// Bytes a second from each point to the next, at the later one.
    pub(crate) fn rates(&self) -> Vec<(u64, u64)> {
        let pairs = self.points.iter().zip(self.points.iter().skip(1));
        let rate = |(one, next): (&Point, &Point)| {
            let ms = next.at_ms.saturating_sub(one.at_ms);
            let bytes = next.bytes_moved.saturating_sub(one.bytes_moved);
            let rate = (ms > 0).then(|| u128::from(bytes) * 1_000 / u128::from(ms))?;
            Some((next.at_ms, u64::try_from(rate).unwrap_or(u64::MAX)))
        };
        pairs.filter_map(rate).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tranship_core::outcome::Outcome;

    fn reading(moved: u64) -> ProgressReading {
        ProgressReading {
            bytes_moved: moved,
            settled: vec![(Outcome::Copied, moved / 10, 0), (Outcome::Extra, 99, 0)],
            ..ProgressReading::default()
        }
    }

    #[test]
    fn a_run_of_any_length_has_few_points_and_all_of_its_time() {
        let mut timeline = Timeline::default();
        let (mut at, mut most) = (0, 0);
        while at < 100 * 24 * 3_600 * 1_000 {
            timeline.add(at, &reading(at * 3));
            most = most.max(timeline.points().len());
            at += timeline.pause_ms();
        }
        assert_eq!(most, POINTS_MAX);
        let points = timeline.points();
        assert!(points.len() >= POINTS_MAX / 2, "{}", points.len());
        assert_eq!(points[0], Point::default());
        assert!(points.is_sorted_by_key(|point| point.at_ms));
        let rates = timeline.rates();
        assert_eq!(rates.len(), points.len() - 1);
        assert!(rates.iter().all(|(_, rate)| *rate == 3_000), "{rates:?}");
    }

    #[test]
    fn what_only_the_destination_has_is_not_the_sources() {
        let mut timeline = Timeline::default();
        timeline.add(5, &reading(100));
        timeline.add(5, &reading(200));
        let [one, two] = timeline.points() else { panic!("{timeline:?}") };
        assert_eq!((one.settled_objects, two.settled_objects), (10, 20));
        assert_eq!(timeline.rates(), [], "no time has passed between them");
    }
}
