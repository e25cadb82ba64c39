//! Asks a stack for what its answer to `status` does not have of a run: the accounts by prefix, part
//! after part, and with the last of them how it went over time. The sums have a bounded number of
//! prefixes, whatever the run has.

use std::fmt::Write as _;

use tranship_core::breakdown::Breakdown;

use super::Stack;
use super::answers::{Moment, Part};
use super::client::Question;
use crate::exit::{Exit, Failure};
use crate::report::stack::Details;
use crate::timeline::Reading;

/// Before a part that could not be had is asked for again.
const PAUSE_MS: u64 = 1_000;

pub(super) async fn gather(stack: &Stack<'_>, run: u64) -> Result<Details, Failure> {
    let mut breakdown = Breakdown::default();
    let mut after: Option<String> = None;
    loop {
        let question = Question::Report { run, after: after.clone() };
        let answer = match stack.ask_patiently(&question, PAUSE_MS).await {
            Ok(answer) => answer,
            Err(refusal) if refusal.is_bad_input => {
                let text = "The stack is of an older version, which does not tell them: deploy it again, and the next run has them.";
                return Ok(Details::Missing(text.to_owned()));
            }
            Err(refusal) => return Err(refusal.into()),
        };
        let part: Part = answer.read()?;
        if part.run != Some(run) {
            return Ok(Details::Missing(changed(run, part.run)));
        }
        breakdown.add(&part.stretch);
        match part.stretch.through {
            None => {
                let timeline = part.timeline.map(|moments| moments.iter().map(reading).collect());
                return Ok(Details::Known { breakdown, timeline });
            }
            Some(through) if Some(&through) > after.as_ref() => after = Some(through),
            // It would be asked for ever.
            Some(_) => return Err(stands_still(run)),
        }
    }
}

fn reading(moment: &Moment) -> (u64, Reading) {
    let Moment { at_ms, bytes_copied, settled_objects, failed_deliveries } = *moment;
    let failed_deliveries = Some(failed_deliveries);
    (at_ms, Reading { bytes_copied, settled_objects, failed_deliveries, ..Reading::default() })
}

fn changed(run: u64, last: Option<u64>) -> String {
    let mut text = format!("Run {run} is no longer the last one");
    if let Some(last) = last {
        // Writing to a string cannot fail.
        write!(text, ": run {last} has begun while its accounts were read").unwrap_or_default();
    }
    text.push_str(". A stack forgets these rows of a run when the next one begins.");
    text
}

fn stands_still(run: u64) -> Failure {
    let what =
        format!("the stack tells the same part of the accounts of run {run} again and again");
    Failure::new(Exit::Other, what, "use the command of the stack's version")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_not_the_last_one_is_named_with_the_one_that_is() {
        let text = changed(7, Some(8));
        assert!(text.contains("Run 7") && text.contains("run 8 has begun"), "{text}");
        assert!(changed(7, None).starts_with("Run 7 is no longer the last one. "));
    }
}
