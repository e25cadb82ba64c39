//! The command as a process: help, version, completions, exit codes, and nothing written for a
//! mistake.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

fn tranship(home: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tranship"))
        .args(args)
        .env_clear()
        .env("HOME", home)
        .current_dir(home)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn help_version_and_completions_succeed() {
    let home = tempfile::tempdir().unwrap();
    for (args, part) in [
        (&["--help"][..], "130  interrupted"),
        (&["copy", "--help"], "TRANSHIP_PART_SIZE"),
        (&["copy", "-h"], "--sse-kms-key-id"),
        (&["demo", "--help"], "--small"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["completions", "bash"], "_tranship"),
        (&["completions", "zsh"], "#compdef tranship"),
        (&["completions", "fish"], "complete -c tranship"),
    ] {
        let output = tranship(home.path(), args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(text(&output.stdout).contains(part), "{args:?}");
        assert_eq!(text(&output.stderr), "", "{args:?}");
    }
}

#[test]
fn a_mistake_has_its_exit_code_and_leaves_nothing_behind() {
    let home = tempfile::tempdir().unwrap();
    let broken = home.path().join("broken.toml");
    std::fs::write(&broken, "retries = 1\npart_size = 5\n").unwrap();
    std::fs::write(home.path().join("bytes.toml"), b"\n\xff").unwrap();
    for (args, part) in [
        (&[][..], "Usage"),
        (&["cpoy"], "copy"),
        (&["copy"], "SOURCE is missing"),
        (&["copy", "s3://aaa"], "DESTINATION is missing"),
        (&["copy", "s3://aaa", "s3://aaa"], "the source is the destination"),
        (&["copy", "s3://aaa", "s3://bbb", "--retires", "1"], "--retries"),
        (&["copy", "s3://aaa", "s3://bbb", "--part-size", "1"], "below the least"),
        (
            &["copy", "s3://aaa", "s3://bbb", "--config", "broken.toml"],
            "\"broken.toml\", line 2, key \"part_size\"",
        ),
        (&["copy", "s3://aaa", "s3://bbb", "--config", "bytes.toml"], "is not UTF-8 in line 2"),
        (
            &["copy", "s3://aaa", "s3://bbb", "--config", "missing.toml"],
            "\"missing.toml\" cannot be read",
        ),
        (&["completions", "tcsh"], "tcsh"),
    ] {
        let output = tranship(home.path(), args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert_eq!(text(&output.stdout), "", "{args:?}");
        assert!(text(&output.stderr).contains(part), "{args:?}: {}", text(&output.stderr));
    }
    let mut left: Vec<_> =
        std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["broken.toml", "bytes.toml"]);
}
