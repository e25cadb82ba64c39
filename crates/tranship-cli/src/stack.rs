//! A deployed stack, as the commands see it: its finder is asked, and answers in JSON.
//!
//! Nothing here decides about objects, and nothing is read or changed past the function: whoever may
//! invoke it may do all of this, and needs no other permission.

mod address;
pub mod answers;
mod client;
mod details;
mod follow;
mod refusal;

pub use address::Address;

use std::io::{self, IsTerminal};
use std::path::Path;

use tranship_adapters::clock::SystemClock;
use tranship_core::ports::Clock;

use crate::args::{RunArgs, StackArgs, StatusArgs};
use crate::display::Reporter;
use crate::exit::{Exit, Failure};
use crate::report::stack as report;
use answers::{BreakerAnswer, Redriven, RetryAnswer, RunAnswer, SettingsAnswer, Status};
use client::{Answer, Client, Question};
use refusal::Refusal;

/// Times in a row that the stack may fail to answer by something that passes: with the client's own
/// attempts these are minutes.
const FAILED_ASKS_MAX: u32 = 5;
/// Rounds of `retry` that put nothing back before it gives up.
const IDLE_ROUNDS_MAX: u32 = 3;

/// What the stack is to do.
#[derive(Debug, Clone)]
pub enum Order {
    Status(StatusArgs),
    Run(RunArgs),
    Retry(StackArgs),
    Pause(StackArgs),
    Resume(StackArgs),
}

impl Order {
    pub fn args(&self) -> &StackArgs {
        match self {
            Self::Status(args) => &args.stack,
            Self::Run(args) => &args.stack,
            Self::Retry(args) | Self::Pause(args) | Self::Resume(args) => args,
        }
    }
}

/// Asks the stack for it, and shows what it answers.
pub async fn obey(order: Order, address: Address, reporter: &Reporter) -> Result<Exit, Failure> {
    let stack = Stack {
        client: Box::pin(Client::connect(&address)).await?,
        address,
        reporter,
        clock: SystemClock::new(),
    };
    match order {
        Order::Status(args) => stack.status(&args).await,
        Order::Run(args) => stack.run(&args).await,
        Order::Retry(_) => stack.retry().await,
        Order::Pause(_) => stack.set(Question::Pause).await,
        Order::Resume(_) => stack.set(Question::Resume).await,
    }
}

/// What a stack is set to, as a configuration file has it, and what of it no option says.
pub async fn settings(address: &Address) -> Result<(String, Vec<String>), Failure> {
    let client = Box::pin(Client::connect(address)).await?;
    let answer: SettingsAnswer = client.ask(Question::Settings).await?.read()?;
    let text = toml::to_string(&answer.options).map_err(|error| {
        let what = format!("the settings of the stack {} cannot be used: {error}", address.stack());
        Failure::new(Exit::Other, what, "use the command of the stack's version")
    })?;
    Ok((text, answer.left_out))
}

struct Stack<'a> {
    client: Client,
    address: Address,
    reporter: &'a Reporter,
    clock: SystemClock,
}

