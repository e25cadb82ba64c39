//! The function behind S3 notifications: each becomes a task that looks at its key.

mod handler;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::disallowed_methods, reason = "the environment is read here, once, into settings")]
async fn main() -> Result<(), lambda_runtime::Error> {
    tranship_stack::start::run(|name| std::env::var(name).ok(), handler::handle).await
}
