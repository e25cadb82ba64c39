//! A deployed stack, as a person reads it. Everything that it names is escaped on its way.

use std::fmt::{self, Write as _};

use serde_json::json;
use time::OffsetDateTime;
use time::macros::format_description;
use tranship_core::object::{Millis, escape};
use tranship_core::outcome::Count;

use super::format::{self, count_text, duration_text, size_text};
use super::{Display, Reporter, events};
use crate::exit::Failure;
use crate::stack::Address;
use crate::stack::answers::{Breaker, FailedObject, Fleet, QueueDepth, Redriven, Report, Status};

/// Puts the cursor into the corner of the terminal and clears what is there.
const REDRAW: &str = "\u{1b}[H\u{1b}[2J";

impl Reporter {
    /// An answer as it came; shown only where JSON is asked for.
    pub fn answer(&self, text: &str) {
        if self.display() == Display::Json {
            self.print(&format!("{}\n", events::ascii(text)));
        }
    }

    /// The whole status. `redraws`: in the place of the one before.
    pub fn stack_status(&self, status: &Status, address: &Address, now: Millis, redraws: bool) {
        if self.display() == Display::Json {
            return;
        }
        let text = status_text(status, address, now);
        self.print(&if redraws { format!("{REDRAW}{text}") } else { text });
    }

    pub fn run_begun(&self, run: Option<&Report>, address: &Address) {
        if self.display() != Display::Json {
            let run = run.map(|run| format!(" {}", run.id)).unwrap_or_default();
            let status = address.command("status");
            self.print(&format!("run{run} is begun; to see how it goes on, run:\n  {status}\n"));
        }
    }

    /// How far the run that is followed is.
    pub fn run_progress(&self, run: &Report, now: Millis) {
        match self.display() {
            Display::Lines => self.tell(&progress_line(run, now)),
            Display::Terminal => {
                let bar = &self.0.bar;
                bar.set_length(run.listed.bytes.max(1));
                bar.set_position(run.settled().bytes);
                bar.set_message(progress_line(run, now));
                bar.tick();
            }
            Display::Json | Display::Quiet => {}
        }
    }

    /// The run that was followed is over.
    pub fn stack_run_ended(&self, status: &Status, run: &Report, now: Millis) {
        self.close();
        if self.display() != Display::Json {
            self.print(&run_ended_text(status, run, now));
        }
    }

    /// What was put back into the queues.
    pub fn redriven(&self, redriven: &Redriven) {
        if self.display() != Display::Json {
            self.print(&redriven_text(redriven));
        }
    }

    /// Whether the stack goes on now.
    pub fn breaker(&self, breaker: Option<&Breaker>, address: &Address, now: Millis) {
        if self.display() == Display::Json {
            return;
        }
        let mut text = String::new();
        // Writing to a string cannot fail.
        match breaker {
            Some(breaker) => write_breaker(&mut text, breaker, address, now).unwrap_or_default(),
            None => text.push_str("the stack goes on\n"),
        }
        self.print(&text);
    }

    /// The command was cut short; the stack was not.
    pub fn stack_left(&self, address: &Address) {
        self.close();
        let status = address.command("status");
        match self.display() {
            Display::Json => self.event(&events::interrupted(&status)),
            _ => self.tell(&format!(
                "interrupted; what was begun goes on in the stack. To see how, run:\n  {status}"
            )),
        }
    }

    /// The command could not do its work, or the stack would not.
    pub fn command_failed(&self, failure: &Failure) {
        self.close();
        if self.display() == Display::Json {
            self.event(&json!({
                "event": "command-failed",
                "what": failure.what,
                "remedy": failure.remedy,
                "exit_code": failure.exit.code(),
            }));
        }
        self.tell(&format::failure(failure));
    }
}

fn status_text(status: &Status, address: &Address, now: Millis) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    write_status(&mut out, status, address, now).unwrap_or_default();
    out
}

