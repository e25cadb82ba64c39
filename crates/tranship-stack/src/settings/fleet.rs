//! What a worker is told that polls its queues itself, besides the settings of the functions.

use std::net::SocketAddr;

use tranship_core::ports::Queue;

use super::read::{Mistakes, Reader, Word};
use super::usize_of;

/// Where the health endpoint listens unless told otherwise: this machine's alone can ask.
const HEALTH: &str = "127.0.0.1:8787";

/// The settings of one polling process. All have a default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FleetSettings {
    pub health: SocketAddr,
    /// How long work in flight may go on once the process is to end.
    pub drain_ms: u64,
    /// For how long a task is hidden from others, from the moment on in which its queue gives it away, even if
    /// its answer is lost on the way. Made longer while the task lives: a process that dies gives its tasks back
    /// after this.
    pub hidden_seconds: u16,
    /// `None`: as many as memory and open files allow.
    pub streams: Option<usize>,
    pub queues: &'static [Queue],
    /// What the process is called in logs; otherwise as the instance or the host is.
    pub name: Option<String>,
    /// By which endpoints this process reaches the two sides, if not by those of the functions.
    pub source_endpoint: Option<String>,
    pub destination_endpoint: Option<String>,
}

/// The settings of endpoints, for whoever finds that one leads elsewhere.
pub const SOURCE_ENDPOINT: &str = "TRANSHIP_FLEET_SOURCE_ENDPOINT";
pub const DESTINATION_ENDPOINT: &str = "TRANSHIP_FLEET_DESTINATION_ENDPOINT";

const QUEUES: &[Word<&[Queue]>] =
    &[("large", &[Queue::Large]), ("large,transfer", &[Queue::Large, Queue::Transfer])];

impl FleetSettings {
    /// Reads them; `variable` is the environment.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Mistakes> {
        let mut read = Reader::new(&variable);
        let health = read.text("TRANSHIP_FLEET_HEALTH").unwrap_or_else(|| HEALTH.to_owned());
        let streams = usize_of(read.number("TRANSHIP_FLEET_STREAMS", 0..=4_096, 0));
        let hidden = read.number("TRANSHIP_FLEET_HIDDEN_SECONDS", 6..=3_600, 180);
        let parsed = health.parse();
        if parsed.is_err() {
            let what = format!("{health:?} is no address such as {HEALTH}");
            read.mistake("TRANSHIP_FLEET_HEALTH", &what);
        }
        let settings = Self {
            health: parsed.unwrap_or_else(|_| SocketAddr::from(([127, 0, 0, 1], 0))),
            drain_ms: read.number("TRANSHIP_FLEET_DRAIN_SECONDS", 1..=3_600, 90) * 1_000,
            hidden_seconds: u16::try_from(hidden).unwrap_or(u16::MAX),
            streams: (streams > 0).then_some(streams),
            queues: read.word("TRANSHIP_FLEET_QUEUES", QUEUES, &[Queue::Large]),
            name: read.text("TRANSHIP_FLEET_INSTANCE"),
            source_endpoint: read.endpoint(SOURCE_ENDPOINT),
            destination_endpoint: read.endpoint(DESTINATION_ENDPOINT),
        };
        read.end()?;
        Ok(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &'static str, text: &'static str) -> Result<FleetSettings, Mistakes> {
        FleetSettings::read(|asked| (asked == name).then(|| text.to_owned()))
    }

    #[test]
    fn nothing_has_to_be_set() {
        let settings = read("", "").unwrap();
        assert!(settings.health.ip().is_loopback());
        assert_eq!((settings.drain_ms, settings.streams), (90_000, None));
        assert_eq!(settings.hidden_seconds, 180);
        assert_eq!(settings.queues, [Queue::Large]);
    }

    #[test]
    fn mistakes_name_their_setting() {
        for (name, text) in [
            ("TRANSHIP_FLEET_HEALTH", "8787"),
            ("TRANSHIP_FLEET_HEALTH", "localhost:port"),
            ("TRANSHIP_FLEET_DRAIN_SECONDS", "0"),
            ("TRANSHIP_FLEET_HIDDEN_SECONDS", "5"),
            ("TRANSHIP_FLEET_STREAMS", "many"),
            ("TRANSHIP_FLEET_QUEUES", "small"),
            ("TRANSHIP_FLEET_SOURCE_ENDPOINT", "ftp://10.0.0.7"),
        ] {
            let mistakes = read(name, text).unwrap_err().to_string();
            assert!(mistakes.contains(name), "{text}: {mistakes}");
        }
        let both = read("TRANSHIP_FLEET_QUEUES", "large,transfer").unwrap();
        assert_eq!(both.queues, [Queue::Large, Queue::Transfer]);
    }
}
