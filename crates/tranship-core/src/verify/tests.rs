use super::tally::{Conclusion, Tally};
use super::walk::{Unlisted, Window};
use super::*;
use crate::checksum::{Algorithm, Checksum};
use crate::object::{Identity, Millis, VersionId};
use crate::outcome::Count;
use crate::qetag::Qetag;
use crate::room::MetadataRoom;
use crate::store::{Attributes, Reading};

const MD5: &str = "d41d8cd98f00b204e9800998ecf8427e";
const OTHER_MD5: &str = "0cc175b9c0f1b6a831c399e269772661";

fn listed(key: &str, size: u64, etag: &str) -> Listed {
    Listed {
        key: ObjectKey::new(key),
        size,
        etag: ETag::new(etag),
        modified: Millis(1_000),
        storage_class: None,
        reading: Reading::Open,
    }
}

fn head(size: u64, etag: &str) -> Head {
    let identity = Identity { etag: ETag::new(etag), version: None, size, modified: Millis(1_000) };
    Head {
        identity,
        attributes: Attributes::default(),
        tag_count: 0,
        checksum: None,
        qetag: None,
        etag_is_opaque: false,
        is_archived: false,
        losses: std::collections::BTreeSet::new(),
        part_count: None,
        content_size: size,
    }
}

fn composite(md5: &str, parts: u32) -> String {
    format!("{md5}-{parts}")
}

#[test]
fn listings_tell_what_they_can_and_nothing_else() {
    let (two, three) = (composite(MD5, 2), composite(MD5, 3));
    let (upper, other_two) = (MD5.to_uppercase(), composite(OTHER_MD5, 2));
    for (source, destination, told) in [
        ((5, MD5), (5, MD5), Some(Verdict::Equal(Proof::ETags))),
        ((5, MD5), (5, &*upper), Some(Verdict::Equal(Proof::ETags))),
        ((5, &*two), (5, &*two), Some(Verdict::Equal(Proof::ETags))),
        ((5, MD5), (6, MD5), Some(Verdict::Different(Contrast::Size))),
        ((0, MD5), (0, "opaque"), Some(Verdict::Equal(Proof::Empty))),
        ((0, MD5), (1, MD5), Some(Verdict::Different(Contrast::Size))),
        // Encryption may be behind each of these.
        ((5, MD5), (5, OTHER_MD5), None),
        ((5, &*two), (5, &*other_two), None),
        ((5, &*two), (5, &*three), None),
        ((5, MD5), (5, &*two), None),
        // A text that is no MD5 may be equal everywhere.
        ((5, "opaque"), (5, "opaque"), None),
        ((5, ""), (5, ""), None),
    ] {
        let (here, there) =
            (listed("k", source.0, source.1), listed("k", destination.0, destination.1));
        assert_eq!(by_listing(&here, &there), told, "{source:?} {destination:?}");
    }
}

/// Everything that two HEADs may show, each with the verdict that it leads to.
#[test]
fn heads_decide_by_the_best_evidence_there_is() {
    let crc = |algorithm, value| Some(Checksum { algorithm, value });
    let algorithms = [
        None,
        crc(Algorithm::Crc64Nvme, 1),
        crc(Algorithm::Crc64Nvme, 2),
        crc(Algorithm::Crc32C, 1),
    ];
    let etags = [MD5, OTHER_MD5, &composite(MD5, 2), "opaque"];
    let mut seen = std::collections::BTreeMap::new();
    for here_crc in algorithms {
        for there_crc in algorithms {
            for here_etag in etags {
                for there_etag in etags {
                    for opaque in [(false, false), (false, true), (true, false), (true, true)] {
                        for token in [None, Some(here_etag), Some("older")] {
                            let mut here = head(5, here_etag);
                            let mut there = head(5, there_etag);
                            (here.checksum, there.checksum) = (here_crc, there_crc);
                            (here.etag_is_opaque, there.etag_is_opaque) = opaque;
                            if let Some(of) = token {
                                there.attributes.user = token_of(of);
                            }
                            let told = by_heads(
                                &listed("k", 5, here_etag),
                                &listed("k", 5, there_etag),
                                &here,
                                &there,
                            );
                            let comparable =
                                here_crc.zip(there_crc).filter(|(a, b)| a.algorithm == b.algorithm);
                            let md5s = here_etag != there_etag
                                && ![here_etag, there_etag].iter().any(|etag| etag.len() != 32)
                                && opaque == (false, false);
                            let wanted = match (comparable, token) {
                                (Some((a, b)), _) if a == b => Verdict::Equal(Proof::Checksum),
                                (Some(_), _) => Verdict::Different(Contrast::Checksum),
                                (None, Some(of)) if of == here_etag => Verdict::Equal(Proof::Token),
                                _ if md5s => Verdict::Different(Contrast::ETags),
                                (None, Some(_)) => Verdict::NotProvable(Doubt::OtherGeneration),
                                (None, None) => Verdict::NotProvable(Doubt::SizeOnly),
                            };
                            assert_eq!(told, wanted, "{here:?} {there:?}");
                            *seen.entry(format!("{told:?}")).or_insert(0) += 1;
                        }
                    }
                }
            }
        }
    }
    assert_eq!(seen.len(), 6, "every verdict came up: {seen:?}");
}

