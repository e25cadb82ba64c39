//! Over how many connections one part is read.
//!
//! One, as long as that is fast enough: every further one costs a request and memory for what comes too
//! early. Where one is slow, as over a long way on which packets are lost, twice as many are tried, and
//! kept if the part came faster for it.

/// A part that comes as fast as this, in bytes a second, needs no other connection.
const FAST: u64 = 8 << 20;
const MOST: usize = 8;
/// Parts that are looked at before a number of connections is judged.
const PARTS: u32 = 4;
/// Parts before the next try, once more connections brought nothing.
const RESTING: u32 = 64;
/// Twice as many connections have to bring so much more, in percent.
const GAIN_PERCENT: u64 = 25;

#[derive(Debug)]
pub(super) struct Spread {
    connections: usize,
    /// Of the parts that came over so many.
    rates: u64,
    parts: u32,
    /// What half as many brought.
    half: Option<u64>,
    rests: u32,
}

impl Default for Spread {
    fn default() -> Self {
        Self { connections: 1, rates: 0, parts: 0, half: None, rests: 0 }
    }
}

impl Spread {
    pub(super) fn connections(&self) -> usize {
        self.connections
    }

    /// Learns from a part. One that was not given all its connections says nothing.
    pub(super) fn took(&mut self, connections: usize, bytes: u64, ms: u64) {
        if connections != self.connections {
            return;
        }
        if self.rests > 0 {
            self.rests -= 1;
            return;
        }
        self.rates = self.rates.saturating_add(bytes.saturating_mul(1_000) / ms.max(1));
        self.parts += 1;
        if self.parts < PARTS {
            return;
        }
        let rate = self.rates / u64::from(PARTS);
        (self.rates, self.parts) = (0, 0);
        match self.half.take() {
            Some(half) if rate.saturating_mul(100) < half.saturating_mul(100 + GAIN_PERCENT) => {
                self.connections /= 2;
                self.rests = RESTING;
            }
            _ if rate < FAST && self.connections < MOST => {
                self.connections *= 2;
                self.half = Some(rate);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(spread: &mut Spread, parts: u32, rate: impl Fn(usize) -> u64) -> usize {
        for _ in 0..parts {
            let connections = spread.connections();
            spread.took(connections, rate(connections), 1_000);
        }
        spread.connections()
    }

    #[test]
    fn a_fast_link_is_left_with_one_connection() {
        assert_eq!(after(&mut Spread::default(), 1_000, |_| FAST), 1);
    }

    #[test]
    fn a_slow_one_is_given_more_as_long_as_they_help() {
        let mut spread = Spread::default();
        let each = |of_one: u64| move |n: usize| of_one * u64::try_from(n).unwrap();
        assert_eq!(after(&mut spread, 3, each(300_000)), 1, "too early to tell");
        assert_eq!(after(&mut spread, 1, each(300_000)), 2);
        assert_eq!(after(&mut spread, 100, each(300_000)), 8);
        let mut enough = Spread::default();
        assert_eq!(after(&mut enough, 100, each(FAST / 3)), 4, "four are fast enough");
    }

    #[test]
    fn where_they_do_not_help_it_goes_back_and_tries_again_later() {
        let mut spread = Spread::default();
        assert_eq!(after(&mut spread, PARTS, |_| 300_000), 2);
        assert_eq!(after(&mut spread, PARTS, |_| 300_000), 1);
        assert_eq!(after(&mut spread, RESTING, |_| 300_000), 1);
        assert_eq!(after(&mut spread, PARTS, |_| 300_000), 2);
    }

    #[test]
    fn a_part_with_fewer_connections_than_meant_says_nothing() {
        let mut spread = Spread::default();
        assert_eq!(after(&mut spread, PARTS, |_| 300_000), 2);
        for _ in 0..100 {
            spread.took(1, 1, 1_000);
        }
        assert_eq!(spread.connections(), 2);
    }
}
