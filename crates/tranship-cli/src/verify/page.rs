//! The report as one page: everything is in it, and it refers to nothing outside, so it opens
//! anywhere and for ever.
//!
//! Whatever comes from a store is escaped twice: what a reader cannot see becomes visible, and what
//! a browser could take for markup does not.

use std::fmt::Write as _;

use serde_json::Value;
use tranship_core::object::escape;
use tranship_core::outcome::Count;
use tranship_core::verify::tally::{Conclusion, Sums};
use tranship_core::verify::{Grade, Kind};

use super::moment;
use super::summary::Summary;
use crate::display::{count_text, duration_text, size_text};
use crate::page::markup;

/// Prefixes that have a bar of their own.
const PREFIXES_SHOWN: usize = 25;

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:62rem;padding:0 1rem;color:#1d2733;background:#fff}\
h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}\
.verdict{padding:.7rem 1rem;border-left:.4rem solid;background:#f4f6f8}\
.equal{border-color:#2a7f4f}.different{border-color:#b3261e}.not-provable{border-color:#b97700}\
table{border-collapse:collapse;margin:.5rem 0}td,th{padding:.2rem .8rem;text-align:left;border-bottom:1px solid #e3e7eb}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}td.k{font-family:ui-monospace,monospace;word-break:break-all}\
svg{display:block;max-width:100%;height:auto;margin:.5rem 0}svg text{font:12px system-ui,sans-serif;fill:#1d2733}\
.proven{fill:#2a7f4f}.differs{fill:#b3261e}.open{fill:#b97700}.note{color:#5b6773}\
@media(prefers-color-scheme:dark){body{background:#14191f;color:#dde4ea}.verdict{background:#1d242c}\
td,th{border-color:#2c3640}svg text{fill:#dde4ea}.note{color:#93a0ad}}";

// One bar's row, in the units of the drawing.
const ROW: u64 = 22;
const BAR_HEIGHT: u64 = 14;
const LABELS: u64 = 190;
const BARS: u64 = 520;
const WIDTH: u64 = 900;
/// Characters of a label; what is cut stands in its tooltip.
const LABEL_CHARACTERS: usize = 26;

/// The whole page.
pub(super) fn page(summary: &Summary<'_>, differences: &[Value]) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    write(&mut out, summary, differences).unwrap_or_default();
    out
}

fn write(out: &mut String, summary: &Summary<'_>, differences: &[Value]) -> std::fmt::Result {
    let (from, to) = (markup(&summary.source), markup(&summary.destination));
    let tally = summary.tally;
    // The policy keeps the browser from fetching anything, whatever a key may look like.
    write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>tranship verify: {from}</title><style>{STYLE}</style></head><body>\n\
         <h1>{from} ↔ {to}</h1>\n"
    )?;
    let class = match summary.conclusion() {
        Conclusion::Equal => "equal",
        Conclusion::Different => "different",
        Conclusion::NotProvable => "not-provable",
    };
    writeln!(out, "<p class=\"verdict {class}\">{}</p>", markup(&summary.verdict()))?;
    let how = if summary.deep { "all bytes read again" } else { "by listings and headers" };
    let balance = if tally.is_balanced() {
        "Every listed object is accounted for."
    } else {
        "The accounts do not balance: some listed objects have no verdict."
    };
    writeln!(
        out,
        "<p>Begun {}, {how}, {} in {}, {} retries. {balance}</p>",
        markup(&moment(summary.taken_at)),
        size_text(summary.bytes_read),
        duration_text(summary.elapsed_ms),
        count_text(summary.retries),
    )?;
    totals(out, summary)?;
    writeln!(
        out,
        "<p class=\"note\">In the plots: <b>proven equal</b> is green (grades A to C), <b>differs</b> \
         is red (missing, extra, different), <b>open</b> is amber (grades D and U).</p>"
    )?;
    grades(out, &tally.total)?;
    prefixes(out, summary)?;
    plot(out, "Size", tally.sizes().map(|(name, sums)| (name.to_owned(), *sums)))?;
    let ages = tally.ages().map(|(name, sums)| (name.to_owned(), *sums));
    plot(out, "Age, since it was modified", ages)?;
    table(out, summary, differences)?;
    out.push_str("</body></html>\n");
    Ok(())
}

fn totals(out: &mut String, summary: &Summary<'_>) -> std::fmt::Result {
    let tally = summary.tally;
    out.push_str(
        "<table><tr><th></th><th class=\"n\">objects</th><th class=\"n\">bytes</th></tr>\n",
    );
    let mut row = |name: &str, count: Count| {
        let (objects, bytes) = (count_text(count.objects), size_text(count.bytes));
        writeln!(
            out,
            "<tr><td>{name}</td><td class=\"n\">{objects}</td><td class=\"n\">{bytes}</td></tr>"
        )
    };
    row("listed at the source", tally.listed_source)?;
    row("listed at the destination", tally.listed_destination)?;
    row("left out by filters, of the source", tally.filtered_source)?;
    for (kind, count) in tally.total.kinds() {
        row(kind.name(), count)?;
    }
    out.push_str("</table>\n");
    Ok(())
}

/// Three shares of a bar: proven equal, differing, open.
#[derive(Clone, Copy, Default)]
struct Shares {
    proven: Count,
    differs: Count,
    open: Count,
}

impl From<&Sums> for Shares {
    fn from(sums: &Sums) -> Self {
        let mut shares = Self::default();
        for (kind, count) in sums.kinds() {
            match kind {
                Kind::Equal => shares.proven.add(count),
                Kind::Missing | Kind::Extra | Kind::Different => shares.differs.add(count),
                Kind::NotProvable | Kind::Changed => shares.open.add(count),
            }
        }
        shares
    }
}

fn grades(out: &mut String, total: &Sums) -> std::fmt::Result {
    let bars: Vec<(String, Shares)> = total
        .grades()
        .map(|(grade, count)| {
            let label = format!("grade {}", grade.name());
            let shares = if grade <= Grade::C {
                Shares { proven: count, ..Shares::default() }
            } else {
                Shares { open: count, ..Shares::default() }
            };
            (label, shares)
        })
        .collect();
    out.push_str("<h2>Grade of the evidence</h2>\n<table>\n");
    for grade in Grade::ALL {
        writeln!(out, "<tr><td>{}</td><td>{}</td></tr>", grade.name(), markup(grade.meaning()))?;
    }
    out.push_str("</table>\n");
    both_plots(out, &bars)
}

fn prefixes(out: &mut String, summary: &Summary<'_>) -> std::fmt::Result {
    let (apart, others) = summary.tally.prefixes();
    let mut largest: Vec<(&str, &Sums)> = apart.collect();
    largest.sort_by_key(|(_, sums)| std::cmp::Reverse(sums.all().objects));
    let rest = largest.split_off(largest.len().min(PREFIXES_SHOWN));
    let mut bars: Vec<(String, Shares)> = Vec::new();
    for (prefix, sums) in largest {
        let name = if prefix.is_empty() { "(no slash)".to_owned() } else { escape(prefix) };
        bars.push((name, Shares::from(sums)));
    }
    let mut others_sum = Shares::default();
    for sums in rest.iter().map(|(_, sums)| *sums).chain(others) {
        let Shares { proven, differs, open } = Shares::from(sums);
        others_sum.proven.add(proven);
        others_sum.differs.add(differs);
        others_sum.open.add(open);
    }
    if !rest.is_empty() || others.is_some() {
        bars.push(("(all others)".to_owned(), others_sum));
    }
    out.push_str("<h2>Prefix</h2>\n");
    both_plots(out, &bars)?;
    out.push_str("<p class=\"note\">prefixes.jsonl has the counts of each prefix.</p>\n");
    Ok(())
}

fn plot(
    out: &mut String,
    title: &str,
    classes: impl Iterator<Item = (String, Sums)>,
) -> std::fmt::Result {
    let bars: Vec<_> = classes.map(|(name, sums)| (name, Shares::from(&sums))).collect();
    writeln!(out, "<h2>{}</h2>", markup(title))?;
    both_plots(out, &bars)
}

fn both_plots(out: &mut String, bars: &[(String, Shares)]) -> std::fmt::Result {
    drawing(out, "objects", bars, |count| count.objects, count_text)?;
    drawing(out, "bytes", bars, |count| count.bytes, size_text)
}

/// Horizontal bars, the longest as long as there is room.
fn drawing(
    out: &mut String,
    unit: &str,
    bars: &[(String, Shares)],
    of: impl Fn(Count) -> u64,
    shown: impl Fn(u64) -> String,
) -> std::fmt::Result {
    let sum = |shares: &Shares| {
        of(shares.proven).saturating_add(of(shares.differs)).saturating_add(of(shares.open))
    };
    let most = bars.iter().map(|(_, shares)| sum(shares)).max().unwrap_or(0).max(1);
    let rows = u64::try_from(bars.len()).unwrap_or(u64::MAX);
    let height = (rows + 1).saturating_mul(ROW);
    write!(
        out,
        "<svg viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" role=\"img\" aria-label=\"{unit}\">\
         <text x=\"{LABELS}\" y=\"15\">{unit}</text>"
    )?;
    let mut y = ROW;
    for (name, shares) in bars {
        let all = shown(sum(shares));
        let short: String = name.chars().take(LABEL_CHARACTERS).collect();
        let cut = if short.len() < name.len() { "…" } else { "" };
        write!(
            out,
            "\n<g><title>{}: {all}</title><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}{cut}</text>",
            markup(name),
            LABELS - 8,
            y + BAR_HEIGHT - 2,
            markup(&short),
        )?;
        let mut x = LABELS;
        for (class, count) in
            [("proven", shares.proven), ("differs", shares.differs), ("open", shares.open)]
        {
            let width = scaled(of(count), most);
            if width > 0 {
                write!(
                    out,
                    "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{BAR_HEIGHT}\"/>"
                )?;
            }
            x += width;
        }
        write!(out, "<text x=\"{}\" y=\"{}\">{all}</text></g>", x + 6, y + BAR_HEIGHT - 2)?;
        y += ROW;
    }
    out.push_str("</svg>\n");
    Ok(())
}

/// A length; what is there at all can be seen.
fn scaled(value: u64, most: u64) -> u64 {
    let length = u128::from(value) * u128::from(BARS) / u128::from(most.max(1));
    let length = u64::try_from(length).unwrap_or(BARS);
    if value > 0 { length.max(1) } else { 0 }
}

fn table(out: &mut String, summary: &Summary<'_>, differences: &[Value]) -> std::fmt::Result {
    if differences.is_empty() {
        return Ok(());
    }
    let equal = summary.tally.total.of(Kind::Equal).objects;
    let all = summary.tally.total.all().objects.saturating_sub(equal);
    writeln!(
        out,
        "<h2>Differences</h2>\n<p class=\"note\">{} of {}; differences.jsonl has all of them.</p>\n\
         <table><tr><th>key</th><th>verdict</th><th>by</th><th>reason</th></tr>",
        differences.len(),
        count_text(all + summary.tally.unlisted),
    )?;
    for difference in differences {
        let field = |name: &str| {
            let field = difference.get(name).and_then(Value::as_str).unwrap_or_default();
            markup(&escape(field))
        };
        writeln!(
            out,
            "<tr><td class=\"k\">{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            field("key"),
            field("verdict"),
            field("by"),
            field("reason"),
        )?;
    }
    out.push_str("</table>\n");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_its_share_and_never_invisible() {
        assert_eq!(scaled(0, 10), 0);
        assert_eq!(scaled(1, u64::MAX), 1);
        assert_eq!(scaled(5, 10), BARS / 2);
        assert_eq!(scaled(u64::MAX, u64::MAX), BARS);
    }
}
