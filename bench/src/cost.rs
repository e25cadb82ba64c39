//! What a process has cost so far, as Linux counts it.

use std::fs;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// One of Linux's clock ticks, in which it tells a process its CPU time.
const TICK_MS: u64 = 10;

/// What one measurement cost.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Cost {
    pub(crate) wall_ms: u64,
    /// User and system time of the whole process, its start included.
    pub(crate) cpu_ms: u64,
    /// The most memory that was resident at once.
    pub(crate) peak_kib: u64,
    /// Of all operations; the parent process fills it in.
    #[serde(default)]
    pub(crate) requests: u64,
}

impl Cost {
    /// The cost of this process so far.
    pub(crate) fn of_this_process(wall_ms: u64) -> Result<Self> {
        let stat = fs::read_to_string("/proc/self/stat")?;
        let status = fs::read_to_string("/proc/self/status")?;
        Ok(Self {
            wall_ms,
            cpu_ms: cpu_ticks(&stat).context("/proc/self/stat is not as expected")? * TICK_MS,
            peak_kib: peak_kib(&status).context("/proc/self/status is not as expected")?,
            requests: 0,
        })
    }
}

/// The 14th and 15th field; the second, a name in parentheses, may have spaces in it.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
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
        let stat = "12 (a ) b) S 1 2 3 4 5 6 7 8 9 10 120 34 0 0 20 0 1 0 99";
        assert_eq!(cpu_ticks(stat), Some(154));
        assert_eq!(peak_kib("VmPeak:\t 9 kB\nVmHWM:\t   1234 kB\n"), Some(1234));
        assert_eq!((cpu_ticks(""), peak_kib("")), (None, None));
    }
}
