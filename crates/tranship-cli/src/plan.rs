//! What a copy would be: from the findings of a dry run to a loss report and a forecast.

use tranship_core::forecast::{self, Band, Egress, Forecast, PRICES, Pair, Rates, Terms};
use tranship_core::outcome::{Account, Count, Outcome};
use tranship_core::policy::{Policy, ServerSide};
use tranship_core::store::BucketFacts;
use tranship_core::survey::Findings;

use crate::settings::CopySettings;

const STANDARD: &str = "STANDARD";

/// What the settings say about a forecast, and about what is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Bytes a second, where somebody named them.
    pub rate: Option<Band>,
    /// Of a GiB that leaves the source, where somebody named it.
    pub egress_nanodollars: Option<u64>,
    pub source_is_amazon: bool,
    pub destination_is_amazon: bool,
    pub is_one_store: bool,
    /// The canned ACL that is asked for.
    pub acl: Option<String>,
}

impl Outlook {
    pub(crate) fn of(settings: &CopySettings) -> Self {
        let (here, there) = (&settings.source.location, &settings.destination.location);
        Self {
            rate: settings.rate,
            egress_nanodollars: settings.egress_nanodollars,
            source_is_amazon: here.endpoint.is_none(),
            destination_is_amazon: there.endpoint.is_none(),
            is_one_store: here.endpoint == there.endpoint,
            acl: settings.acl.clone(),
        }
    }
}

/// Everything that a dry run has to say besides its account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The largest objects that would be copied.
    pub largest: Vec<(String, u64)>,
    /// Would be copied again for want of evidence.
    pub unproven: Count,
    pub losses: Vec<LossLine>,
    /// Objects of which a HEAD was taken, of those that would be copied.
    pub sampled: u64,
    pub copied: u64,
    pub forecast: Forecast,
    pub terms: Terms,
    pub egress_is_given: bool,
    pub rate_is_given: bool,
}

/// Where a line of the loss report comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// All objects, by their listing.
    Listing,
    /// What the bucket says of itself.
    Bucket,
    /// HEADs of some objects.
    Sample,
    /// Nobody looked.
    NotLooked,
}

impl Basis {
    pub fn name(self) -> &'static str {
        match self {
            Self::Listing => "listing",
            Self::Bucket => "bucket",
            Self::Sample => "sample",
            Self::NotLooked => "not looked at",
        }
    }
}

/// Something that the copies would not have, or would have otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LossLine {
    pub basis: Basis,
    pub what: String,
    /// Objects, and their bytes where they are known. Of a sample: those in the sample.
    pub objects: Option<u64>,
    pub bytes: Option<u64>,
}

impl LossLine {
    fn listed(what: impl Into<String>, count: Count) -> Self {
        let (objects, bytes) = (Some(count.objects), Some(count.bytes));
        Self { basis: Basis::Listing, what: what.into(), objects, bytes }
    }

    fn sampled(what: impl Into<String>, objects: u64) -> Self {
        Self { basis: Basis::Sample, what: what.into(), objects: Some(objects), bytes: None }
    }

    fn said(basis: Basis, what: impl Into<String>) -> Self {
        Self { basis, what: what.into(), objects: None, bytes: None }
    }
}

/// What a plan is made of.
#[derive(Debug)]
pub(crate) struct Made<'a> {
    pub(crate) findings: Findings,
    pub(crate) policy: &'a Policy,
    pub(crate) source: &'a BucketFacts,
    pub(crate) destination: &'a BucketFacts,
    pub(crate) outlook: &'a Outlook,
    pub(crate) listed: Count,
    pub(crate) listed_destination: Count,
    pub(crate) account: &'a Account,
}

