//! The files of the tree, as they lie there.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Folders that hold no sources of ours.
const SKIPPED: [&str; 8] = [
    "target",
    ".git",
    ".venv",
    ".venv-third",
    ".venv-sam",
    ".venv-checkov",
    ".venv-bench",
    ".aws-sam",
];

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// What cargo knows of the workspace and of all that it needs.
pub(crate) fn metadata() -> Value {
    // What was built is there; what other platforms need may never have been fetched.
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--locked", "--filter-platform=host-tuple"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A path as cargo tells it, from the root.
pub(crate) fn from_root(path: &str) -> &str {
    let root = format!("{}/", root().to_str().unwrap());
    path.strip_prefix(&root).unwrap()
}

/// A file by its path from the root, with slashes.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// The modules that a Rust file stands for: `crates/x/src/worker/plan.rs` is `worker::plan`.
    pub(crate) fn modules(&self) -> Vec<&str> {
        let names = self.path.trim_end_matches(".rs").split('/');
        let names: Vec<_> = names.filter(|name| !["src", "lib", "main"].contains(name)).collect();
        names
    }
}

/// All files whose names end so.
pub(crate) fn files(ending: &str) -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if !SKIPPED.contains(&name) {
                    folders.push(path);
                }
            } else if name.ends_with(ending) {
                let text = std::fs::read_to_string(&path).unwrap();
                let path = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
                found.push(Source { path, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}
