//! The yardstick: the least that a program over the same SDK, HTTP client and settings can do.
//!
//! Each body streams from a GET into a PUT. Keys are known beforehand; nothing is checked, counted,
//! recorded or tried again. Where tranship copies nothing, both sides are listed and compared.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aws_sdk_s3::Client as S3;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, Object};
use clap::Args;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::task::JoinSet;
use tranship_adapters::stores::s3::http_client;

use crate::case::Work;
use crate::serve::{DESTINATION, KEYS, SOURCE};

/// Tasks that share the streams where objects are small.
const TASKS: usize = 8;
const CONNECT_TIMEOUT: Duration = Duration::from_millis(3_100);

/// One run of the loop.
#[derive(Debug, Args)]
pub(crate) struct Bare {
    #[command(flatten)]
    work: Work,
    #[arg(long)]
    source: String,
    #[arg(long)]
    destination: String,
    #[arg(long)]
    ca_bundle: PathBuf,
}

/// Both sides.
struct Pair {
    source: S3,
    destination: S3,
}

pub(crate) fn run(bare: &Bare) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(copy_all(bare))
}

async fn copy_all(bare: &Bare) -> Result<()> {
    let pem = std::fs::read(&bare.ca_bundle)?;
    let pair = Arc::new(Pair {
        source: connect(&bare.source, &pem)?,
        destination: connect(&bare.destination, &pem)?,
    });
    let (formula, case) = (bare.work.formula(), bare.work.case);
    if !case.copies() {
        return compare(&pair, bare.work.objects()).await;
    }
    let (size, streams) = (formula.size(0), case.streams());
    if size > case.part_bytes() {
        for ordinal in 0..formula.count {
            let parts = Parts { key: formula.key(ordinal), size, part_bytes: case.part_bytes() };
            copy_parts(&pair, &parts, streams).await?;
        }
        return Ok(());
    }
    // As many tasks as threads: one for each object would wake the threads more often than need be.
    let mut tasks = JoinSet::new();
    for first in (0..).take(TASKS) {
        let (pair, formula) = (Arc::clone(&pair), formula.clone());
        tasks.spawn(async move {
            stream::iter(
                (first..formula.count)
                    .step_by(TASKS)
                    .map(|ordinal| copy_whole(&pair, formula.key(ordinal), size)),
            )
            .buffer_unordered(streams / TASKS)
            .try_collect::<()>()
            .await
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

/// The adapter's own HTTP client, and its settings of the SDK.
fn connect(endpoint: &str, pem: &[u8]) -> Result<S3> {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(http_client(Some(pem))?)
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(Credentials::new(KEYS.0, KEYS.1, None, None, "benchmark"))
        .force_path_style(true)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).build());
    Ok(S3::from_conf(config.build()))
}

async fn copy_whole(pair: &Pair, key: String, size: u64) -> Result<()> {
    let read = pair.source.get_object().bucket(SOURCE).key(&key).send().await?;
    let body = ByteStream::new(read.body.into_inner());
    let put = pair.destination.put_object().bucket(DESTINATION).key(key);
    put.content_length(i64::try_from(size)?).body(body).send().await?;
    Ok(())
}

/// An object that is copied in parts.
struct Parts {
    key: String,
    size: u64,
    part_bytes: u64,
}

async fn copy_parts(pair: &Arc<Pair>, object: &Parts, streams: usize) -> Result<()> {
    let Parts { key, size, part_bytes } = object;
    let create = pair.destination.create_multipart_upload().bucket(DESTINATION).key(key);
    let upload = create.send().await?.upload_id.context("no upload id")?;
    let numbers = 1..=size.div_ceil(*part_bytes);
    let mut parts: Vec<CompletedPart> = stream::iter(numbers.map(|number| {
        let range = (number - 1) * part_bytes..(number * part_bytes).min(*size);
        let copying = copy_part(Arc::clone(pair), key.clone(), upload.clone(), number, range);
        async move { tokio::spawn(copying).await? }
    }))
    .buffer_unordered(streams)
    .try_collect()
    .await?;
    parts.sort_by_key(CompletedPart::part_number);
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let complete = pair.destination.complete_multipart_upload().bucket(DESTINATION).key(key);
    complete.upload_id(upload).multipart_upload(parts).send().await?;
    Ok(())
}

async fn copy_part(
    pair: Arc<Pair>,
    key: String,
    upload: String,
    number: u64,
    range: std::ops::Range<u64>,
) -> Result<CompletedPart> {
    let header = format!("bytes={}-{}", range.start, range.end - 1);
    let read = pair.source.get_object().bucket(SOURCE).key(&key).range(header).send().await?;
    let number = i32::try_from(number)?;
    let put = pair.destination.upload_part().bucket(DESTINATION).key(key).upload_id(upload);
    let put = put.part_number(number).content_length(i64::try_from(range.end - range.start)?);
    let sent = put.body(ByteStream::new(read.body.into_inner())).send().await?;
    Ok(CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).build())
}

/// Lists both sides, page by page, and compares them.
async fn compare(pair: &Pair, objects: u64) -> Result<()> {
    let (mut here, mut there) =
        (Pages::new(&pair.source, SOURCE), Pages::new(&pair.destination, DESTINATION));
    let mut equal = 0;
    loop {
        let (a, b) = futures_util::try_join!(here.next(), there.next())?;
        if a.is_empty() && b.is_empty() {
            break;
        }
        for (a, b) in a.iter().zip(&b) {
            equal += u64::from(a.key == b.key && a.e_tag == b.e_tag && a.size == b.size);
        }
    }
    ensure!(equal == objects, "{equal} of {objects} objects are equal");
    Ok(())
}

/// The pages of one side.
struct Pages<'a> {
    side: &'a S3,
    bucket: &'static str,
    continuation: Option<String>,
    ended: bool,
}

impl<'a> Pages<'a> {
    fn new(side: &'a S3, bucket: &'static str) -> Self {
        Self { side, bucket, continuation: None, ended: false }
    }

    async fn next(&mut self) -> Result<Vec<Object>> {
        if self.ended {
            return Ok(Vec::new());
        }
        let list = self.side.list_objects_v2().bucket(self.bucket);
        let page = list.set_continuation_token(self.continuation.take()).send().await?;
        self.ended = !page.is_truncated.unwrap_or(false);
        self.continuation = page.next_continuation_token;
        Ok(page.contents.unwrap_or_default())
    }
}
