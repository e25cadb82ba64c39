//! The worker: as the function behind the transfer queue, and as a process that polls by itself.
//!
//! The package is the same. What tells them apart is the address that Lambda gives to its runtimes.

mod fleet;
mod handler;
mod task;
mod tell;

use std::process::ExitCode;

use tokio::runtime::Builder;

#[expect(clippy::disallowed_methods, reason = "the environment is read here, once, into settings")]
fn main() -> ExitCode {
    let variable = |name: &str| std::env::var(name).ok();
    let is_function = variable("AWS_LAMBDA_RUNTIME_API").is_some();
    let mut runtime =
        if is_function { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tranship_stack::log::begin(tracing::Level::INFO);
            tracing::error!(%error, "no runtime can be made: check the limits of this process");
            return ExitCode::FAILURE;
        }
    };
    if !is_function {
        return runtime.block_on(fleet::run(variable));
    }
    match runtime.block_on(tranship_stack::start::run(variable, handler::handle)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the function's runtime has ended");
            ExitCode::FAILURE
        }
    }
}
