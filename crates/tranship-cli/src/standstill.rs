//! Tells a person why nothing moves: a run that waits for its next attempt looks like one that hangs.

use std::time::Duration;

use tokio::time::Instant;
use tranship_core::progress::{Progress, ProgressReading};

use crate::display::Reporter;

const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Shorter pauses are those of ordinary attempts.
const STILL: Duration = Duration::from_secs(20);
/// Between two times that it is said.
const SAY_EVERY: Duration = Duration::from_mins(1);

/// What was seen to move last, and what was said of it.
struct Standstill {
    last: ProgressReading,
    since: Instant,
    said: Option<Instant>,
}

impl Standstill {
    fn new(now: Instant) -> Self {
        Self { last: ProgressReading::default(), since: now, said: None }
    }

    /// What to say now, if anything: nothing has moved for long, and there is an error to name.
    fn look(
        &mut self,
        now: Instant,
        reading: ProgressReading,
        trouble: Option<String>,
    ) -> Option<String> {
        let reading = reading.movement();
        if reading != self.last {
            *self = Self { last: reading, ..Self::new(now) };
        }
        let still = now.duration_since(self.since);
        if still < STILL || self.said.is_some_and(|said| now.duration_since(said) < SAY_EVERY) {
            return None;
        }
        let trouble = trouble?;
        self.said = Some(now);
        Some(format!(
            "nothing has moved for {} s; it is tried again. The last error: {trouble}",
            still.as_secs()
        ))
    }
}

/// Looks on for ever.
pub(crate) async fn watch(progress: &Progress, reporter: &Reporter) {
    let mut standstill = Standstill::new(Instant::now());
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Some(text) = standstill.look(Instant::now(), progress.read(), progress.trouble()) {
            reporter.warning(&text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standstill_is_said_once_a_minute_and_only_with_its_cause() {
        let begin = Instant::now();
        let mut standstill = Standstill::new(begin);
        let mut look = |seconds, bytes_moved, retries, trouble: Option<&str>| {
            let reading = ProgressReading { bytes_moved, retries, ..ProgressReading::default() };
            let now = begin + Duration::from_secs(seconds);
            standstill.look(now, reading, trouble.map(str::to_owned)).is_some()
        };
        let why = Some("HTTP 500");
        for (seconds, bytes, retries, trouble, said) in [
            (5, 1, 0, None, false),
            (20, 1, 1, why, false),
            (26, 1, 2, None, false),
            (27, 1, 3, why, true),
            (60, 1, 4, why, false),
            (90, 1, 4, why, true),
            (95, 2, 4, why, false),
            (114, 2, 5, why, false),
            (115, 2, 5, why, true),
        ] {
            assert_eq!(look(seconds, bytes, retries, trouble), said, "{seconds} s");
        }
    }
}
