//! The page: what a report counts, in plots and tables.
//!
//! Must never hold a script, a link or anything that is loaded; the policy in its head says so to the browser.

use super::chart::{bars, columns};
use super::{Count, Counts, DURATIONS_MS, Report};
use crate::cli::html::escaped;

/// Most names of one plot; the others are counted together.
const BARS_MAX: usize = 12;

const HEAD: &str = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
<meta name=\"viewport\" content=\"width=device-width\"><title>Sluicegate audit report</title><style>\
:root{color-scheme:light dark;--f:#2f6f9f;--r:#c2572b}\
body{font:15px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2.2rem}svg{width:100%;height:auto}\
svg text{font:12px system-ui,sans-serif;fill:currentColor}.f{fill:var(--f)}.r{fill:var(--r)}\
table{border-collapse:collapse}td,th{padding:.1rem .9rem .1rem 0;text-align:left}td.n{text-align:right}\
summary{cursor:pointer}.key span{display:inline-block;width:.8rem;height:.8rem;margin:0 .3rem 0 1rem}\
.key .f{background:var(--f)}.key .r{background:var(--r)}</style></head><body>\n";

/// The whole page; `asked` is what the calls were chosen by.
pub(super) fn page(report: &Report, asked: &str) -> String {
    let mut page = HEAD.to_owned();
    page.push_str("<h1>Sluicegate audit report</h1>\n");
    page.push_str(&summary(report, asked));
    if report.calls.all() > 0 {
        page.push_str(
            "<p class=\"key\"><span class=\"f\"></span>forwarded<span class=\"r\"></span>refused</p>\n",
        );
        page.push_str(&section("Over time", &columns(&report.columns()), "time", &report.columns()));
        for (title, name, counts) in [
            ("By source", "source", &report.sources),
            ("By tool", "tool", &report.tools),
            ("By subject", "subject", &report.subjects),
            ("By upstream", "upstream", &report.upstreams),
            ("By reason", "reason", &report.reasons),
        ] {
            page.push_str(&named(title, name, counts));
        }
        page.push_str(&durations(report));
    }
    page.push_str("</body></html>\n");
    page
}

fn summary(report: &Report, asked: &str) -> String {
    let Count { forwarded, refused } = report.calls;
    let asked = if asked.is_empty() { String::new() } else { format!(" ({})", escaped(asked)) };
    let (Some(first), Some(last)) = (&report.first, &report.last) else {
        return format!("<p>No calls{asked}.</p>\n");
    };
    format!(
        "<p>{} calls from {} to {}{asked}: {forwarded} forwarded, {refused} refused, {} of which the end is not \
         known. A call counts for every source of its run. The journal is the evidence: <code>sluicegate audit \
         verify</code>.</p>\n",
        report.calls.all(),
        escaped(first),
        escaped(last),
        report.open,
    )
}

fn named(title: &str, name: &str, counts: &Counts) -> String {
    let (largest, rest) = counts.largest(BARS_MAX);
    let mut all: Vec<_> = largest.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    if rest.all() > 0 {
        all.push(("all others".to_owned(), rest));
    }
    section(title, &bars(title, &all), name, &all)
}

fn durations(report: &Report) -> String {
    let bound = |ms: u64| if ms < 1000 { format!("{ms} ms") } else { format!("{} s", ms / 1000) };
    let names = DURATIONS_MS.iter().map(|ms| format!("up to {}", bound(*ms)));
    let names = names.chain(std::iter::once("longer".to_owned()));
    let counts = report.durations.iter().map(|count| Count { forwarded: *count, refused: 0 });
    let all: Vec<_> = names.zip(counts).collect();
    let title = "How long forwarded calls took";
    section(title, &bars(title, &all), "duration", &all)
}

/// A plot, and its numbers as a table for whoever cannot see it.
fn section(title: &str, plot: &str, name: &str, all: &[(String, Count)]) -> String {
    let row = |(name, count): &(String, Count)| {
        let Count { forwarded, refused } = count;
        format!(
            "<tr><td>{}</td><td class=\"n\">{forwarded}</td><td class=\"n\">{refused}</td></tr>",
            escaped(name)
        )
    };
    let rows: String = all.iter().map(row).collect();
    format!(
        "<h2>{title}</h2>\n{plot}\n<details><summary>as a table</summary><table><tr><th>{name}</th><th>forwarded</th>\
         <th>refused</th></tr>{rows}</table></details>\n"
    )
}
