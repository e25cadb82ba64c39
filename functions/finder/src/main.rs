//! The function on a schedule: begins runs, lists, sweeps, and answers the command.

mod command;
mod handler;
mod report;
mod runs;
mod scans;
mod sweep;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::disallowed_methods, reason = "the environment is read here, once, into settings")]
async fn main() -> Result<(), lambda_runtime::Error> {
    tranship_stack::start::run(|name| std::env::var(name).ok(), handler::handle).await
}