fn write_status(out: &mut String, status: &Status, address: &Address, now: Millis) -> fmt::Result {
    let transfer = &status.transfer;
    let version = escape(&status.version);
    writeln!(out, "stack {} (version {version}): {}", escape(&status.stack), state(status))?;
    writeln!(out, "{} → {}", escape(&transfer.source), escape(&transfer.destination))?;
    writeln!(out, "transfer {}", escape(&transfer.id))?;
    if let Some(breaker) = &status.breaker {
        writeln!(out)?;
        write_breaker(out, breaker, address, now)?;
    }
    writeln!(out)?;
    match &status.run {
        Some(run) => write_run(out, run, now)?,
        None => {
            writeln!(out, "no run yet; to begin one, run:\n  {}", address.command("run"))?;
        }
    }
    write_queues(out, &status.queues)?;
    write_fleet(out, status.fleet.as_ref(), now)?;
    write_dead_letters(out, &status.queues, address)?;
    write_failures(out, &status.failures, status.failures_more)
}

/// The one word, or two, that say it all.
fn state(status: &Status) -> String {
    match (&status.breaker, &status.run) {
        (Some(breaker), _) => breaker_word(breaker).to_owned(),
        (None, Some(run)) if run.is_open() => escape(&run.state),
        (None, _) => "idle".to_owned(),
    }
}

fn breaker_word(breaker: &Breaker) -> &'static str {
    if breaker.is_paused() { "paused" } else { "halted" }
}

fn write_breaker(
    out: &mut String,
    breaker: &Breaker,
    address: &Address,
    now: Millis,
) -> fmt::Result {
    let reason = if breaker.reason.is_empty() {
        String::new()
    } else {
        format!(": {}", escape(&breaker.reason))
    };
    writeln!(out, "{} since {}{reason}", breaker_word(breaker), ago(breaker.since_ms, now))?;
    writeln!(out, "  to do: {}", address.remedy(breaker))
}

fn write_run(out: &mut String, run: &Report, now: Millis) -> fmt::Result {
    let begun = time_text(run.started_ms);
    let state = escape(&run.state);
    match run.ended_ms {
        None => writeln!(out, "run {}: {state}, begun {}", run.id, ago(run.started_ms, now))?,
        Some(ended_ms) => writeln!(
            out,
            "run {}: {state}, begun {begun}, ended {}, took {}",
            run.id,
            ago(ended_ms, now),
            duration_text(ended_ms.saturating_sub(run.started_ms)),
        )?,
    }
    write_row(out, "listed", run.listed)?;
    for (name, count) in run.outcomes() {
        write_row(out, &escape(name), count)?;
    }
    if run.unsettled != Count::default() {
        write_row(out, "unsettled", run.unsettled)?;
    }
    for (name, objects) in &run.losses {
        writeln!(out, "not carried over: {} ({} objects)", escape(name), count_text(*objects))?;
    }
    writeln!(out, "{}", verdict(run))
}

fn write_row(out: &mut String, name: &str, count: Count) -> fmt::Result {
    let (objects, bytes) = (count_text(count.objects), size_text(count.bytes));
    writeln!(out, "  {name:<10} {objects:>15} objects {bytes:>12}")
}

fn verdict(run: &Report) -> String {
    if run.is_open() {
        return format!(
            "{} of {} objects that were listed so far have an outcome ({}%)",
            count_text(run.settled().objects),
            count_text(run.listed.objects),
            percent(run.settled().objects, run.listed.objects),
        );
    }
    let failed = match run.failed() {
        0 => String::new(),
        1 => "1 object failed; ".to_owned(),
        failed => format!("{} objects failed; ", count_text(failed)),
    };
    let balance = if run.balanced {
        "every listed object is accounted for"
    } else {
        "the account does not balance"
    };
    format!("{failed}{balance}")
}

/// Rounded down: 100 says that nothing is left.
fn percent(of: u64, whole: u64) -> u128 {
    if whole == 0 { 0 } else { u128::from(of) * 100 / u128::from(whole) }
}

