//! A plan, for a person and for a program.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tranship_core::forecast::{Band, Billed, Requests, TAG_READS};
use tranship_core::object::escape;

use super::events::count;
use super::format::{count_text, duration_text, moment_text, objects_text, size_text};
use crate::plan::{Basis, LossLine, Plan, RateBasis};

/// Thousand-millionths of a dollar as money: what is less than a cent is said to be so.
pub(super) fn dollars_text(nanodollars: u64) -> String {
    const CENT: u64 = 10_000_000;
    if nanodollars > 0 && nanodollars < CENT {
        return "<$0.01".to_owned();
    }
    // Rounded half up.
    let cents = (nanodollars / (CENT / 2)).div_ceil(2);
    format!("${}.{:02}", count_text(cents / 100), cents % 100)
}

/// A price: exact, with at least two decimals.
pub(super) fn price_text(nanodollars: u64) -> String {
    let (whole, rest) = (nanodollars / 1_000_000_000, nanodollars % 1_000_000_000);
    let digits = format!("{rest:09}");
    let digits = digits.trim_end_matches('0');
    format!("${whole}.{digits:0<2}")
}

fn side(side: Billed) -> &'static str {
    match side {
        Billed::Source => "source",
        Billed::Destination => "destination",
    }
}

pub(super) fn write(plan: &Plan, out: &mut String) -> std::fmt::Result {
    if !plan.largest.is_empty() {
        writeln!(out, "\nlargest objects to copy")?;
        for (key, size) in &plan.largest {
            writeln!(out, "  {:>12}  {}", size_text(*size), escape(key))?;
        }
    }
    if plan.unproven.objects > 0 {
        writeln!(
            out,
            "\nwithout evidence of being equal, and so copied again: {}, {} (--trust size+time accepts them)",
            objects_text(plan.unproven.objects),
            size_text(plan.unproven.bytes)
        )?;
    }
    write_losses(plan, out)?;
    write_forecast(plan, out)
}

fn write_losses(plan: &Plan, out: &mut String) -> std::fmt::Result {
    writeln!(out, "\nloss report: what the copies would not have, or would have otherwise")?;
    for line in &plan.losses {
        writeln!(out, "  {}{}", escape(&line.what), amount(line, plan.copied))?;
    }
    writeln!(
        out,
        "  sample: {} of {} objects to copy were looked at by their headers; the others may have more of these",
        count_text(plan.sampled),
        count_text(plan.copied)
    )
}

/// `copied`: objects that would be.
fn amount(line: &LossLine, copied: u64) -> String {
    let objects = line.objects.unwrap_or_default();
    match (line.basis, line.bytes) {
        (Basis::Sample, _) => {
            let of = count_text(line.of.unwrap_or_default());
            let estimate = line.estimate.map_or_else(String::new, |about| {
                format!(", estimated {} of {}", count_text(about), count_text(copied))
            });
            format!(" ({} of {of} sampled{estimate})", count_text(objects))
        }
        (Basis::Listing, Some(bytes)) => {
            format!(" ({}, {})", objects_text(objects), size_text(bytes))
        }
        (basis, _) => format!(" ({})", basis.name()),
    }
}

