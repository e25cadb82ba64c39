//! Why the stack did not answer: what, where, and what to do about it.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_lambda::config::http::HttpResponse;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_lambda::operation::invoke::InvokeError;
use serde::Deserialize;
use tranship_adapters::stores::s3::vendors::partition;
use tranship_core::object::escape;

use super::Address;
use super::client::Question;
use crate::exit::{Exit, Failure};

/// Codes of credentials that Lambda does not accept, whatever they may do.
const CREDENTIALS: [&str; 6] = [
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "ExpiredTokenException",
    "MissingAuthenticationTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
];

/// No answer.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) failure: Failure,
    /// Whether to ask again may help.
    pub(super) may_pass: bool,
    /// Whether the function does not know what it was asked.
    pub(super) is_bad_input: bool,
}

impl Refusal {
    pub(super) fn last(failure: Failure) -> Self {
        Self { failure, may_pass: false, is_bad_input: false }
    }

    fn passing(what: String, remedy: impl Into<String>) -> Self {
        let refusal = Self::other(what, remedy);
        Self { may_pass: true, ..refusal }
    }

    fn other(what: String, remedy: impl Into<String>) -> Self {
        Self::last(Failure::new(Exit::Other, what, remedy))
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        refusal.failure
    }
}

/// The function was not reached, or Lambda did not let us.
pub(super) fn of_call(
    error: &SdkError<InvokeError, HttpResponse>,
    address: &Address,
    region: &str,
) -> Refusal {
    let place = format!("{} in {region}", address.function());
    match error {
        SdkError::ServiceError(service) => {
            let status = service.raw().status().as_u16();
            let (code, message) = (service.err().code(), service.err().message());
            of_service(
                status,
                code.unwrap_or("unknown"),
                message.unwrap_or_default(),
                &Where { address, region, place: &place },
            )
        }
        SdkError::TimeoutError(_) => Refusal::passing(
            format!("the function {place} did not answer in time"),
            "give the command again",
        ),
        _ => {
            let causes = causes(error);
            if chain(error).any(<dyn Error>::is::<CredentialsError>) {
                return Refusal::other(
                    format!("there are no credentials to invoke {place} with: {causes}"),
                    "name a profile with --profile, or log in as for the AWS CLI",
                );
            }
            Refusal::passing(
                format!("the function {place} cannot be reached: {causes}"),
                "check the network, --region and AWS_ENDPOINT_URL",
            )
        }
    }
}

struct Where<'a> {
    address: &'a Address,
    region: &'a str,
    place: &'a str,
}

fn of_service(status: u16, code: &str, message: &str, at: &Where<'_>) -> Refusal {
    let place = at.place;
    let said = if message.is_empty() { code.to_owned() } else { format!("{code}: {message}") };
    match code {
        "ResourceNotFoundException" => Refusal::other(
            format!("there is no function {place}: {said}"),
            format!(
                "check --stack (the stack {} may not be deployed), --region and --profile; `aws cloudformation list-stacks --region {}` names the stacks",
                at.address.stack(),
                at.region
            ),
        ),
        _ if CREDENTIALS.contains(&code) => Refusal::other(
            format!("the credentials were refused when {place} was invoked: {said}"),
            "renew them, name another profile with --profile, or check --region",
        ),
        // The code of Lambda, and the one that other services of Amazon have.
        "AccessDeniedException" | "AccessDenied" => Refusal::other(
            format!("access to {place} is denied: {said}"),
            format!("allow the caller lambda:InvokeFunction on {}", arn(message, at)),
        ),
        "TooManyRequestsException" => Refusal::passing(
            format!("the function {place} is throttled: {said}"),
            "wait and give the command again; if it stays so, raise the account's or the function's concurrency",
        ),
        _ => {
            let refusal = Refusal::other(
                format!("the function {place} cannot be invoked: {said} (status {status})"),
                "give the command again; the state of the function is on Lambda's page of the console",
            );
            Refusal { may_pass: status >= 500, ..refusal }
        }
    }
}

/// The function by its full name: as the refusal has it, or as far as it is known here.
fn arn(message: &str, at: &Where<'_>) -> String {
    let named = message.split_whitespace().find(|word| {
        word.starts_with("arn:") && word.contains(":lambda:") && word.contains(":function:")
    });
    if let Some(named) = named {
        return named.trim_end_matches(['.', ',']).to_owned();
    }
    let partition = partition(at.region);
    format!("arn:{partition}:lambda:{}:*:function:{}", at.region, at.address.function())
}

