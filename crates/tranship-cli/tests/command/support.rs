//! Two servers, a home directory, and the command between them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tranship_core::location::{Location, Transfer};
use tranship_server::{Server, ServerOptions, Store};

pub(crate) const SOURCE: &str = "source-bucket";
pub(crate) const DESTINATION: &str = "destination-bucket";
pub(crate) const MIB: usize = 1 << 20;

const ACCESS_KEY: &str = "AKIDEXAMPLE";
/// No output of any run of any test may hold it.
pub(crate) const CANARY: &str = "canary-secret-that-no-output-may-show";

/// Writes to a store, by their names in Amazon S3's API.
const WRITES: [&str; 7] = [
    "PutObject",
    "CopyObject",
    "CreateMultipartUpload",
    "UploadPart",
    "CompleteMultipartUpload",
    "DeleteObject",
    "PutObjectTagging",
];

/// Both sides, and the home directory of who runs the command.
pub(crate) struct World {
    pub(crate) source: Server,
    pub(crate) destination: Server,
    home: TempDir,
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A server that checks that requests are signed with the command's credentials.
pub(crate) fn signed(options: ServerOptions) -> ServerOptions {
    ServerOptions { credentials: Some((ACCESS_KEY.to_owned(), CANARY.to_owned())), ..options }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(ServerOptions::default(), ServerOptions::default()).await
    }

    /// Signatures are always checked.
    pub(crate) async fn with(source: ServerOptions, destination: ServerOptions) -> Self {
        let source = Server::start(signed(source)).await.unwrap();
        let destination = Server::start(signed(destination)).await.unwrap();
        source.store().create_bucket(SOURCE);
        destination.store().create_bucket(DESTINATION);
        Self { source, destination, home: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn here(&self) -> &Store {
        self.source.store()
    }

    pub(crate) fn there(&self) -> &Store {
        self.destination.store()
    }

    pub(crate) fn put(&self, key: &str, bytes: impl Into<Vec<u8>>) {
        self.here().put(SOURCE, key, bytes.into());
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// The command with these words and nothing of this process's environment.
    pub(crate) fn bare(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tranship"));
        command
            .args(args)
            .env_clear()
            .env("HOME", self.home.path())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", CANARY)
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// A command that is begun by another program, which limits what it may use.
    pub(crate) fn under(&self, program: &str, args: &[&str], command: &Command) -> Command {
        let mut under = Command::new(program);
        under
            .args(args)
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        under
    }

    /// A comparison of the whole buckets, with these options.
    pub(crate) fn verifying(&self, options: &[&str]) -> Command {
        let (from, to) = (format!("s3://{SOURCE}"), format!("s3://{DESTINATION}"));
        self.verifying_at(&from, &to, options)
    }

    pub(crate) fn verifying_at(&self, from: &str, to: &str, options: &[&str]) -> Command {
        let mut command = self.bare(&["verify", from, to]);
        command
            .args(["--source-endpoint", &self.source.endpoint()])
            .args(["--destination-endpoint", &self.destination.endpoint()])
            .args(options);
        command
    }

    /// Fails unless neither side was written to.
    #[track_caller]
    pub(crate) fn expect_only_read(&self) {
        for write in WRITES {
            assert_eq!(self.source.requests().count(write), 0, "{write} at the source");
            assert_eq!(self.destination.requests().count(write), 0, "{write} at the destination");
        }
    }

    /// A copy of the whole bucket, with these options.
    pub(crate) fn copying(&self, options: &[&str]) -> Command {
        let (from, to) = (format!("s3://{SOURCE}"), format!("s3://{DESTINATION}"));
        self.copying_at(&from, &to, options)
    }

    pub(crate) fn copying_at(&self, from: &str, to: &str, options: &[&str]) -> Command {
        let mut command = self.bare(&["copy", from, to]);
        command
            .args(["--source-endpoint", &self.source.endpoint()])
            .args(["--destination-endpoint", &self.destination.endpoint()])
            .args(options);
        command
    }

    pub(crate) fn copy(&self, options: &[&str]) -> Done {
        run(self.copying(options))
    }

    /// A plan between two places, with these options.
    pub(crate) fn planning_at(&self, from: &str, to: &str, options: &[&str]) -> Command {
        let mut command = self.bare(&["plan", from, to]);
        command
            .args(["--source-endpoint", &self.source.endpoint()])
            .args(["--destination-endpoint", &self.destination.endpoint()])
            .args(options);
        command
    }

    /// The last event of a copy that was asked for JSON.
    pub(crate) fn copy_in_json(&self, options: &[&str]) -> Value {
        let mut all = vec!["--json"];
        all.extend(options);
        self.copy(&all).last_event()
    }

    /// A copy of the whole bucket.
    pub(crate) fn transfer(&self) -> Transfer {
        let at = |server: &Server, bucket| Location::new(Some(&server.endpoint()), bucket, "");
        Transfer {
            source: at(&self.source, SOURCE),
            destination: at(&self.destination, DESTINATION),
        }
    }

    /// Where its ledger lies by default.
    pub(crate) fn default_ledger(&self) -> String {
        format!(".local/state/tranship/{}.redb", self.transfer().id())
    }

    /// All files under the home directory, by their paths in it.
    pub(crate) fn files(&self) -> BTreeSet<String> {
        let mut files = BTreeSet::new();
        let mut folders = vec![self.home.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(self.home.path()).unwrap();
                    files.insert(name.to_str().unwrap().to_owned());
                }
            }
        }
        files
    }

    /// Fails unless the destination was left alone.
    #[track_caller]
    pub(crate) fn expect_untouched(&self) {
        for write in WRITES {
            assert_eq!(self.destination.requests().count(write), 0, "{write}");
        }
        assert_eq!(self.there().open_uploads(DESTINATION), []);
    }

    /// Runs a copy that must be refused: with this code and these words, with nothing written at the
    /// destination, and no file made or changed in the home directory.
    #[track_caller]
    pub(crate) fn refuses(&self, command: Command, code: i32, words: &[&str]) {
        let before = self.files();
        let done = run(command);
        done.expect(code, words);
        assert_eq!(self.files(), before, "files were left");
        self.expect_untouched();
    }

    /// Fails unless both sides hold the same keys and bytes, and no upload is open.
    #[track_caller]
    pub(crate) fn expect_equal(&self) {
        let keys = self.here().keys(SOURCE);
        assert_eq!(keys, self.there().keys(DESTINATION));
        for key in keys {
            let bytes = self.there().read(DESTINATION, &key);
            assert!(self.here().read(SOURCE, &key) == bytes, "the bytes of {key:?} differ");
        }
        assert_eq!(self.there().open_uploads(DESTINATION), []);
    }
}

impl Done {
    /// Fails unless the command ended with this code and said these words to a person.
    #[track_caller]
    pub(crate) fn expect(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self}");
        for word in words {
            assert!(self.err.contains(word) || self.out.contains(word), "no {word:?} in\n{self}");
        }
    }

    pub(crate) fn events(&self) -> Vec<Value> {
        let event = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        };
        self.out.lines().map(event).collect()
    }

