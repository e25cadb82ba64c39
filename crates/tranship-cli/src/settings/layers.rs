//! Three layers of options, merged: the command line, the environment, the configuration files.
//!
//! The first that has an option wins. What is kept is text and where it came from, so that a
//! message can say exactly what to correct.

use std::collections::BTreeMap;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::ConfigFile;
use super::names::{Kind, OPTIONS, is_positional};
use crate::args::CopyArgs;
use crate::usage::{UsageError, did_you_mean, quoted};

/// Begins every environment variable that is an option.
const VARIABLE_PREFIX: &str = "TRANSHIP_";
/// The variable that names the configuration file.
pub(super) const CONFIG_VARIABLE: &str = "TRANSHIP_CONFIG";

/// Where an option was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    CommandLine,
    Environment,
    File { path: String, line: usize },
}

/// An option that was given, somewhere.
#[derive(Debug, Clone)]
pub(super) struct Given {
    /// One text, or the items of a list.
    pub(super) texts: Vec<String>,
    pub(super) origin: Origin,
}

/// The options that were given anywhere.
#[derive(Debug, Default)]
pub(super) struct Layers {
    given: BTreeMap<&'static str, Given>,
}

impl Layers {
    pub(super) fn merge(
        args: &CopyArgs,
        env: &BTreeMap<String, String>,
        files: &[ConfigFile],
    ) -> Result<Self, UsageError> {
        let mut layers = Self::default();
        for ConfigFile { path, text } in files {
            layers.add_file(&path.to_string_lossy(), text)?;
        }
        layers.add_environment(env)?;
        layers.add_command_line(args)?;
        for (option, given) in &layers.given {
            if given.texts.iter().any(String::is_empty) {
                let what = format!("{} is empty", name_in(&given.origin, option));
                return Err(layers.error(option, what, "give a value, or leave the option away"));
            }
        }
        Ok(layers)
    }

    pub(super) fn get(&self, option: &str) -> Option<&Given> {
        self.given.get(option)
    }

    /// A mistake in this option, wherever it was given.
    pub(super) fn error(
        &self,
        option: &str,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> UsageError {
        UsageError::new(what, self.place(option), remedy)
    }

    /// Where an option was given, for a person.
    pub(super) fn place(&self, option: &str) -> String {
        match self.get(option).map(|given| &given.origin) {
            Some(Origin::Environment) => format!("the environment, {}", variable(option)),
            Some(Origin::File { path, line }) => file_place(path, *line, option),
            Some(Origin::CommandLine) | None => {
                format!("the command line, {}", on_command_line(option))
            }
        }
    }

    /// An option as it was written: `--part-size`, `TRANSHIP_PART_SIZE` or `part-size`.
    pub(super) fn name(&self, option: &str) -> String {
        self.get(option)
            .map_or_else(|| on_command_line(option), |given| name_in(&given.origin, option))
    }

    fn add_command_line(&mut self, args: &CopyArgs) -> Result<(), UsageError> {
        let odd =
            |what: String| UsageError::new(what, "the command line", "report this as a defect");
        let value = serde_json::to_value(args).map_err(|error| odd(error.to_string()))?;
        for (option, _) in OPTIONS {
            let texts = match value.get(option) {
                None | Some(Value::Null) => continue,
                Some(Value::Array(items)) if items.is_empty() => continue,
                Some(value) => {
                    json_texts(value).ok_or_else(|| odd(format!("{option} is no text")))?
                }
            };
            self.given.insert(option, Given { texts, origin: Origin::CommandLine });
        }
        Ok(())
    }

    fn add_environment(&mut self, env: &BTreeMap<String, String>) -> Result<(), UsageError> {
        for (variable_name, text) in
            env.iter().filter(|(name, _)| name.starts_with(VARIABLE_PREFIX))
        {
            if variable_name == CONFIG_VARIABLE {
                continue;
            }
            let Some((option, kind)) =
                OPTIONS.into_iter().find(|(option, _)| variable(option) == *variable_name)
            else {
                return Err(unknown_variable(variable_name));
            };
            let texts = match kind {
                Kind::List => json_list(text).ok_or_else(|| {
                    UsageError::new(
                        format!("{variable_name} is not a JSON array of strings: {}", quoted(text)),
                        format!("the environment, {variable_name}"),
                        format!("write it as {variable_name}='[\"first\", \"second\"]'"),
                    )
                })?,
                Kind::Switch | Kind::Value => vec![text.clone()],
            };
            self.given.insert(option, Given { texts, origin: Origin::Environment });
        }
        Ok(())
    }

    fn add_file(&mut self, path: &str, text: &str) -> Result<(), UsageError> {
        let table = DeTable::parse(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_at(text, span.start));
            let key = key_in_line(text, line);
            UsageError::new(
                format!("the configuration file is not valid TOML: {}", quoted(error.message())),
                key.map_or_else(
                    || format!("{}, line {line}", quoted(path)),
                    |key| file_place(path, line, key),
                ),
                "correct the line; text values stand in quotes, as in part-size = \"64MiB\"",
            )
        })?;
        // In the order of the lines, so that the first mistake is the one that is told.
        let mut entries: Vec<_> = table.get_ref().iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let line = line_at(text, key.span().start);
            let name = key.get_ref().as_ref();
            let Some((option, kind)) = OPTIONS.into_iter().find(|(option, _)| *option == name)
            else {
                return Err(unknown_key(path, line, name));
            };
            let texts = file_texts(value, kind).map_err(|wanted| {
                UsageError::new(
                    format!("{name} must be {wanted}"),
                    file_place(path, line, name),
                    example(option, kind),
                )
            })?;
            self.given.insert(
                option,
                Given { texts, origin: Origin::File { path: path.to_owned(), line } },
            );
        }
        Ok(())
    }
}

