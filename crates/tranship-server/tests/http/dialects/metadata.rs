//! What each vendor takes of user metadata: the last byte that fits, and the first that does not.

use super::{BUCKET, Store};
use tranship_server::Dialect;

/// Headers by name and length of their value.
type Headers = &'static [(&'static str, usize)];

/// What is taken, and what is refused with which code.
type Limit = (Dialect, &'static [Headers], &'static [(Headers, &'static str)]);

const LIMITS: [Limit; 5] = [
    (
        Dialect::Amazon,
        &[&[("x-amz-meta-a", 1_000), ("x-amz-meta-my_key", 1_041)]],
        &[(&[("x-amz-meta-a", 1_000), ("x-amz-meta-my_key", 1_042)], "MetadataTooLarge")],
    ),
    (
        Dialect::Oss,
        &[&[("x-amz-meta-a", 4_084), ("x-oss-meta-b-2", 4_081)]],
        &[
            (&[("x-amz-meta-a", 4_084), ("x-oss-meta-b-2", 4_082)], "InvalidArgument"),
            (&[("x-amz-meta-my_key", 1)], "InvalidArgument"),
            (&[("x-oss-meta-a.b", 1)], "InvalidArgument"),
        ],
    ),
    (
        Dialect::Cos,
        &[&[("x-amz-meta-a", 2_036), ("x-cos-meta-b", 2_036)]],
        &[
            (&[("x-amz-meta-a", 2_037)], "MetadataTooLarge"),
            (
                &[("x-amz-meta-a", 2_036), ("x-cos-meta-b", 2_036), ("x-amz-meta-c", 1)],
                "MetadataTooLarge",
            ),
            (&[("x-amz-meta-my_key", 1)], "InvalidArgument"),
        ],
    ),
    (
        Dialect::Kodo,
        &[&[("x-amz-meta-a", 1_000), ("x-amz-meta-my_key", 17)]],
        &[(&[("x-amz-meta-a", 1_000), ("x-amz-meta-my_key", 18)], "MetadataTooLarge")],
    ),
    (
        Dialect::Gcs,
        &[&[("x-amz-meta-a", 4_096), ("x-goog-meta-my_key", 4_089)]],
        &[
            (&[("x-amz-meta-a", 4_096), ("x-goog-meta-my_key", 4_090)], "MetadataTooLarge"),
            (&[("x-amz-meta-a", 4_097)], "MetadataTooLarge"),
        ],
    ),
];

#[tokio::test]
async fn every_vendor_takes_what_it_documents_and_no_more() {
    for (dialect, taken, refused) in LIMITS {
        let store = Store::start(dialect).await;
        let taken = taken.iter().map(|headers| (*headers, None));
        let refused = refused.iter().map(|(headers, code)| (*headers, Some(*code)));
        for (headers, code) in taken.chain(refused) {
            let values: Vec<_> =
                headers.iter().map(|(name, len)| (*name, "x".repeat(*len))).collect();
            let sent: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
            for line in ["PUT /k", "POST /k?uploads"] {
                let answer = store.ask(line, &sent, "").await;
                let status = if code.is_some() { 400 } else { 200 };
                assert_eq!(answer.status.as_u16(), status, "{dialect:?} {line} {headers:?}");
                if let Some(code) = code {
                    assert_eq!(answer.one("Code"), code, "{dialect:?} {line} {headers:?}");
                }
            }
            if code.is_none() {
                let kept = store.server.store().get(BUCKET, "k").unwrap();
                let kept = &kept.properties.metadata;
                assert_eq!(kept.len(), headers.len(), "{dialect:?}: {kept:?}");
            }
        }
    }
}
