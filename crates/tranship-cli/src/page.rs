//! A page of HTML that stands alone: tables and plots as inline SVG, and nothing fetched from
//! anywhere. It holds no script, and forbids itself to load anything.

use std::fmt::Write as _;

use tranship_core::object;

/// Width of a plot, in pixels.
const WIDTH: u64 = 640;
/// Height of a plot of something over time.
const HEIGHT: u64 = 160;
/// Of one bar with its gap.
const BAR_HEIGHT: u64 = 22;
const LABEL_WIDTH: u64 = 220;
const VALUE_WIDTH: u64 = 150;
/// Characters of a label: a key may have a thousand.
const LABEL_MAX: usize = 32;

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:66em;padding:0 1em;color:#1c2330}\
h1{font-size:1.5em}h2{font-size:1.15em;margin-top:2em}h3{font-size:1em;font-weight:500;margin:1em 0 0}\
table{border-collapse:collapse;margin:.6em 0}td,th{padding:.15em .7em;border-bottom:1px solid #d9dee7;text-align:left;\
vertical-align:top;overflow-wrap:anywhere;min-width:8em}td.n,th.n{text-align:right;white-space:nowrap;overflow-wrap:normal;min-width:0}\
.good{color:#12703a}.bad{color:#b3261e;font-weight:600}.open{color:#8a5a00;font-weight:600}.wide{overflow-x:auto}\
svg{display:block;margin:.6em 0}svg text{font:12px system-ui,sans-serif;fill:#1c2330}\
rect{fill:#3367b1}rect.good{fill:#2a7f4f}rect.bad{fill:#b3261e}rect.open{fill:#b97700}path.l{fill:none;stroke:#3367b1;stroke-width:1.5}line.a{stroke:#9aa5b8}\
@media(prefers-color-scheme:dark){body{background:#161a22;color:#dde3ee}td,th{border-color:#343c4b}svg text{fill:#dde3ee}\
.good{color:#5fc48a}.bad{color:#ff8a80}.open{color:#e5b454}rect{fill:#6f9fe8}path.l{stroke:#6f9fe8}}";

/// Text of anybody's making, as HTML may hold it: no character of it is taken for markup, hides
/// itself or turns the direction of writing.
pub(crate) fn escape(text: &str) -> String {
    markup(&object::escape(text))
}

/// Text without hidden characters, as HTML may hold it.
fn markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// What stands in a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell {
    Text(String),
    Number(String),
}

/// How a statement, or a piece of a bar, is meant to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Plain,
    Good,
    Bad,
    /// Neither: it is not known.
    Open,
}

impl Mood {
    /// The attribute of what is in this mood.
    fn class(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => " class=\"good\"",
            Self::Bad => " class=\"bad\"",
            Self::Open => " class=\"open\"",
        }
    }
}

/// A bar of a plot, and the value as it is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bar {
    pub(crate) label: String,
    /// From left to right.
    pub(crate) pieces: Vec<(Mood, u64)>,
    pub(crate) text: String,
}

impl Bar {
    /// Of one piece.
    pub(crate) fn plain(label: impl Into<String>, value: u64, text: String) -> Self {
        Self { label: label.into(), pieces: vec![(Mood::Plain, value)], text }
    }

    fn value(&self) -> u64 {
        self.pieces.iter().fold(0, |sum, (_, value)| sum.saturating_add(*value))
    }
}

/// A page that grows from top to bottom. Everything that it is given is escaped here.
#[derive(Debug)]
pub(crate) struct Page {
    title: String,
    body: String,
}

impl Page {
    pub(crate) fn new(title: &str) -> Self {
        let body = format!("<h1>{}</h1>\n", escape(title));
        Self { title: title.to_owned(), body }
    }

    pub(crate) fn heading(&mut self, text: &str) {
        self.push(&format!("<h2>{}</h2>\n", escape(text)));
    }

    pub(crate) fn text(&mut self, mood: Mood, text: &str) {
        self.push(&format!("<p{}>{}</p>\n", mood.class(), escape(text)));
    }

    /// A table whose columns are numbers where its first row says so.
    pub(crate) fn table(&mut self, head: &[&str], rows: &[Vec<Cell>]) {
        let is_number = |column: usize| {
            matches!(rows.first().and_then(|row| row.get(column)), Some(Cell::Number(_)))
        };
        self.push("<div class=\"wide\"><table><tr>");
        for (column, name) in head.iter().enumerate() {
            let class = if is_number(column) { " class=\"n\"" } else { "" };
            self.push(&format!("<th{class}>{}</th>", escape(name)));
        }
        self.push("</tr>\n");
        for row in rows {
            self.push("<tr>");
            for cell in row {
                let (class, text) = match cell {
                    Cell::Text(text) => ("", text),
                    Cell::Number(text) => (" class=\"n\"", text),
                };
                self.push(&format!("<td{class}>{}</td>", escape(text)));
            }
            self.push("</tr>\n");
        }
        self.push("</table></div>\n");
    }

    /// A bar for each row, the longest as long as there is room. What is cut off a label shows where a
    /// pointer rests on it.
    pub(crate) fn bars(&mut self, title: &str, bars: &[Bar]) {
        let most = bars.iter().map(Bar::value).max().unwrap_or(0);
        let height = BAR_HEIGHT * u64::try_from(bars.len()).unwrap_or(0) + 4;
        self.open_svg(title, height);
        for (index, bar) in (0_u64..).zip(bars) {
            let y = index * BAR_HEIGHT;
            let (base, text) = (y + 15, escape(&bar.text));
            self.push(&format!(
                "<g><title>{}: {text}</title><text x=\"{}\" y=\"{base}\" text-anchor=\"end\">{}</text>",
                escape(&bar.label),
                LABEL_WIDTH - 8,
                escape(&shortened(&bar.label)),
            ));
            let mut x = LABEL_WIDTH;
            for (mood, value) in &bar.pieces {
                let length = scale(*value, WIDTH - LABEL_WIDTH - VALUE_WIDTH, most);
                // Whatever is there at all is to be seen.
                let length = length.max(u64::from(*value > 0));
                self.push(&format!(
                    "<rect{} x=\"{x}\" y=\"{}\" width=\"{length}\" height=\"{}\"/>",
                    mood.class(),
                    y + 3,
                    BAR_HEIGHT - 6,
                ));
                x += length;
            }
            self.push(&format!("<text x=\"{}\" y=\"{base}\">{text}</text></g>\n", x + 6));
        }
        self.push("</svg>\n");
    }

    /// A line through points of (time, value), both from zero. `most` is the text of the largest
    /// value, `end` that of the last moment.
    pub(crate) fn line(&mut self, title: &str, points: &[(u64, u64)], most: &str, end: &str) {
        let last = points.iter().map(|(at, _)| *at).max().unwrap_or(0);
        let highest = points.iter().map(|(_, value)| *value).max().unwrap_or(0);
        self.open_svg(title, HEIGHT + 40);
        let (top, bottom) = (20, HEIGHT + 20);
        let mut path = String::new();
        for (index, (at, value)) in points.iter().enumerate() {
            let command = if index == 0 { 'M' } else { 'L' };
            let y = bottom - scale(*value, HEIGHT, highest);
            // Writing to a string cannot fail.
            write!(path, "{command}{} {y}", scale(*at, WIDTH, last)).unwrap_or_default();
        }
        self.push(&format!(
            "<line class=\"a\" x1=\"0\" y1=\"{bottom}\" x2=\"{WIDTH}\" y2=\"{bottom}\"/>\
             <line class=\"a\" x1=\"0\" y1=\"{top}\" x2=\"{WIDTH}\" y2=\"{top}\" stroke-dasharray=\"3 5\"/>\
             <path class=\"l\" d=\"{path}\"/>\
             <text x=\"0\" y=\"14\">{}</text>\
             <text x=\"0\" y=\"{}\">0</text>\
             <text x=\"{WIDTH}\" y=\"{}\" text-anchor=\"end\">{}</text></svg>\n",
            escape(most),
            bottom + 16,
            bottom + 16,
            escape(end),
        ));
    }

    /// The whole page.
    pub(crate) fn finish(self) -> String {
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n{}</body>\n</html>\n",
            escape(&self.title),
            self.body,
        )
    }

    fn open_svg(&mut self, title: &str, height: u64) {
        let title = escape(title);
        self.push(&format!(
            "<h3>{title}</h3><svg width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title>\n"
        ));
    }

    fn push(&mut self, html: &str) {
        self.body.push_str(html);
    }
}

/// `value` of `most`, on a length. All of nothing is nothing.
fn scale(value: u64, length: u64, most: u64) -> u64 {
    let scaled = u128::from(value) * u128::from(length) / u128::from(most.max(1));
    u64::try_from(scaled).unwrap_or(length)
}

fn shortened(label: &str) -> String {
    let mut chars = label.chars();
    let start: String = chars.by_ref().take(LABEL_MAX).collect();
    if chars.next().is_some() { format!("{start}…") } else { start }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_never_markup() {
        let hostile = "<script>alert('1')</script>&\"\u{202e}\u{1b}[31m\n";
        let escaped = escape(hostile);
        assert_eq!(
            escaped,
            "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&quot;\\u{202e}\\u{1b}[31m\\n"
        );
        let mut page = Page::new(hostile);
        page.heading(hostile);
        page.text(Mood::Bad, hostile);
        page.table(&[hostile], &[vec![Cell::Text(hostile.to_owned())]]);
        page.bars(hostile, &[Bar::plain(hostile, 1, hostile.to_owned())]);
        page.line(hostile, &[(0, 1)], hostile, hostile);
        let html = page.finish();
        assert!(!html.contains("<script") && !html.contains('\u{202e}'), "{html}");
        assert!(!html.chars().any(|c| c.is_control() && c != '\n'), "{html}");
    }

    #[test]
    fn plots_stay_within_their_frame() {
        let mut page = Page::new("t");
        page.bars("none", &[]);
        let pieces = vec![(Mood::Good, u64::MAX), (Mood::Bad, 1), (Mood::Open, 0)];
        let pieces = Bar { label: "all".to_owned(), pieces, text: "x".to_owned() };
        page.bars("some", &[pieces, Bar::plain("0", 0, "y".to_owned())]);
        page.line("none", &[], "", "");
        page.line("some", &[(0, 0), (5, u64::MAX), (u64::MAX, 7)], "most", "end");
        let html = page.finish();
        let bar = WIDTH - LABEL_WIDTH - VALUE_WIDTH;
        assert!(html.contains(&format!("width=\"{bar}\" height=\"16\"")), "{html}");
        let piece = |class: &str, width| format!("<rect{class} x=\"{width}\"");
        assert!(html.contains(&piece(" class=\"bad\"", LABEL_WIDTH + bar)), "{html}");
        assert!(html.contains("width=\"1\" height=\"16\""), "whatever is there is seen: {html}");
        assert!(html.contains("width=\"0\" height=\"16\""), "{html}");
        assert!(html.contains("d=\"M0 180L0 20L640 180\""), "{html}");
        assert_eq!(html.matches("<svg").count(), html.matches("</svg>").count());
    }

    #[test]
    fn long_labels_are_cut_between_characters() {
        assert_eq!(shortened("é"), "é");
        assert_eq!(shortened(&"é".repeat(40)), format!("{}…", "é".repeat(LABEL_MAX)));
    }
}
