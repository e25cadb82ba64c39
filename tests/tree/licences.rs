//! Every dependency may be used under the licences that `deny.toml` allows, and none of these is superfluous.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::path::Path;

use crate::sources::metadata;

type Tokens<'a> = Peekable<std::vec::IntoIter<&'a str>>;

/// Whether a licence expression can be met with these licences. `/` is an old way to write `OR`.
fn is_met(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut tokens = tokens.into_iter().peekable();
    let met = any(&mut tokens, allowed);
    assert_eq!(tokens.next(), None, "cannot be read: {expression}");
    met
}

fn any(tokens: &mut Tokens<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut met = all(tokens, allowed);
    while tokens.next_if_eq(&"OR").is_some() {
        met |= all(tokens, allowed);
    }
    met
}

fn all(tokens: &mut Tokens<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut met = one(tokens, allowed);
    while tokens.next_if_eq(&"AND").is_some() {
        met &= one(tokens, allowed);
    }
    met
}

fn one(tokens: &mut Tokens<'_>, allowed: &BTreeSet<String>) -> bool {
    let mut name = tokens.next().unwrap().to_owned();
    if name == "(" {
        let met = any(tokens, allowed);
        assert_eq!(tokens.next(), Some(")"));
        return met;
    }
    if tokens.next_if_eq(&"WITH").is_some() {
        name = format!("{name} WITH {}", tokens.next().unwrap());
    }
    allowed.contains(&name)
}

fn allowed() -> BTreeSet<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deny.toml");
    let deny: toml::Table = std::fs::read_to_string(file).unwrap().parse().unwrap();
    let list = deny["licenses"]["allow"].as_array().unwrap();
    list.iter().map(|licence| licence.as_str().unwrap().to_owned()).collect()
}

/// Names and licence expressions of everything that comes from elsewhere.
fn dependencies() -> Vec<(String, String)> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .filter(|package| !package["source"].is_null())
        .map(|package| {
            let name = package["name"].as_str().unwrap().to_owned();
            (name, package["license"].as_str().unwrap_or("none").to_owned())
        })
        .collect()
}

#[test]
fn every_dependency_has_a_licence_that_is_allowed() {
    let (allowed, dependencies) = (allowed(), dependencies());
    assert!(dependencies.len() > 100, "they were not all found");
    let refused: Vec<_> = dependencies.iter().filter(|(_, it)| !is_met(it, &allowed)).collect();
    assert!(refused.is_empty(), "not met by the list in deny.toml: {refused:#?}");
    for licence in &allowed {
        let mut fewer = allowed.clone();
        fewer.remove(licence);
        let needed = dependencies.iter().any(|(_, it)| !is_met(it, &fewer));
        assert!(needed, "nothing needs {licence}: take it off the list in deny.toml");
    }
}

#[test]
fn licence_expressions_are_read() {
    let allowed = ["MIT", "ISC", "A WITH B"].map(str::to_owned).into();
    for (expression, met) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0/MIT", true),
        ("GPL-3.0 OR MIT AND ISC", true),
        ("(GPL-3.0 OR MIT) AND Zlib", false),
        ("(GPL-3.0 OR MIT) AND ISC", true),
        ("A WITH B", true),
        ("A", false),
        ("MIT WITH B", false),
    ] {
        assert_eq!(is_met(expression, &allowed), met, "{expression}");
    }
}
