//! The page on which people answer questions, over the real binary: what it shows, and what it takes for an answer.

mod attacks;
mod elicit;
mod hook;
mod sign_in;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::audit::{check_signed, of_kind};
use crate::support::browser::{Browser, Page};
use crate::support::gateway::{CHAT_KEY, Gateway};
use crate::support::{Client, Exchange, Site};

const ADMIN: &str = "\n[admin]\naddress = \"127.0.0.1:0\"\n";

async fn agent(gateway: &Gateway) -> Client {
    Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await
}

/// The question that a call of `tools.write` with these arguments becomes.
async fn ask(agent: &Client, arguments: &Value) -> String {
    let params = json!({ "name": "tools__write", "arguments": arguments });
    asked(&agent.request(2, "tools/call", &params).await)
}

fn asked(answer: &Exchange) -> String {
    assert_eq!(answer.reason(), "approval_pending", "{answer:?}");
    let told = answer.json()["result"]["structuredContent"].clone();
    told["remedy"]["arguments"]["id"].as_str().unwrap().to_owned()
}

/// The link that the command prints.
fn link(site: &Site) -> String {
    let (code, out, err) = site.run(&["approvals", "page"]);
    assert_eq!(code, 0, "{err}");
    out.trim().to_owned()
}

/// The list of questions of whoever was just let in by `page`.
async fn go_on(browser: &mut Browser, page: &Page) -> Page {
    assert_eq!(page.status(), StatusCode::OK, "{}", page.text());
    let home = page.between("content=\"0; url=", "\"");
    browser.get(&page.at(&home)).await
}

/// A browser that came in by a link, and the list of questions in it.
async fn enter(site: &Site) -> (Browser, Page) {
    let (mut browser, link) = (Browser::default(), link(site));
    let door = browser.step(Method::POST, &link, Some("")).await;
    let list = go_on(&mut browser, &door).await;
    (browser, list)
}

/// Sends the answer `word` to the question on `page`.
async fn answer(browser: &mut Browser, page: &Page, word: &str) -> Page {
    browser.post(&page.url, &format!("token={}&word={word}", page.form_token())).await
}

fn answers(site: &Site) -> Vec<(String, Value)> {
    let all = of_kind(site, "approval").into_iter().filter(|it| it.get("by").is_some());
    all.map(|it| (it["change"].as_str().unwrap().to_owned(), it["by"].clone())).collect()
}

