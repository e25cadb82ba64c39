//! Asks a stack for a run's accounts by prefix, part after part, and adds the parts up. The sums have a
//! bounded number of prefixes, whatever the run has.

use std::fmt::Write as _;

use tranship_core::breakdown::Breakdown;

use super::Stack;
use super::answers::PrefixPart;
use super::client::Question;
use crate::exit::{Exit, Failure};
use crate::report::stack::ByPrefix;

/// Before a part that could not be had is asked for again.
const PAUSE_MS: u64 = 1_000;

pub(super) async fn gather(stack: &Stack<'_>, run: u64) -> Result<ByPrefix, Failure> {
    let mut breakdown = Breakdown::default();
    let mut after: Option<String> = None;
    loop {
        let question = Question::Report { run, after: after.clone() };
        let answer = match stack.ask_patiently(&question, PAUSE_MS).await {
            Ok(answer) => answer,
            Err(refusal) if refusal.is_bad_input => {
                let text = "The stack is of an older version, which does not tell its accounts by prefix: deploy it again, and the next run has them.";
                return Ok(ByPrefix::Missing(text.to_owned()));
            }
            Err(refusal) => return Err(refusal.into()),
        };
        let part: PrefixPart = answer.read()?;
        if part.run != Some(run) {
            return Ok(ByPrefix::Missing(changed(run, part.run)));
        }
        breakdown.add(&part.stretch);
        match part.stretch.through {
            None => return Ok(ByPrefix::Known(breakdown)),
            Some(through) if Some(&through) > after.as_ref() => after = Some(through),
            // It would be asked for ever.
            Some(_) => return Err(stands_still(run)),
        }
    }
}

fn changed(run: u64, last: Option<u64>) -> String {
    let mut text = format!("Run {run} is no longer the last one");
    if let Some(last) = last {
        // Writing to a string cannot fail.
        write!(text, ": run {last} has begun while its accounts were read").unwrap_or_default();
    }
    text.push_str(". A stack forgets a run's accounts by prefix when the next one begins.");
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