/// Of `etag` (<https://docs.rs/qiniu-etag>), with a letter changed, and of more than one block.
#[test]
fn qetags_of_both_sides_decide_what_they_can() {
    let one = ("FpLiADEaVoALPkdb8tJEJyRTXoe_", 4);
    let other = ("FpLiADEaVoALPkdb8tJEJyRTXoe-", 4);
    let many = ("lg-Eb5KFCuZn-cUfj_oS2PPOU9xy", 5 << 20);
    let others = ("lg-Eb5KFCuZn-cUfj_oS2PPOU9xz", 5 << 20);
    for (here, there, verdict) in [
        (one, one, Verdict::Equal(Proof::Checksum)),
        (many, many, Verdict::Equal(Proof::Checksum)),
        (one, other, Verdict::Different(Contrast::Checksum)),
        // Perhaps of other blocks, and the same bytes.
        (many, others, Verdict::NotProvable(Doubt::SizeOnly)),
        (one, (MD5, 4), Verdict::NotProvable(Doubt::SizeOnly)),
    ] {
        let listed = |(etag, size)| listed("k", size, etag);
        let known = |(etag, size)| {
            let qetag = Qetag::of(&ETag::new(etag), size);
            Head { qetag, ..head(size, etag) }
        };
        let told = by_heads(&listed(here), &listed(there), &known(here), &known(there));
        assert_eq!(told, verdict, "{here:?} {there:?}");
        // Nobody knows of either store that it gives such ones.
        let plain = |(etag, size)| head(size, etag);
        let told = by_heads(&listed(here), &listed(there), &plain(here), &plain(there));
        assert_eq!(told, Verdict::NotProvable(Doubt::SizeOnly), "{here:?} {there:?}");
    }
}

fn token_of(etag: &str) -> std::collections::BTreeMap<String, String> {
    let source = Identity {
        etag: ETag::new(etag),
        version: Some(VersionId("v".to_owned())),
        size: 5,
        modified: Millis(9),
    };
    let mut user = std::collections::BTreeMap::new();
    assert!(
        Token { transfer: "t".to_owned(), epoch: 1, random: 2, source }
            .write(&mut user, &MetadataRoom::ASSUMED)
    );
    user
}

#[test]
fn what_moved_since_it_was_listed_is_never_judged() {
    let (here, there) = (listed("k", 5, MD5), listed("k", 5, "opaque"));
    for (source, destination) in [
        (head(6, MD5), head(5, "opaque")),
        (head(5, OTHER_MD5), head(5, "opaque")),
        (head(5, MD5), head(5, "newer")),
        (head(5, MD5), head(4, "opaque")),
    ] {
        let crc = Some(Checksum { algorithm: Algorithm::Crc32, value: 1 });
        let source = Head { checksum: crc, ..source };
        let destination = Head { checksum: crc, ..destination };
        assert_eq!(by_heads(&here, &there, &source, &destination), Verdict::Changed);
    }
}

#[test]
fn only_grades_a_to_c_are_called_equal() {
    for verdict in [
        Verdict::Equal(Proof::Empty),
        Verdict::Equal(Proof::Bytes),
        Verdict::Equal(Proof::Checksum),
        Verdict::Equal(Proof::ETags),
        Verdict::Equal(Proof::Token),
        Verdict::Missing,
        Verdict::Extra,
        Verdict::Different(Contrast::Size),
        Verdict::Different(Contrast::Checksum),
        Verdict::Different(Contrast::ETags),
        Verdict::Different(Contrast::Bytes),
        Verdict::NotProvable(Doubt::SizeOnly),
        Verdict::NotProvable(Doubt::OtherGeneration),
        Verdict::NotProvable(Doubt::Unreadable),
        Verdict::Changed,
    ] {
        let is_proven = verdict.grade().is_some_and(|grade| grade <= Grade::C);
        assert_eq!(is_proven, verdict.kind() == Kind::Equal, "{verdict:?}");
    }
    assert_eq!(by_bytes(true).grade(), Some(Grade::A));
    assert_eq!(by_bytes(false), Verdict::Different(Contrast::Bytes));
}

