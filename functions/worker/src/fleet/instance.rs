//! The instance that the process runs on, by its metadata service (version 2: every question carries a
//! token). Elsewhere there is none, and nothing depends on it.

use std::time::Duration;

use aws_config::imds::client::Client;
use aws_config::imds::client::error::ImdsError;
use aws_config::provider_config::ProviderConfig;
use tranship_adapters::http::http_client;

/// Longer than a service takes that is there at all.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Instance {
    client: Client,
    pub(super) id: String,
}

impl Instance {
    /// `None`: this is no instance, or its metadata are switched off.
    pub(super) async fn find(variable: &impl Fn(&str) -> Option<String>) -> Option<Self> {
        let off = variable("AWS_EC2_METADATA_DISABLED");
        if off.is_some_and(|off| off.eq_ignore_ascii_case("true")) {
            return None;
        }
        let http = http_client(None).ok()?;
        let how = ProviderConfig::default().with_http_client(http);
        let mut client = Client::builder()
            .configure(&how)
            .max_attempts(2)
            .connect_timeout(PATIENCE)
            .read_timeout(PATIENCE)
            .operation_attempt_timeout(PATIENCE);
        if let Some(endpoint) = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT") {
            client = client.endpoint(endpoint).ok()?;
        }
        let client = client.build();
        let id = client.get("/latest/meta-data/instance-id").await.ok()?;
        Some(Self { client, id: AsRef::<str>::as_ref(&id).to_owned() })
    }

    /// Why the instance is about to end, if it is.
    pub(super) async fn end(&self) -> Result<Option<&'static str>, ImdsError> {
        if self.ask("/latest/meta-data/spot/instance-action").await?.is_some() {
            return Ok(Some("the Spot instance is about to be taken back"));
        }
        let state = self.ask("/latest/meta-data/autoscaling/target-lifecycle-state").await?;
        let terminated = state.as_deref() == Some("Terminated");
        Ok(terminated.then_some("the Auto Scaling group takes the instance away"))
    }

    /// What is not there is `None`.
    async fn ask(&self, path: &str) -> Result<Option<String>, ImdsError> {
        match self.client.get(path).await {
            Ok(text) => Ok(Some(AsRef::<str>::as_ref(&text).trim().to_owned())),
            Err(ImdsError::ErrorResponse(answer)) if answer.response().status().as_u16() == 404 => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}