impl Plan {
    pub(crate) fn new(made: Made<'_>) -> Self {
        let losses = losses(&made);
        let Made { mut findings, policy, outlook, account, .. } = made;
        let copied = findings.work.copied().objects;
        findings.work.listed_source = made.listed.objects;
        findings.work.listed_destination = made.listed_destination.objects;
        findings.work.deletes = account.get(Outcome::Deleted).objects;
        if policy.tags && findings.sample.looked_at > 0 {
            // As many as the sample suggests.
            let sample = &findings.sample;
            let tagged = u128::from(copied) * u128::from(sample.tagged);
            let tagged = tagged.div_ceil(u128::from(sample.looked_at));
            findings.work.tag_reads += u64::try_from(tagged).unwrap_or(u64::MAX);
        }
        let pair = Pair {
            source_is_amazon: outlook.source_is_amazon,
            destination_is_amazon: outlook.destination_is_amazon,
            is_one_store: outlook.is_one_store,
            source_region: made.source.region.clone(),
            destination_region: made.destination.region.clone(),
        };
        let egress = outlook.egress_nanodollars.map_or_else(
            || forecast::egress(&PRICES, &pair),
            |nanodollars_per_gib| Egress { nanodollars_per_gib, assumption: "given" },
        );
        let assumed = Rates::default();
        let terms = Terms {
            prices: PRICES,
            egress,
            rates: Rates { bytes: outlook.rate.unwrap_or(assumed.bytes), ..assumed },
            is_server_side: policy.server_side == ServerSide::Always,
            storage_class: policy.storage_class.clone(),
        };
        let largest = findings.largest().into_iter();
        Self {
            largest: largest.map(|(key, size)| (key.as_str().to_owned(), size)).collect(),
            unproven: findings.unproven,
            losses,
            sampled: findings.sample.looked_at,
            copied,
            forecast: forecast::forecast(&findings.work, &terms),
            terms,
            egress_is_given: outlook.egress_nanodollars.is_some(),
            rate_is_given: outlook.rate.is_some(),
        }
    }
}

/// What would be lost, as far as listings, buckets and the sample show it.
fn losses(made: &Made<'_>) -> Vec<LossLine> {
    let Made { findings, policy, outlook, account, .. } = made;
    let mut lines = Vec::new();
    if made.source.versioned {
        let what =
            "version history: the bucket keeps versions, and the current one of each key is copied";
        lines.push(LossLine::said(Basis::Bucket, what));
    }
    let acl = outlook.acl.as_deref().map_or("the bucket's default", |acl| acl);
    let what = format!("ACL grants: never carried over; copies get {acl}");
    lines.push(LossLine::said(Basis::NotLooked, what));
    let archived = account.get(Outcome::Archived);
    if archived.objects > 0 {
        lines.push(LossLine::listed("archived, not copied until they are restored", archived));
    }
    let failed = account.get(Outcome::Failed);
    if failed.objects > 0 {
        let what =
            "would fail: a key too long for the destination, and the like; each is named above";
        lines.push(LossLine::listed(what, failed));
    }
    for (class, of) in findings.work.classes.iter().filter(|(class, _)| *class != STANDARD) {
        lines.push(LossLine::listed(class_text(class, policy, outlook), of.copied));
    }
    if policy.storage_class.is_some()
        && let Some(standard) = findings.work.classes.get(STANDARD)
    {
        lines.push(LossLine::listed(class_text(STANDARD, policy, outlook), standard.copied));
    }
    if findings.layouts_lost.objects > 0 {
        let what = "part layout: parts that S3 does not take; the copies have another ETag";
        lines.push(LossLine::listed(what, findings.layouts_lost));
    }
    lines.extend(sampled(findings));
    lines
}

/// What is written in place of a class.
fn class_text(class: &str, policy: &Policy, outlook: &Outlook) -> String {
    match &policy.storage_class {
        Some(written) => format!("storage class {class} → {written}, as asked for"),
        None if outlook.destination_is_amazon => format!("storage class {class} → {class}, kept"),
        None => format!(
            "storage class {class} → {class}: a store that does not know it refuses; --storage-class sets another"
        ),
    }
}

fn sampled(findings: &Findings) -> Vec<LossLine> {
    let sample = &findings.sample;
    let mut lines: Vec<_> =
        sample.losses.iter().map(|(loss, n)| LossLine::sampled(loss.name(), n)).collect();
    if sample.metadata_too_large > 0 {
        let what = "user metadata of more than the 2,048 bytes that S3 takes: would fail";
        lines.push(LossLine::sampled(what, sample.metadata_too_large));
    }
    let lost = sample.multipart - sample.layouts_kept.min(sample.multipart);
    if lost > 0 {
        let what = "part layout that cannot be learned or held: the copies have another ETag";
        lines.push(LossLine::sampled(what, lost));
    }
    if sample.refused > 0 {
        let why = sample.first_refusal.as_deref().unwrap_or_default();
        lines.push(LossLine::sampled(format!("could not be looked at: {why}"), sample.refused));
    }
    lines
}
