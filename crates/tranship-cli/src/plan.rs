//! What a copy would be: from the findings of a dry run to a loss report and a forecast.

use tranship_adapters::stores::s3::vendors::{Acls, Vendor, partition};
use tranship_core::error::StoreError;
use tranship_core::forecast::{self, Band, Egress, Forecast, Measured, PRICES, Pair, Rates, Terms};
use tranship_core::object::Millis;
use tranship_core::outcome::{Account, Count, Outcome};
use tranship_core::policy::{Policy, ServerSide};
use tranship_core::room::MetadataRoom;
use tranship_core::store::{BucketFacts, Versioning};
use tranship_core::survey::{Findings, GrantSample, Grants};

use crate::engine::ForPlan;
use crate::settings::CopySettings;

const STANDARD: &str = "STANDARD";

/// What the settings say about a forecast, and about what is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outlook {
    /// Bytes a second, where somebody named them.
    pub rate: Option<Band>,
    /// The most that a copy would move in a second.
    pub bandwidth: Option<u64>,
    /// Of a GiB that leaves the source, where somebody named it.
    pub egress_nanodollars: Option<u64>,
    pub source_is_amazon: bool,
    pub destination_is_amazon: bool,
    pub is_one_store: bool,
    /// Where the settings say them: a bucket says its own.
    pub source_region: Option<String>,
    pub destination_region: Option<String>,
    /// The canned ACL that is asked for.
    pub acl: Option<String>,
    /// Objects of which the ACLs are to be looked at.
    pub acl_sample: u64,
    /// The source's store; `None` is one of nobody known.
    pub vendor: Option<&'static Vendor>,
}

impl Outlook {
    pub(crate) fn of(settings: &CopySettings) -> Self {
        let (here, there) = (&settings.source.location, &settings.destination.location);
        Self {
            rate: settings.rate,
            bandwidth: settings.bandwidth_bytes,
            egress_nanodollars: settings.egress_nanodollars,
            source_is_amazon: here.endpoint.is_none(),
            destination_is_amazon: there.endpoint.is_none(),
            is_one_store: here.endpoint == there.endpoint,
            source_region: settings.source.region.clone(),
            destination_region: settings.destination.region.clone(),
            acl: settings.acl.clone(),
            acl_sample: settings.acl_sample,
            vendor: Some(settings.source.vendor),
        }
    }

    /// Objects that are asked for their ACLs: none where the answer is known, or could not be read.
    pub(crate) fn grants_max(&self) -> usize {
        let shows = self.vendor.is_none_or(|vendor| vendor.quirks.acls == Acls::Shown);
        usize::try_from(self.acl_sample).ok().filter(|_| shows).unwrap_or(0)
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
    pub rate: RateBasis,
    /// The limit, where it is what holds the rate down.
    pub bandwidth: Option<u64>,
}

/// Where the rate of bytes comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateBasis {
    Given,
    /// The run of this transfer that ended then.
    Measured(Millis),
    Assumed,
}

/// Where a line of the loss report comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// All objects, by their listing.
    Listing,
    /// What the bucket says of itself.
    Bucket,
    /// What is known of the store.
    Store,
    /// A look at some objects.
    Sample,
    /// Nobody looked.
    NotLooked,
}

impl Basis {
    pub fn name(self) -> &'static str {
        match self {
            Self::Listing => "listing",
            Self::Bucket => "bucket",
            Self::Store => "store",
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
    /// Of a sample: how many objects it has.
    pub of: Option<u64>,
    /// About so many of all that would be copied, where the sample was drawn from all of them.
    pub estimate: Option<u64>,
}

impl LossLine {
    fn listed(what: impl Into<String>, count: Count) -> Self {
        let (objects, bytes) = (Some(count.objects), Some(count.bytes));
        Self { objects, bytes, ..Self::said(Basis::Listing, what) }
    }

    fn sampled(what: impl Into<String>, objects: u64, of: u64) -> Self {
        Self { objects: Some(objects), of: Some(of), ..Self::said(Basis::Sample, what) }
    }

