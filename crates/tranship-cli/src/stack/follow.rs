//! Follows a run of a stack from look to look, until it ends or cannot go on.

use tranship_core::ports::Clock as _;

use super::Stack;
use super::answers::{Breaker, Report, Status};
use super::client::Question;
use crate::exit::{Exit, Failure};

/// What a look at the stack says of the run that is followed.
#[derive(Debug, PartialEq, Eq)]
enum Look<'a> {
    GoesOn(&'a Report),
    Ended(&'a Report),
    /// It goes on only when the stack does.
    Halted(&'a Breaker),
    /// Another run is the last one now.
    Followed(&'a Report),
    Lost,
}

fn look(status: &Status, id: u64) -> Look<'_> {
    match (&status.run, &status.breaker) {
        (Some(run), _) if run.id == id && !run.is_open() => Look::Ended(run),
        (Some(run), _) if run.id > id => Look::Followed(run),
        (Some(run), None) if run.id == id => Look::GoesOn(run),
        (Some(run), Some(breaker)) if run.id == id => Look::Halted(breaker),
        _ => Look::Lost,
    }
}

pub(super) async fn follow(stack: &Stack<'_>, id: u64, every_ms: u64) -> Result<Exit, Failure> {
    loop {
        let answer = stack.ask_patiently(&Question::Status, every_ms).await?;
        let status: Status = answer.read()?;
        stack.reporter.answer(answer.text());
        match look(&status, id) {
            Look::GoesOn(run) => stack.reporter.run_progress(run, stack.clock.now()),
            Look::Ended(run) => {
                stack.reporter.stack_run_ended(&status, run, stack.clock.now());
                return Ok(run.exit());
            }
            Look::Halted(breaker) => return Err(halted(stack, id, breaker)),
            Look::Followed(run) => {
                let what = format!(
                    "run {id} has ended and run {} has begun since, so its account is not at hand",
                    run.id
                );
                let remedy = "read the report of the run in the stack's bucket, under reports/";
                return Err(Failure::new(Exit::Other, what, remedy));
            }
            Look::Lost => {
                let what = format!("the stack does not know run {id} any more");
                let remedy = format!("begin another: {}", stack.address.command("run"));
                return Err(Failure::new(Exit::Other, what, remedy));
            }
        }
        stack.clock.sleep(every_ms).await;
    }
}

fn halted(stack: &Stack<'_>, id: u64, breaker: &Breaker) -> Failure {
    let state = if breaker.is_paused() { "paused" } else { "halted" };
    let what = format!("run {id} stays open: the stack is {state}: {}", breaker.reason);
    Failure::new(Exit::Halted, what, stack.address.remedy(breaker))
}

#[cfg(test)]
mod tests {
    use super::super::answers::TransferPlace;
    use super::*;

    fn status(run: Option<(u64, bool)>, halted: bool) -> Status {
        Status {
            stack: "photos".to_owned(),
            version: "0.1.0".to_owned(),
            transfer: TransferPlace {
                id: String::new(),
                source: String::new(),
                destination: String::new(),
            },
            breaker: halted.then(|| Breaker {
                state: "open".to_owned(),
                reason: String::new(),
                since_ms: 1,
            }),
            run: run.map(|(id, ended)| Report {
                id,
                ended_ms: ended.then_some(1),
                ..Report::default()
            }),
            queues: Vec::new(),
            fleet: None,
            failures: Vec::new(),
            failures_more: false,
        }
    }

    #[test]
    fn a_run_is_followed_by_its_number() {
        let name = |run, halted| match look(&status(run, halted), 7) {
            Look::GoesOn(_) => "goes on",
            Look::Ended(_) => "ended",
            Look::Halted(_) => "halted",
            Look::Followed(_) => "followed",
            Look::Lost => "lost",
        };
        for (run, halted, wanted) in [
            (Some((7, false)), false, "goes on"),
            (Some((7, false)), true, "halted"),
            (Some((7, true)), false, "ended"),
            (Some((7, true)), true, "ended"),
            (Some((8, false)), false, "followed"),
            (Some((8, true)), true, "followed"),
            (Some((6, true)), false, "lost"),
            (None, false, "lost"),
            (None, true, "lost"),
        ] {
            assert_eq!(name(run, halted), wanted, "{run:?} {halted}");
        }
    }

    #[test]
    fn the_account_chooses_the_exit_code() {
        let run = |state: &str, balanced, failed| {
            let mut run = Report { state: state.to_owned(), balanced, ..Report::default() };
            let count = tranship_core::outcome::Count { objects: failed, bytes: 0 };
            run.outcomes.insert("failed".to_owned(), count);
            run.exit()
        };
        assert_eq!(run("complete", true, 0), Exit::Success);
        assert_eq!(run("complete", true, 1), Exit::Failed);
        assert_eq!(run("complete", false, 0), Exit::Failed);
        assert_eq!(run("incomplete", true, 0), Exit::Failed);
        assert_eq!(run("failed", true, 0), Exit::Failed);
    }
}
