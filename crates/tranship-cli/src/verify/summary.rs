//! What a verification came to, for people and for programs.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value, json};
use tranship_core::object::{Millis, ObjectKey, escape};
use tranship_core::outcome::Count;
use tranship_core::store::Listed;
use tranship_core::verify::tally::{Conclusion, Sums, Tally};
use tranship_core::verify::walk::Unlisted;
use tranship_core::verify::{Finding, Grade, Kind};

use crate::display::{count_text, duration_text, moment_text, size_text};
use crate::exit::Exit;

/// Everything that is told at the end.
#[derive(Debug)]
pub(super) struct Summary<'a> {
    /// As [`tranship_core::location::Location::display`] writes them.
    pub(super) source: String,
    pub(super) destination: String,
    pub(super) deep: bool,
    pub(super) ignore_extra: bool,
    pub(super) taken_at: Millis,
    pub(super) elapsed_ms: u64,
    /// Of both sides together.
    pub(super) bytes_read: u64,
    pub(super) retries: u64,
    pub(super) tally: &'a Tally,
}

impl Summary<'_> {
    pub(super) fn conclusion(&self) -> Conclusion {
        self.tally.conclusion(self.ignore_extra)
    }

    pub(super) fn exit(&self) -> Exit {
        match self.conclusion() {
            Conclusion::Equal => Exit::Success,
            Conclusion::Different => Exit::Different,
            Conclusion::NotProvable => Exit::NotProvable,
        }
    }

    fn word(&self) -> &'static str {
        match self.conclusion() {
            Conclusion::Equal => "equal",
            Conclusion::Different => "different",
            Conclusion::NotProvable => "not-provable",
        }
    }

    /// One line: what it came to, and what to do.
    pub(super) fn verdict(&self) -> String {
        let of = |kind| count_text(self.tally.total.of(kind).objects);
        let ranges = self.tally.unlisted;
        let unlisted = if ranges == 0 {
            String::new()
        } else {
            format!(", {ranges} ranges of keys not listed")
        };
        match self.conclusion() {
            Conclusion::Equal => {
                let all = self.tally.total.of(Kind::Equal).objects;
                format!("equal: each of {} objects has an equal one", count_text(all))
            }
            Conclusion::Different => format!(
                "different: {} missing, {} extra, {} different, {} not provable, {} changed meanwhile{unlisted}",
                of(Kind::Missing),
                of(Kind::Extra),
                of(Kind::Different),
                of(Kind::NotProvable),
                of(Kind::Changed),
            ),
            Conclusion::NotProvable => {
                let deep = if self.deep || self.tally.total.of(Kind::NotProvable).objects == 0 {
                    "run it again"
                } else {
                    "--deep reads the bytes"
                };
                format!(
                    "not provable: no difference is known; {} not provable, {} changed meanwhile{unlisted}; {deep}",
                    of(Kind::NotProvable),
                    of(Kind::Changed),
                )
            }
        }
    }

    pub(super) fn text(&self, report: Option<&Path>) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        self.write(&mut out, report).unwrap_or_default();
        out
    }

    fn write(&self, out: &mut String, report: Option<&Path>) -> std::fmt::Result {
        let row = |out: &mut String, name: &str, count: Count| {
            let (objects, bytes) = (count_text(count.objects), size_text(count.bytes));
            writeln!(out, "  {name:<24} {objects:>15} objects {bytes:>12}")
        };
        let tally = self.tally;
        writeln!(out, "{} ↔ {}", self.source, self.destination)?;
        row(out, "listed at the source", tally.listed_source)?;
        row(out, "listed at the destination", tally.listed_destination)?;
        if tally.filtered_source.objects + tally.filtered_destination.objects > 0 {
            row(out, "filtered, of the source", tally.filtered_source)?;
        }
        for (kind, count) in tally.total.kinds().filter(|(_, count)| count.objects > 0) {
            row(out, kind.name(), count)?;
        }
        for (grade, count) in tally.total.grades().filter(|(_, count)| count.objects > 0) {
            row(out, &format!("grade {}", grade.name()), count)?;
            writeln!(out, "    {}", grade.meaning())?;
        }
        let (read, time) = (size_text(self.bytes_read), duration_text(self.elapsed_ms));
        writeln!(out, "{read} read again in {time}, {} retries", count_text(self.retries))?;
        if let Some(report) = report {
            writeln!(out, "report: {}", escape(&report.join("report.html").to_string_lossy()))?;
        }
        writeln!(out, "{}", self.verdict())
    }

    /// The summary as programs read it.
    pub(super) fn json(&self) -> Value {
        let tally = self.tally;
        let named = |sums: (&str, &Sums)| {
            let mut fields = sums_json(sums.1);
            fields.insert("class".to_owned(), json!(sums.0));
            Value::Object(fields)
        };
        let (apart, others) = tally.prefixes();
        let mut summary = sums_json(&tally.total);
        summary.extend(Map::from_iter([
            ("source".to_owned(), json!(self.source)),
            ("destination".to_owned(), json!(self.destination)),
            ("conclusion".to_owned(), json!(self.word())),
            ("verdict".to_owned(), json!(self.verdict())),
            ("exit_code".to_owned(), json!(self.exit().code())),
            ("deep".to_owned(), json!(self.deep)),
            ("ignore_extra".to_owned(), json!(self.ignore_extra)),
            ("balanced".to_owned(), json!(tally.is_balanced())),
            (
                "listed".to_owned(),
                json!({ "source": tally.listed_source, "destination": tally.listed_destination }),
            ),
            (
                "filtered".to_owned(),
                json!({ "source": tally.filtered_source, "destination": tally.filtered_destination }),
            ),
            ("unlisted_ranges".to_owned(), json!(tally.unlisted)),
            ("sizes".to_owned(), tally.sizes().map(named).collect()),
            ("ages".to_owned(), tally.ages().map(named).collect()),
            ("prefixes_apart".to_owned(), json!(apart.count())),
            ("prefixes_are_all_apart".to_owned(), json!(others.is_none())),
            ("bytes_read".to_owned(), json!(self.bytes_read)),
            ("retries".to_owned(), json!(self.retries)),
            ("begun_at".to_owned(), json!(moment_text(self.taken_at))),
            ("elapsed_ms".to_owned(), json!(self.elapsed_ms)),
        ]));
        Value::Object(summary)
    }

    pub(super) fn event(&self, report: Option<&Path>) -> Value {
        let mut event = self.json();
        if let Some(fields) = event.as_object_mut() {
            fields.insert("event".to_owned(), json!("verify-ended"));
            fields.insert("report".to_owned(), json!(report.map(Path::to_string_lossy)));
        }
        event
    }

    /// The lines of the prefixes, each with its sums; the last may be all others together.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = Value> {
        let (apart, others) = self.tally.prefixes();
        let apart = apart.map(|(prefix, sums)| (Some(prefix), sums));
        apart.chain(others.map(|sums| (None, sums))).map(|(prefix, sums)| {
            let mut fields = sums_json(sums);
            fields.insert("prefix".to_owned(), json!(prefix));
            Value::Object(fields)
        })
    }
}

