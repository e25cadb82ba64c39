//! The `tranship` command, without its process: arguments and environment in, an exit code out.
//!
//! [`args`] is what can be written on the command line; [`settings`] merges it with the environment
//! and the configuration file into plain data and refuses what cannot be right; [`embedded`] and
//! [`demo`] do the work; [`stack`] asks a deployed stack to do it; [`display`] is everything that a
//! person or a log sees of it; [`plan`] is what a dry run has to say.

pub mod args;
pub mod demo;
pub mod display;
pub mod doctor;
pub mod driver;
pub mod embedded;
pub mod engine;
pub mod exit;
mod failure_list;
pub mod interrupt;
pub mod keys_file;
pub mod ledger_path;
mod page;
pub mod plan;
mod report;
pub mod resume;
pub mod settings;
pub mod stack;
mod standstill;
mod timeline;
pub mod usage;
pub mod verify;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser};

use crate::args::{
    Cli, Command, CopyArgs, DemoArgs, DoctorArgs, FromStackArgs, PlanArgs, VerifyArgs,
};
use crate::display::{Display, Reporter};
use crate::exit::{Exit, Failure};
use crate::interrupt::Stop;
use crate::settings::{ConfigFile, CopySettings, Verbosity, VerifySettings};
use crate::stack::{Address, Order};
use crate::usage::UsageError;

/// Runs the command. `args` begins with the name of the program.
pub async fn run(args: Vec<OsString>, env: BTreeMap<String, String>) -> Exit {
    let resume = resume::command_line(&args);
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => return of_clap(&error),
    };
    match cli.command {
        Command::Copy(args) => Box::pin(copy(&args, &env, resume)).await,
        Command::Plan(args) => Box::pin(plan(*args, &env, resume)).await,
        Command::Verify(args) => Box::pin(verify(&args, &env, resume)).await,
        Command::Doctor(args) => Box::pin(doctor(&args, &env, resume)).await,
        Command::Demo(args) => Box::pin(demo(args, resume)).await,
        Command::Status(args) => Box::pin(of_stack(Order::Status(args))).await,
        Command::Run(args) => Box::pin(of_stack(Order::Run(args))).await,
        Command::Retry(args) => Box::pin(of_stack(Order::Retry(args))).await,
        Command::Pause(args) => Box::pin(of_stack(Order::Pause(args))).await,
        Command::Resume(args) => Box::pin(of_stack(Order::Resume(args))).await,
        Command::Completions { shell } => completions(shell),
    }
}

/// What to say when the process cannot even start its threads.
pub fn no_runtime(error: &io::Error) -> Exit {
    complain(&format!("the runtime cannot start: {error}"));
    Exit::Other
}

async fn copy(args: &CopyArgs, env: &BTreeMap<String, String>, resume: String) -> Exit {
    match read_settings(args, env) {
        Ok(settings) => Box::pin(copy_with(settings, resume)).await,
        Err(error) => misused(&error),
    }
}

async fn plan(mut args: PlanArgs, env: &BTreeMap<String, String>, resume: String) -> Exit {
    args.copy.state.dry_run = Some(true);
    let resolve = |files: &[ConfigFile]| CopySettings::resolve(&args.copy, env, files);
    match settings_from(&args.from, &args.copy, env, resolve).await {
        Ok(settings) => Box::pin(copy_with(settings, resume)).await,
        Err(exit) => exit,
    }
}

async fn copy_with(settings: CopySettings, resume: String) -> Exit {
    let reporter =
        Reporter::new(Display::choose(settings.verbosity, io::stderr().is_terminal()), resume);
    let (stop, switch) = Stop::with_switch();
    let result = tokio::select! {
        result = embedded::copy(settings, reporter.clone(), stop) => result,
        () = switch.on_signals(&reporter) => Ok(Exit::Interrupted),
    };
    finish(&reporter, result)
}

async fn verify(args: &VerifyArgs, env: &BTreeMap<String, String>, resume: String) -> Exit {
    let resolve = |files: &[ConfigFile]| VerifySettings::resolve(args, env, files);
    let settings = match settings_from(&args.sides.from, &args.as_copy(), env, resolve).await {
        Ok(settings) => settings,
        Err(exit) => return exit,
    };
    let display = Display::choose(settings.verbosity, io::stderr().is_terminal());
    let reporter = Reporter::new(display, resume);
    let result = tokio::select! {
        result = verify::verify(settings, reporter.clone()) => result,
        () = interrupt::first_signal() => {
            reporter.verification_left();
            Ok(Exit::Interrupted)
        }
    };
    finish(&reporter, result)
}

async fn doctor(args: &DoctorArgs, env: &BTreeMap<String, String>, resume: String) -> Exit {
    let as_verify = args.as_verify();
    let resolve = |files: &[ConfigFile]| VerifySettings::resolve(&as_verify, env, files);
    let settings = match settings_from(&args.sides.from, &as_verify.as_copy(), env, resolve).await {
        Ok(settings) => settings,
        Err(exit) => return exit,
    };
    let display = Display::choose(settings.verbosity, io::stderr().is_terminal());
    let reporter = Reporter::new(display, resume);
    if args.print_policy {
        reporter.print_json(&doctor::policies(&settings));
        return Exit::Success;
    }
    // Stopped at once, and between any two calls: what a probe left is named by its prefix.
    let result = tokio::select! {
        result = doctor::doctor(&settings, args, &reporter) => result,
        () = interrupt::first_signal() => Ok(Exit::Interrupted),
    };
    finish(&reporter, result)
}

