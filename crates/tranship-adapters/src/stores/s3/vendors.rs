//! How stores differ that speak the S3 protocol: one row for each, and nothing else here decides by
//! vendor.
//!
//! A row says what the vendor documents. What it leaves open has the careful value: nothing is sent
//! that a store might refuse, and nothing is believed that it might not keep. `tranship doctor`
//! finds out on the spot where a store differs from its row.

mod facts;
mod table;

use tranship_core::checksum::{Algorithm, Checksum};
use tranship_core::policy::{Policy, ServerSide};
use tranship_core::room::{MetadataRoom, ObjectRoom};
use tranship_core::store::STANDARD;

pub use self::facts::{Facts, NAMES as FACTS, SideFacts};
pub use self::table::{AMAZON, COMPATIBLE, VENDORS};

/// Amazon's storage classes that an object can be written into.
pub const AMAZON_CLASSES: [&str; 8] = [
    STANDARD,
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER_IR",
    "GLACIER",
    "DEEP_ARCHIVE",
    "REDUCED_REDUNDANCY",
];

/// A kind of store.
#[derive(Debug)]
pub struct Vendor {
    /// The stack's name for it.
    pub kind: &'static str,
    /// What stands before `://` in the command.
    pub scheme: &'static str,
    /// For a person.
    pub name: &'static str,
    /// How its hosts end, so that an endpoint that was given tells whose it is.
    pub hosts: &'static [&'static str],
    /// How an endpoint follows from the region; `None`: the SDK knows, or nobody does.
    pub endpoints: Option<Endpoints>,
    pub quirks: Quirks,
    /// How permissions are written there.
    pub permissions: Permissions,
    /// A request can name the account that has to own the bucket.
    pub knows_owners: bool,
    /// The handler of the bridge that passes on what changed there; `None`: nothing does, or the store itself.
    pub bridge: Option<&'static str>,
    /// Pages of the vendor's documentation that this row rests on.
    pub documents: &'static [&'static str],
}

impl PartialEq for Vendor {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Eq for Vendor {}

/// What a host may be told to ask of a store, and only some know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// That a certain account owns the bucket.
    Owner,
    /// Amazon's key management.
    Kms,
    /// That the requester pays.
    Payer,
}

/// What a store lacks. Each host puts the name of its own option before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    pub what: String,
    pub to_do: &'static str,
}

/// Endpoints by region; `{region}` stands for it.
#[derive(Debug)]
pub struct Endpoints {
    pub public: &'static str,
    /// From within the vendor's own network, where there is another one.
    pub internal: Option<&'static str>,
    /// A region, for a message.
    pub example: &'static str,
}

/// What a store does in its own way.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a habit of its own")]
pub struct Quirks {
    /// The bucket stands in the path; else in the host's name.
    pub path_style: bool,
    /// The region in signatures, where it is always the same.
    pub signed_region: Option<&'static str>,
    pub list: ListVersion,
    /// `encoding-type=url` may be asked for. Without it some keys cannot be listed.
    pub encodes_listings: bool,
    /// Checksum headers of Amazon's may be sent, and come back.
    pub checksums: bool,
    /// A listing may show late what was written.
    pub lists_late: bool,
    /// There are links. A listing shows them with a size of 0, and every other answer what they lead to.
    pub lists_links: bool,
    /// A listing says which archived objects are restored, if it is asked to: of what it says nothing, none is.
    pub lists_restores: bool,
    /// Writes honour `If-Match` and `If-None-Match`, completions too.
    pub conditions: bool,
    pub tags: bool,
    pub part_copy: bool,
    /// The account that must own a bucket can be named.
    pub owners: bool,
    /// Writes can ask for Amazon's key management.
    pub kms: bool,
    /// A request can say that who sends it pays for it.
    pub payer: bool,
    /// `ETag`s of plain writes are MD5, and those of multipart uploads the MD5 of the parts' MD5s.
    pub etags: ETags,
    /// An `ETag` that looks like an MD5 is one, unless the answer says that a key service keeps the object's key. Where
    /// nobody promises that, a difference is no proof of damage.
    pub md5_is_promised: bool,
    /// `ETag`s of what the store encrypts, with whatever keys, are no MD5.
    pub encryption_hides_md5: bool,
    /// `ETag`s may be qetags, which say so by their form, and are compared with what the bytes come to.
    pub qetags: bool,
    /// The vendor's own prefix of headers, beside `x-amz-`.
    pub prefix: Option<&'static str>,
    /// The header with the whole object's checksum.
    pub checksum: Option<ChecksumHeader>,
    /// Bodies are read as they are stored only if the request accepts gzip. Unsigned, since such stores
    /// change that header on its way.
    pub accepts_gzip: bool,
    pub acls: Acls,
    /// What is taken of user metadata.
    pub metadata: MetadataRoom,
    /// What is taken of keys and bytes.
    pub objects: ObjectRoom,
    /// Storage classes: the store's name, and Amazon's for what is nearest to it. What an object of
    /// such a class costs and whether it must be restored is Amazon's, then.
    pub classes: &'static [(&'static str, &'static str)],
}