/// Objects and bytes, and both by verdict and by grade.
fn sums_json(sums: &Sums) -> Map<String, Value> {
    let verdicts: Map<_, _> =
        sums.kinds().map(|(kind, count)| (kind.name().to_owned(), json!(count))).collect();
    let grades: Map<_, _> =
        sums.grades().map(|(grade, count)| (grade.name().to_owned(), json!(count))).collect();
    let all = sums.all();
    Map::from_iter([
        ("objects".to_owned(), json!(all.objects)),
        ("bytes".to_owned(), json!(all.bytes)),
        ("verdicts".to_owned(), Value::Object(verdicts)),
        ("grades".to_owned(), Value::Object(grades)),
    ])
}

/// A finding as a line of the list of differences.
pub(super) fn line(finding: &Finding) -> Value {
    let facts = |listed: &Listed| {
        json!({
            "size": listed.size,
            "etag": listed.etag.as_str(),
            "modified": moment_text(listed.modified),
        })
    };
    json!({
        "key": finding.key.as_str(),
        "verdict": finding.verdict.kind().name(),
        "by": finding.verdict.by(),
        "grade": finding.verdict.grade().map(Grade::name),
        "source": finding.source.as_ref().map(facts),
        "destination": finding.destination.as_ref().map(facts),
        "reason": finding.reason,
    })
}

/// A range of keys of which nothing is known.
pub(super) fn unlisted(unlisted: &Unlisted) -> Value {
    json!({
        "key": null,
        "verdict": "not-listed",
        "after": unlisted.after.as_ref().map(ObjectKey::as_str),
        "through": unlisted.through.as_ref().map(ObjectKey::as_str),
        "reason": unlisted.reason,
    })
}

/// A finding for a person.
pub(super) fn sentence(finding: &Finding) -> String {
    let by = finding.verdict.by().map(|by| format!(" ({by})")).unwrap_or_default();
    let reason =
        finding.reason.as_deref().map(|why| format!(": {}", escape(why))).unwrap_or_default();
    let name = match finding.verdict.kind() {
        Kind::Equal => "equal",
        Kind::Missing => "missing at the destination",
        Kind::Extra => "extra at the destination",
        Kind::Different => "different",
        Kind::NotProvable => "not provable",
        Kind::Changed => "changed while it was looked at",
    };
    format!("{name}{by}: {}{reason}", finding.key)
}
