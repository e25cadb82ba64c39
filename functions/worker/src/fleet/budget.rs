//! How much this machine can do at once.

use std::fs;

use tranship_core::link::PIECE_BYTES;

/// Bytes that one stream may hold: a piece that waits for those before it, and buffers on both sides.
const STREAM_BYTES: u64 = PIECE_BYTES + (2 << 20);
/// Open files that one stream needs: a connection on each side, and one that is being closed.
const STREAM_FILES: u64 = 3;
/// Open files for everything else.
const OTHER_FILES: u64 = 64;
const LEAST: u64 = 4;
const MOST: u64 = 512;

/// Streams for which there are memory and open files.
pub(super) fn streams() -> usize {
    streams_within(memory_bytes(), open_files())
}

/// Half of the memory is left to the system: its buffers of sockets are what makes a long link fast.
fn streams_within(memory_bytes: Option<u64>, open_files: Option<u64>) -> usize {
    let by_memory = memory_bytes.map_or(MOST, |bytes| bytes / 2 / STREAM_BYTES);
    let by_files =
        open_files.map_or(MOST, |files| files.saturating_sub(OTHER_FILES) / STREAM_FILES);
    usize::try_from(by_memory.min(by_files).clamp(LEAST, MOST)).unwrap_or(usize::MAX)
}

/// What may be used: of the machine, or of the container if that is less.
fn memory_bytes() -> Option<u64> {
    let of_machine = fs::read_to_string("/proc/meminfo").ok().and_then(|text| available(&text));
    let of_group = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let of_group = of_group.and_then(|text| text.trim().parse().ok());
    [of_machine, of_group].into_iter().flatten().min()
}

fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib << 10)
}

fn open_files() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What this machine calls itself.
pub(super) fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "unknown".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_follow_from_what_is_scarcest() {
        for (memory_bytes, open_files, streams) in [
            (None, None, 512),
            (Some(2 << 30), Some(65_536), 170),
            (Some(512 << 20), Some(65_536), 42),
            (Some(64 << 30), Some(65_536), 512),
            (Some(64 << 30), Some(1_024), 320),
            (Some(64 << 30), Some(10), 4),
            (Some(0), None, 4),
        ] {
            assert_eq!(streams_within(memory_bytes, open_files), streams, "{memory_bytes:?}");
        }
    }

    #[test]
    fn this_machine_says_what_it_has() {
        assert!(memory_bytes().is_some_and(|bytes| bytes > 16 << 20));
        assert!(open_files().is_some_and(|files| files > 16));
        assert_eq!(available("MemTotal: 5 kB\nMemAvailable:   12 kB\n"), Some(12 << 10));
    }
}
