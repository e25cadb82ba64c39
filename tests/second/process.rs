//! The second server goes when the test goes.

use std::process::{Command, Stdio};
use std::time::Duration;

use tranship_tests::second::Second;

fn group_lives(group: u32) -> bool {
    let look = format!("kill -s 0 -- -{group}");
    let seen = Command::new("sh").args(["-c", &look]).stderr(Stdio::null()).status();
    seen.unwrap().success()
}

#[tokio::test]
async fn the_second_server_ends_with_its_value() {
    let second = Second::start().await;
    let (group, endpoint) = (second.group(), second.endpoint());
    assert!(group_lives(group));
    drop(second);
    assert!(!group_lives(group));
    let address = endpoint.strip_prefix("http://").unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "{address} still answers");
}

/// A test that is killed drops nothing; all that is left of it is the end of a pipe.
#[tokio::test]
async fn the_second_server_ends_when_its_standard_input_does() {
    let mut second = Second::start().await;
    second.hang_up();
    for _ in 0..200 {
        if second.has_ended() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it is still there");
}
