//! The `tranship` command: the one place that reads arguments and the environment.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        })
        .collect();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return tranship_cli::no_runtime(&error).into(),
    };
    let exit = runtime.block_on(tranship_cli::run(args, env));
    // A second Ctrl-C means now: threads that still wait for a disk or a name server are left behind.
    runtime.shutdown_background();
    exit.into()
}