/// The language in which a store's owner grants permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permissions {
    /// Amazon's policies, which most other stores take, too.
    Iam,
    /// Alibaba Cloud's policies of RAM.
    Ram,
    /// Tencent Cloud's policies of CAM.
    Cam,
    /// Google's roles, bound to members.
    Roles,
    /// The vendor's console makes them, and no text of them is documented.
    Console,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListVersion {
    V1,
    V2,
}

impl ListVersion {
    /// The words of options and settings.
    pub const WORDS: [(&str, Self); 2] = [("1", Self::V1), ("2", Self::V2)];
}

/// The ACLs of single objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acls {
    /// In Amazon's form, or so that the answer says why not.
    Shown,
    /// In a form of the store's own, which is not read.
    Own,
    /// There are none.
    Absent,
}

/// What an `ETag` is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ETags {
    /// As Amazon's.
    Md5,
    /// MD5 for plain writes; something else for uploads in parts.
    Md5OfPlain,
    /// Something else always.
    Own,
}

/// A header that Amazon has not, and how it writes a checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumHeader {
    /// The CRC-64 of XZ, in decimal digits, under one of these names.
    Crc64(&'static [&'static str]),
    /// `crc32c=…,md5=…`, each in base64, perhaps in a header each.
    Hashes(&'static [&'static str]),
}

impl ChecksumHeader {
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::Crc64(names) | Self::Hashes(names) => names,
        }
    }

    /// The checksum in a header's value; `None` if there is none in it, or it cannot be read.
    pub fn read(self, value: &str) -> Option<Checksum> {
        match self {
            Self::Crc64(_) => {
                let value = value.trim().parse().ok()?;
                Some(Checksum { algorithm: Algorithm::Crc64Xz, value })
            }
            Self::Hashes(_) => value.split(',').find_map(|hash| {
                let value = Algorithm::Crc32C.decode(hash.trim().strip_prefix("crc32c=")?)?;
                Some(Checksum { algorithm: Algorithm::Crc32C, value })
            }),
        }
    }
}

