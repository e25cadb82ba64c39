//! Everything that a person or a log sees of a run.
//!
//! Progress goes to standard error: a bar on a terminal, a plain line now and then elsewhere. The
//! summary, and with `--json` every event, goes to standard output. Keys are escaped on their way.

pub(crate) mod events;
mod format;
mod meter;
mod plan;
mod stack;
mod summary;
mod verify;

pub(crate) use events::line as json_line;
pub(crate) use format::moment_text;
pub use format::{count_text, duration_text, size_text};
pub use meter::{Meter, View};
pub use summary::{Ending, Summary};
pub use verify::Walked;

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{Instant, MissedTickBehavior};
use tranship_core::object::{Millis, ObjectKey, escape};
use tranship_core::progress::{Progress, ProgressReading};

use crate::exit::Failure;
use crate::settings::Verbosity;

/// Failures that are named while the run goes on; the list has all of them, and a screen should not
/// scroll away over ten thousand.
const FAILURES_SHOWN_MAX: u64 = 20;

/// The form in which a run is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Display {
    /// A bar that is drawn again and again.
    Terminal,
    /// A plain line now and then.
    Lines,
    /// One JSON event a line.
    Json,
    /// Errors only.
    Quiet,
}

impl Display {
    pub fn choose(verbosity: Verbosity, stderr_is_terminal: bool) -> Self {
        match verbosity {
            Verbosity::Json => Self::Json,
            Verbosity::Quiet => Self::Quiet,
            Verbosity::Normal if stderr_is_terminal => Self::Terminal,
            Verbosity::Normal => Self::Lines,
        }
    }

    /// How often progress is shown: as the eye wants it, as a log bears it, as a program polls.
    fn tick(self) -> Option<Duration> {
        match self {
            Self::Terminal => Some(Duration::from_millis(200)),
            Self::Lines => Some(Duration::from_secs(5)),
            Self::Json => Some(Duration::from_secs(1)),
            Self::Quiet => None,
        }
    }
}

/// What is known when a run begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunStart {
    pub transfer_id: String,
    /// As [`tranship_core::location::Location::display`] writes it.
    pub source: String,
    pub destination: String,
    pub ledger: String,
    pub dry_run: bool,
    /// Whether an earlier run, cut short, is taken up again.
    pub resumed: bool,
}

/// Shows a run. Cheap to clone; usable from any thread.
#[derive(Debug, Clone)]
pub struct Reporter(Arc<Inner>);

struct Inner {
    display: Display,
    /// The command that takes the run up again.
    resume: String,
    bar: ProgressBar,
    state: Mutex<State>,
}

struct State {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    meter: Meter,
    failures: u64,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("display", &self.display).finish_non_exhaustive()
    }
}

impl Reporter {
    pub fn new(display: Display, resume: String) -> Self {
        Self::with_writers(display, resume, Box::new(io::stdout()), Box::new(io::stderr()))
    }

    /// One that writes elsewhere. The bar, which needs a terminal, is drawn only for [`Self::new`]'s
    /// display on a terminal.
    pub fn with_writers(
        display: Display,
        resume: String,
        out: Box<dyn Write + Send>,
        err: Box<dyn Write + Send>,
    ) -> Self {
        let bar = match display {
            Display::Terminal => bar(),
            _ => ProgressBar::hidden(),
        };
        let state = State { out, err, meter: Meter::default(), failures: 0 };
        Self(Arc::new(Inner { display, resume, bar, state: Mutex::new(state) }))
    }

    pub fn display(&self) -> Display {
        self.0.display
    }

    pub fn run_started(&self, start: &RunStart) {
        match self.0.display {
            Display::Json => self.event(&events::run_started(start)),
            Display::Quiet => {}
            Display::Terminal | Display::Lines => {
                let dry = if start.dry_run { " (dry run: nothing is written)" } else { "" };
                let again = match (start.dry_run, start.resumed) {
                    (true, _) => "Planning",
                    (false, true) => "Resuming",
                    (false, false) => "Copying",
                };
                self.tell(&format!("{again} {} to {}{dry}", start.source, start.destination));
            }
        }
    }

    /// Shows the counters again and again. Never returns: stop it by dropping it, as with `select!`.
    pub async fn watch(&self, progress: Arc<Progress>, listing_done: Arc<AtomicBool>) {
        let Some(tick) = self.0.display.tick() else {
            return std::future::pending().await;
        };
        let begin = Instant::now();
        let mut ticks = tokio::time::interval_at(begin + tick, tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let now = ticks.tick().await;
            let elapsed = now.saturating_duration_since(begin).as_millis();
            let elapsed = Millis(u64::try_from(elapsed).unwrap_or(u64::MAX));
            self.show(&progress.read(), listing_done.load(Ordering::Relaxed), elapsed);
        }
    }

