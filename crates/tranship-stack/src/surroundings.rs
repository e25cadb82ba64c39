//! Everything that a function holds in its hands, built once per process.

use std::sync::Arc;

use aws_config::SdkConfig;
use tranship_adapters::aws::loader;
use tranship_adapters::clock::SystemClock;
use tranship_adapters::completion::step_functions::StepFunctionsCompleter;
use tranship_adapters::http::http_client;
use tranship_adapters::ledgers::dynamodb::DynamoDbLedger;
use tranship_adapters::queues::sqs::{SqsQueue, SqsSettings};
use tranship_adapters::secrets::SecretCredentials;
use tranship_adapters::stores::s3::{S3Settings, S3Store, Sse as StoreSse};
use tranship_core::error::StoreError;
use tranship_core::link::Link;
use tranship_core::ports::{Clock, Ledger};
use tranship_core::progress::Progress;
use tranship_core::stage::{Learned, Stage};
use tranship_core::store::ObjectStore;

use crate::breaker::Mappings;
use crate::failure::{Failure, Name};
use crate::lines::PrefixFile;
use crate::notices::{DeadLetters, Notices};
use crate::settings::{Access, Settings, Side, Sse};

/// A function's own world.
#[derive(Debug)]
pub struct Surroundings {
    pub settings: Settings,
    pub stage: Stage,
    pub mappings: Mappings,
    pub notices: Notices,
    pub dead_letters: DeadLetters,
    /// The list of prefixes, where there is one.
    pub prefixes: Option<Arc<PrefixFile>>,
}

impl Surroundings {
    /// Builds all clients. Sends no request yet.
    pub async fn build(settings: Settings) -> Result<Self, Failure> {
        let http = http_client(None).map_err(|error| refused(&error))?;
        let config = Box::pin(loader(http.clone()).load()).await;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let connect = async |side: &Side, more: S3Settings| {
            let settings = store_settings(side, more, &config, &clock);
            S3Store::connect_with(settings, http.clone()).await.map_err(|error| refused(&error))
        };
        let of_source =
            S3Settings { requester_pays: settings.requester_pays, ..S3Settings::default() };
        let of_destination = S3Settings {
            expected_bucket_owner: settings.expected_owner.clone(),
            acl: settings.acl.clone(),
            sse: settings.sse.clone().map(store_sse),
            ..S3Settings::default()
        };
        let source: Arc<dyn ObjectStore> = Arc::new(connect(&settings.source, of_source).await?);
        let destination = connect(&settings.destination, of_destination).await?;
        let prefixes = match &settings.prefix_list {
            None => None,
            Some(list) => {
                let mut side = settings.source.clone();
                if let Some(bucket) = &list.bucket {
                    side.location.bucket.clone_from(bucket);
                }
                let store = connect(&side, S3Settings::default()).await?;
                Some(Arc::new(PrefixFile::new(store, &list.key)))
            }
        };
        let stage = stage(&settings, &config, clock, source, Arc::new(destination));
        Ok(Self {
            mappings: Mappings::new(&config, &settings.own),
            notices: Notices::new(&config, &settings.own),
            dead_letters: DeadLetters::new(&config),
            settings,
            stage,
            prefixes,
        })
    }
}

fn refused(error: &StoreError) -> Failure {
    Failure::new(Name::BadSettings, error.to_string())
}

fn stage(
    settings: &Settings,
    config: &SdkConfig,
    clock: Arc<dyn Clock>,
    source: Arc<dyn ObjectStore>,
    destination: Arc<dyn ObjectStore>,
) -> Stage {
    let own = &settings.own;
    let queues = SqsSettings {
        message_bytes_max: settings.message_bytes_max,
        hidden_seconds: settings.hidden_seconds,
        large_url: own.large.as_ref().map(|large| large.url.clone()),
        ..SqsSettings::new(&own.scan.url, &own.transfer.url)
    };
    let ledger: Arc<dyn Ledger> = Arc::new(DynamoDbLedger::new(config, &own.table, clock.clone()));
    let limit = settings.bandwidth_bytes_per_second;
    let link = Link::new(settings.policy.limits.streams_max).limited(limit, &ledger, &clock);
    Stage {
        transfer: settings.transfer.clone(),
        transfer_id: settings.transfer.id(),
        link: if settings.spreads { link.spreading() } else { link },
        policy: settings.policy.clone(),
        source,
        destination,
        ledger,
        queue: Arc::new(SqsQueue::new(config, queues, clock.clone())),
        completer: Arc::new(StepFunctionsCompleter::new(config, &own.state_machine)),
        clock,
        progress: Arc::new(Progress::default()),
        stopping: Arc::default(),
        learned: Learned::default(),
    }
}

fn store_settings(
    side: &Side,
    more: S3Settings,
    config: &SdkConfig,
    clock: &Arc<dyn Clock>,
) -> S3Settings {
    let (endpoint, bucket_endpoint) = side.way();
    S3Settings {
        bucket: side.location.bucket.clone(),
        region: side.region.clone(),
        vendor: Some(side.vendor),
        bucket_endpoint,
        path_style: side.facts.path_style.unwrap_or(side.vendor.quirks.path_style),
        list_version: side.facts.list_version,
        list_encoding: side.facts.list_encoding,
        checksums: side.facts.checksums,
        endpoint: endpoint.map(str::to_owned),
        endpoint_as_configured: true,
        anonymous: side.access == Access::Anonymous,
        secret: match &side.access {
            Access::Secret(name) => Some(SecretCredentials::new(config, name, clock.clone())),
            Access::Role | Access::Anonymous => None,
        },
        ..more
    }
}

fn store_sse(sse: Sse) -> StoreSse {
    match sse {
        Sse::Managed => StoreSse::Managed,
        Sse::Kms(key_id) => StoreSse::Kms { key_id, bucket_key: true },
    }
}