fn check_headers(page: &Page) {
    let headers = &page.answer.headers;
    for (name, value) in [
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "same-origin"),
        ("cache-control", "no-store"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        (
            "content-security-policy",
            "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
    ] {
        assert_eq!(headers[name], value, "{}", page.url);
    }
    assert!(!page.text().contains("<script") && !page.text().contains(" style="), "{}", page.text());
}

#[tokio::test]
async fn somebody_looks_at_a_question_in_a_browser_and_answers_it() {
    let site = Site::with_oracle(ADMIN);
    let gateway = site.start();
    let agent = agent(&gateway).await;
    let (yes, no) = (ask(&agent, &json!({ "id": "a" })).await, ask(&agent, &json!({ "id": "b" })).await);
    let link = link(&site);
    let mut browser = Browser::default();
    // What only looks at links does not use this one up.
    for _ in 0..2 {
        let door = browser.get(&link).await;
        assert!(door.text().contains("signs you in as <b>uid "), "{}", door.text());
        check_headers(&door);
    }
    let welcome = browser.step(Method::POST, &link, Some("")).await;
    check_headers(&welcome);
    let list = go_on(&mut browser, &welcome).await;
    check_headers(&list);
    assert!(list.text().contains(&yes) && list.text().contains(&no), "{}", list.text());
    let question = browser.get(&format!("{}/{yes}", list.url)).await;
    check_headers(&question);
    let text = question.text();
    for shown in [
        "tools.write",
        "user:1",
        "chat",
        "source chat ask by `tools.write`",
        "{&quot;id&quot;:&quot;a&quot;}",
        "(10 bytes)",
        "Written by the agent",
        "Other questions of this run",
        &no,
    ] {
        assert!(text.contains(shown), "no {shown} in {text}");
    }
    let after = answer(&mut browser, &question, "approve").await;
    assert!(after.text().contains("approved") && after.url == list.url, "{}", after.text());
    let question = browser.get(&format!("{}/{no}", list.url)).await;
    answer(&mut browser, &question, "deny").await;
    // Once.
    let again = answer(&mut browser, &question, "approve").await;
    assert_eq!(again.status(), StatusCode::CONFLICT, "{}", again.text());
    assert!(again.text().contains("no question of this id waits"), "{}", again.text());
    assert_eq!(agent.call("tools__write", "a").await.reason(), "ok");
    assert_eq!(agent.call("tools__write", "b").await.reason(), "approval_denied");
    // The link is used up, and so is the session once it is left.
    assert!(browser.step(Method::POST, &link, Some("")).await.is_refused(403, "sign_in_invalid"));
    let token = question.form_token();
    let gone = browser.post(&format!("{}/out", list.url), &format!("token={token}")).await;
    assert_eq!(gone.status(), StatusCode::OK);
    assert!(browser.cookies.is_empty(), "{:?}", browser.cookies);
    assert!(browser.get(&list.url).await.is_refused(401, "signed_out"));
    assert!(gateway.stop().success());
    let uid = rustix::process::geteuid().as_raw();
    let by = json!({ "uid": uid });
    assert_eq!(answers(&site), [("approved".to_owned(), by.clone()), ("denied".to_owned(), by)]);
    assert_eq!(site.executed(), ["a"]);
    check_signed(&site);
}

#[tokio::test]
async fn a61_a69_what_an_agent_wrote_is_text_on_the_page_and_what_is_long_says_so() {
    let site = Site::with_oracle(ADMIN);
    let gateway = site.start();
    let agent = agent(&gateway).await;
    let nasty = "</pre></div><script>alert(1)</script><form action=x><b onclick='x'>\u{202e}evil\u{200b}\u{e0041}&amp;";
    let id = ask(&agent, &json!({ "id": nasty })).await;
    let long = "\u{202e}é".repeat(20_000);
    let huge = ask(&agent, &json!({ "id": format!("{long}<end>") })).await;
    let (mut browser, list) = enter(&site).await;
    let page = browser.get(&format!("{}/{id}", list.url)).await;
    check_headers(&page);
    let text = page.text();
    for shown in [
        "&lt;/pre&gt;&lt;/div&gt;&lt;script&gt;alert(1)&lt;/script&gt;",
        "<mark>\\u{202e}</mark>evil<mark>\\u{200b}\\u{e0041}</mark>&amp;amp;",
    ] {
        assert!(text.contains(shown), "no {shown} in {text}");
    }
    assert!(!text.contains('\u{202e}') && !text.contains('\u{200b}'), "nothing is hidden");
    let page = browser.get(&format!("{}/{huge}", list.url)).await;
    let text = page.text();
    let bytes = json!({ "id": format!("{long}<end>") }).to_string().len();
    assert!(text.contains(&format!("Arguments ({bytes} bytes)")), "{bytes}");
    assert!(text.contains("This is not all of it.") && !text.contains("&lt;end&gt;"));
    let whole = browser.get(&format!("{}/{huge}/arguments", list.url)).await;
    check_headers(&whole);
    assert_eq!(whole.answer.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(whole.text(), json!({ "id": format!("{long}<end>") }).to_string(), "exactly");
    assert!(gateway.stop().success());
    check_signed(&site);
}

#[tokio::test]
async fn two_who_answer_at_once_are_one_answer() {
    let site = Site::with_oracle(ADMIN);
    let gateway = site.start();
    let agent = agent(&gateway).await;
    for round in 0..8 {
        let id = ask(&agent, &json!({ "id": format!("{round}") })).await;
        let ((mut one, list), (mut two, other)) = (enter(&site).await, enter(&site).await);
        let at = |list: &Page| format!("{}/{id}", list.url);
        let (first, second) = (one.get(&at(&list)).await, two.get(&at(&other)).await);
        let both = tokio::join!(answer(&mut one, &first, "approve"), answer(&mut two, &second, "deny"));
        let taken = [both.0.status(), both.1.status()];
        assert!(taken.contains(&StatusCode::OK) && taken.contains(&StatusCode::CONFLICT), "{taken:?}");
        let expected = if taken[0] == StatusCode::OK { "ok" } else { "approval_denied" };
        assert_eq!(agent.call("tools__write", &format!("{round}")).await.reason(), expected);
    }
    assert!(gateway.stop().success());
    assert_eq!(answers(&site).len(), 8, "nothing is on the record that does not count");
    check_signed(&site);
}
