//! Reads variables one by one and collects what is wrong with them.

use std::fmt;
use std::ops::RangeInclusive;

/// A word and what it stands for.
pub(super) type Word<T> = (&'static str, T);

/// What is wrong with the settings: each mistake names its setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes(pub Vec<String>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the settings of this function cannot be used: {}", self.0.join("; "))
    }
}

impl std::error::Error for Mistakes {}

pub(super) struct Reader<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    mistakes: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(variable: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { variable, mistakes: Vec::new() }
    }

    pub(super) fn mistake(&mut self, name: &str, what: &str) {
        self.mistakes.push(format!("{name}: {what}"));
    }

    /// `None` where it is not set, or empty.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        (self.variable)(name).filter(|text| !text.is_empty())
    }

    pub(super) fn required(&mut self, name: &str) -> String {
        self.text(name).unwrap_or_else(|| {
            self.mistake(name, "it is not set, and nothing can be done without it");
            String::new()
        })
    }

    pub(super) fn word<T: Copy>(&mut self, name: &str, words: &[Word<T>], default: T) -> T {
        let Some(text) = self.text(name) else { return default };
        if let Some((_, value)) = words.iter().find(|(word, _)| *word == text) {
            return *value;
        }
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        self.mistake(name, &format!("{text:?} is none of {}", known.join(", ")));
        default
    }

    pub(super) fn number(&mut self, name: &str, range: RangeInclusive<u64>, default: u64) -> u64 {
        let Some(text) = self.text(name) else { return default };
        match text.parse() {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let (least, most) = (range.start(), range.end());
                let what = format!("{text:?} is no whole number from {least} to {most}");
                self.mistake(name, &what);
                default
            }
        }
    }

    /// An endpoint with its scheme; where there is none, https.
    pub(super) fn endpoint(&mut self, name: &str) -> Option<String> {
        let text = self.text(name)?;
        let with_scheme =
            if text.contains("://") { text.clone() } else { format!("https://{text}") };
        let host = with_scheme
            .strip_prefix("https://")
            .or_else(|| with_scheme.strip_prefix("http://"))
            .map(|rest| rest.trim_end_matches('/'));
        let is_host = |host: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
            !host.is_empty() && host.chars().all(plain)
        };
        if host.is_some_and(is_host) {
            return Some(with_scheme);
        }
        self.mistake(name, &format!("{text:?} is no endpoint such as https://s3.example.org"));
        None
    }

    pub(super) fn end(self) -> Result<(), Mistakes> {
        if self.mistakes.is_empty() { Ok(()) } else { Err(Mistakes(self.mistakes)) }
    }
}
