//! The worker's package as a process that polls by itself: what an instance of the fleet runs.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::stack::Stack;
use super::{ACCOUNT, REGION};

/// A loaded machine may need long for what takes a second by itself.
const WAIT_MAX: Duration = Duration::from_mins(2);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// One process, and what it says.
#[derive(Debug)]
pub struct Poller {
    child: Child,
    name: String,
    port: u16,
    folder: tempfile::TempDir,
    /// What runs a command where the process runs.
    place: Vec<String>,
}

impl Poller {
    /// Starts a process with the function's own settings, and `more`.
    pub async fn start(stack: &Stack, name: &str, more: &[(&str, &str)]) -> Self {
        Self::start_in(stack, name, &[], more).await
    }

    /// Starts it by a command that runs it elsewhere, such as in a namespace of the network.
    pub async fn start_in(
        stack: &Stack,
        name: &str,
        place: &[&str],
        more: &[(&str, &str)],
    ) -> Self {
        let settings = stack.settings("worker").await;
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let place: Vec<_> = place.iter().map(|word| (*word).to_owned()).collect();
        let mut words = place.clone();
        words.push(binary(stack).display().to_string());
        let (program, arguments) = words.split_first().unwrap();
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .envs(settings)
            .env("AWS_ENDPOINT_URL", stack.cloud.proxy.endpoint())
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", ACCOUNT)
            .env("AWS_SECRET_ACCESS_KEY", "none")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("TRANSHIP_FLEET_INSTANCE", name)
            .env("TRANSHIP_FLEET_HEALTH", format!("127.0.0.1:{}", port.port()))
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stdout(File::create(folder.path().join("out")).unwrap())
            .stderr(File::create(folder.path().join("err")).unwrap());
        let child = command.spawn().unwrap();
        Self { child, name: name.to_owned(), port: port.port(), folder, place }
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        let read = |name| std::fs::read_to_string(self.folder.path().join(name)).unwrap();
        format!("{}{}", read("out"), read("err"))
    }

    /// Its health endpoint's answer; `None` if there is none.
    pub fn health(&self) -> Option<(u16, Value)> {
        let url = format!("http://127.0.0.1:{}/health", self.port);
        let mut words = self.place.clone();
        words.extend(["curl", "-s", "-m", "5", "-w", "\n%{http_code}", &url].map(str::to_owned));
        let output = Command::new(&words[0]).args(&words[1..]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = text.trim().rsplit_once('\n')?;
        Some((status.parse().ok()?, serde_json::from_str(body).ok()?))
    }

    /// Looks at its health until there is something.
    pub async fn until<T>(&self, what: &str, look: impl Fn(u16, &Value) -> Option<T>) -> T {
        let began = Instant::now();
        while began.elapsed() < WAIT_MAX {
            if let Some((status, body)) = self.health()
                && let Some(found) = look(status, &body)
            {
                return found;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        panic!("{}: never: {what}\n{:?}\n{}", self.name, self.health(), self.log());
    }

    pub fn signal(&self, signal: &str) {
        let status =
            Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status();
        assert!(status.unwrap().success(), "kill -s {signal}");
    }

    /// Waits for its end; gives the exit code, `None` after a signal.
    pub async fn ended(&mut self) -> Option<i32> {
        let began = Instant::now();
        while began.elapsed() < WAIT_MAX {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        panic!("{} does not end:\n{}", self.name, self.log());
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

#[expect(clippy::print_stderr, reason = "what a failed test has to show")]
impl Drop for Poller {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("{} said:\n{}", self.name, self.log());
        }
    }
}

/// The function's own binary, as the deployment's package has it.
fn binary(stack: &Stack) -> PathBuf {
    stack.cloud.build.template().parent().unwrap().join("WorkerFunction/bootstrap")
}