    fn said(basis: Basis, what: impl Into<String>) -> Self {
        Self { basis, what: what.into(), objects: None, bytes: None, of: None, estimate: None }
    }
}

/// What a plan is made of.
#[derive(Debug)]
pub(crate) struct Made<'a> {
    pub(crate) findings: Findings,
    pub(crate) policy: &'a Policy,
    pub(crate) source: &'a BucketFacts,
    pub(crate) destination: &'a BucketFacts,
    pub(crate) asked: &'a ForPlan,
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
        let assumed = forecast::egress(&PRICES, &pair(outlook, made.source, made.destination));
        let egress = outlook.egress_nanodollars.map_or(assumed, |nanodollars_per_gib| Egress {
            nanodollars_per_gib,
            assumption: "given",
            ..assumed
        });
        let is_server_side = policy.server_side == ServerSide::Always;
        let (rates, rate) = rates(outlook, made.asked.rate, is_server_side);
        // What the store copies by itself does not pass here, where the limit is.
        let limit = outlook.bandwidth.filter(|limit| !is_server_side && *limit < rates.bytes.high);
        let terms = Terms {
            prices: PRICES,
            egress,
            rates: Rates { bytes: rates.bytes.at_most(limit.unwrap_or(u64::MAX)), ..rates },
            is_server_side,
            is_fenced: policy.fenced,
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
            rate,
            bandwidth: limit,
        }
    }
}

/// What decides about the price of what leaves. The buckets know their regions best.
fn pair(outlook: &Outlook, source: &BucketFacts, destination: &BucketFacts) -> Pair {
    let known = |said: &Option<String>, set: &Option<String>| said.clone().or_else(|| set.clone());
    let here = known(&source.region, &outlook.source_region);
    let there = known(&destination.region, &outlook.destination_region);
    let partitions = here.as_deref().map(partition).zip(there.as_deref().map(partition));
    Pair {
        source_is_amazon: outlook.source_is_amazon,
        destination_is_amazon: outlook.destination_is_amazon,
        is_one_store: outlook.is_one_store,
        is_one_partition: partitions.is_none_or(|(here, there)| here == there),
        source_region: here,
        destination_region: there,
    }
}

/// How fast things go, and who says so of the bytes: a person before an earlier run, and that before
/// an assumption.
fn rates(
    outlook: &Outlook,
    measured: Option<Measured>,
    is_server_side: bool,
) -> (Rates, RateBasis) {
    let assumed = if is_server_side { Rates::within_a_store() } else { Rates::default() };
    let flat = |rate| Band { low: rate, high: rate };
    match (outlook.rate, measured) {
        (Some(bytes), _) => (Rates { bytes, ..assumed }, RateBasis::Given),
        (None, Some(Measured { bytes_per_second, ended })) => {
            (Rates { bytes: flat(bytes_per_second), ..assumed }, RateBasis::Measured(ended))
        }
        (None, None) => (assumed, RateBasis::Assumed),
    }
}

/// What would be lost, as far as listings, buckets and the sample show it.
fn losses(made: &Made<'_>) -> Vec<LossLine> {
    let Made { findings, policy, outlook, account, .. } = made;
    let mut lines = Vec::new();
    lines.extend(history(made.source.versioning));
    lines.extend(made.asked.source_locks.as_ref().and_then(locks));
    grants(&mut lines, findings, outlook);
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
    lines.extend(sampled(findings, &policy.room));
    lines
}

/// The versions that would stay behind.
fn history(versioning: Versioning) -> Option<LossLine> {
    let (basis, what) = match versioning {
        Versioning::Never => return None,
        Versioning::Enabled => (
            Basis::Bucket,
            "version history: the bucket keeps versions, and the current one of each key is copied",
        ),
        Versioning::Suspended => (
            Basis::Bucket,
            "version history: the bucket kept versions once, and the current one of each key is copied",
        ),
        Versioning::Unknown => (
            Basis::NotLooked,
            "version history: the bucket does not tell, or may not be asked (s3:GetBucketVersioning); the current version of each key is copied",
        ),
    };
    Some(LossLine::said(basis, what))
}

/// Locks and legal holds, which no copy has. Without the permissions that are named, the headers of a
/// locked object do not say so.
fn locks(are_on: &Result<bool, StoreError>) -> Option<LossLine> {
    let (basis, what) = match are_on {
        Ok(false) => return None,
        Ok(true) => (
            Basis::Bucket,
            "object locks: they are on at the source's bucket, and no copy is locked; which objects are is seen with s3:GetObjectRetention and s3:GetObjectLegalHold alone".to_owned(),
        ),
        Err(error) => (
            Basis::NotLooked,
            format!("object locks: whether they are on could not be asked (s3:GetBucketObjectLockConfiguration); no copy is locked: {error}"),
        ),
    };
    Some(LossLine::said(basis, what))
}