fn window(verdicts: &[Verdict]) -> Window {
    let mut window = Window::default();
    for (n, verdict) in verdicts.iter().enumerate() {
        let object = listed(&format!("in/{n}/k"), 7, MD5);
        let source = (*verdict != Verdict::Extra).then(|| object.clone());
        let destination = (*verdict != Verdict::Missing).then(|| object.clone());
        let one = Count { objects: 1, bytes: 7 };
        let of = |side: &Option<Listed>| side.as_ref().map(|_| one).unwrap_or_default();
        window.listed_source.add(of(&source));
        window.listed_destination.add(of(&destination));
        let key = object.key;
        let reason = None;
        window.findings.push(Finding { key, source, destination, verdict: *verdict, reason });
    }
    window
}

#[test]
fn one_difference_makes_the_sides_differ_and_one_doubt_makes_them_unproven() {
    let equal = Verdict::Equal(Proof::ETags);
    for (verdicts, with_extras, without) in [
        (&[][..], Conclusion::Equal, Conclusion::Equal),
        (&[equal, equal], Conclusion::Equal, Conclusion::Equal),
        (&[equal, Verdict::Extra], Conclusion::Different, Conclusion::Equal),
        (&[equal, Verdict::Missing], Conclusion::Different, Conclusion::Different),
        (&[equal, Verdict::Changed], Conclusion::NotProvable, Conclusion::NotProvable),
        (
            &[Verdict::Changed, Verdict::Different(Contrast::Size)],
            Conclusion::Different,
            Conclusion::Different,
        ),
        (
            &[Verdict::NotProvable(Doubt::SizeOnly), Verdict::Extra],
            Conclusion::Different,
            Conclusion::NotProvable,
        ),
    ] {
        let mut tally = Tally::new("in/", Millis(0));
        tally.add(&window(verdicts));
        assert!(tally.is_balanced());
        assert_eq!(tally.conclusion(false), with_extras, "{verdicts:?}");
        assert_eq!(tally.conclusion(true), without, "{verdicts:?}");
    }
}

#[test]
fn a_range_that_could_not_be_listed_is_never_equal() {
    let mut tally = Tally::new("in/", Millis(0));
    let reason = "no".to_owned();
    let unlisted = Some(Unlisted { after: None, through: None, reason });
    tally.add(&Window { unlisted, ..Window::default() });
    assert_eq!(tally.conclusion(true), Conclusion::NotProvable);
    // What was listed and has no verdict makes nothing equal, either.
    let mut tally = Tally::new("in/", Millis(0));
    let listed_source = Count { objects: 1, bytes: 0 };
    tally.add(&Window { listed_source, ..Window::default() });
    assert_eq!(tally.conclusion(true), Conclusion::NotProvable);
}

#[test]
fn counts_by_prefix_size_and_age_each_add_up_to_all() {
    let mut tally = Tally::new("in/", Millis(1_000_000_000_000));
    let equal = Verdict::Equal(Proof::ETags);
    for _ in 0..20 {
        tally.add(&window(&[equal; 1_000]));
    }
    let all = Count { objects: 20_000, bytes: 140_000 };
    assert_eq!(tally.total.all(), all);
    let sum = |counts: Vec<Count>| {
        let mut sum = Count::default();
        for count in counts {
            sum.add(count);
        }
        sum
    };
    assert_eq!(sum(tally.sizes().map(|(_, sums)| sums.all()).collect()), all);
    assert_eq!(sum(tally.ages().map(|(_, sums)| sums.all()).collect()), all);
    let (apart, others) = tally.prefixes();
    let apart: Vec<_> = apart.map(|(prefix, sums)| (prefix.to_owned(), sums.all())).collect();
    assert_eq!(apart.len(), 1_000);
    assert_eq!(apart[0].0, "0/");
    assert_eq!((sum(apart.into_iter().map(|(_, count)| count).collect()), others), (all, None));
}

#[test]
fn only_so_many_prefixes_are_counted_apart() {
    let mut tally = Tally::new("", Millis(0));
    let mut window = Window::default();
    for n in 0..tally::PREFIXES_MAX + 5 {
        let object = listed(&format!("{n}/k"), 1, MD5);
        window.findings.push(Finding {
            key: object.key.clone(),
            source: Some(object),
            destination: None,
            verdict: Verdict::Missing,
            reason: None,
        });
    }
    tally.add(&window);
    let (apart, others) = tally.prefixes();
    assert_eq!(apart.count(), tally::PREFIXES_MAX);
    assert_eq!(others.map(|sums| sums.of(Kind::Missing).objects), Some(5));
}
