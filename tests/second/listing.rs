//! Exchanges about keys and listings: odd keys, order, pages, encoding.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::EncodingType;
use tranship_tests::keys::HOSTILE;

use crate::talk::Talk;

pub(crate) async fn odd_keys(talk: &mut Talk) {
    let (c, b) = talk.topic("odd-keys").await;
    for key in HOSTILE {
        let name = key.escape_default();
        let put = c.put_object().bucket(b).key(key).body(key.as_bytes().to_vec().into());
        talk.say(&format!("put {name}"), put.send()).await;
    }
    for key in HOSTILE {
        let name = key.escape_default();
        talk.read(&format!("get {name}"), c.get_object().bucket(b).key(key).send()).await;
        talk.say(&format!("head {name}"), c.head_object().bucket(b).key(key).send()).await;
    }
    let list = c.list_objects_v2().bucket(b).encoding_type(EncodingType::Url);
    talk.say("list encoded", list.send()).await;
    let list = c.list_objects().bucket(b).encoding_type(EncodingType::Url);
    talk.say("list encoded, V1", list.send()).await;
    for key in HOSTILE {
        let name = key.escape_default();
        let list = c.list_objects_v2().bucket(b).encoding_type(EncodingType::Url).prefix(key);
        talk.say(&format!("list under {name}"), list.send()).await;
        let copy = c.copy_object().bucket(b).key("copy").copy_source(format!("{b}/{}", path(key)));
        talk.say(&format!("copy {name}"), copy.send()).await;
        talk.say(&format!("delete {name}"), c.delete_object().bucket(b).key(key).send()).await;
    }
    talk.say("list what is left", c.list_objects_v2().bucket(b).send()).await;
}

/// Every byte but letters and digits encoded, as a header can carry it.
fn path(key: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    key.bytes().map(escape).collect()
}

async fn fill(talk: &mut Talk, c: &Client, b: &str) {
    for key in ["a", "B", "a/1", "a/2", "a0", "ab", "b/c/d", "b/c/e", "é", "z", "\u{ffff}", "😀"]
    {
        talk.say("put", c.put_object().bucket(b).key(key).send()).await;
    }
}

pub(crate) async fn pages(talk: &mut Talk) {
    let (c, b) = talk.topic("pages").await;
    talk.say("nothing", c.list_objects_v2().bucket(b).send()).await;
    fill(talk, &c, b).await;
    let list = || c.list_objects_v2().bucket(b);
    talk.say("all", list().send()).await;
    talk.say("with owners", list().fetch_owner(true).send()).await;
    talk.say("a prefix", list().prefix("a").send()).await;
    talk.say("a prefix of nothing", list().prefix("none").send()).await;
    talk.say("a delimiter", list().delimiter("/").send()).await;
    talk.say("both", list().prefix("b/").delimiter("/").send()).await;
    talk.say("another delimiter", list().prefix("a").delimiter("b").send()).await;
    talk.say("start after a key", list().start_after("a/1").send()).await;
    talk.say("start after no key", list().start_after("a/11").send()).await;
    talk.say("start after, prefix", list().start_after("a").prefix("b").send()).await;
    talk.say("start after all", list().start_after("\u{10ffff}").send()).await;
    let inside = list().start_after("b/c/d").delimiter("/");
    talk.say("start within a common prefix", inside.send()).await;
    talk.say("none at all", list().max_keys(0).send()).await;
    talk.say("all but one", list().max_keys(11).send()).await;
    talk.say("just all", list().max_keys(12).send()).await;
    talk.say("more than a page", list().max_keys(5_000).send()).await;
    talk.say("less than none", list().max_keys(-1).send()).await;
    let odd = list().prefix("é").start_after("\u{e8}+ ").encoding_type(EncodingType::Url);
    talk.say("encoded words", odd.send()).await;
    talk.say("a token of nobody", list().continuation_token("no token").send()).await;
    for delimiter in ["", "/"] {
        let mut token = None;
        for page in 1..20 {
            let list = list().max_keys(3).delimiter(delimiter).set_continuation_token(token);
            let answer = talk.say(&format!("page {page} by {delimiter:?}"), list.send()).await;
            token = answer.and_then(|answer| answer.next_continuation_token);
            if token.is_none() {
                break;
            }
        }
    }
}

pub(crate) async fn pages_v1(talk: &mut Talk) {
    let (c, b) = talk.topic("pages-v1").await;
    fill(talk, &c, b).await;
    let list = || c.list_objects().bucket(b);
    talk.say("all", list().send()).await;
    talk.say("a prefix", list().prefix("a/").send()).await;
    talk.say("two", list().max_keys(2).send()).await;
    talk.say("two by a delimiter", list().max_keys(2).delimiter("/").send()).await;
    talk.say("after a key", list().marker("a/1").send()).await;
    talk.say("after a common prefix", list().marker("a/").delimiter("/").send()).await;
    let list = list().marker("a b").encoding_type(EncodingType::Url);
    talk.say("encoded words", list.send()).await;
}
