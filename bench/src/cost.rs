//! What a client costs, as Linux counts it: seen from outside, so that it is the same for each.

use std::fs;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::Instant;

/// One of Linux's clock ticks, in which it tells a process its CPU time.
const TICK_MS: u64 = 10;
/// How often a client's memory is looked at. Linux keeps its peak, so only the last look counts.
const LOOK: Duration = Duration::from_millis(5);
/// A client that takes longer hangs.
const LONGEST: Duration = Duration::from_mins(15);

/// What one run cost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) wall_ms: u64,
    /// User and system time of the whole process, its start included, and of its children.
    pub(crate) cpu_ms: u64,
    /// The most memory that was resident at once.
    pub(crate) peak_kib: u64,
    /// Of all operations, on both sides.
    pub(crate) requests: u64,
    /// What was read at the source.
    pub(crate) read_bytes: u64,
}

/// How a client ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) cost: Cost,
    /// `None` if it was killed here.
    pub(crate) status: Option<ExitStatus>,
}

/// Waits for a client, and kills it as soon as `enough` says so.
pub(crate) fn watch(mut client: Child, mut enough: impl FnMut() -> Result<bool>) -> Result<Ended> {
    let before = children_ms()?;
    let begin = Instant::now();
    let mut cost = Cost::default();
    let mut killed = false;
    let status = loop {
        if let Some(status) = client.try_wait()? {
            break status;
        }
        if let Ok(status) = fs::read_to_string(format!("/proc/{}/status", client.id())) {
            cost.peak_kib = peak_kib(&status).unwrap_or_default().max(cost.peak_kib);
        }
        if !killed && (begin.elapsed() > LONGEST || enough()?) {
            killed = true;
            client.kill()?;
        }
        thread::park_timeout(LOOK);
    };
    cost.wall_ms = u64::try_from(begin.elapsed().as_millis())?;
    cost.cpu_ms = children_ms()?.saturating_sub(before);
    Ok(Ended { cost, status: (!killed).then_some(status) })
}

/// The CPU time of all children that ended so far.
fn children_ms() -> Result<u64> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    Ok(children_ticks(&stat).context("/proc/self/stat is not as expected")? * TICK_MS)
}

/// The 16th and 17th field; the second, a name in parentheses, may have spaces in it.
fn children_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(13);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn peak_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_lines_are_read() {
        let stat = "12 (a ) b) S 1 2 3 4 5 6 7 8 9 10 1 2 120 34 20 0 1 0 99";
        assert_eq!(children_ticks(stat), Some(154));
        assert_eq!(peak_kib("VmPeak:\t 9 kB\nVmHWM:\t   1234 kB\n"), Some(1234));
        assert_eq!((children_ticks(""), peak_kib("")), (None, None));
    }
}
