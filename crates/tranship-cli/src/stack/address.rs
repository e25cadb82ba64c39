//! The name of a stack, checked, and the commands about it that a message can offer.

use std::ffi::OsString;

use super::answers::Breaker;
use crate::args::StackArgs;
use crate::resume;
use crate::usage::{UsageError, quoted};

/// Lambda's limit for the name of a function, in characters.
const FUNCTION_NAME_MAX: usize = 64;
/// What follows the stack's name in the name of its function.
const FINDER: &str = "-finder";
/// So that the name of the function stays within its limit.
const STACK_NAME_MAX: usize = FUNCTION_NAME_MAX - FINDER.len();

/// A stack, and the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    stack: String,
    region: Option<String>,
    profile: Option<String>,
}

impl Address {
    /// Checks what was written. Asks nobody.
    pub fn of(args: &StackArgs) -> Result<Self, UsageError> {
        let StackArgs { stack, region, profile, json: _ } = args;
        check_stack(stack)?;
        if let Some(region) = region {
            check_region(region)?;
        }
        if profile.as_deref() == Some("") {
            let remedy = "name a profile of the AWS configuration, or leave the option away";
            return Err(of_option("the profile is empty", "--profile", remedy));
        }
        Ok(Self { stack: stack.clone(), region: region.clone(), profile: profile.clone() })
    }

    pub fn stack(&self) -> &str {
        &self.stack
    }

    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    pub fn profile(&self) -> Option<&str> {
        self.profile.as_deref()
    }

    /// The function that answers for the stack.
    pub fn function(&self) -> String {
        format!("{}{FINDER}", self.stack)
    }

    /// Another command about the same stack, to be pasted into a shell.
    pub fn command(&self, name: &str) -> String {
        let mut args: Vec<OsString> = ["", name, "--stack", &self.stack].map(Into::into).into();
        for (option, value) in [("--region", &self.region), ("--profile", &self.profile)] {
            if let Some(value) = value {
                args.extend([option.into(), value.into()]);
            }
        }
        resume::command_line(&args)
    }

    /// What to do about a stack that stands still.
    pub fn remedy(&self, breaker: &Breaker) -> String {
        let resume = self.command("resume");
        if breaker.is_paused() {
            format!("to go on, run: {resume}")
        } else {
            format!(
                "set right what the reason names; the stack then goes on by itself within minutes, or at once with: {resume}"
            )
        }
    }
}

fn check_stack(stack: &str) -> Result<(), UsageError> {
    let remedy = "give the name alone, as it was deployed: letters, digits and -, a letter first";
    if stack.len() > STACK_NAME_MAX {
        let what = format!(
            "a stack name of {} characters is above the most, {STACK_NAME_MAX}: {}",
            stack.len(),
            quoted(stack)
        );
        return Err(of_option(what, "--stack", remedy));
    }
    let is_name = stack.starts_with(|c: char| c.is_ascii_alphabetic())
        && stack.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !is_name {
        let what = format!("not the name of a stack: {}", quoted(stack));
        return Err(of_option(what, "--stack", remedy));
    }
    Ok(())
}

/// A region becomes part of a host name, so nothing else may be in it.
fn check_region(region: &str) -> Result<(), UsageError> {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if region.is_empty() || region.len() > 32 || !region.bytes().all(is_letter) {
        let what = format!("not a region: {}", quoted(region));
        return Err(of_option(what, "--region", "give one such as eu-central-1"));
    }
    Ok(())
}

fn of_option(what: impl Into<String>, option: &str, remedy: &str) -> UsageError {
    UsageError::new(what, format!("the command line, {option}"), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(stack: &str, region: Option<&str>) -> Result<Address, UsageError> {
        let region = region.map(str::to_owned);
        Address::of(&StackArgs { stack: stack.to_owned(), region, ..StackArgs::default() })
    }

    #[test]
    fn names_are_those_that_cloudformation_takes() {
        for name in ["photos", "P-1-x", &"a".repeat(57)] {
            assert_eq!(of(name, None).unwrap().function(), format!("{name}-finder"));
        }
        let arn = "arn:aws:cloudformation:eu-central-1:123456789012:stack/photos/1";
        for name in ["", "1photos", "-photos", "a_b", "a b", "ü", "a\u{1b}", arn, &"a".repeat(58)]
        {
            let error = of(name, None).unwrap_err();
            assert_eq!(error.place, "the command line, --stack");
            assert!(!error.to_string().contains('\u{1b}'));
        }
    }

    #[test]
    fn a_region_is_part_of_a_host_name() {
        assert!(of("a", Some("us-gov-west-1")).is_ok());
        for region in ["", "Eu-central-1", "evil.example.org/", "a@b"] {
            assert_eq!(of("a", Some(region)).unwrap_err().place, "the command line, --region");
        }
    }

    #[test]
    fn a_command_says_all_that_leads_to_the_stack() {
        let profile = Some("my own".to_owned());
        let address = Address { profile, ..of("photos", Some("eu-west-1")).unwrap() };
        let command = "tranship retry --stack photos --region eu-west-1 --profile 'my own'";
        assert_eq!(address.command("retry"), command);
    }
}
