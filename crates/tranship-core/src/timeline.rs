//! What something that only grows came to over time, in a bounded number of points: when they are too
//! many, every second one goes, and the points that follow keep the distance that is then usual.

use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;
use crate::rows::Totals;

/// Points that are kept: as many as a plot can show, and few enough for a row of the ledger.
pub const POINTS_MAX: usize = 240;
/// The first distance of two points.
const FIRST_PAUSE_MS: u64 = 250;

/// Points in order, each at a moment since the beginning. All but the last have at least the pause
/// behind the one before; the last is the newest that there was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline<T> {
    pause_ms: u64,
    points: Vec<(u64, T)>,
}

impl<T> Default for Timeline<T> {
    fn default() -> Self {
        Self { pause_ms: FIRST_PAUSE_MS, points: Vec::new() }
    }
}

impl<T> Timeline<T> {
    /// How long to wait for the next point, if somebody waits.
    pub fn pause_ms(&self) -> u64 {
        self.pause_ms
    }

    pub fn points(&self) -> &[(u64, T)] {
        &self.points
    }

    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// Adds the newest point. Where it comes sooner than the pause, it takes the place of the last one.
    pub fn add(&mut self, at_ms: u64, point: T) {
        if let [.., (before_ms, _), (last_ms, _)] = self.points.as_slice()
            && last_ms.saturating_sub(*before_ms) < self.pause_ms
        {
            self.points.pop();
        }
        if self.points.len() >= POINTS_MAX {
            self.thin();
        }
        self.points.push((at_ms, point));
    }

    /// The points may have come at any distance: the next ones keep twice the usual one.
    fn thin(&mut self) {
        let ends = self.points.first().zip(self.points.last());
        let span_ms = ends.map_or(0, |((first, _), (last, _))| last.saturating_sub(*first));
        let usual_ms = span_ms / u64::try_from(POINTS_MAX).unwrap_or(u64::MAX);
        self.pause_ms = self.pause_ms.max(usual_ms).saturating_mul(2);
        let mut index = 0_usize;
        self.points.retain(|_| {
            index += 1;
            index % 2 == 1
        });
    }
}

/// How far a run was at one moment, by its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "(u64, u64, u64)", into = "(u64, u64, u64)")]
pub struct Mark {
    /// Of the objects that are copied: those of a large object count when it is whole.
    pub bytes_copied: u64,
    /// Keys of the source that have an outcome.
    pub settled_objects: u64,
    pub failed_deliveries: u64,
}

impl Mark {
    pub fn of(totals: &Totals) -> Self {
        Self {
            bytes_copied: totals.account.get(Outcome::Copied).bytes,
            settled_objects: totals.account.of_source().objects,
            failed_deliveries: totals.failed_deliveries,
        }
    }
}

impl From<(u64, u64, u64)> for Mark {
    fn from((bytes_copied, settled_objects, failed_deliveries): (u64, u64, u64)) -> Self {
        Self { bytes_copied, settled_objects, failed_deliveries }
    }
}

impl From<Mark> for (u64, u64, u64) {
    fn from(mark: Mark) -> Self {
        (mark.bytes_copied, mark.settled_objects, mark.failed_deliveries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: u64 = 60_000;
    const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

    fn distances<T>(timeline: &Timeline<T>) -> Vec<u64> {
        timeline.points().windows(2).map(|two| two[1].0 - two[0].0).collect()
    }

    #[test]
    fn whoever_waits_for_each_point_has_few_of_them_and_all_of_the_time() {
        let mut timeline = Timeline::default();
        let (mut at, mut most) = (0, 0);
        while at < 100 * DAY_MS {
            timeline.add(at, at * 3);
            most = most.max(timeline.points().len());
            at += timeline.pause_ms();
        }
        assert_eq!(most, POINTS_MAX);
        let points = timeline.points();
        assert!(points.len() >= POINTS_MAX / 2, "{}", points.len());
        assert_eq!(points[0], (0, 0));
        assert!(points.iter().all(|(at, value)| *value == at * 3), "{points:?}");
        assert!(distances(&timeline).iter().all(|ms| *ms == timeline.pause_ms()));
    }

    /// Whoever looks every minute, or every five, or now so and now so, keeps to the same bounds.
    #[test]
    fn whoever_looks_at_fixed_times_has_ever_coarser_steps() {
        for every in [vec![1], vec![5], vec![1, 5, 2, 1, 1, 40]] {
            let mut timeline = Timeline::default();
            let mut at = 0;
            for minutes in every.iter().cycle() {
                timeline.add(at, at);
                let points = timeline.points();
                assert!(points.len() <= POINTS_MAX, "{}", points.len());
                assert_eq!((points[0].0, points.last().unwrap().0), (0, at), "both ends are kept");
                assert!(points.is_sorted());
                at += minutes * MINUTE_MS;
                if at > 60 * DAY_MS {
                    break;
                }
            }
            let points = timeline.points();
            assert!(points.len() > POINTS_MAX / 4, "{every:?}: {}", points.len());
            let (ms, longest) = (at / 100, distances(&timeline).into_iter().max().unwrap());
            assert!(longest < ms, "{every:?}: a step of {longest} in {at}");
        }
    }

    #[test]
    fn the_newest_point_is_there_however_soon_it_comes() {
        let mut timeline = Timeline::default();
        for (at, value) in [(0, 0), (10, 1), (20, 2), (400, 3), (420, 4), (5_000, 5), (5_000, 6)] {
            timeline.add(at, value);
            assert_eq!(timeline.points().last(), Some(&(at, value)));
        }
        assert_eq!(timeline.points(), [(0, 0), (400, 3), (5_000, 5), (5_000, 6)]);
    }

    #[test]
    fn a_run_of_months_fits_a_row() {
        let mut timeline = Timeline::default();
        for n in 0..u64::try_from(POINTS_MAX).unwrap() {
            let many = 10_000_000_000_000_000 + n;
            let mark = Mark { bytes_copied: many, settled_objects: many, failed_deliveries: n };
            timeline.add(100 * DAY_MS + n * MINUTE_MS, mark);
        }
        let row = serde_json::to_string(&timeline).unwrap();
        assert!(row.len() < 16 << 10, "{}", row.len());
        assert!(row.contains("[8640060000,[10000000000000001,10000000000000001,1]]"), "{row}");
        assert_eq!(serde_json::from_str::<Timeline<Mark>>(&row).unwrap(), timeline);
    }
}
