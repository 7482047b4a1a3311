//! Who tries to answer and may not: other sites, other names, stolen and forged things, agents.

use super::*;

#[tokio::test]
async fn no_other_site_session_or_address_answers_for_somebody() {
    let site = Site::with_oracle(ADMIN);
    let gateway = site.start();
    let agent = agent(&gateway).await;
    let id = ask(&agent, &json!({ "id": "a" })).await;
    let (mut browser, list) = enter(&site).await;
    let (mut other, others) = enter(&site).await;
    let url = format!("{}/{id}", list.url);
    let page = browser.get(&url).await;
    let foreign = other.get(&format!("{}/{id}", others.url)).await.form_token();
    let form = format!("token={}&word=approve", page.form_token());
    // A form without its token, with another's, with two.
    for wrong in [
        "word=approve".to_owned(),
        "token=&word=approve".to_owned(),
        format!("token={foreign}&word=approve"),
        format!("{form}&token={foreign}"),
    ] {
        assert!(browser.post(&url, &wrong).await.is_refused(403, "form_forged"), "{wrong}");
    }
    // From a page of another site, or of nobody.
    for (header, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1:1"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let mut framed = browser.clone();
        framed.headers = vec![(header.to_owned(), value.to_owned())];
        assert!(framed.post(&url, &form).await.is_refused(403, "origin_forbidden"), "{header}: {value}");
    }
    let cookie = browser.cookies[0].clone();
    let bare = Client::anonymous(&url)
        .with("content-type", "application/x-www-form-urlencoded")
        .header("cookie", &format!("{}={}", cookie.name, cookie.value));
    assert_eq!(bare.post(form.clone()).await.status, StatusCode::FORBIDDEN, "no origin at all");
    // A link answers nothing, nor does JSON, nor too large a form, nor a word that is none.
    let looked = browser.get(&format!("{url}?{form}")).await;
    assert!(looked.text().contains("Approve"), "it still waits");
    let mut odd = browser.clone();
    odd.headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    assert_eq!(odd.post(&url, "{}").await.status(), StatusCode::BAD_REQUEST);
    let long = format!("{form}&x={}", "x".repeat(4096));
    assert_eq!(browser.post(&url, &long).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let token = page.form_token();
    assert_eq!(
        browser.post(&url, &format!("token={token}&word=yes")).await.status(),
        StatusCode::BAD_REQUEST
    );
    assert_eq!(browser.step(Method::DELETE, &url, None).await.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert!(gateway.stop().success());
    assert!(answers(&site).is_empty());
    check_signed(&site);
}

#[tokio::test]
async fn a48_the_page_answers_to_its_own_names_alone() {
    let site = Site::with_oracle(ADMIN);
    site.edit(|config| config.replace("[admin]\n", "[admin]\nurl = \"https://ask.acme.example\"\n"));
    let gateway = site.start();
    let (page, port) = (format!("{}/approvals", gateway.admin), gateway.admin.rsplit(':').next().unwrap());
    for (host, is_own) in [
        (format!("127.0.0.1:{port}"), true),
        (format!("localhost:{port}"), true),
        ("ask.acme.example".to_owned(), true),
        ("ASK.acme.example".to_owned(), true),
        ("evil.example".to_owned(), false),
        (format!("evil.example:{port}"), false),
        ("127.0.0.1".to_owned(), false),
        ("ask.acme.example.evil.example".to_owned(), false),
    ] {
        let answer = Client::anonymous(&page).header("host", &host).send(Method::GET, "").await;
        let expected = if is_own { StatusCode::OK } else { StatusCode::FORBIDDEN };
        assert_eq!(answer.status, expected, "{host}: {answer:?}");
    }
    // Its public name is that of the page, and of nothing beside it.
    let metrics = Client::anonymous(&format!("{}/metrics", gateway.admin));
    let metrics = metrics.header("host", "ask.acme.example").send(Method::GET, "").await;
    assert_eq!(metrics.status, StatusCode::FORBIDDEN);
    // What comes by the public name gets a cookie that no plain HTTP is sent.
    let link = link(&site);
    let code = link.strip_prefix("https://ask.acme.example").unwrap_or_else(|| panic!("{link}"));
    let entering = Client::anonymous(&format!("{}{code}", gateway.admin)).header("host", "ask.acme.example");
    let foreign = entering.clone().header("origin", "http://ask.acme.example").post("").await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN, "another origin");
    let entered = entering.header("origin", "https://ask.acme.example").post("").await;
    assert_eq!(entered.status, StatusCode::OK, "{entered:?}");
    let cookie = entered.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Secure-sluicegate=") && cookie.ends_with("; Secure"), "{cookie}");
    assert!(gateway.stop().success());
}

#[tokio::test]
async fn what_an_agent_holds_or_what_was_stolen_or_planted_is_no_session() {
    let site = Site::with_oracle(ADMIN);
    let gateway = site.start();
    let agent = agent(&gateway).await;
    let id = ask(&agent, &json!({ "id": "a" })).await;
    let (browser, list) = enter(&site).await;
    let cookie = browser.cookies[0].clone();
    // Nothing is sent it but what is below its own path, and nothing on the page can read it.
    let path = list.url.parse::<http::Uri>().unwrap().path().to_owned();
    assert_eq!((cookie.name.as_str(), &cookie.path), ("sluicegate", &path));
    assert!(cookie.whole.contains("; HttpOnly; SameSite=Strict"), "{}", cookie.whole);
    let minutes: u64 =
        cookie.whole.split("Max-Age=").nth(1).unwrap().split(';').next().unwrap().parse().unwrap();
    assert!(minutes <= 3600);
    let at = |url: &str, headers: &[(&str, &str)]| {
        let client =
            headers.iter().fold(Client::anonymous(url), |client, (name, value)| client.with(name, value));
        async move { client.send(Method::GET, "").await.status }
    };
    let sent = |value: &str| format!("sluicegate={value}");
    let place = path.rsplit('/').next().unwrap();
    let bearer = format!("Bearer {CHAT_KEY}");
    let elsewhere = format!("{}/approvals/in/{}", gateway.admin, "A".repeat(43));
    for (url, headers) in [
        (&list.url, vec![]),
        (&list.url, vec![("authorization", bearer.as_str())]),
        (&list.url, vec![("txn-token", CHAT_KEY)]),
        (&list.url, vec![("cookie", &*sent(CHAT_KEY))]),
        (&list.url, vec![("cookie", &*sent(agent.session()))]),
        // Half of a session is none; nor is one that somebody made up and planted.
        (&list.url, vec![("cookie", &*sent(place))]),
        (&list.url, vec![("cookie", &*format!("{}; {}", sent(&cookie.value), sent("x")))]),
        (&elsewhere, vec![("cookie", &*sent(&cookie.value))]),
        (&elsewhere, vec![("cookie", &*sent(&"A".repeat(43)))]),
    ] {
        assert_eq!(at(url, &headers).await, StatusCode::UNAUTHORIZED, "{url} {headers:?}");
    }
    assert_eq!(at(&list.url, &[("cookie", &*sent(&cookie.value))]).await, StatusCode::OK);
    // A planted session does not become somebody's: who enters gets another one.
    let mut planted = Browser { cookies: vec![cookie.clone()], headers: Vec::new() };
    let door = planted.step(Method::POST, &link(&site), Some("")).await;
    let own = go_on(&mut planted, &door).await;
    assert_ne!(own.url, list.url);
    // Where it is answered there is nothing for runs, and where runs come in there is no page.
    for url in [gateway.url.clone(), gateway.url.replace("/mcp", "/approvals")] {
        let status = at(&url, &[("cookie", &*sent(&cookie.value))]).await;
        assert!(status.is_client_error(), "{url}: {status}");
    }
    assert_eq!(asked(&agent.call("tools__write", "a").await), id, "nobody answered");
    gateway.kill();
    let gateway = site.start();
    let moved = list.url.replace(list.url.split("/approvals").next().unwrap(), &gateway.admin);
    let mut browser = browser;
    assert!(browser.get(&moved).await.is_refused(401, "signed_out"), "a start signs everybody out");
    assert!(gateway.stop().success());
    assert!(answers(&site).is_empty());
}