/// The environment variable of an option.
pub(super) fn variable(option: &str) -> String {
    format!("{VARIABLE_PREFIX}{}", option.replace('-', "_").to_ascii_uppercase())
}

fn on_command_line(option: &str) -> String {
    if is_positional(option) { option.to_ascii_uppercase() } else { format!("--{option}") }
}

fn name_in(origin: &Origin, option: &str) -> String {
    match origin {
        Origin::CommandLine => on_command_line(option),
        Origin::Environment => variable(option),
        Origin::File { .. } => option.to_owned(),
    }
}

fn file_place(path: &str, line: usize, key: &str) -> String {
    format!("{}, line {line}, key {}", quoted(path), quoted(key))
}

fn unknown_variable(name: &str) -> UsageError {
    let known: Vec<String> = OPTIONS
        .iter()
        .map(|(option, _)| variable(option))
        .chain([CONFIG_VARIABLE.to_owned()])
        .collect();
    let remedy = did_you_mean(
        name,
        known.iter().map(String::as_str),
        "unset it: names that begin with TRANSHIP_ are options of this command, and --help lists them",
    );
    let name = tranship_core::object::escape(name);
    UsageError::new(format!("unknown variable {name}"), format!("the environment, {name}"), remedy)
}

fn unknown_key(path: &str, line: usize, key: &str) -> UsageError {
    let remedy = if key == "config" {
        "remove it: a configuration file cannot name another".to_owned()
    } else {
        let options = OPTIONS.iter().map(|(option, _)| *option);
        did_you_mean(
            &key.replace('_', "-"),
            options,
            "remove it: `tranship copy --help` lists the options",
        )
    };
    UsageError::new(format!("unknown key {}", quoted(key)), file_place(path, line, key), remedy)
}

fn json_texts(value: &Value) -> Option<Vec<String>> {
    match value {
        Value::Bool(switch) => Some(vec![switch.to_string()]),
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
        _ => None,
    }
}

fn json_list(text: &str) -> Option<Vec<String>> {
    serde_json::from_str(text).ok()
}

/// The text of a value in the file, or what it should have been.
fn file_texts(value: &Spanned<DeValue<'_>>, kind: Kind) -> Result<Vec<String>, &'static str> {
    match (kind, value.get_ref()) {
        (Kind::Switch, DeValue::Boolean(switch)) => Ok(vec![switch.to_string()]),
        (Kind::Switch, _) => Err("true or false"),
        (Kind::List, DeValue::Array(items)) => {
            let texts = items.iter().map(|item| item.get_ref().as_str().map(str::to_owned));
            texts.collect::<Option<_>>().ok_or("an array of strings")
        }
        (Kind::List, _) => Err("an array of strings"),
        (Kind::Value, DeValue::String(text)) => Ok(vec![text.to_string()]),
        (Kind::Value, DeValue::Integer(number)) if number.radix() == 10 => {
            Ok(vec![number.as_str().to_owned()])
        }
        (Kind::Value, DeValue::Datetime(time)) => Ok(vec![time.to_string()]),
        (Kind::Value, _) => Err("a text in quotes or a whole number"),
    }
}

fn example(option: &str, kind: Kind) -> String {
    match kind {
        Kind::Switch => format!("write {option} = true"),
        Kind::Value => format!("write {option} = \"…\""),
        Kind::List => format!("write {option} = [\"…\", \"…\"]"),
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

/// The key that a line of TOML begins with, if it has the form of one.
fn key_in_line(text: &str, line: usize) -> Option<&str> {
    let line = text.lines().nth(line.checked_sub(1)?)?.trim_start();
    let end = line
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_')))
        .unwrap_or(line.len());
    line.get(..end).filter(|key| !key.is_empty())
}
