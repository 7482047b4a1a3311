//! The matrix as one page of HTML, without script and without anything from elsewhere.
//!
//! Must never let a name be markup.

use std::fmt::Write as _;

use super::{Table, cell, title};
use crate::cli::html::escaped;
use crate::model::decision::Answer;

/// The page of `table`, made from the configuration `config`.
pub(super) fn page(table: &Table<'_>, config: &str) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Sources and tools</title>\n\
         <style>{STYLE}</style></head>\n<body><h1>Sources and tools</h1>\n<p>{}: what each source alone says to each \
         tool. Roles and agents can only make it stricter. Hold the pointer over a cell for its conditions.</p>\n\
         <table><thead><tr><th>tool</th>",
        escaped(config)
    );
    for source in &table.sources {
        push(&mut page, format_args!("<th scope=\"col\">{}</th>", escaped(source.as_str())));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for (tool, spans) in table.tools.iter().zip(&table.rows) {
        push(&mut page, format_args!("<tr><th scope=\"row\">{}</th>", escaped(&tool.to_string())));
        for span in spans {
            let class = match span.loosest {
                Answer::Allow => "allow",
                Answer::Plan => "plan",
                Answer::Ask => "ask",
                Answer::Deny => "deny",
            };
            let (title, cell) = (escaped(&title(span)), escaped(&cell(span)));
            push(&mut page, format_args!("<td class=\"{class}\" title=\"{title}\">{cell}</td>"));
        }
        page.push_str("</tr>\n");
    }
    page.push_str(
        "</tbody></table>\n<p>A allow, P plan, K ask, - deny; a small letter is what conditions can make of it.</p>\n\
         </body></html>\n",
    );
    page
}

fn push(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _written = page.write_fmt(text);
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem;color:#1b1f24;background:#fff}\
table{border-collapse:collapse}th,td{border:1px solid #d0d7de;padding:.25rem .6rem}\
thead th{position:sticky;top:0;background:#f6f8fa}th[scope=row]{text-align:left;font-weight:500}\
td{text-align:center;font-family:ui-monospace,monospace}.allow{background:#dafbe1}.plan{background:#ddf4ff}\
.ask{background:#fff8c5}.deny{color:#8c959f}\
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}th,td{border-color:#30363d}\
thead th{background:#161b22}.allow{background:#12261e}.plan{background:#0c2d4a}.ask{background:#2e2a1f}}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_never_markup() {
        let table = Table { sources: Vec::new(), tools: Vec::new(), rows: Vec::new() };
        assert!(!page(&table, "<b>").contains("<b>"));
    }
}
