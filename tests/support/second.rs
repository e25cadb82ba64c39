//! A second server, of another hand: a child process, for as long as the value lives.
//!
//! The strict server and the adapters were written by the same people from the same reading of the
//! manuals. What this server says is evidence that does not come from us. It listens on loopback only,
//! serves the services that it is told, keeps everything in a temporary folder, and sees nothing of
//! the user's settings.
//!
//! There are two of them, of two hands who share no code: the mistakes of one are not those of the
//! other.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::ChildStdout;

/// A loaded machine may need many seconds to start an interpreter.
const START_MAX: Duration = Duration::from_mins(1);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Whose server it is, and how it is begun.
#[derive(Debug, Clone, Copy)]
pub struct Hand {
    /// Its Python environment, which `make venv` makes, and what that is made from.
    environment: &'static str,
    requirements: &'static str,
    script: &'static str,
    /// What it answers as soon as it serves.
    health: &'static str,
}

/// S3 and the services of a stack.
pub const MINISTACK: Hand = Hand {
    environment: ".venv",
    requirements: "requirements.txt",
    script: "second.py",
    health: "/_ministack/health",
};

/// S3 alone.
pub const MOTO: Hand = Hand {
    environment: ".venv-third",
    requirements: "third-requirements.txt",
    script: "third.py",
    health: "/moto-api/data.json",
};

/// The running server. Dropping it ends it and everything it started.
#[derive(Debug)]
pub struct Second {
    child: Child,
    port: u16,
    /// The server's own files, and what it wrote to standard error.
    folder: tempfile::TempDir,
}

impl Second {
    /// Serves S3.
    pub async fn start() -> Self {
        Self::of(MINISTACK).await
    }

    /// Serves S3 by this hand.
    pub async fn of(hand: Hand) -> Self {
        Self::begun(hand, &[("SERVICES", "s3")]).await
    }

    /// Serves these services, by the names that it knows them by, with commas between them.
    pub async fn serving(services: &str) -> Self {
        Self::told(&[("SERVICES", services)]).await
    }

    /// Serves as these variables of its environment tell it.
    pub async fn told(variables: &[(&str, &str)]) -> Self {
        Self::begun(MINISTACK, variables).await
    }

    async fn begun(hand: Hand, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = spawn(hand, folder.path(), variables);
        let stdout = ChildStdout::from_std(child.stdout.take().unwrap()).unwrap();
        let mut second = Self { child, port: 0, folder };
        let started = tokio::time::timeout(START_MAX, async {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).await.unwrap();
            second.port = line.trim().parse().unwrap_or_default();
            while second.port != 0 && !answers(second.port, hand.health).await {
                if second.child.try_wait().unwrap().is_some() {
                    return false;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            second.port != 0
        });
        let answers = started.await.unwrap_or(false);
        assert!(answers, "the second server does not answer: {}", second.complaints());
        second
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The process group, which has the number of its first process.
    pub fn group(&self) -> u32 {
        self.child.id()
    }

    /// Closes the pipe that tells it that the test is alive.
    pub fn hang_up(&mut self) {
        self.child.stdin.take();
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it wrote to standard error.
    pub fn complaints(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        // A group can only be ended by a system call or by a shell, and system calls need `unsafe`.
        let end = format!("kill -s KILL -- -{}", self.group());
        let ended = Command::new("sh").args(["-c", &end]).stderr(Stdio::null()).status();
        if !ended.is_ok_and(|status| status.success()) {
            self.child.kill().ok();
        }
        self.child.wait().ok();
    }
}

/// The interpreter of the environment that `make venv` makes, if it is the one that is wanted now.
fn python(hand: Hand) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let venv = tests.join("..").join(hand.environment);
    let wanted = std::fs::read(tests.join(hand.requirements)).unwrap();
    let made = std::fs::read(venv.join("made-from")).unwrap_or_default();
    assert!(
        made == wanted,
        "A Python environment of the tests ({}) is missing or out of date. \
         Run `make test` (or `make venv`) first.",
        hand.environment
    );
    venv.join("bin/python")
}

fn spawn(hand: Hand, folder: &Path, variables: &[(&str, &str)]) -> Child {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("support").join(hand.script);
    let errors = std::fs::File::create(folder.join("stderr")).unwrap();
    let mut command = Command::new(python(hand));
    command
        .arg(script)
        .current_dir(folder)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        // These would listen on ports of their own.
        .env("IOT_MTLS_ENABLED", "0")
        .env("SFTP_ENABLED", "0")
        // It would remove containers that it takes for its own.
        .env("DOCKER_HOST", format!("unix://{}", folder.join("none").display()))
        .env("LOG_LEVEL", "WARNING")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    for place in ["HOME", "TMPDIR", "STATE_DIR", "S3_DATA_DIR"] {
        command.env(place, folder);
    }
    command.envs(variables.iter().copied());
    // A group of its own, so that ending it takes along whatever it started.
    command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
    command.spawn().unwrap()
}

/// Whether it answers yet. What is not an answer is "not yet".
async fn answers(port: u16, health: &str) -> bool {
    let ask = async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
        let request =
            format!("GET {health} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        answer.starts_with("HTTP/1.1 200").then_some(())
    };
    tokio::time::timeout(Duration::from_secs(5), ask).await.is_ok_and(|answer| answer.is_some())
}
