//! Where a transfer's ledger lies when no option says so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// `$XDG_STATE_HOME/tranship/<transfer>.redb`, else `$HOME/.local/state/tranship/<transfer>.redb`;
/// `None` if neither variable holds an absolute path (the XDG rules say to ignore a relative one).
pub fn default_ledger(env: &BTreeMap<String, String>, transfer_id: &str) -> Option<PathBuf> {
    let absolute = |name: &str| env.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| Some(absolute("HOME")?.join(".local").join("state")))?;
    Some(state.join("tranship").join(format!("{transfer_id}.redb")))
}

/// A file beside the ledger, named after it: `<ledger without .redb>.<suffix>`.
pub fn beside(ledger: &Path, suffix: &str) -> PathBuf {
    let mut name = match ledger.extension() {
        Some(extension) if extension == "redb" => ledger.file_stem(),
        _ => ledger.file_name(),
    }
    .unwrap_or_default()
    .to_owned();
    name.push(".");
    name.push(suffix);
    ledger.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_state_directory_comes_first_then_the_home_directory() {
        for (vars, path) in [
            (&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")][..], Some("/s/tranship/id.redb")),
            (&[("HOME", "/h")][..], Some("/h/.local/state/tranship/id.redb")),
            (
                &[("XDG_STATE_HOME", "s"), ("HOME", "/h")][..],
                Some("/h/.local/state/tranship/id.redb"),
            ),
            (&[("HOME", "")][..], None),
            (&[][..], None),
        ] {
            assert_eq!(default_ledger(&env(vars), "id"), path.map(PathBuf::from));
        }
    }

    #[test]
    fn a_file_beside_the_ledger_keeps_its_name() {
        assert_eq!(
            beside(Path::new("/s/id.redb"), "failures.jsonl"),
            Path::new("/s/id.failures.jsonl")
        );
        assert_eq!(beside(Path::new("l.db"), "x"), Path::new("l.db.x"));
    }
}
