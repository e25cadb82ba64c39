//! Finds by itself how many streams carry most over a link.
//!
//! It climbs: more streams as long as more bytes come through, a step back where they do not, and
//! another try after a while, since links change. Where the store asks to slow down, a third of them is
//! taken away at once. Nothing is learned while there is less to do than there are streams.

/// Streams to begin with.
const FIRST: usize = 8;
/// A step up has to bring so much more, in percent, to be kept.
const GAIN_PERCENT: u64 = 8;
/// Intervals after a step in which connections find their own speed, and nothing is judged.
const SETTLING: u32 = 1;
/// Intervals before another try, once a step brought nothing.
const RESTING: u32 = 24;
/// Intervals without a step after the store asked to slow down.
const SLOWED: u32 = 12;

/// What was seen in one interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    pub bytes: u64,
    pub ms: u64,
    /// How often the store asked to slow down.
    pub throttles: u64,
    /// Whether all streams had something to do.
    pub busy: bool,
}

/// The number of streams, as it was found so far.
#[derive(Debug, Clone)]
pub struct Pace {
    least: usize,
    most: usize,
    streams: usize,
    /// The step that is being tried: from so many streams, which carried so much.
    from: Option<(usize, u64)>,
    /// Nothing has stood against it yet, so that steps are doublings.
    doubles: bool,
    /// Intervals that are to pass before anything is judged.
    waits: u32,
}

impl Pace {
    pub fn new(least: usize, most: usize) -> Self {
        let least = least.clamp(1, most.max(1));
        let streams = FIRST.clamp(least, most.max(1));
        Self { least, most: most.max(1), streams, from: None, doubles: true, waits: SETTLING }
    }

    pub fn streams(&self) -> usize {
        self.streams
    }

    /// Learns from an interval; gives how many streams there are to be in the next.
    pub fn after(&mut self, interval: Interval) -> usize {
        if interval.throttles > 0 {
            self.rest((self.streams * 2 / 3).max(self.least), SLOWED);
            return self.streams;
        }
        if !interval.busy || interval.ms == 0 {
            return self.streams;
        }
        if self.waits > 0 {
            self.waits -= 1;
            return self.streams;
        }
        let rate = interval.bytes.saturating_mul(1_000) / interval.ms;
        match self.from.take() {
            Some((fewer, slower)) if rate * 100 < slower * (100 + GAIN_PERCENT) => {
                self.rest(fewer, RESTING);
            }
            _ => self.climb(rate),
        }
        self.streams
    }

    fn climb(&mut self, rate: u64) {
        let step = if self.doubles { self.streams } else { (self.streams / 4).max(1) };
        let more = (self.streams + step).min(self.most);
        if more > self.streams {
            self.from = Some((self.streams, rate));
            self.streams = more;
            self.waits = SETTLING;
        }
    }

    fn rest(&mut self, streams: usize, intervals: u32) {
        self.streams = streams;
        self.from = None;
        self.doubles = false;
        self.waits = intervals;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A link of so much a stream, and no more than so much in all.
    fn carries(streams: usize, of_one: u64, in_all: u64) -> Interval {
        let bytes = (of_one * u64::try_from(streams).unwrap()).min(in_all);
        Interval { bytes, ms: 1_000, throttles: 0, busy: true }
    }

    fn climbed(pace: &mut Pace, intervals: u32, of_one: u64, in_all: u64) -> u64 {
        (0..intervals).for_each(|_| {
            pace.after(carries(pace.streams(), of_one, in_all));
        });
        carries(pace.streams(), of_one, in_all).bytes
    }

    proptest! {
        #[test]
        fn it_comes_near_to_what_the_link_carries(of_one in 1_u64..1_000, useful in 1_u64..200) {
            let in_all = of_one * useful;
            let mut pace = Pace::new(1, 256);
            // Time enough for some tries of a quarter more.
            let carried = climbed(&mut pace, 600, of_one, in_all);
            prop_assert!(carried * 100 >= in_all * 85, "{carried} of {in_all}: {pace:?}");
            prop_assert!(pace.streams() <= 256);
        }

        #[test]
        fn it_stays_between_its_bounds(
            least in 0_usize..40,
            most in 0_usize..300,
            seen in prop::collection::vec((0_u64..1_000, 0_u64..3_000, 0_u64..2, any::<bool>()), 0..80),
        ) {
            let mut pace = Pace::new(least, most);
            for (bytes, ms, throttles, busy) in seen {
                let streams = pace.after(Interval { bytes, ms, throttles, busy });
                prop_assert!(streams >= 1 && streams <= most.max(1));
                prop_assert!(streams >= least.min(most));
            }
        }
    }

    #[test]
    fn a_store_that_asks_to_slow_down_is_heard_at_once_and_left_alone_for_a_while() {
        let mut pace = Pace::new(2, 256);
        climbed(&mut pace, 20, 10, 10_000);
        assert_eq!(pace.streams(), 256);
        let asked = Interval { throttles: 3, ..carries(256, 10, 10_000) };
        assert_eq!(pace.after(asked), 170);
        for _ in 0..SLOWED {
            assert_eq!(pace.after(carries(170, 10, 10_000)), 170);
        }
        assert!(pace.after(carries(170, 10, 10_000)) > 170);
        for _ in 0..30 {
            pace.after(asked);
        }
        assert_eq!(pace.streams(), 2);
    }

    #[test]
    fn what_is_not_wanted_teaches_nothing() {
        let mut pace = Pace::new(1, 64);
        for _ in 0..50 {
            assert_eq!(pace.after(Interval { busy: false, ..carries(8, 10, 1_000) }), FIRST);
        }
    }
}
