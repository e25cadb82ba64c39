//! Dependencies point inwards: hosts to adapters to core.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::sources::{from_root, metadata};

const CORE: &str = "tranship-core";
const ADAPTERS: &str = "tranship-adapters";
const SERVER: &str = "tranship-server";
const STACK: &str = "tranship-stack";

/// What decides may not do: no vendor, no runtime, no file, no network.
const NOT_IN_CORE: [&str; 8] =
    ["tokio", "redb", "hyper", "hyper-util", "reqwest", "rustls", "mio", "async-std"];

struct Graph {
    /// Packages of the workspace and the folders they lie in.
    members: BTreeMap<String, String>,
    /// What each package needs, by name; tests' own needs apart.
    needs: BTreeMap<String, BTreeSet<String>>,
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap_or_else(|| panic!("no list: {value}"))
}

impl Graph {
    fn read() -> Self {
        let metadata = metadata();
        let names: BTreeMap<_, _> = list(&metadata["packages"])
            .iter()
            .map(|package| (text(&package["id"]), text(&package["name"])))
            .collect();
        let of_workspace: BTreeSet<_> =
            list(&metadata["workspace_members"]).iter().map(text).collect();
        let members = list(&metadata["packages"])
            .iter()
            .filter(|package| of_workspace.contains(text(&package["id"])))
            .map(|package| {
                let folder = from_root(text(&package["manifest_path"]));
                (text(&package["name"]).to_owned(), folder.replace("/Cargo.toml", ""))
            })
            .collect();
        let is_for_use =
            |needed: &&Value| list(&needed["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
        let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in list(&metadata["resolve"]["nodes"]) {
            let needed = list(&node["deps"]).iter().filter(is_for_use);
            let needed = needed.map(|needed| names[text(&needed["pkg"])].to_owned());
            // Two versions of one package count as one here.
            needs.entry(names[text(&node["id"])].to_owned()).or_default().extend(needed);
        }
        Self { members, needs }
    }

    /// The packages of the workspace that this one names in its own manifest.
    fn of_workspace(&self, package: &str) -> BTreeSet<&str> {
        let needed = self.needs[package].iter().map(String::as_str);
        needed.filter(|name| self.members.contains_key(*name)).collect()
    }

    /// All that this one needs, by way of whatever else.
    fn all(&self, package: &str) -> BTreeSet<&str> {
        let mut all = BTreeSet::new();
        let mut left = vec![package];
        while let Some(package) = left.pop() {
            for needed in &self.needs[package] {
                if all.insert(needed.as_str()) {
                    left.push(needed);
                }
            }
        }
        all
    }
}

#[test]
fn the_core_knows_no_vendor_no_runtime_and_no_other_crate_of_ours() {
    let graph = Graph::read();
    assert_eq!(graph.of_workspace(CORE), BTreeSet::new());
    let all = graph.all(CORE);
    assert!(all.contains("serde"), "the graph was read: {all:?}");
    let not_here = |name: &&&str| name.starts_with("aws-") || NOT_IN_CORE.contains(name);
    let wrong: Vec<_> = all.iter().filter(not_here).collect();
    assert!(wrong.is_empty(), "the core needs {wrong:?}");
}

#[test]
fn adapters_know_the_core_and_the_server_knows_nobody() {
    let graph = Graph::read();
    assert_eq!(graph.of_workspace(ADAPTERS), BTreeSet::from([CORE]));
    assert_eq!(graph.of_workspace(SERVER), BTreeSet::new(), "it must share no mistake with us");
}

#[test]
fn what_functions_have_in_common_is_a_host_and_no_adapter() {
    let graph = Graph::read();
    assert_eq!(graph.of_workspace(STACK), BTreeSet::from([CORE, ADAPTERS]));
    for package in graph.members.keys() {
        let may = graph.members[package].starts_with("functions/") || package == "tranship-tests";
        assert!(may || !graph.of_workspace(package).contains(STACK), "{package} needs {STACK}");
    }
}

#[test]
fn hosts_know_what_they_may() {
    let graph = Graph::read();
    for (package, folder) in &graph.members {
        let needed = graph.of_workspace(package);
        if folder.starts_with("functions/") {
            let may = BTreeSet::from([CORE, ADAPTERS, STACK]);
            assert!(needed.is_subset(&may), "{package} needs {needed:?}");
        }
        let may_serve = ["crates/tranship-cli", "tests", "bench"].contains(&folder.as_str());
        assert!(may_serve || !needed.contains(SERVER), "{package} needs {SERVER}");
        // Nothing stands on a host but what tests or measures it.
        let may_stand = ["tests", "bench"].contains(&folder.as_str());
        assert!(may_stand || !needed.contains("tranship-cli"), "{package} needs tranship-cli");
        assert!(!needed.contains("tranship-tests"), "{package} needs tranship-tests");
    }
}