async fn demo(args: DemoArgs, resume: String) -> Exit {
    let verbosity = if args.json { Verbosity::Json } else { Verbosity::Normal };
    let reporter = Reporter::new(Display::choose(verbosity, io::stderr().is_terminal()), resume);
    let (stop, switch) = Stop::with_switch();
    let result = tokio::select! {
        result = demo::demo(args, reporter.clone(), stop) => result,
        () = switch.on_signals(&reporter) => Ok(Exit::Interrupted),
    };
    finish(&reporter, result)
}

async fn of_stack(order: Order) -> Exit {
    let address = match Address::of(order.args()) {
        Ok(address) => address,
        Err(error) => return misused(&error),
    };
    let verbosity = if order.args().json { Verbosity::Json } else { Verbosity::Normal };
    let display = Display::choose(verbosity, io::stderr().is_terminal());
    let reporter = Reporter::new(display, address.command("status"));
    let result = tokio::select! {
        result = stack::obey(order, address.clone(), &reporter) => result,
        () = interrupt::first_signal() => {
            reporter.stack_left(&address);
            Ok(Exit::Interrupted)
        }
    };
    reporter.close();
    result.unwrap_or_else(|failure| {
        reporter.command_failed(&failure);
        failure.exit
    })
}

fn finish(reporter: &Reporter, result: Result<Exit, Failure>) -> Exit {
    reporter.close();
    result.unwrap_or_else(|failure| {
        reporter.run_failed(&failure);
        failure.exit
    })
}

/// Reads the configuration files that are named, and resolves everything. Writes nothing.
pub fn read_settings(
    args: &CopyArgs,
    env: &BTreeMap<String, String>,
) -> Result<CopySettings, UsageError> {
    with_config(args, env, None, |files| CopySettings::resolve(args, env, files))
}

/// Resolves something with the settings of the stack that is named, or as a copy does. What is wrong was
/// said when it fails.
async fn settings_from<T>(
    from: &FromStackArgs,
    args: &CopyArgs,
    env: &BTreeMap<String, String>,
    resolve: impl FnOnce(&[ConfigFile]) -> Result<T, UsageError>,
) -> Result<T, Exit> {
    let of_stack = of_stack_settings(from).await?;
    with_config(args, env, of_stack, resolve).map_err(|error| misused(&error))
}

fn misused(error: &UsageError) -> Exit {
    complain(&error.to_string());
    Exit::Usage
}

/// The settings of a deployed stack, as the text of a configuration file; `None` if none is named.
async fn of_stack_settings(from: &FromStackArgs) -> Result<Option<String>, Exit> {
    let Some(asked) = from.asked() else { return Ok(None) };
    let address = Address::of(&asked).map_err(|error| misused(&error))?;
    let (text, left_out) = Box::pin(stack::settings(&address)).await.map_err(|failure| {
        complain(&format!("{}\n  to do: {}", failure.what, failure.remedy));
        failure.exit
    })?;
    for what in left_out {
        writeln!(io::stderr().lock(), "not taken over from the stack: {what}").ok();
    }
    Ok(Some(text))
}

/// Resolves something with the settings of a stack, with the configuration files that are named, or
/// without any.
fn with_config<T>(
    args: &CopyArgs,
    env: &BTreeMap<String, String>,
    of_stack: Option<String>,
    resolve: impl FnOnce(&[ConfigFile]) -> Result<T, UsageError>,
) -> Result<T, UsageError> {
    if let Some(text) = of_stack {
        return resolve(&[ConfigFile { path: PathBuf::from("the stack's settings"), text }]);
    }
    let (paths, place) = settings::config_paths(args, env);
    let read = |path: PathBuf| match read_config(&path) {
        Ok(text) => Ok(ConfigFile { path, text }),
        Err(what) => {
            let path = usage::quoted(&path.to_string_lossy());
            let what = format!("the configuration file {path} {what}");
            let remedy = "name a readable TOML file, or leave the option away";
            Err(UsageError::new(what, place.clone(), remedy))
        }
    };
    let files: Vec<_> = paths.into_iter().map(read).collect::<Result<_, _>>()?;
    resolve(&files)
}

fn read_config(path: &Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
        let line = 1 + good.filter(|byte| **byte == b'\n').count();
        format!("is not UTF-8 in line {line}")
    })
}

fn completions(shell: clap_complete::Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tranship", &mut script);
    match io::stdout().lock().write_all(&script) {
        Ok(()) => Exit::Success,
        // A reader who closed the pipe has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Success,
        Err(error) => {
            complain(&format!("the completions cannot be written: {error}"));
            Exit::Other
        }
    }
}

/// `--help` and `--version` are no errors, whatever clap calls them.
fn of_clap(error: &clap::Error) -> Exit {
    // A reader who closed the pipe has seen enough.
    error.print().ok();
    if error.use_stderr() { Exit::Usage } else { Exit::Success }
}

fn complain(message: &str) {
    writeln!(io::stderr().lock(), "error: {message}").ok();
}
