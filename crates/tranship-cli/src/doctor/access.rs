//! Who else comes to a side: anybody, if it is public, and whose it is.

use tranship_adapters::stores::s3::{S3Settings, S3Store};
use tranship_core::error::StoreError;
use tranship_core::store::{Head, ListPage, ListRequest, ObjectStore as _};

use super::Subject;
use super::finding::{Finding, State};
use super::way::Way;
use crate::engine::{Side, patiently};

/// Accounts that own no bucket of anybody's.
const NOBODIES: [&str; 2] = ["000000000000", "000000000001"];

/// Whether anybody can list the bucket, or read an object of it. Such requests are not signed, so they
/// need no permission.
pub(super) async fn public(subject: &Subject<'_>, way: &Way) -> Finding {
    const CHECK: &str = "public";
    let side = subject.side;
    if subject.settings.anonymous {
        return Finding::good(side, CHECK, "it is read without credentials, as was asked for");
    }
    let (listed, read) = match unsigned(subject, way).await {
        Ok(answers) => answers,
        Err(error) => return Finding::new(side, CHECK, State::Unknown, error.to_string(), ""),
    };
    let what = match (&listed, &read) {
        (Ok(_), Some(Ok(_))) => "anybody can list it and read its objects, without credentials",
        (Ok(_), _) => "anybody can list it, without credentials",
        (Err(_), Some(Ok(_))) => {
            "anybody can read an object whose key is known, without credentials"
        }
        (Err(error), _) if error.kind.is_about_credentials() => {
            return Finding::good(side, CHECK, "requests without credentials are refused");
        }
        (Err(error), _) => {
            return Finding::new(side, CHECK, State::Unknown, error.to_string(), "");
        }
    };
    let to_do = match side {
        Side::Source => {
            "if that is not meant, take the public grant from the bucket's policy and ACL"
        }
        Side::Destination => {
            "if that is not meant, block public access to the bucket before anything is copied there"
        }
    };
    Finding::new(side, CHECK, State::Advice, what, to_do)
}

type Unsigned = (Result<ListPage, StoreError>, Option<Result<Head, StoreError>>);

async fn unsigned(subject: &Subject<'_>, way: &Way) -> Result<Unsigned, StoreError> {
    let anonymous = S3Settings {
        anonymous: true,
        profile: None,
        requester_pays: false,
        expected_bucket_owner: None,
        ..way.settings.clone()
    };
    let store = S3Store::connect(anonymous).await?;
    let listed = first(subject, &store).await;
    let read = match way.page.first() {
        Some(object) => Some(patiently(|| store.head(&object.key, None, None)).await),
        None => None,
    };
    Ok((listed, read))
}

async fn first(subject: &Subject<'_>, store: &S3Store) -> Result<ListPage, StoreError> {
    let prefix = subject.prefix.to_owned();
    let first = ListRequest { prefix, limit: 1, ..ListRequest::default() };
    patiently(|| store.list(&first)).await
}

/// Whether the destination is the expected account's. It is, if it answers to requests that demand it,
/// unless the store does not care for that.
pub(super) async fn owner(subject: &Subject<'_>, way: &Way) -> Option<Finding> {
    const CHECK: &str = "owner";
    let side = subject.side;
    let Some(account) = &subject.settings.expected_bucket_owner else {
        return undemanded(subject);
    };
    let other = S3Settings {
        expected_bucket_owner: NOBODIES.map(str::to_owned).into_iter().find(|it| it != account),
        ..way.settings.clone()
    };
    let refused = match S3Store::connect(other).await {
        Ok(store) => first(subject, &store).await.map(drop),
        Err(error) => Err(error),
    };
    Some(match refused {
        Err(error) if error.kind.is_about_credentials() => {
            Finding::good(side, CHECK, format!("the bucket is the account {account}'s"))
        }
        Err(error) => Finding::new(side, CHECK, State::Unknown, error.to_string(), ""),
        Ok(()) => {
            let what = "the store answers whatever account is expected: whose the bucket is cannot be seen";
            let to_do = "make sure of the endpoint and the bucket's name; --expected-bucket-owner guards nothing here";
            Finding::new(side, CHECK, State::Advice, what, to_do)
        }
    })
}

/// A bucket's name that is given up can be taken by somebody else.
fn undemanded(subject: &Subject<'_>) -> Option<Finding> {
    let is_advised = subject.side == Side::Destination && subject.settings.vendor().knows_owners;
    is_advised.then(|| {
        let what = "no account is expected to own the bucket";
        let to_do = "give --expected-bucket-owner ACCOUNT: then nothing is written if the bucket is another's";
        Finding::new(Side::Destination, "owner", State::Advice, what, to_do)
    })
}

/// Why a destination refuses that is expected to be an account's: whether it answers without that.
pub(super) async fn foreign(subject: &Subject<'_>) -> Option<Finding> {
    let account = subject.settings.expected_bucket_owner.as_ref()?;
    let any = S3Settings { expected_bucket_owner: None, ..subject.settings.clone() };
    let store = S3Store::connect(any).await.ok()?;
    first(subject, &store).await.ok()?;
    let what = format!(
        "the bucket is not the account {account}'s: it answers, but not to requests that expect that owner"
    );
    let to_do =
        "find out whose it is before anything is written there, or correct --expected-bucket-owner";
    Some(Finding::new(subject.side, "owner", State::Bad, what, to_do))
}

#[cfg(test)]
mod tests {
    use tranship_adapters::stores::s3::vendors::Vendor;

    use super::*;

    #[test]
    fn only_a_destination_that_knows_owners_is_advised_to_name_one() {
        for (side, vendor, is_advised) in [
            (Side::Destination, Vendor::of_endpoint(None), true),
            (Side::Source, Vendor::of_endpoint(None), false),
            (Side::Destination, Vendor::of_endpoint(Some("http://localhost:9000")), false),
            (Side::Destination, Vendor::of_endpoint(Some("https://storage.googleapis.com")), false),
        ] {
            let settings = S3Settings { vendor: Some(vendor), ..S3Settings::default() };
            let subject = Subject {
                side,
                settings,
                prefix: "",
                conditions: true,
                tags: true,
                probe_id: None,
            };
            assert_eq!(undemanded(&subject).is_some(), is_advised, "{side} {}", vendor.name);
        }
    }
}