impl Vendor {
    /// All rows.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        [&AMAZON, &COMPATIBLE].into_iter().chain(VENDORS)
    }

    /// By what stands before `://`.
    pub fn of_scheme(scheme: &str) -> Option<&'static Self> {
        if scheme == AMAZON.scheme {
            return Some(&AMAZON);
        }
        VENDORS.iter().find(|vendor| vendor.scheme == scheme)
    }

    /// Whose endpoint it is; a store of nobody known is a compatible one.
    pub fn of_endpoint(endpoint: Option<&str>) -> &'static Self {
        let Some(endpoint) = endpoint else { return &AMAZON };
        let all = [&AMAZON].into_iter().chain(VENDORS);
        all.into_iter().find(|vendor| vendor.has_host(endpoint)).unwrap_or(&COMPATIBLE)
    }

    /// Whose endpoint it is, if it is one of another vendor. What has a host of nobody known may well be this
    /// one's, behind a name of its owner's.
    pub fn another_of(&self, endpoint: &str) -> Option<&'static Self> {
        let of_endpoint = Self::of_endpoint(Some(endpoint));
        (of_endpoint != self && of_endpoint != &COMPATIBLE).then_some(of_endpoint)
    }

    fn has_host(&self, endpoint: &str) -> bool {
        let host = host_of(endpoint);
        self.hosts
            .iter()
            .any(|suffix| host == suffix.trim_start_matches('.') || host.ends_with(suffix))
    }

    /// The endpoint of a region; `Err` says what is missing.
    pub fn endpoint(
        &self,
        region: Option<&str>,
        internal: bool,
    ) -> Result<Option<String>, Missing> {
        let Some(endpoints) = &self.endpoints else {
            return if internal { Err(Missing::Internal) } else { Ok(None) };
        };
        let pattern =
            if internal { endpoints.internal.ok_or(Missing::Internal)? } else { endpoints.public };
        if !pattern.contains("{region}") {
            return Ok(Some(pattern.to_owned()));
        }
        let region = region.ok_or(Missing::Region(endpoints.example))?;
        Ok(Some(pattern.replace("{region}", region)))
    }

    /// What is wrong with asking this of the store, and what to do; `None`: it knows it. A header that a store passes
    /// over guards nothing.
    pub fn lacks(&self, asked: Asked) -> Option<Lacking> {
        let (is_known, what, to_do) = match asked {
            Asked::Owner => {
                (self.quirks.owners, "cannot be told who must own a bucket", "leave it away")
            }
            Asked::Kms => (
                self.quirks.kms,
                "does not know Amazon's key management",
                "leave it away, and set the bucket's own encryption",
            ),
            Asked::Payer => (
                self.quirks.payer,
                "cannot be told over Amazon's protocol that who asks pays",
                "leave it away, and use credentials of the bucket's own account",
            ),
        };
        (!is_known).then(|| Lacking { what: format!("{} {what}", self.name), to_do })
    }

    /// Whether each region has an endpoint of its own, which follows from its name.
    pub fn is_of_regions(&self) -> bool {
        self.endpoints.as_ref().is_some_and(|endpoints| endpoints.public.contains("{region}"))
    }

    /// Amazon's name of a class, as this store has it; the standard class is none.
    pub(crate) fn class_of<'a>(&self, theirs: &'a str) -> &'a str {
        let row = self.quirks.classes.iter().find(|(name, _)| name.eq_ignore_ascii_case(theirs));
        row.map_or(theirs, |(_, amazon)| amazon)
    }

    /// Whether objects of a class that this store names must be restored before they can be read.
    pub(crate) fn is_archive(&self, theirs: &str) -> bool {
        matches!(self.class_of(theirs), "GLACIER" | "DEEP_ARCHIVE")
    }

    /// Whether this is one of Amazon's classes, and nothing at this store comes near it. A name that is neither's
    /// may be a class that the vendor has made since.
    pub fn lacks_class(&self, class: &str) -> bool {
        let classes = self.quirks.classes;
        let has = classes.iter().any(|(theirs, amazon)| [*theirs, *amazon].contains(&class));
        !classes.is_empty() && !has && class != STANDARD && AMAZON_CLASSES.contains(&class)
    }

    /// This store's name of one of Amazon's classes.
    pub(crate) fn class_for<'a>(&self, amazon: &'a str) -> &'a str {
        self.quirks.classes.iter().find(|(_, it)| *it == amazon).map_or(amazon, |(name, _)| name)
    }
}

/// What the stores do not do is not asked of them, and what they do not promise is not believed.
#[must_use]
pub fn abiding(policy: Policy, source: &Vendor, destination: &Vendor) -> Policy {
    let server_side =
        if destination.quirks.part_copy { policy.server_side } else { ServerSide::Never };
    Policy {
        tags: policy.tags && source.quirks.tags && destination.quirks.tags,
        classes: destination.quirks.classes,
        fenced: policy.fenced && destination.quirks.conditions,
        composites_follow: source.quirks.etags == ETags::Md5,
        md5_is_promised: source.quirks.md5_is_promised,
        source_lists_late: source.quirks.lists_late,
        room: destination.quirks.metadata,
        objects: destination.quirks.objects,
        server_side,
        ..policy
    }
}

