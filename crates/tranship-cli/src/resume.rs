//! The command line once more, as a person can paste it into a shell.

use std::ffi::OsString;
use std::fmt::Write as _;

/// Every argument, quoted for a POSIX shell where it needs to be. The path of the program is left
/// away.
pub fn command_line(args: &[OsString]) -> String {
    let mut line = "tranship".to_owned();
    for arg in args.iter().skip(1) {
        line.push(' ');
        line.push_str(&quote(arg.as_encoded_bytes()));
    }
    line
}

fn quote(arg: &[u8]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./:=,@%+".contains(byte);
    match std::str::from_utf8(arg) {
        Ok(text) if !arg.is_empty() && arg.iter().all(plain) => text.to_owned(),
        Ok(text) if tranship_core::object::escape(text) == text => {
            format!("'{}'", text.replace('\'', r"'\''"))
        }
        _ => ansi_c(arg),
    }
}

/// `$'…'`, which bash, zsh and ksh read: no byte reaches the terminal as it is.
fn ansi_c(arg: &[u8]) -> String {
    let mut out = "$'".to_owned();
    for byte in arg {
        match byte {
            b'\'' | b'\\' => {
                out.push('\\');
                out.push(char::from(*byte));
            }
            0x20..=0x7e => out.push(char::from(*byte)),
            // Writing to a string cannot fail.
            _ => write!(out, "\\x{byte:02x}").unwrap_or_default(),
        }
    }
    out.push('\'');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_quoted_only_where_a_shell_needs_it() {
        for (arg, quoted) in [
            ("s3://a/b", "s3://a/b"),
            ("", "''"),
            ("a b", "'a b'"),
            ("*.jpg", "'*.jpg'"),
            ("it's", r"'it'\''s'"),
            ("é", "'é'"),
            ("a\nb'\\", r"$'a\x0ab\'\\'"),
            ("\u{202e}", r"$'\xe2\x80\xae'"),
        ] {
            assert_eq!(quote(arg.as_bytes()), quoted);
        }
        assert_eq!(command_line(&["/usr/bin/tranship".into(), "copy".into()]), "tranship copy");
    }
}