fn write_queues(out: &mut String, queues: &[QueueDepth]) -> fmt::Result {
    writeln!(out, "\n{:<20} {:>12} {:>12}", "queue", "waiting", "in flight")?;
    for queue in queues.iter().filter(|queue| queue.dead_letters_of().is_none()) {
        let (waiting, in_flight) = (count_text(queue.waiting), count_text(queue.in_flight));
        writeln!(out, "  {:<18} {waiting:>12} {in_flight:>12}", escape(&queue.name))?;
    }
    Ok(())
}

fn write_fleet(out: &mut String, fleet: Option<&Fleet>, now: Millis) -> fmt::Result {
    match fleet.map(|fleet| &fleet.last) {
        Some(Some(last)) => {
            writeln!(out, "fleet: {} was seen last, {}", escape(&last.by), ago(last.seen_ms, now))
        }
        Some(None) => writeln!(out, "fleet: nobody has shown himself yet"),
        None => Ok(()),
    }
}

fn write_dead_letters(out: &mut String, queues: &[QueueDepth], address: &Address) -> fmt::Result {
    let dead = || queues.iter().filter_map(|queue| Some((queue.dead_letters_of()?, queue)));
    if dead().all(|(_, queue)| queue.waiting == 0 && queue.in_flight == 0) {
        return writeln!(out, "no dead letters");
    }
    writeln!(out, "{:<20} {:>12} {:>12}", "dead letters", "waiting", "in flight")?;
    for (name, queue) in dead() {
        let (waiting, in_flight) = (count_text(queue.waiting), count_text(queue.in_flight));
        writeln!(out, "  {:<18} {waiting:>12} {in_flight:>12}", escape(name))?;
    }
    let retry = address.command("retry");
    writeln!(out, "  to do: when the cause is gone, put them back with: {retry}")
}

fn write_failures(out: &mut String, failures: &[FailedObject], more: bool) -> fmt::Result {
    if failures.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nfailed objects")?;
    for failed in failures {
        let reason = failed.reason.as_deref().unwrap_or("no reason was recorded");
        let (key, size) = (escape(&failed.key), size_text(failed.size));
        writeln!(out, "  {key} ({size}): {}", escape(reason))?;
    }
    if more {
        writeln!(out, "  and more")?;
    }
    Ok(())
}

fn run_ended_text(status: &Status, run: &Report, now: Millis) -> String {
    let transfer = &status.transfer;
    let (source, destination) = (escape(&transfer.source), escape(&transfer.destination));
    let mut out = format!("{source} → {destination}\n");
    // Writing to a string cannot fail.
    write_run(&mut out, run, now).unwrap_or_default();
    write_failures(&mut out, &status.failures, status.failures_more).unwrap_or_default();
    out
}

fn progress_line(run: &Report, now: Millis) -> String {
    let settled = run.settled();
    format!(
        "run {}: {}, {} of {} objects and {} of {} settled, {} failed, {} elapsed",
        run.id,
        escape(&run.state),
        count_text(settled.objects),
        count_text(run.listed.objects),
        size_text(settled.bytes),
        size_text(run.listed.bytes),
        count_text(run.failed()),
        duration_text(now.0.saturating_sub(run.started_ms)),
    )
}

fn redriven_text(redriven: &Redriven) -> String {
    if redriven.messages() == 0 {
        return "there were no dead letters to put back\n".to_owned();
    }
    let mut out = "put back into the queues:\n".to_owned();
    for (queue, messages) in redriven.0.iter().filter(|(_, messages)| **messages > 0) {
        // Writing to a string cannot fail.
        writeln!(out, "  {:<18} {:>12}", escape(queue), count_text(*messages)).unwrap_or_default();
    }
    out
}

/// A time, and how long ago it was.
fn ago(ms: u64, now: Millis) -> String {
    format!("{} ({} ago)", time_text(ms), duration_text(now.0.saturating_sub(ms)))
}

/// `2026-11-26 12:00:00 UTC`.
fn time_text(ms: u64) -> String {
    let format = format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");
    i64::try_from(ms / 1_000)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .and_then(|time| time.format(format).ok())
        .unwrap_or_else(|| format!("{ms} ms after 1970"))
}

#[cfg(test)]
mod tests;
