//! The adapters of the AWS services, against those services as another hand wrote them, and against
//! answers that the services give too rarely to wait for.

mod completion;
mod ledger;
mod queue;
mod secrets;

use std::sync::Arc;

use aws_config::{Region, SdkConfig};
use aws_sdk_s3::config::Credentials;
use tokio::sync::OnceCell;
use tranship_adapters::aws::loader;
use tranship_adapters::clock::SystemClock;
use tranship_adapters::http::http_client;
use tranship_core::ports::Clock;
use tranship_tests::second::Second;
use tranship_tests::wire::Wire;

/// One server for all tests; each has tables and queues of its own. It ends with this process.
static SERVER: OnceCell<Second> = OnceCell::const_new();

/// The services, with a wire of one test's own in between.
struct Cloud {
    config: SdkConfig,
    wire: Wire,
}

async fn cloud() -> Cloud {
    let services = "dynamodb,sqs,stepfunctions,secretsmanager,sts,iam";
    let server = SERVER.get_or_init(|| Second::serving(services)).await;
    let wire = Wire::default();
    let config = loader(wire.client(http_client(None).unwrap()))
        .region(Region::new("us-east-1"))
        .endpoint_url(server.endpoint())
        .credentials_provider(Credentials::new("test", "test", None, None, "test"));
    Cloud { config: Box::pin(config.load()).await, wire }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}
