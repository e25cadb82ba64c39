//! What a secret says, and what may be wrong with it.

use std::fmt;

use serde_json::{Map, Value};

/// The fields of a secret. It has no `Debug`, so that nothing can show them.
pub(super) struct Content {
    pub access_key_id: String,
    pub secret_access_key: String,
    pub token: Option<String>,
    pub role_arn: Option<String>,
}

/// What is wrong with a secret, in words that show none of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    Binary,
    Empty,
    NoJson {
        line: usize,
        column: usize,
    },
    NoObject,
    Missing(&'static str),
    NoText(&'static str),
    EmptyField(&'static str),
    /// A space, a line break or another character inside that no such value has.
    Strange(&'static str),
    NoRole(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Binary => f.write_str("is binary"),
            Self::Empty => f.write_str("is empty"),
            Self::NoJson { line, column } => {
                write!(f, "is not JSON (line {line}, column {column})")
            }
            Self::NoObject => f.write_str("is JSON, but no object"),
            Self::Missing(field) => write!(f, "has no {field}"),
            Self::NoText(field) => write!(f, "has something else than text as {field}"),
            Self::EmptyField(field) => write!(f, "has an empty {field}"),
            Self::Strange(field) => {
                write!(f, "has a character in {field} that does not belong there")
            }
            Self::NoRole(field) => write!(f, "has a {field} that is not the ARN of a role"),
        }
    }
}

impl Content {
    /// Reads a secret's text; `None` is a binary one. Space around the text and around each value
    /// is left out: it comes from copying, and no value may have it.
    pub(super) fn parse(text: Option<&str>) -> Result<Self, Fault> {
        let text = text.ok_or(Fault::Binary)?;
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        if text.is_empty() {
            return Err(Fault::Empty);
        }
        // The parser's own message would quote the secret.
        let value: Value = serde_json::from_str(text)
            .map_err(|error| Fault::NoJson { line: error.line(), column: error.column() })?;
        let Value::Object(fields) = value else { return Err(Fault::NoObject) };
        let required = |name| field(&fields, name)?.ok_or(Fault::Missing(name));
        let role_arn = field(&fields, "role_arn")?;
        if role_arn.as_ref().is_some_and(|arn| !is_role(arn)) {
            return Err(Fault::NoRole("role_arn"));
        }
        Ok(Self {
            access_key_id: required("access_key_id")?,
            secret_access_key: required("secret_access_key")?,
            token: field(&fields, "session_token")?,
            role_arn,
        })
    }
}

fn field(fields: &Map<String, Value>, name: &'static str) -> Result<Option<String>, Fault> {
    let text = match fields.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.trim(),
        Some(_) => return Err(Fault::NoText(name)),
    };
    if text.is_empty() {
        return Err(Fault::EmptyField(name));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Fault::Strange(name));
    }
    Ok(Some(text.to_owned()))
}

/// In any partition: `arn:aws-cn:iam::123456789012:role/name`.
fn is_role(arn: &str) -> bool {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    matches!(parts.as_slice(), ["arn", _, "iam", "", _, name] if name.starts_with("role/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Fault {
        Content::parse(Some(text)).err().unwrap()
    }

    #[test]
    fn space_around_the_text_and_its_values_is_left_out() {
        let text = "\u{feff} \n{\"access_key_id\": \" AKID\\n\", \"secret_access_key\": \"\\tkey \", \
            \"role_arn\": \" arn:aws-cn:iam::123456789012:role/path/name \"}\r\n";
        let content = Content::parse(Some(text)).ok().unwrap();
        assert_eq!(content.access_key_id, "AKID");
        assert_eq!(content.secret_access_key, "key");
        assert_eq!(content.token, None);
        assert_eq!(
            content.role_arn.as_deref(),
            Some("arn:aws-cn:iam::123456789012:role/path/name")
        );
    }

    #[test]
    fn every_fault_is_told_apart_and_shows_nothing() {
        let with = |field: &str| {
            format!("{{\"access_key_id\":\"hush1\",\"secret_access_key\":\"hush2\",{field}}}")
        };
        for (text, expected) in [
            (String::new(), Fault::Empty),
            (" \n".to_owned(), Fault::Empty),
            ("hush".to_owned(), Fault::NoJson { line: 1, column: 1 }),
            ("{\"access_key_id\":hush}".to_owned(), Fault::NoJson { line: 1, column: 18 }),
            ("[\"hush\"]".to_owned(), Fault::NoObject),
            ("\"hush\"".to_owned(), Fault::NoObject),
            ("{\"secret_access_key\":\"hush\"}".to_owned(), Fault::Missing("access_key_id")),
            ("{\"access_key_id\":\"hush\"}".to_owned(), Fault::Missing("secret_access_key")),
            (
                "{\"access_key_id\":\"hush\",\"secret_access_key\":null}".to_owned(),
                Fault::Missing("secret_access_key"),
            ),
            (with("\"session_token\":7"), Fault::NoText("session_token")),
            (with("\"session_token\":[\"hush\"]"), Fault::NoText("session_token")),
            (with("\"session_token\":\" \""), Fault::EmptyField("session_token")),
            (with("\"session_token\":\"hu sh\""), Fault::Strange("session_token")),
            (with("\"session_token\":\"hu\\nsh\""), Fault::Strange("session_token")),
            (with("\"session_token\":\"hush\u{e9}\""), Fault::Strange("session_token")),
            (with("\"role_arn\":\"hush\""), Fault::NoRole("role_arn")),
            (with("\"role_arn\":\"arn:aws:iam::1:user/hush\""), Fault::NoRole("role_arn")),
        ] {
            let fault = fault(&text);
            assert_eq!(fault, expected, "{text}");
            assert!(!format!("{fault} {fault:?}").contains("hush"), "{fault}");
        }
        assert_eq!(Content::parse(None).err(), Some(Fault::Binary));
    }
}
