//! The report as one page: everything is in it, and it refers to nothing outside, so it opens
//! anywhere and for ever.

use serde_json::Value;
use tranship_core::outcome::Count;
use tranship_core::verify::tally::{Conclusion, Sums};
use tranship_core::verify::{Grade, Kind};

use super::summary::Summary;
use crate::display::{count_text, duration_text, moment_text, size_text};
use crate::page::{Bar, Cell, Mood, Page};

/// Prefixes that have a bar of their own.
const PREFIXES_SHOWN: usize = 25;

/// The whole page.
pub(super) fn page(summary: &Summary<'_>, differences: &[Value]) -> String {
    let tally = summary.tally;
    let (from, to) = (&summary.source, &summary.destination);
    let mut page = Page::new(&format!("tranship verify: {from} ↔ {to}"));
    let mood = match summary.conclusion() {
        Conclusion::Equal => Mood::Good,
        Conclusion::Different => Mood::Bad,
        Conclusion::NotProvable => Mood::Open,
    };
    page.text(mood, &summary.verdict());
    let how = if summary.deep { "all bytes read again" } else { "by listings and headers" };
    let about = format!(
        "Begun {}, {how}, {} in {}, {} retries.",
        moment_text(summary.taken_at),
        size_text(summary.bytes_read),
        duration_text(summary.elapsed_ms),
        count_text(summary.retries),
    );
    page.text(Mood::Plain, &about);
    if tally.is_balanced() {
        page.text(Mood::Good, "Every listed object is accounted for.");
    } else {
        let text = "The accounts do not balance: some listed objects have no verdict.";
        page.text(Mood::Bad, text);
    }
    totals(&mut page, summary);
    let legend = "In the plots what is proven equal is green (grades A to C), what differs is red (missing, extra, different), and what is open is amber (grades D and U).";
    page.text(Mood::Plain, legend);
    grades(&mut page, &tally.total);
    prefixes(&mut page, summary);
    plots(&mut page, "Size", tally.sizes().map(|(name, sums)| (name.to_owned(), *sums)));
    let ages = tally.ages().map(|(name, sums)| (name.to_owned(), *sums));
    plots(&mut page, "Age, since it was modified", ages);
    table(&mut page, summary, differences);
    page.finish()
}

fn totals(page: &mut Page, summary: &Summary<'_>) {
    let tally = summary.tally;
    let row = |name: &str, count: Count| {
        let (objects, bytes) = (count_text(count.objects), size_text(count.bytes));
        vec![Cell::Text(name.to_owned()), Cell::Number(objects), Cell::Number(bytes)]
    };
    let mut rows = vec![
        row("listed at the source", tally.listed_source),
        row("listed at the destination", tally.listed_destination),
        row("left out by filters, of the source", tally.filtered_source),
    ];
    rows.extend(tally.total.kinds().map(|(kind, count)| row(kind.name(), count)));
    page.table(&["", "objects", "bytes"], &rows);
}

/// Three shares of a bar: proven equal, differing, open.
#[derive(Clone, Copy, Default)]
struct Shares([Count; 3]);

const MOODS: [Mood; 3] = [Mood::Good, Mood::Bad, Mood::Open];

impl Shares {
    fn add(&mut self, other: Self) {
        for (share, more) in self.0.iter_mut().zip(other.0) {
            share.add(more);
        }
    }
}

impl From<&Sums> for Shares {
    fn from(sums: &Sums) -> Self {
        let [mut proven, mut differs, mut open] = [Count::default(); 3];
        for (kind, count) in sums.kinds() {
            match kind {
                Kind::Equal => proven.add(count),
                Kind::Missing | Kind::Extra | Kind::Different => differs.add(count),
                Kind::NotProvable | Kind::Changed => open.add(count),
            }
        }
        Self([proven, differs, open])
    }
}

fn grades(page: &mut Page, total: &Sums) {
    page.heading("Grade of the evidence");
    let row = |grade: Grade| [grade.name(), grade.meaning()].map(|it| Cell::Text(it.to_owned()));
    let rows: Vec<_> = Grade::ALL.into_iter().map(|grade| row(grade).to_vec()).collect();
    page.table(&["grade", "what is known"], &rows);
    let bar = |(grade, count): (Grade, Count)| {
        let none = Count::default();
        let shares = if grade <= Grade::C { [count, none, none] } else { [none, none, count] };
        (format!("grade {}", grade.name()), Shares(shares))
    };
    both_plots(page, &total.grades().map(bar).collect::<Vec<_>>());
}

fn prefixes(page: &mut Page, summary: &Summary<'_>) {
    let (apart, others) = summary.tally.prefixes();
    let mut largest: Vec<(&str, &Sums)> = apart.collect();
    largest.sort_by_key(|(_, sums)| std::cmp::Reverse(sums.all().objects));
    let rest = largest.split_off(largest.len().min(PREFIXES_SHOWN));
    let name = |prefix: &str| if prefix.is_empty() { "(no slash)" } else { prefix }.to_owned();
    let mut bars: Vec<_> =
        largest.into_iter().map(|(prefix, sums)| (name(prefix), Shares::from(sums))).collect();
    let mut others_sum = Shares::default();
    for sums in rest.iter().map(|(_, sums)| *sums).chain(others) {
        others_sum.add(Shares::from(sums));
    }
    if !rest.is_empty() || others.is_some() {
        bars.push(("(all others)".to_owned(), others_sum));
    }
    page.heading("Prefix");
    both_plots(page, &bars);
    page.text(Mood::Plain, "prefixes.jsonl has the counts of each prefix.");
}

fn plots(page: &mut Page, title: &str, classes: impl Iterator<Item = (String, Sums)>) {
    page.heading(title);
    both_plots(page, &classes.map(|(name, sums)| (name, Shares::from(&sums))).collect::<Vec<_>>());
}

fn both_plots(page: &mut Page, rows: &[(String, Shares)]) {
    let bars = |of: fn(Count) -> u64, shown: fn(u64) -> String| {
        let bar = |(label, Shares(shares)): &(String, Shares)| {
            let pieces: Vec<_> = MOODS.into_iter().zip(shares.map(of)).collect();
            let sum = shares.iter().fold(0_u64, |sum, share| sum.saturating_add(of(*share)));
            Bar { label: label.clone(), pieces, text: shown(sum) }
        };
        rows.iter().map(bar).collect::<Vec<_>>()
    };
    page.bars("objects", &bars(|count| count.objects, count_text));
    page.bars("bytes", &bars(|count| count.bytes, size_text));
}

fn table(page: &mut Page, summary: &Summary<'_>, differences: &[Value]) {
    if differences.is_empty() {
        return;
    }
    let equal = summary.tally.total.of(Kind::Equal).objects;
    let all = summary.tally.total.all().objects.saturating_sub(equal);
    page.heading("Differences");
    let shown = differences.len();
    let all = count_text(all + summary.tally.unlisted);
    page.text(Mood::Plain, &format!("{shown} of {all}; differences.jsonl has all of them."));
    let head = ["key", "verdict", "by", "reason"];
    let row = |difference: &Value| {
        let field = |name| difference.get(name).and_then(Value::as_str).unwrap_or_default();
        head.map(|name| Cell::Text(field(name).to_owned())).to_vec()
    };
    page.table(&head, &differences.iter().map(row).collect::<Vec<_>>());
}
