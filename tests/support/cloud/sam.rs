//! `sam build` and `sam deploy`, as a person gives them, with nothing of that person's settings.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use sha2::{Digest as _, Sha256};

use super::{ACCOUNT, PACKAGES, Parameters, REGION};

/// What a build depends on, from the root of the workspace.
const SOURCES: [&str; 8] = [
    "Cargo.lock",
    "Cargo.toml",
    "crates",
    "fleet",
    "functions",
    "statemachine",
    "template.yaml",
    "tests/sam-requirements.txt",
];
/// A build for tests: the compiler and the profile that the tests were built with, so that what they share
/// is compiled once.
const SHARED: [(&str, &str); 2] = [("CARGO_LAMBDA_COMPILER", "cargo"), ("SAM_BUILD_MODE", "debug")];

/// What may differ from machine to machine, and decides what is built where.
const KEPT: [&str; 4] = ["CARGO_HOME", "CARGO_INCREMENTAL", "CARGO_TARGET_DIR", "RUSTUP_HOME"];

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The functions as `sam build` made them, and the template that names them.
#[derive(Debug)]
pub struct Build {
    folder: PathBuf,
    venv: PathBuf,
    /// Where SAM keeps what it remembers.
    home: tempfile::TempDir,
}

impl Build {
    /// Builds once for each state of the sources.
    pub(super) fn make() -> Self {
        let folder = root().join("target/cloud");
        let build = Self { folder, venv: venv(), home: tempfile::tempdir().unwrap() };
        let stamp = build.folder.join("made-from");
        let wanted = fingerprint();
        if std::fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
            return build;
        }
        std::fs::remove_file(&stamp).ok();
        let mut command = build.sam(&["build", "--build-dir"]);
        command.arg(build.folder.join("build"));
        command.args(["--parameter-overrides", "Architecture=x86_64"]);
        command.envs(SHARED);
        succeed(&mut command);
        // As a release is: there is less to zip, to unzip and to load.
        succeed(Command::new("strip").args(build.binaries()));
        std::fs::write(&stamp, wanted).unwrap();
        build
    }

    /// `sam package`: the packages that stacks share, and the template that names them.
    pub(super) fn package(&self, endpoint: &str) -> String {
        let mut command = self.sam(&["package", "--template-file"]);
        command.arg(self.template());
        command.args(["--s3-bucket", PACKAGES, "--region", REGION, "--use-json"]);
        let packaged = self.home.path().join("packaged.json");
        command.arg("--output-template-file").arg(&packaged);
        self.at(&mut command, endpoint);
        succeed(&mut command);
        std::fs::read_to_string(packaged).unwrap()
    }

    pub fn template(&self) -> PathBuf {
        self.folder.join("build/template.yaml")
    }

    /// Each function's binary.
    fn binaries(&self) -> Vec<PathBuf> {
        let folders = std::fs::read_dir(self.folder.join("build")).unwrap();
        let binaries = folders.map(|entry| entry.unwrap().path().join("bootstrap"));
        binaries.filter(|binary| binary.exists()).collect()
    }

    /// Deploys, or changes what is deployed, with packages in a bucket of its own.
    pub(super) fn deploy(
        &self,
        endpoint: &str,
        stack: &str,
        bucket: &str,
        parameters: &Parameters,
    ) {
        let mut command = self.sam(&["deploy", "--template-file"]);
        command.arg(self.template());
        command.args(["--stack-name", stack, "--s3-bucket", bucket, "--region", REGION]);
        command.args(["--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]);
        command.args(["--no-confirm-changeset", "--no-fail-on-empty-changeset"]);
        command.arg("--parameter-overrides");
        command.args(
            parameters
                .iter()
                .map(|(name, value)| format!("ParameterKey={name},ParameterValue=\"{value}\"")),
        );
        self.at(&mut command, endpoint);
        succeed(&mut command);
    }

    /// Takes a stack away.
    pub(super) fn delete(&self, endpoint: &str, stack: &str) {
        let mut command = self.sam(&["delete", "--no-prompts", "--stack-name", stack]);
        command.args(["--region", REGION]);
        self.at(&mut command, endpoint);
        succeed(&mut command);
    }

    fn at(&self, command: &mut Command, endpoint: &str) {
        command
            .env("AWS_ENDPOINT_URL", endpoint)
            .env("AWS_ACCESS_KEY_ID", ACCOUNT)
            .env("AWS_SECRET_ACCESS_KEY", "none")
            .env("SAM_CLI_POLL_DELAY", "0.5")
            .env("HOME", self.home.path());
    }

    fn sam(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.venv.join("bin/sam"));
        command.args(arguments).current_dir(root());
        // What cargo tells a test about itself would be taken for settings of another build.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let kept = KEPT.contains(&name.as_str());
            let theirs = ["CARGO", "AWS", "SAM", "RUST", "TRANSHIP", "LD_LIBRARY_PATH", "PYTHON"];
            if !kept && theirs.iter().any(|prefix| name.starts_with(prefix)) {
                command.env_remove(&name);
            }
        }
        let cargo = Path::new(env!("CARGO")).parent().unwrap();
        let path = [&self.venv.join("bin"), cargo, Path::new("/usr/bin"), Path::new("/bin")];
        command
            .env("PATH", std::env::join_paths(path).unwrap())
            .env("SAM_CLI_TELEMETRY", "0")
            .env("__SAM_CLI_APP_DIR", self.home.path())
            .env("AWS_CONFIG_FILE", self.home.path().join("none"))
            .env("AWS_SHARED_CREDENTIALS_FILE", self.home.path().join("none"))
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("CARGO_LLVM_COV_SETUP", "no")
            // Nothing is installed behind anybody's back.
            .env("RUSTUP_DIST_SERVER", "http://127.0.0.1:9");
        command
    }
}

/// The environment that `make` makes, if it is the one that is wanted now.
fn venv() -> PathBuf {
    let venv = root().join(".venv-sam");
    let wanted = std::fs::read(root().join("tests/sam-requirements.txt")).unwrap_or_default();
    let made = std::fs::read(venv.join("made-from")).unwrap_or_default();
    assert!(
        !made.is_empty() && made == wanted,
        "The environment of the SAM command (.venv-sam) is missing or out of date. \
         Run `make test` (or `make venv`) first."
    );
    venv
}

fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?} failed:\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// A hash over all files that a build is made from.
fn fingerprint() -> String {
    let mut hash = Sha256::new();
    for source in SOURCES {
        absorb(&root().join(source), &mut hash);
    }
    hex::encode(hash.finalize())
}

fn absorb(path: &Path, hash: &mut Sha256) {
    if path.is_dir() {
        let mut entries: Vec<_> =
            std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for entry in entries {
            absorb(&entry, hash);
        }
    } else if let Ok(bytes) = std::fs::read(path) {
        hash.update(path.to_string_lossy().as_bytes());
        hash.update(bytes.len().to_be_bytes());
        hash.update(bytes);
    }
}
