//! What a person or a log sees of a verification.

use std::time::Duration;

use indicatif::ProgressStyle;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior};
use tranship_core::object::escape;
use tranship_core::outcome::Count;

use super::format::{count_text, duration_text, size_text};
use super::{Display, Reporter, events};

/// Differences that are named while it goes on.
const DIFFERENCES_SHOWN_MAX: u64 = 20;

/// How far a verification has come.
#[derive(Debug, Clone, Copy, Default)]
pub struct Walked {
    pub source: Count,
    pub destination: Count,
    /// Everything that is not proven to be equal.
    pub differences: u64,
    pub bytes_read: u64,
    pub retries: u64,
}

impl Reporter {
    pub fn verification_started(&self, source: &str, destination: &str, deep: bool) {
        match self.display() {
            Display::Json => self.event(&json!({
                "event": "verify-started",
                "source": source,
                "destination": destination,
                "deep": deep,
            })),
            Display::Quiet => {}
            Display::Terminal | Display::Lines => {
                let how = if deep { ", every byte of both" } else { "" };
                self.tell(&format!("Comparing {source} with {destination}{how}"));
            }
        }
    }

    /// Shows how far it has come, again and again. Never returns: stop it by dropping it.
    pub async fn watch_verification(&self, look: impl Fn() -> Walked) {
        let Some(tick) = self.display().tick() else {
            return std::future::pending().await;
        };
        let style = ProgressStyle::with_template("{spinner} {wide_msg}");
        self.0.bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        let begin = Instant::now();
        let mut ticks = tokio::time::interval_at(begin + tick, tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = ticks.tick().await;
            self.show_verification(&look(), now.saturating_duration_since(begin));
        }
    }

    fn show_verification(&self, walked: &Walked, elapsed: Duration) {
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        match self.display() {
            Display::Json => self.event(&json!({
                "event": "verify-progress",
                "elapsed_ms": elapsed_ms,
                "listed": { "source": walked.source, "destination": walked.destination },
                "differences": walked.differences,
                "bytes_read": walked.bytes_read,
                "retries": walked.retries,
            })),
            Display::Lines => self.tell(&line(walked, elapsed_ms)),
            Display::Terminal => {
                self.0.bar.set_message(line(walked, elapsed_ms));
                self.0.bar.tick();
            }
            Display::Quiet => {}
        }
    }

    /// Something that is not proven to be equal. `before` is the number of those that came before it.
    pub fn difference(&self, difference: &Value, text: &str, before: u64) {
        if self.display() == Display::Json {
            let mut event = difference.clone();
            if let Some(fields) = event.as_object_mut() {
                fields.insert("event".to_owned(), json!("difference"));
            }
            return self.event(&event);
        }
        if before < DIFFERENCES_SHOWN_MAX {
            self.tell(text);
        } else if before == DIFFERENCES_SHOWN_MAX {
            self.tell("there are more differences; --report DIR or --json names all of them");
        }
    }

    pub fn verification_ended(&self, summary: &Value, text: &str, is_equal: bool) {
        self.close();
        match self.display() {
            Display::Json => self.event(summary),
            Display::Quiet if is_equal => {}
            Display::Quiet => self.tell(text.trim_end()),
            Display::Terminal | Display::Lines => self.print(text),
        }
    }

    /// Ctrl-C.
    pub fn verification_left(&self) {
        self.close();
        match self.display() {
            Display::Json => self.event(&events::interrupted(&self.0.resume)),
            _ => self.tell(&format!(
                "interrupted: nothing is said of either side; to begin anew, run:\n  {}",
                escape(&self.0.resume)
            )),
        }
    }
}

fn line(walked: &Walked, elapsed_ms: u64) -> String {
    format!(
        "{} objects ({}) listed at the source, {} at the destination, {} differences, {} read, {} retries, {} elapsed",
        count_text(walked.source.objects),
        size_text(walked.source.bytes),
        count_text(walked.destination.objects),
        count_text(walked.differences),
        size_text(walked.bytes_read),
        count_text(walked.retries),
        duration_text(elapsed_ms),
    )
}