/// The ACL grants that the copies would not have.
fn grants(lines: &mut Vec<LossLine>, findings: &Findings, outlook: &Outlook) {
    let none = |basis, why: &str| {
        let what = format!("ACL grants: there are none, {why}");
        LossLine { objects: Some(0), ..LossLine::said(basis, what) }
    };
    let acl = outlook.acl.as_deref().unwrap_or("the bucket's default");
    let unknown = |why: &str| {
        let what = format!("ACL grants: never carried over; copies get {acl}{why}");
        LossLine::said(Basis::NotLooked, what)
    };
    let (acls, name) = outlook
        .vendor
        .map_or((Acls::Shown, "the store"), |vendor| (vendor.quirks.acls, vendor.name));
    match (acls, &findings.grants) {
        (Acls::Absent, _) => lines.push(none(Basis::Store, &format!("{name} has no ACLs"))),
        (Acls::Own, _) => {
            let why = format!("; {name} shows them in a form of its own, which is not read");
            lines.push(unknown(&why));
        }
        (Acls::Shown, Grants::Off) => {
            lines.push(none(Basis::Bucket, "the source's bucket has ACLs switched off"));
        }
        (Acls::Shown, Grants::Unknown) => lines.push(unknown("")),
        (Acls::Shown, Grants::Sampled(sample)) => {
            let refusal = sample.first_refusal.as_deref().unwrap_or_default();
            if sample.looked_at > 0 {
                let what =
                    format!("ACL grants beyond the owner's: never carried over; copies get {acl}");
                let line = LossLine::sampled(what, sample.granted, sample.looked_at);
                let estimate = estimate(sample, findings.work.copied().objects);
                lines.push(LossLine { estimate, ..line });
                if sample.refused > 0 {
                    let asked = sample.looked_at + sample.refused;
                    let what = format!("ACL grants that could not be looked at: {refusal}");
                    lines.push(LossLine::sampled(what, sample.refused, asked));
                }
            } else if sample.refused > 0 {
                lines.push(unknown(&format!("; they could not be looked at: {refusal}")));
            } else {
                lines.push(unknown(""));
            }
        }
    }
}

/// How many objects have grants if all are like the sample; `None` if the sample is all of them.
fn estimate(sample: &GrantSample, copied: u64) -> Option<u64> {
    if sample.looked_at >= copied {
        return None;
    }
    let (granted, all) = (u128::from(sample.granted), u128::from(copied));
    let about =
        (granted * all + u128::from(sample.looked_at) / 2) / u128::from(sample.looked_at.max(1));
    Some(u64::try_from(about).unwrap_or(u64::MAX))
}

/// What is written in place of a class.
fn class_text(class: &str, policy: &Policy, outlook: &Outlook) -> String {
    if let Some(written) = &policy.storage_class {
        return format!("storage class {class} → {written}, as asked for");
    }
    let own = policy.classes.iter().find(|(_, amazon)| *amazon == class);
    match (own, policy.class_for(Some(class))) {
        (Some((name, _)), _) => format!("storage class {class} → {name}, its equal there"),
        (None, None) => format!(
            "storage class {class} → the bucket's own: it has no equal there; --storage-class sets one"
        ),
        (None, Some(_)) if outlook.destination_is_amazon => {
            format!("storage class {class} → {class}, kept")
        }
        (None, Some(_)) => format!(
            "storage class {class} → {class}: a store that does not know it refuses; --storage-class sets another"
        ),
    }
}