/// What a function answers that did not end well.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct FunctionError {
    error_type: Option<String>,
    error_message: Option<String>,
}

/// The function was reached and failed. `kind` is what Lambda calls it: `Handled` or `Unhandled`.
pub(super) fn of_function(
    kind: &str,
    payload: &[u8],
    address: &Address,
    question: &Question,
) -> Refusal {
    let error: FunctionError = serde_json::from_slice(payload).unwrap_or_default();
    let name = error.error_type.as_deref().unwrap_or(kind);
    let message = error.error_message.filter(|message| !message.is_empty());
    let message = message.map(|message| format!(": {message}")).unwrap_or_default();
    let what = format!(
        "the function {} could not do {}: {name}{message}",
        address.function(),
        question.name()
    );
    match name {
        "Tranship.Unavailable" => Refusal::passing(what, "give the command again"),
        "Tranship.Halted" => Refusal::last(Failure::new(
            Exit::Halted,
            what,
            format!("set right what it names, then run: {}", address.command("resume")),
        )),
        "Tranship.BadSettings" => Refusal::other(
            what,
            "deploy the stack again with the parameter set right that the message names",
        ),
        "Tranship.BadInput" => {
            let remedy = format!(
                "this command is of version {}: use the command of the stack's version, or deploy the stack again",
                env!("CARGO_PKG_VERSION")
            );
            Refusal { is_bad_input: true, ..Refusal::other(what, remedy) }
        }
        _ => Refusal::other(what, format!("see its log, /aws/lambda/{}", address.function())),
    }
}

fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// An error and its causes in one line; what was said already is not said again.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut out = String::new();
    for cause in chain(error) {
        let text = escape(&cause.to_string());
        if out.contains(&text) {
            continue;
        }
        if !out.is_empty() {
            out.push_str(": ");
        }
        out.push_str(&text);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::StackArgs;

    fn address() -> Address {
        Address::of(&StackArgs { stack: "photos".to_owned(), ..StackArgs::default() }).unwrap()
    }

    fn denied(message: &str, region: &str) -> Failure {
        let address = address();
        let at = Where { address: &address, region, place: "photos-finder in there" };
        of_service(403, "AccessDeniedException", message, &at).failure
    }

    #[test]
    fn a_denial_names_the_permission_and_the_function() {
        let arn = "arn:aws:lambda:eu-west-1:123456789012:function:photos-finder";
        let message = format!(
            "User: arn:aws:iam::123456789012:user/me is not authorized to perform: lambda:InvokeFunction on resource: {arn} because no identity-based policy allows it"
        );
        let remedy = format!("allow the caller lambda:InvokeFunction on {arn}");
        assert_eq!(denied(&message, "eu-west-1").remedy, remedy);
        for (region, partition) in
            [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
        {
            let arn = format!("arn:{partition}:lambda:{region}:*:function:photos-finder");
            let remedy = denied("", region).remedy;
            assert!(remedy.ends_with(&arn), "{remedy}");
        }
    }

    #[test]
    fn what_the_function_says_chooses_what_to_do() {
        let cases = [
            ("Tranship.Unavailable", Exit::Other, true, "again"),
            ("Tranship.Halted", Exit::Halted, false, "tranship resume --stack photos"),
            ("Tranship.BadSettings", Exit::Other, false, "parameter"),
            ("Tranship.BadInput", Exit::Other, false, env!("CARGO_PKG_VERSION")),
            ("Tranship.Permanent", Exit::Other, false, "/aws/lambda/photos-finder"),
            ("Runtime.ExitError", Exit::Other, false, "/aws/lambda/photos-finder"),
        ];
        for (name, exit, may_pass, part) in cases {
            let payload = format!(r#"{{"errorType":"{name}","errorMessage":"why","new":1}}"#);
            let address = address();
            let refusal = of_function("Unhandled", payload.as_bytes(), &address, &Question::Run);
            assert_eq!((refusal.failure.exit, refusal.may_pass), (exit, may_pass), "{name}");
            assert_eq!(refusal.is_bad_input, name == "Tranship.BadInput");
            assert!(refusal.failure.remedy.contains(part), "{:?}", refusal.failure);
            let what = format!("the function photos-finder could not do run: {name}: why");
            assert_eq!(refusal.failure.what, what);
        }
        let refusal = of_function("Unhandled", b"no JSON", &address(), &Question::Status);
        assert!(refusal.failure.what.ends_with("could not do status: Unhandled"));
    }
}