fn write_forecast(plan: &Plan, out: &mut String) -> std::fmt::Result {
    let Plan { forecast, terms, .. } = plan;
    let prices = &terms.prices;
    writeln!(
        out,
        "\nforecast at Amazon S3's list prices of {}, {}; a side that is another store is priced as if it were that",
        prices.region, prices.dated
    )?;
    for Requests { side: billed, name, count, nanodollars } in &forecast.requests {
        let (side, count) = (side(*billed), count_text(*count));
        writeln!(out, "  {side:<12} {name:<28} {count:>15} {:>12}", dollars_text(*nanodollars))?;
    }
    let row = |out: &mut String, name: &str, amount: &str, nanodollars: u64| {
        writeln!(out, "  {name:<41} {amount:>15} {:>12}", dollars_text(nanodollars))
    };
    if forecast.retrieval_nanodollars > 0 {
        row(out, "source       retrieval", "", forecast.retrieval_nanodollars)?;
    }
    let bytes = size_text(forecast.egress_bytes);
    row(out, "source       data out", &bytes, forecast.egress_nanodollars)?;
    row(out, "together", "", forecast.nanodollars())?;
    let assumed = if plan.egress_is_given {
        "as given".to_owned()
    } else {
        format!("assumed, --egress-price sets it: {}", terms.egress.assumption)
    };
    writeln!(
        out,
        "  data out at {} a GiB, {assumed}",
        price_text(terms.egress.nanodollars_per_gib)
    )?;
    if forecast.requests.iter().any(|requests| requests.name == TAG_READS) {
        writeln!(out, "  {TAG_READS}: as many as the sample suggests")?;
    }
    let Band { low, high } = terms.rates.bytes;
    let rate = match plan.rate {
        RateBasis::Given => "as given".to_owned(),
        RateBasis::Measured(ended) => {
            format!("measured in the run that ended at {}, --rate sets another", moment_text(ended))
        }
        RateBasis::Assumed => "assumed, --rate sets it".to_owned(),
    };
    let limit = plan.bandwidth.map_or_else(String::new, |limit| {
        format!("; no more than --bandwidth, {}/s", size_text(limit))
    });
    writeln!(
        out,
        "  time {} to {}, at {}/s to {}/s ({rate}{limit}) and {} to {} objects a second (assumed)",
        duration_text(forecast.time.low),
        duration_text(forecast.time.high),
        size_text(low),
        size_text(high),
        count_text(terms.rates.objects.low),
        count_text(terms.rates.objects.high),
    )
}

pub(super) fn json(plan: &Plan) -> Value {
    let largest = plan.largest.iter().map(|(key, bytes)| json!({ "key": key, "bytes": bytes }));
    let losses = plan.losses.iter().map(|line| {
        json!({
            "what": line.what,
            "basis": line.basis.name(),
            "objects": line.objects,
            "bytes": line.bytes,
            "of": line.of,
            "estimate": line.estimate,
        })
    });
    json!({
        "largest": largest.collect::<Vec<_>>(),
        "unproven": count(plan.unproven),
        "losses": losses.collect::<Vec<_>>(),
        "sample": { "looked_at": plan.sampled, "of": plan.copied },
        "forecast": forecast_json(plan),
    })
}

fn forecast_json(plan: &Plan) -> Value {
    let Plan { forecast, terms, .. } = plan;
    let requests = forecast.requests.iter().map(|requests| {
        json!({
            "side": side(requests.side),
            "request": requests.name,
            "count": requests.count,
            "nanodollars": requests.nanodollars,
        })
    });
    let measured = match plan.rate {
        RateBasis::Measured(ended) => Some(moment_text(ended)),
        RateBasis::Given | RateBasis::Assumed => None,
    };
    let band = |band: Band| json!({ "low": band.low, "high": band.high });
    json!({
        "prices": { "dated": terms.prices.dated, "region": terms.prices.region },
        "requests": requests.collect::<Vec<_>>(),
        "retrieval_nanodollars": forecast.retrieval_nanodollars,
        "egress": {
            "bytes": forecast.egress_bytes,
            "nanodollars": forecast.egress_nanodollars,
            "nanodollars_per_gib": terms.egress.nanodollars_per_gib,
            "assumption": terms.egress.assumption,
            "given": plan.egress_is_given,
        },
        "nanodollars": forecast.nanodollars(),
        "time_ms": band(forecast.time),
        "rates": {
            "given": plan.rate == RateBasis::Given,
            "measured": measured,
            "bandwidth": plan.bandwidth,
            "bytes_per_second": band(terms.rates.bytes),
            "objects_per_second": band(terms.rates.objects),
            "keys_per_second": band(terms.rates.keys),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_rounded_and_a_little_is_not_nothing() {
        for (nanodollars, text) in [
            (0, "$0.00"),
            (1, "<$0.01"),
            (9_999_999, "<$0.01"),
            (10_000_000, "$0.01"),
            (14_999_999, "$0.01"),
            (15_000_000, "$0.02"),
            (1_234_567_890_000, "$1,234.57"),
        ] {
            assert_eq!(dollars_text(nanodollars), text, "{nanodollars}");
        }
    }

    #[test]
    fn prices_are_exact() {
        for (nanodollars, text) in
            [(0, "$0.00"), (90_000_000, "$0.09"), (12_500_000, "$0.0125"), (3_000_000_000, "$3.00")]
        {
            assert_eq!(price_text(nanodollars), text);
        }
    }
}
