//! Plots in SVG: columns over time, and bars by name.
//!
//! Must never put a name into the page unescaped, nor say by colour alone what is which: every mark has a title, and
//! every plot a table beside it.

use super::Count;
use crate::cli::html::escaped;

/// Width of a plot, in its own units.
const WIDTH: u64 = 720;
/// Height of the columns over time.
const HEIGHT: u64 = 160;
/// Height of one bar with its gap.
const BAR: u64 = 22;
/// Where bars begin: right of their names.
const NAMES: u64 = 240;
/// Longest name that is drawn whole, in characters.
const NAME_CHARS_MAX: usize = 34;

/// Columns over time: what was forwarded below, what was refused above.
pub(super) fn columns(all: &[(String, Count)]) -> String {
    let most = all.iter().map(|(_, count)| count.all()).max().unwrap_or_default().max(1);
    let count = u64::try_from(all.len()).unwrap_or(1).max(1);
    let step = WIDTH / count;
    let width = step.saturating_sub(2).clamp(1, 40);
    let mut svg = open(HEIGHT + 24, "Calls over time");
    for (at, (time, count)) in (0_u64..).zip(all) {
        let x = at * step;
        let (below, above) = (part(count.forwarded, most, HEIGHT), part(count.refused, most, HEIGHT));
        let title = told(time, *count);
        svg.push_str(&format!(
            "<g><title>{title}</title>{}{}</g>",
            rect("f", x, HEIGHT - below, width, below),
            rect("r", x, HEIGHT.saturating_sub(below + above), width, above),
        ));
    }
    let label = |x: u64, anchor: &str, text: &str| {
        format!("<text x=\"{x}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>", HEIGHT + 18, escaped(text))
    };
    if let (Some((first, _)), Some((last, _))) = (all.first(), all.last()) {
        svg.push_str(&label(0, "start", first));
        if all.len() > 1 {
            svg.push_str(&label(WIDTH, "end", last));
        }
    }
    svg.push_str("</svg>");
    svg
}

/// A bar a name.
pub(super) fn bars(title: &str, all: &[(String, Count)]) -> String {
    let most = all.iter().map(|(_, count)| count.all()).max().unwrap_or_default().max(1);
    let rows = u64::try_from(all.len()).unwrap_or(1);
    let mut svg = open(rows * BAR, title);
    for (at, (name, count)) in (0_u64..).zip(all) {
        let (y, room) = (at * BAR, WIDTH - NAMES - 80);
        let (dark, light) = (part(count.forwarded, most, room), part(count.refused, most, room));
        svg.push_str(&format!(
            "<g><title>{}</title><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>{}{}<text x=\"{}\" y=\"{}\">{}</text></g>",
            told(name, *count),
            NAMES - 8,
            y + 15,
            escaped(&short(name)),
            rect("f", NAMES, y + 3, dark, BAR - 6),
            rect("r", NAMES + dark, y + 3, light, BAR - 6),
            NAMES + dark + light + 6,
            y + 15,
            count.all(),
        ));
    }
    svg.push_str("</svg>");
    svg
}

fn open(height: u64, title: &str) -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">", escaped(title))
}

fn rect(class: &str, x: u64, y: u64, width: u64, height: u64) -> String {
    if width == 0 || height == 0 {
        return String::new();
    }
    format!("<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>")
}

fn told(name: &str, count: Count) -> String {
    format!("{}: {} forwarded, {} refused", escaped(name), count.forwarded, count.refused)
}

/// The part of `room` that `count` has of `most`; what is there is seen.
fn part(count: u64, most: u64, room: u64) -> u64 {
    count.saturating_mul(room).div_ceil(most.max(1))
}

fn short(name: &str) -> String {
    if name.chars().count() <= NAME_CHARS_MAX {
        return name.to_owned();
    }
    let mut cut: String = name.chars().take(NAME_CHARS_MAX - 1).collect();
    cut.push('\u{2026}');
    cut
}