/// The partition of Amazon's that a region is of. Accounts, names of buckets and resources are each
/// partition's own, and nothing but the internet leads from one to another.
pub fn partition(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "aws-cn",
        _ if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// The host of an endpoint, without its port, in small letters.
pub(super) fn host_of(endpoint: &str) -> String {
    let rest = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    let host = rest.split(['/', ':']).next().unwrap_or_default();
    host.to_ascii_lowercase()
}

/// What an endpoint cannot be made without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The region, such as this one.
    Region(&'static str),
    /// The vendor has no other endpoint for its own network.
    Internal,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_follows_the_region() {
        for (region, name) in [
            ("", "aws"),
            ("eu-west-1", "aws"),
            ("us-east-1", "aws"),
            ("cn-north-1", "aws-cn"),
            ("us-gov-west-1", "aws-us-gov"),
        ] {
            assert_eq!(partition(region), name);
        }
    }

    #[test]
    fn schemes_kinds_and_hosts_name_one_row_each() {
        let mut kinds: Vec<_> = Vendor::all().map(|vendor| vendor.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert_eq!(kinds.len(), Vendor::all().count());
        for vendor in Vendor::all().filter(|vendor| vendor.scheme != "s3") {
            assert_eq!(Vendor::of_scheme(vendor.scheme), Some(vendor));
            let endpoint = vendor.endpoint(Some("some-region-1"), false).unwrap();
            assert_eq!(Vendor::of_endpoint(endpoint.as_deref()), vendor);
        }
    }

    #[test]
    fn every_row_but_the_unknown_stores_rests_on_a_document() {
        for vendor in Vendor::all().filter(|vendor| *vendor != &COMPATIBLE) {
            let is_page = |page: &&str| page.starts_with("https://");
            assert!(!vendor.documents.is_empty(), "{}", vendor.name);
            assert!(vendor.documents.iter().all(is_page), "{}", vendor.name);
        }
    }

    #[test]
    fn a_host_tells_whose_it_is_and_a_part_of_its_name_does_not() {
        for (endpoint, kind) in [
            (None, "amazon-s3"),
            (Some("https://s3.eu-west-1.amazonaws.com"), "amazon-s3"),
            (Some("https://s3.cn-north-1.amazonaws.com.cn"), "amazon-s3"),
            (Some("https://OSS-cn-hangzhou.aliyuncs.com:443"), "alibaba-oss"),
            (Some("https://oss-cn-hangzhou-internal.aliyuncs.com"), "alibaba-oss"),
            (Some("https://storage.googleapis.com"), "google-gcs"),
            (Some("https://notstorage.googleapis.com.example"), "s3-compatible"),
            (Some("https://aliyuncs.com.example"), "s3-compatible"),
            (Some("http://localhost:9000"), "s3-compatible"),
        ] {
            assert_eq!(Vendor::of_endpoint(endpoint).kind, kind, "{endpoint:?}");
        }
    }

    #[test]
    fn an_endpoint_is_anothers_only_if_its_host_is() {
        let oss = Vendor::of_scheme("oss").unwrap();
        for (endpoint, another) in [
            ("https://s3.oss-cn-hangzhou.aliyuncs.com", None),
            ("https://photos.example.org", None),
            ("https://cos.ap-beijing.myqcloud.com", Some("tencent-cos")),
            ("https://s3.eu-west-1.amazonaws.com", Some("amazon-s3")),
        ] {
            assert_eq!(oss.another_of(endpoint).map(|it| it.kind), another, "{endpoint}");
        }
    }

    #[test]
    fn a_destinations_row_limits_keys_and_objects() {
        const TIB: u64 = 1 << 40;
        let r2 = Vendor::of_endpoint(Some("https://a.r2.cloudflarestorage.com"));
        let of = |scheme| Vendor::of_scheme(scheme).unwrap();
        for (vendor, key_bytes, size_bytes) in [
            (&AMAZON, 1_024, 50_000 << 30),
            (of("oss"), 1_023, 50_000 << 30),
            (of("cos"), 850, 50_000 << 30),
            (of("kodo"), 1_024, 50_000 << 30),
            (of("gs"), 1_024, 5 * TIB),
            (r2, 1_024, 5 * TIB - (5 << 30)),
        ] {
            let objects = abiding(Policy::default(), &AMAZON, vendor).objects;
            let has = (objects.key_bytes, objects.size_bytes);
            assert_eq!(has, (key_bytes, size_bytes), "{}", vendor.name);
        }
    }

    #[test]
    fn classes_are_mapped_both_ways() {
        for vendor in VENDORS {
            for (theirs, amazon) in vendor.quirks.classes {
                assert_eq!(vendor.class_of(theirs), *amazon);
                // The first row of several is the one that is written.
                assert_eq!(vendor.class_of(vendor.class_for(amazon)), *amazon);
                assert!(!vendor.lacks_class(amazon) && !vendor.lacks_class(theirs));
            }
            assert!(!vendor.lacks_class(STANDARD) && !vendor.lacks_class("NEW_CLASS"));
        }
        for (scheme, class, lacks) in [
            ("oss", "ONEZONE_IA", true),
            ("oss", "INTELLIGENT_TIERING", true),
            ("cos", "INTELLIGENT_TIERING", false),
            ("gs", "GLACIER", true),
            ("gs", "ARCHIVE", false),
            ("s3", "ONEZONE_IA", false),
        ] {
            let vendor = Vendor::of_scheme(scheme).unwrap();
            assert_eq!(vendor.lacks_class(class), lacks, "{scheme} {class}");
        }
    }
}
