//! Listings: sorted, paged, grouped, encoded, and of a billion keys.

use crate::client::{get, start, start_with};
use tranship_server::{Backend, Formula, FormulaEtags, Server, ServerOptions};

async fn all_pages(server: &Server, query: &str) -> (Vec<String>, Vec<String>) {
    let (mut keys, mut prefixes) = (Vec::new(), Vec::new());
    let mut token = String::new();
    loop {
        let page = get(server, &format!("/bucket?list-type=2&{query}{token}")).await;
        page.is(200);
        keys.extend(page.all("Key"));
        prefixes.extend(
            page.all("CommonPrefixes")
                .iter()
                .map(|it| it.replace("<Prefix>", "").replace("</Prefix>", "")),
        );
        if page.one("IsTruncated") != "true" {
            return (keys, prefixes);
        }
        token = format!("&continuation-token={}", page.one("NextContinuationToken"));
    }
}

#[tokio::test]
async fn keys_come_sorted_by_bytes_and_in_pages() {
    let server = start().await;
    let mut keys = vec!["a", "a/b", "a/c/d", "a0", "b", "ÿ", "\u{ffff}", "\u{10000}"];
    for key in &keys {
        server.store().put("bucket", key, "x");
    }
    keys.sort_unstable();
    assert_eq!(all_pages(&server, "max-keys=3").await.0, keys);
    assert_eq!(all_pages(&server, "prefix=a/&max-keys=1").await.0, ["a/b", "a/c/d"]);
    assert_eq!(all_pages(&server, "start-after=a0").await.0, keys[4..]);
    let (keys, prefixes) = all_pages(&server, "delimiter=/&max-keys=1").await;
    assert_eq!(keys[..3], ["a", "a0", "b"]);
    assert_eq!(prefixes, ["a/"]);
    let first = get(&server, "/bucket?delimiter=/&max-keys=2").await;
    assert_eq!(first.one("NextMarker"), "a/");
    let second = get(&server, "/bucket?delimiter=/&max-keys=2&marker=a/").await;
    assert_eq!(second.all("Key"), ["a0", "b"]);
}

#[tokio::test]
async fn keys_are_encoded_on_request() {
    let server = start().await;
    server.store().put("bucket", "a b+\u{1}&<é", "x");
    let page = get(&server, "/bucket?list-type=2&encoding-type=url").await;
    assert_eq!(page.one("Key"), "a+b%2B%01%26%3C%C3%A9");
    assert_eq!(page.one("EncodingType"), "url");
    let options = ServerOptions { encode_listing: false, ..ServerOptions::default() };
    let server = start_with(options).await;
    server.store().put("bucket", "a b&", "x");
    let page = get(&server, "/bucket?list-type=2&encoding-type=url").await;
    assert_eq!(page.one("Key"), "a b&amp;");
}

#[tokio::test]
async fn a_billion_keys_are_listed_and_read_by_formula() {
    let server = start().await;
    let formula = Formula {
        count: 1_000_000_000,
        prefix: "p/".to_owned(),
        per_folder: 100_000,
        sizes: vec![10, 50 << 40],
        part_size: Some(5 << 30),
        etags: FormulaEtags::Fast,
        ..Formula::default()
    };
    let key = formula.key(123_456_789);
    let backend = Backend::Synthetic { hash_writes: false };
    server.store().create_synthetic_bucket("bucket", formula.clone(), backend);
    let page = get(&server, &format!("/bucket?list-type=2&max-keys=2&start-after={key}")).await;
    assert_eq!(page.all("Key"), [formula.key(123_456_790), formula.key(123_456_791)]);
    assert_eq!(page.all("Size"), ["10", "54975581388800"]);
    let folders = get(&server, "/bucket?list-type=2&prefix=p/&delimiter=/&max-keys=5").await;
    assert_eq!(folders.all("CommonPrefixes").len(), 5);
    server.store().put("bucket", "p/zzz", "written");
    server.store().delete("bucket", &key);
    let head = get(&server, &format!("/bucket/{key}")).await;
    head.is(404);
    let head = get(&server, &format!("/bucket/{}", formula.key(0))).await;
    assert_eq!(head.is(200).body.len(), 10);
    let page = get(&server, "/bucket?list-type=2&prefix=p/z").await;
    assert_eq!(page.all("Key"), ["p/zzz"]);
}
