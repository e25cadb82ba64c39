//! Both servers are told the same and must say the same, but for what is known.

use tranship_server::{Server, ServerOptions};
use tranship_tests::rig::{credentials, settings_at};
use tranship_tests::second::Second;

use crate::known::{KNOWN, Known};
use crate::talk::{Answer, Difference, Talk, compare};
use crate::{checksums, copies, listing, multipart, reads};

async fn converse(endpoint: String) -> Vec<(String, Answer)> {
    let mut talk = Talk::with(&settings_at(endpoint, ""));
    reads::objects(&mut talk).await;
    reads::ranges(&mut talk).await;
    reads::read_conditions(&mut talk).await;
    reads::write_conditions(&mut talk).await;
    multipart::uploads_with_parts(&mut talk).await;
    multipart::refused_uploads(&mut talk).await;
    multipart::conditional_completions(&mut talk).await;
    multipart::open_uploads(&mut talk).await;
    copies::whole_copies(&mut talk).await;
    copies::part_copies(&mut talk).await;
    copies::tags(&mut talk).await;
    copies::metadata(&mut talk).await;
    copies::versions(&mut talk).await;
    listing::odd_keys(&mut talk).await;
    listing::pages(&mut talk).await;
    listing::pages_v1(&mut talk).await;
    checksums::of_objects(&mut talk).await;
    checksums::of_uploads(&mut talk).await;
    talk.said
}

#[tokio::test(flavor = "multi_thread")]
async fn both_servers_answer_alike_but_for_what_is_known() {
    let options = ServerOptions { credentials: Some(credentials()), ..ServerOptions::default() };
    let strict = Server::start(options).await.unwrap();
    let second = Second::start().await;
    let (strict, second) = tokio::join!(converse(strict.endpoint()), converse(second.endpoint()));
    let exchanges = |said: &[(String, Answer)]| -> Vec<String> {
        said.iter().map(|(exchange, _)| exchange.clone()).collect()
    };
    assert_eq!(exchanges(&strict), exchanges(&second));
    let differences: Vec<Difference> = strict
        .iter()
        .zip(&second)
        .flat_map(|((exchange, strict), (_, second))| compare(exchange, strict, second))
        .collect();
    let entries = || KNOWN.iter().flat_map(|cause| cause.differences);
    let unlisted: Vec<&Difference> =
        differences.iter().filter(|it| !entries().any(|known| known.covers(it))).collect();
    assert!(unlisted.is_empty(), "differences that are not listed: {unlisted:#?}");
    for cause in KNOWN {
        let gone = |known: &&Known| !differences.iter().any(|it| known.covers(it));
        let gone: Vec<&Known> = cause.differences.iter().filter(gone).collect();
        assert!(gone.is_empty(), "listed, and no longer there: {} {gone:#?}", cause.why);
    }
}