    /// Shows the counters once. `elapsed` is the time since the run began.
    pub fn show(&self, reading: &ProgressReading, listing_done: bool, elapsed: Millis) {
        let view = self.state().meter.view(reading, listing_done, elapsed);
        match self.0.display {
            Display::Json => self.event(&events::progress(reading, &view)),
            Display::Lines => self.tell(&format::progress_line(&view)),
            Display::Terminal => self.draw(&view),
            Display::Quiet => {}
        }
    }

    /// An object is settled as failed.
    pub fn object_failed(&self, key: &ObjectKey, reason: &str) {
        if self.0.display == Display::Json {
            return self.event(&events::object_failed(key, reason));
        }
        let failures = {
            let mut state = self.state();
            state.failures += 1;
            state.failures
        };
        if failures <= FAILURES_SHOWN_MAX {
            self.tell(&format!("failed: {key}: {}", escape(reason)));
        } else if failures == FAILURES_SHOWN_MAX + 1 {
            self.tell("more objects failed; the failure list names all of them");
        }
    }

    /// Something that a person should know, and that is no failure.
    pub fn warning(&self, text: &str) {
        match self.0.display {
            Display::Json => self.event(&events::text("warning", text)),
            Display::Quiet => {}
            Display::Terminal | Display::Lines => self.tell(&format!("warning: {}", escape(text))),
        }
    }

    /// A step of the demo, or of a phase; not shown when quiet.
    pub fn note(&self, text: &str) {
        match self.0.display {
            Display::Json => self.event(&events::text("note", text)),
            Display::Quiet => {}
            Display::Terminal | Display::Lines => self.tell(&escape(text)),
        }
    }

    /// The first Ctrl-C.
    pub fn interrupted(&self) {
        match self.0.display {
            Display::Json => self.event(&events::interrupted(&self.0.resume)),
            _ => self.tell(&format!(
                "Stopping cleanly; Ctrl-C again stops at once. To resume, run:\n  {}",
                self.0.resume
            )),
        }
    }

    /// The run is over, and its account is known.
    pub fn run_ended(&self, summary: &Summary) {
        self.close();
        match self.0.display {
            Display::Json => self.event(&events::run_ended(summary, &self.0.resume)),
            Display::Quiet if summary.is_clean() => {}
            Display::Quiet => self.tell(summary.text(&self.0.resume).trim_end()),
            Display::Terminal | Display::Lines => self.print(&summary.text(&self.0.resume)),
        }
    }

    /// The command could not do its work.
    pub fn run_failed(&self, failure: &Failure) {
        self.close();
        if self.0.display == Display::Json {
            self.event(&events::run_failed(failure));
        }
        self.tell(&format::failure(failure));
    }

    /// A document that was asked for, whatever the display.
    pub fn print_json(&self, document: &serde_json::Value) {
        self.print(&format!("{document:#}\n"));
    }

    /// What a look at both sides found: each finding as an event, or all as a text.
    pub fn looked(&self, events: &[serde_json::Value], text: &str) {
        self.close();
        match self.0.display {
            Display::Json => events.iter().for_each(|event| self.event(event)),
            _ => self.print(text),
        }
    }

    /// Takes the bar away.
    pub fn close(&self) {
        self.0.bar.finish_and_clear();
    }

    fn draw(&self, view: &View) {
        let bar = &self.0.bar;
        bar.set_length(view.listed.bytes.max(1));
        bar.set_position(view.done_bytes);
        bar.set_message(format::amounts(view));
        bar.set_prefix(format::state(view));
        bar.tick();
    }

    /// A line for a person, above the bar.
    fn tell(&self, line: &str) {
        self.0.bar.suspend(|| {
            // Nobody is left to be told that nobody listens.
            writeln!(self.state().err, "{line}").ok();
        });
    }

    fn print(&self, text: &str) {
        let mut state = self.state();
        state.out.write_all(text.as_bytes()).and_then(|()| state.out.flush()).ok();
    }

    fn event(&self, event: &serde_json::Value) {
        self.print(&format!("{}\n", events::line(event)));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
    let style =
        ProgressStyle::with_template("{wide_bar:.cyan/dim} {percent:>3}%\n{wide_msg}\n{prefix}");
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

#[cfg(test)]
mod tests;