fn sampled(findings: &Findings, room: &MetadataRoom) -> Vec<LossLine> {
    let sample = &findings.sample;
    let of = sample.looked_at;
    let mut lines: Vec<_> =
        sample.losses.iter().map(|(loss, n)| LossLine::sampled(loss.name(), n, of)).collect();
    if sample.metadata_unfit > 0 {
        let what = if room.is_assumed {
            "user metadata of more than the 2,048 bytes that S3 takes: would fail where the destination takes no more"
        } else {
            "user metadata that the destination does not take: would fail, as each named above"
        };
        lines.push(LossLine::sampled(what, sample.metadata_unfit, of));
    }
    let lost = sample.multipart - sample.layouts_kept.min(sample.multipart);
    if lost > 0 {
        let what = "part layout that cannot be learned or held: the copies have another ETag";
        lines.push(LossLine::sampled(what, lost, of));
    }
    if sample.refused > 0 {
        let why = sample.first_refusal.as_deref().unwrap_or_default();
        let asked = of + sample.refused;
        let what = format!("could not be looked at: {why}");
        lines.push(LossLine::sampled(what, sample.refused, asked));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(scheme: &str) -> (usize, LossLine) {
        let outlook =
            Outlook { vendor: Vendor::of_scheme(scheme), acl_sample: 7, ..Outlook::default() };
        let mut lines = Vec::new();
        grants(&mut lines, &Findings::default(), &outlook);
        assert_eq!(lines.len(), 1);
        (outlook.grants_max(), lines.remove(0))
    }

    #[test]
    fn a_store_whose_acls_cannot_be_read_is_asked_for_none() {
        for (scheme, max) in [("s3", 7), ("cos", 7), ("oss", 7), ("gs", 0)] {
            let (grants_max, line) = line(scheme);
            assert_eq!((grants_max, line.basis), (max, Basis::NotLooked), "{scheme}");
            assert_eq!(line.what.contains("a form of its own"), max == 0, "{}", line.what);
        }
        let r2 = Vendor::of_endpoint(Some("https://x.r2.cloudflarestorage.com"));
        let outlook = Outlook { vendor: Some(r2), acl_sample: 7, ..Outlook::default() };
        let mut lines = Vec::new();
        grants(&mut lines, &Findings::default(), &outlook);
        let lines: Vec<_> = lines.iter().map(|line| (line.basis, line.objects)).collect();
        assert_eq!((outlook.grants_max(), lines), (0, vec![(Basis::Store, Some(0))]));
    }

    #[test]
    fn what_leaves_follows_from_regions_and_partitions() {
        let amazon = Outlook {
            source_is_amazon: true,
            destination_is_amazon: true,
            is_one_store: true,
            ..Outlook::default()
        };
        let bucket = |region: Option<&str>| BucketFacts {
            region: region.map(str::to_owned),
            ..BucketFacts::default()
        };
        for (here, there, price) in [
            (Some("eu-west-1"), Some("eu-west-1"), 0),
            (Some("eu-west-1"), Some("us-east-1"), PRICES.to_region),
            (Some("eu-west-1"), None, PRICES.to_region),
            (Some("cn-north-1"), Some("cn-northwest-1"), PRICES.to_region),
            (Some("us-gov-west-1"), Some("us-gov-east-1"), PRICES.to_region),
            (Some("us-east-1"), Some("cn-north-1"), PRICES.to_internet),
            (Some("cn-north-1"), Some("us-east-1"), PRICES.to_internet),
            (Some("us-gov-west-1"), Some("us-west-2"), PRICES.to_internet),
            (Some("us-west-2"), Some("us-gov-west-1"), PRICES.to_internet),
            (Some("cn-north-1"), Some("us-gov-west-1"), PRICES.to_internet),
        ] {
            let pair = pair(&amazon, &bucket(here), &bucket(there));
            let egress = forecast::egress(&PRICES, &pair);
            assert_eq!(egress.nanodollars_per_gib, price, "{here:?} {there:?}");
        }
        // A bucket that does not say its region is where the settings say.
        let told = Outlook { destination_region: Some("cn-north-1".to_owned()), ..amazon };
        let pair = pair(&told, &bucket(Some("us-east-1")), &bucket(None));
        assert!(!pair.is_one_partition);
    }

    #[test]
    fn a_class_is_said_to_become_what_is_written() {
        let said = |scheme: &str, is_amazon, class| {
            let vendor = Vendor::of_scheme(scheme).unwrap();
            let policy = Policy { classes: vendor.quirks.classes, ..Policy::default() };
            let outlook = Outlook { destination_is_amazon: is_amazon, ..Outlook::default() };
            class_text(class, &policy, &outlook)
        };
        for (scheme, is_amazon, class, text) in [
            ("s3", true, "STANDARD_IA", "→ STANDARD_IA, kept"),
            ("s3", false, "STANDARD_IA", "that does not know it refuses"),
            ("gs", false, "STANDARD_IA", "→ NEARLINE, its equal there"),
            ("gs", false, "INTELLIGENT_TIERING", "→ the bucket's own: it has no equal there"),
            ("oss", false, "GLACIER", "→ GLACIER, its equal there"),
            ("oss", false, "ONEZONE_IA", "→ the bucket's own: it has no equal there"),
        ] {
            let said = said(scheme, is_amazon, class);
            assert!(said.contains(text), "{scheme} {class}: {said}");
        }
    }

    #[test]
    fn an_estimate_is_of_all_and_rounded() {
        let sample = |granted, looked_at| GrantSample { granted, looked_at, ..Default::default() };
        for (granted, looked_at, copied, about) in [
            (3, 10, 10, None),
            (3, 10, 9, None),
            (0, 10, 1_000, Some(0)),
            (1, 3, 100, Some(33)),
            (2, 3, 100, Some(67)),
            (100, 100, u64::MAX, Some(u64::MAX)),
        ] {
            assert_eq!(estimate(&sample(granted, looked_at), copied), about);
        }
    }
}
