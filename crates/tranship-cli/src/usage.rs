//! A mistake in the options, the environment or the configuration file: what, where, what to do.

use std::fmt;

use tranship_core::object::escape;

/// A mistake of the person who wrote the command. Nothing was written when it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageError {
    pub what: String,
    /// The option, the variable, or the file, line and key.
    pub place: String,
    pub remedy: String,
}

impl UsageError {
    pub fn new(
        what: impl Into<String>,
        place: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { what: what.into(), place: place.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  where: {}\n  to do: {}", self.what, self.place, self.remedy)
    }
}

impl std::error::Error for UsageError {}

/// Text of the user's own, in quotes and escaped.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", escape(text))
}

/// A place in a store, in quotes and escaped. What stands before an `@` ahead of the first slash
/// may be a password: it is not repeated.
pub(crate) fn quoted_place(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    let authority = rest.split('/').next().unwrap_or_default();
    match authority.rsplit_once('@') {
        Some((secret, _)) => {
            let shown = rest.get(secret.len()..).unwrap_or_default();
            let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
            quoted(&format!("{scheme}…{shown}"))
        }
        None => quoted(text),
    }
}

/// How alike two names must be before one is offered for the other; 0.7 offers one slip in a short
/// name and two or three in a long one.
const ALIKE_MIN: f64 = 0.7;

/// The candidate that was most likely meant.
pub(crate) fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::normalized_damerau_levenshtein(&name, &candidate.to_ascii_lowercase()),
                candidate,
            )
        })
        .filter(|(alike, _)| *alike >= ALIKE_MIN)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// `did you mean "…"?`, or what else to do.
pub(crate) fn did_you_mean<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    otherwise: &str,
) -> String {
    match nearest(name, candidates) {
        Some(candidate) => format!("did you mean \"{candidate}\"? Otherwise {otherwise}"),
        None => otherwise.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_only_when_it_is_near() {
        let names = ["part-size", "multipart-threshold", "acl"];
        assert_eq!(nearest("partsize", names), Some("part-size"));
        assert_eq!(nearest("PART-SIZE", names), Some("part-size"));
        assert_eq!(nearest("multpart-treshold", names), Some("multipart-threshold"));
        assert_eq!(nearest("bandwidth", names), None);
    }

    #[test]
    fn a_place_is_shown_without_a_password() {
        for (place, shown) in [
            ("s3://bucket/a@b", "\"s3://bucket/a@b\""),
            ("s3://id:hush@bucket/a@b", "\"s3://…@bucket/a@b\""),
            ("id:hu@sh@bucket", "\"…@bucket\""),
        ] {
            assert_eq!(quoted_place(place), shown);
        }
    }

    #[test]
    fn text_of_the_user_is_escaped() {
        assert_eq!(quoted("a\u{1b}[31m"), "\"a\\u{1b}[31m\"");
    }
}