impl Stack<'_> {
    /// Asks, and again after a pause what fails by something that passes.
    async fn ask_patiently(&self, question: &Question, pause_ms: u64) -> Result<Answer, Refusal> {
        let mut failed = 0;
        loop {
            match self.client.ask(question.clone()).await {
                Err(refusal) if refusal.may_pass && failed + 1 < FAILED_ASKS_MAX => {
                    failed += 1;
                    self.reporter.warning(&format!("{}; asking again", refusal.failure.what));
                    self.clock.sleep(pause_ms).await;
                }
                answer => return answer,
            }
        }
    }

    async fn status(&self, args: &StatusArgs) -> Result<Exit, Failure> {
        let redraws = args.watch && io::stdout().is_terminal();
        loop {
            let answer = self.client.ask(Question::Status).await?;
            let status: Status = answer.read()?;
            self.reporter.answer(answer.text());
            self.reporter.stack_status(&status, &self.address, self.clock.now(), redraws);
            if let Some(folder) = &args.report {
                self.publish(folder, &answer, &status).await?;
            }
            if !args.watch {
                return Ok(Exit::Success);
            }
            self.clock.sleep(args.every * 1_000).await;
        }
    }

    async fn run(&self, args: &RunArgs) -> Result<Exit, Failure> {
        let answer = self.client.ask(Question::Run).await?;
        let ran: RunAnswer = answer.read()?;
        self.reporter.answer(answer.text());
        let open = ran.run.as_ref().filter(|run| run.is_open());
        if ran.begun {
            self.reporter.run_begun(ran.run.as_ref(), &self.address);
        } else if args.wait && open.is_some() {
            let why = ran.why.as_deref().unwrap_or("a run is open");
            self.reporter.note(&format!("no run was begun: {why}; the open one is followed"));
        } else {
            let why = ran.why.as_deref().unwrap_or("the stack does not say why");
            return Err(self.not_begun(why).await);
        }
        match ran.run {
            Some(run) if args.wait => {
                let exit = follow::follow(self, run.id, args.every * 1_000).await?;
                self.report(args.report.as_deref()).await?;
                Ok(exit)
            }
            None if args.wait => Err(Failure::new(
                Exit::Other,
                "the stack does not say which run it began, so it cannot be followed",
                format!("{} shows how it goes on", self.address.command("status")),
            )),
            _ => Ok(Exit::Success),
        }
    }

    /// Writes the report of the last run, if a folder is named for it.
    async fn report(&self, folder: Option<&str>) -> Result<(), Failure> {
        let Some(folder) = folder else { return Ok(()) };
        let answer = self.client.ask(Question::Status).await?;
        self.publish(folder, &answer, &answer.read()?).await
    }

    async fn publish(&self, folder: &str, answer: &Answer, status: &Status) -> Result<(), Failure> {
        let details = match &status.run {
            Some(run) => Some(details::gather(self, run.id).await?),
            None => None,
        };
        if let Some(report::Details::Missing(why)) = &details {
            let what = "the report has no accounts by prefix, and nothing over time";
            self.reporter.warning(&format!("{what}. {why}"));
        }
        let folder = report::publish(Path::new(folder), answer.text(), status, details.as_ref())?;
        self.reporter.note(&format!("the report is in {}", folder.display()));
        Ok(())
    }

    /// Why there is no new run. A stack that stands still says so by the exit code too.
    async fn not_begun(&self, why: &str) -> Failure {
        let status = match self.client.ask(Question::Status).await {
            Ok(answer) => answer.read::<Status>().ok(),
            Err(_) => None,
        };
        let what = format!("no run was begun: {why}");
        match status.and_then(|status| status.breaker) {
            Some(breaker) => Failure::new(Exit::Halted, what, self.address.remedy(&breaker)),
            None => Failure::new(
                Exit::Other,
                what,
                format!("{} shows what the stack does", self.address.command("status")),
            ),
        }
    }

    /// The function stops when its time is over, and is asked again for what is left.
    async fn retry(&self) -> Result<Exit, Failure> {
        let mut sum = Redriven::default();
        let mut idle_rounds = 0;
        loop {
            let answer = self.client.ask(Question::Retry).await?;
            let retried: RetryAnswer = answer.read()?;
            self.reporter.answer(answer.text());
            sum.add(&retried.redriven);
            if !retried.left {
                self.reporter.redriven(&sum);
                return Ok(Exit::Success);
            }
            idle_rounds = if retried.redriven.messages() == 0 { idle_rounds + 1 } else { 0 };
            if idle_rounds == IDLE_ROUNDS_MAX {
                self.reporter.redriven(&sum);
                return Err(Failure::new(
                    Exit::Other,
                    format!(
                        "the stack says {IDLE_ROUNDS_MAX} times that messages are left, and puts none back"
                    ),
                    format!(
                        "give the command again later; /aws/lambda/{} has the function's log",
                        self.address.function()
                    ),
                ));
            }
        }
    }

    async fn set(&self, question: Question) -> Result<Exit, Failure> {
        let answer = self.client.ask(question).await?;
        let set: BreakerAnswer = answer.read()?;
        self.reporter.answer(answer.text());
        self.reporter.breaker(set.breaker.as_ref(), &self.address, self.clock.now());
        Ok(Exit::Success)
    }
}