    #[track_caller]
    pub(crate) fn last_event(&self) -> Value {
        self.events().pop().unwrap_or_else(|| panic!("no event: {self}"))
    }
}

impl std::fmt::Display for Done {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit code {:?}\nstdout:\n{}\nstderr:\n{}", self.code, self.out, self.err)
    }
}

/// Runs a command to its end. The servers go on meanwhile, on the other threads.
#[track_caller]
pub(crate) fn run(mut command: Command) -> Done {
    end(command.spawn().unwrap())
}

/// Waits for the end of a process.
#[track_caller]
pub(crate) fn end(child: Child) -> Done {
    let output = tokio::task::block_in_place(|| child.wait_with_output()).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let done =
        Done { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) };
    for output in [&done.out, &done.err] {
        assert!(!output.contains(CANARY), "a secret is shown:\n{done}");
        let odd = |c: &char| c.is_control() && *c != '\n';
        assert_eq!(output.chars().find(odd), None, "a control character is shown:\n{done}");
    }
    done
}

/// Sends a signal, such as `INT`, to a process.
pub(crate) fn send(signal: &str, child: &Child) {
    let status = Command::new("kill").args([format!("-{signal}"), child.id().to_string()]).status();
    assert!(status.unwrap().success());
}

/// Waits until something is so; fails after half a minute.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain until {what}");
}

/// The outcomes that any object had, with their numbers, from the last event.
pub(crate) fn outcomes(ended: &Value) -> Vec<(String, u64)> {
    let all = ended["outcomes"].as_object().unwrap_or_else(|| panic!("no outcomes in {ended}"));
    all.iter()
        .map(|(name, count)| (name.clone(), count["objects"].as_u64().unwrap()))
        .filter(|(_, objects)| *objects > 0)
        .collect()
}

/// Fails unless a run is complete, balances, and has exactly these outcomes.
#[track_caller]
pub(crate) fn expect_outcomes(ended: &Value, wanted: &[(&str, u64)]) {
    assert_eq!(ended["event"], "run-ended", "{ended}");
    assert_eq!(
        (&ended["ending"], &ended["balanced"]),
        (&"complete".into(), &true.into()),
        "{ended}"
    );
    let wanted: Vec<_> = wanted.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
    assert_eq!(outcomes(ended), wanted, "{ended}");
}

/// Fails unless a run that an earlier process left is complete and has copied this many objects.
/// What the earlier one wrote and did not record is found to be equal: listed or looked at again.
#[track_caller]
pub(crate) fn expect_all_there(ended: &Value, objects: u64) {
    assert_eq!(
        (&ended["ending"], &ended["balanced"]),
        (&"complete".into(), &true.into()),
        "{ended}"
    );
    let outcomes = outcomes(ended);
    let there = |(name, _): &&(String, u64)| matches!(&**name, "copied" | "equal");
    assert_eq!(outcomes.iter().find(|outcome| !there(outcome)), None, "{ended}");
    assert_eq!(outcomes.iter().map(|(_, count)| count).sum::<u64>(), objects, "{ended}");
}

/// Bytes that look like nothing else: a different stream for each seed.
pub(crate) fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(size + 8);
    while out.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(size);
    out
}

/// The text of a path.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
