//! `audit query` and `audit stats` against what was really called.

use serde_json::Value;

use crate::support::gateway::{CHAT_KEY, EMAIL_KEY, OTHER_KEY};
use crate::support::{Client, Site, check_audit};

async fn recorded() -> Site {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let chat = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    let email = Client::new(&gateway.url, EMAIL_KEY).initialize("2025-11-25").await;
    for number in 0..3 {
        assert_eq!(chat.call("tools__read", &format!("c{number}")).await.reason(), "ok");
    }
    assert_eq!(chat.call("tools__write", "refused").await.reason(), "approval_pending");
    assert_eq!(email.call("browser__read", "e0").await.reason(), "ok");
    assert_eq!(email.call("tools__read", "e1").await.reason(), "ok");
    assert_eq!(email.call("tools__send", "e2").await.reason(), "source_denies");
    assert!(gateway.stop().success());
    site
}

fn rows(site: &Site, more: &[&str]) -> Vec<Value> {
    let (code, out, err) = site.run(&[&["audit", "query", "--json"], more].concat());
    assert_eq!(code, 0, "{err}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn calls_are_found_by_everything_that_they_are_recorded_with() {
    let site = recorded().await;
    let all = rows(&site, &[]);
    assert_eq!(all.len(), 7, "{all:#?}");
    let run =
        all.iter().find(|row| row["target"] == "browser.read").unwrap()["run"].as_str().unwrap().to_owned();
    for (filter, count) in [
        (vec!["--source", "web"], 2),
        (vec!["--source", "chat"], 4),
        (vec!["--tool", "tools.*"], 6),
        (vec!["--tool", "*.read", "--source", "chat"], 3),
        (vec!["--upstream", "browser"], 1),
        (vec!["--verdict", "refused"], 2),
        (vec!["--reason", "approval_pending"], 1),
        (vec!["--run", &run], 3),
        (vec!["--subject", "user:1"], 7),
        (vec!["--subject", "user:2"], 0),
        (vec!["--since", "1h"], 7),
        (vec!["--until", "1h"], 0),
        (vec!["--since", "1h", "--until", "2000-01-01T00:00:00Z"], 0),
    ] {
        assert_eq!(rows(&site, &filter).len(), count, "{filter:?}");
    }
    let first = &all[0];
    assert_eq!(
        (&first["verdict"], &first["executed"], &first["reason"]),
        (&"forwarded".into(), &"yes".into(), &"answered".into())
    );
    assert!(first["total_us"].as_u64().is_some());
    let (_, text, more) = site.run(&["audit", "query", "--limit", "2"]);
    assert_eq!((text.lines().count(), more.trim()), (2, "and 5 more: `--limit` shows them"));
    let (_, csv, _) = site.run(&["audit", "query", "--csv", "--verdict", "refused"]);
    let lines: Vec<_> = csv.split("\r\n").collect();
    assert_eq!(lines.len(), 4);
    assert!(
        lines[0].starts_with("\"seq\",\"time\",\"sources\",") && lines[1].contains("\"approval_pending\""),
        "{csv}"
    );
    let (code, _, err) = site.run(&["audit", "query", "--tool", ""]);
    assert!(code != 0 && err.contains("no pattern"), "{err}");
    check_audit(&site);
}

/// What a caller asks for in the hope that somebody opens the record: in a spreadsheet, a browser, a terminal.
const BAITS: [&str; 12] = [
    "=HYPERLINK(\"http://evil.example\",\"look\")",
    "+1+1",
    "-2+3",
    "@SUM(1)",
    " =1+1",
    "\t=1+1",
    "\r\n=1+1",
    "\u{ff1d}1+1",
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "a\",\"b\r\nc",
    "\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}txt",
];
/// A subject that a careless issuer vouches for.
const SUBJECT: &str = "=cmd|'/C_calc'!A0";

#[tokio::test]
async fn a75_what_callers_wrote_is_text_to_a_spreadsheet_a_browser_and_a_terminal() {
    let site = Site::with_oracle("");
    site.edit(|config| config.replace("\"user:2\"", &format!("{SUBJECT:?}")));
    let gateway = site.start();
    let client = Client::new(&gateway.url, OTHER_KEY).initialize("2025-11-25").await;
    for bait in BAITS {
        assert_eq!(client.call(bait, "1").await.json()["error"]["code"], -32602, "{bait}");
    }
    assert!(gateway.stop().success());
    let shown = |text: &str| sluicegate::model::text::printable(text);
    let (_, csv, _) = site.run(&["audit", "query", "--csv"]);
    assert_eq!(csv.matches("\r\n").count(), BAITS.len() + 1, "a line a call, and the head: {csv:?}");
    for (line, bait) in csv.trim_end().split("\r\n").skip(1).zip(BAITS) {
        let cells: Vec<_> =
            line.strip_prefix('"').unwrap().strip_suffix('"').unwrap().split("\",\"").collect();
        let quotes = line.matches('"').count();
        assert!(
            quotes.is_multiple_of(2) && !line.contains(|c| shown(&String::from(c)).len() > 4),
            "{line:?}"
        );
        let formulas = ['=', '+', '-', '@', '\t', '\r', '\u{ff1d}'];
        assert!(cells.iter().all(|cell| !cell.trim_start().starts_with(formulas)), "{line}");
        assert_eq!(cells[3], format!("'{SUBJECT}"));
        assert!(line.contains(&shown(bait).replace('"', "\"\"")), "{line}");
    }
    for more in
        [&["query"][..], &["query", "--json"], &["stats"], &["stats", "--json"], &["tail", "--no-follow"]]
    {
        let (code, out, err) = site.run(&[&["audit"], more].concat());
        assert_eq!((code, err.as_str()), (0, ""));
        assert!(!out.contains(|c| c != '\n' && shown(&String::from(c)).len() > 4), "{more:?}: {out:?}");
    }
    let asked: Vec<_> =
        rows(&site, &[]).iter().map(|row| row["target"].as_str().unwrap().to_owned()).collect();
    assert_eq!(asked, BAITS);
    let (_, _, err) = site.run(&["audit", "report", "--html", "report.html"]);
    assert_eq!(err, "");
    let page = std::fs::read_to_string(site.path("report.html")).unwrap();
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script") && !page.contains("<img"), "{page}");
    check_audit(&site);
}

#[tokio::test]
async fn a_report_is_one_page_that_tells_what_stats_tell() {
    let site = recorded().await;
    let (code, out, err) = site.run(&["audit", "report", "--since", "1h", "--html", "report.html"]);
    assert_eq!((code, out.as_str(), err.as_str()), (0, "", ""));
    let page = std::fs::read_to_string(site.path("report.html")).unwrap();
    assert!(page.contains("7 calls from ") && page.contains("5 forwarded, 2 refused"), "{page}");
    assert!(
        page.contains("tools.read: 4 forwarded, 0 refused") && page.matches("<svg").count() == 7,
        "{page}"
    );
    assert!(!page.contains("<script") && !page.contains("src=") && !page.contains("href="), "{page}");
    let (code, out, _) = site.run(&["audit", "report", "--json", "--source", "web"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["calls"]), (0, &serde_json::json!({ "forwarded": 1, "refused": 1 })));
    let (code, _, err) = site.run(&["audit", "report"]);
    assert!(code == 2 && err.contains("--html"), "{err}");
}

#[tokio::test]
async fn calls_are_counted_by_what_they_have_in_common() {
    let site = recorded().await;
    let (_, out, _) = site.run(&["audit", "stats"]);
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["TOOL", "FORWARDED", "REFUSED"]);
    assert_eq!(lines[1][..3], ["tools.read", "4", "0"]);
    assert!(lines[1][3].chars().all(|cell| cell == '\u{2588}') && lines[1][3].chars().count() == 40, "{out}");
    let (_, out, _) = site.run(&["audit", "stats", "--by", "source", "--json"]);
    let told: Value = serde_json::from_str(&out).unwrap();
    let web = told["counts"].as_array().unwrap().iter().find(|count| count["key"] == "web").unwrap();
    assert_eq!((&web["forwarded"], &web["refused"]), (&1.into(), &1.into()));
    let (_, out, _) = site.run(&["audit", "stats", "--by", "day", "--verdict", "refused"]);
    assert_eq!(out.lines().count(), 2, "{out}");
    check_audit(&site);
}
