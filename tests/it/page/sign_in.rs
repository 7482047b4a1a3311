//! People sign in at a real provider, `oidc-provider`, and answer what is theirs and nothing else.

use std::net::TcpListener;

use super::*;
use crate::support::served::Served;

/// A site whose people sign in at the provider that comes with it; `subject` answers everything. Its page has a public
/// URL where `public` names the key of one.
pub(super) async fn site_of(subject: &str, public: &str) -> (Site, Served) {
    // The provider has to know where it sends people back to before the gateway listens there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let page = format!("http://127.0.0.1:{port}");
    let provider = Served::start(&["people", "0", &format!("{page}/approvals/callback/people.corp")]).await;
    let public = if public.is_empty() { String::new() } else { format!("{public} = \"{page}\"") };
    let site = Site::with_oracle(&format!(
        "\n[admin]\naddress = \"127.0.0.1:{port}\"\n{public}\n\
         [auth.people.corp]\nissuer = \"{}\"\nclient_id = \"gateway\"\nclient_secret = {{ file = \"secret\" }}\n\
         subject = \"user:{{sub}}\"\n\
         [[approvers]]\nentry_point = \"people.corp\"\nsubject = \"{subject}\"\n\
         [[approvers]]\nentry_point = \"people.corp\"\nsubject = \"user:carl\"\nsources = \"email\"\n",
        provider.url
    ));
    std::fs::write(site.path("secret"), "secret\n").unwrap();
    std::fs::set_permissions(site.path("secret"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    (site, provider)
}

pub(super) fn browser_of(account: &str) -> Browser {
    Browser { cookies: Vec::new(), headers: vec![("x-account".to_owned(), account.to_owned())] }
}

/// Goes from the door to the provider and back; gives what the page says then.
async fn sign_in(browser: &mut Browser, gateway: &Gateway, question: &str) -> Page {
    let door = browser.get(&format!("{}/approvals?question={question}", gateway.admin)).await;
    let to = door.between("<p><a href=\"", "\"");
    browser.get(&to).await
}

#[tokio::test]
async fn people_sign_in_at_a_real_provider_and_answer_what_is_theirs() {
    let (site, _provider) = site_of("user:ann", "").await;
    let gateway = site.start();
    let agent = agent(&gateway).await;
    let id = ask(&agent, &json!({ "id": "a" })).await;
    let (mut ann, mut bob, mut carl) = (browser_of("ann"), browser_of("bob"), browser_of("carl"));
    let welcome = sign_in(&mut ann, &gateway, &id).await;
    check_headers(&welcome);
    let question = go_on(&mut ann, &welcome).await;
    assert!(question.text().contains("user:ann by people.corp"), "{}", question.text());
    assert!(question.text().contains("May this call be made?"), "she came for it");
    // Bob is nobody here, and Carl answers for what came by email alone: neither sees or answers it.
    let token = question.form_token();
    for browser in [&mut bob, &mut carl] {
        let welcome = sign_in(browser, &gateway, "").await;
        let list = go_on(browser, &welcome).await;
        assert!(list.text().contains("No question waits for you."), "{}", list.text());
        let own = list.form_token();
        let url = format!("{}/{id}", list.url);
        assert_eq!(browser.get(&url).await.status(), StatusCode::NOT_FOUND);
        assert_eq!(browser.get(&format!("{url}/arguments")).await.status(), StatusCode::NOT_FOUND);
        let refused = browser.post(&url, &format!("token={own}&word=approve")).await;
        assert!(refused.is_refused(403, "not_an_approver"), "{}", refused.text());
        // Her session is not theirs, whatever of it they know.
        let hers = browser.post(&question.url, &format!("token={token}&word=approve")).await;
        assert!(hers.is_refused(401, "signed_out"), "{}", hers.text());
    }
    // Nobody is named for the admin socket any more.
    let (code, _, err) = site.run(&["approvals", "approve", &id]);
    assert!(code != 0 && err.contains("does not let you answer"), "{err}");
    answer(&mut ann, &question, "approve").await;
    assert_eq!(agent.call("tools__write", "a").await.reason(), "ok");
    // A person who was revoked answers nothing, signed in or not.
    let next = ask(&agent, &json!({ "id": "b" })).await;
    let home = question.url.strip_suffix(&format!("/{id}")).unwrap();
    let question = ann.get(&format!("{home}/{next}")).await;
    let (code, _, err) = site.run(&["runs", "revoke", "--subject", "user:ann"]);
    assert_eq!(code, 0, "{err}");
    assert!(answer(&mut ann, &question, "approve").await.is_refused(403, "credential_revoked"));
    assert!(ann.get(home).await.text().contains("No question waits for you."));
    assert!(gateway.stop().success());
    let by = json!({ "entry_point": "people.corp", "subject": "user:ann" });
    assert_eq!(answers(&site), [("approved".to_owned(), by)]);
    assert_eq!(site.executed(), ["a"]);
    check_signed(&site);
}

#[tokio::test]
async fn a_sign_in_counts_once_where_it_began_and_a_provider_can_say_no() {
    let (site, _provider) = site_of("user:ann", "").await;
    let gateway = site.start();
    let mut ann = browser_of("ann");
    let begin = format!("{}/approvals/sign-in/people.corp", gateway.admin);
    // The way to the provider, by hand: what comes back is kept and not used yet.
    let (mut at, mut hops) = (begin.clone(), 0);
    let back = loop {
        hops += 1;
        assert!(hops < 16, "{at} is no end");
        let page = ann.step(Method::GET, &at, None).await;
        assert!(page.status().is_redirection(), "{}", page.text());
        at = page.at(page.answer.headers["location"].to_str().unwrap());
        if at.contains("/approvals/callback/") {
            break at;
        }
    };
    let cookie = ann.cookies.iter().find(|cookie| cookie.name == "sluicegate-sign-in").unwrap();
    assert!(cookie.whole.contains("; HttpOnly; SameSite=Lax"), "{}", cookie.whole);
    assert_eq!(cookie.path, "/approvals/callback/people.corp");
    // Another browser, also one that began a sign-in of its own, does not become Ann by it.
    let mut mallory = browser_of("mallory");
    assert!(mallory.get(&back).await.is_refused(403, "sign_in_invalid"));
    mallory.step(Method::GET, &begin, None).await;
    assert!(mallory.get(&back).await.is_refused(403, "sign_in_invalid"));
    let (front, query) = back.split_once('?').unwrap();
    let state = query.split('&').find(|pair| pair.starts_with("state=")).unwrap();
    for wrong in [query.replace(state, "state=x"), format!("{query}&{state}"), query.replace(state, "")] {
        assert!(ann.get(&format!("{front}?{wrong}")).await.is_refused(403, "sign_in_invalid"), "{wrong}");
    }
    assert_eq!(ann.get(&back).await.status(), StatusCode::OK);
    assert!(ann.get(&back).await.is_refused(403, "sign_in_invalid"), "once");
    // A code that was redeemed is none, also in a sign-in that began anew.
    let mut again = browser_of("ann");
    let page = again.step(Method::GET, &begin, None).await;
    let to = page.answer.headers["location"].to_str().unwrap().to_owned();
    let fresh = to.split('&').find(|pair| pair.starts_with("state=")).unwrap();
    let replayed = again.get(&format!("{front}?{}", query.replace(state, fresh))).await;
    assert!(replayed.is_refused(403, "sign_in_refused"), "{}", replayed.text());
    // Nobody is at the provider.
    let mut nobody = Browser::default();
    let refused = sign_in(&mut nobody, &gateway, "").await;
    assert!(refused.is_refused(403, "sign_in_refused"), "{}", refused.text());
    let unknown = ann.get(&format!("{}/approvals/sign-in/keys.person", gateway.admin)).await;
    assert!(unknown.is_refused(404, "path_unknown"), "only what signs people in does");
    assert!(gateway.stop().success());
}

#[tokio::test]
async fn what_vouches_for_runs_names_no_person() {
    let site = Site::with_oracle("[[approvers]]\nentry_point = \"keys.person\"\nsubject = \"user:1\"\n");
    let (code, out, err) = site.run(&["check"]);
    assert_eq!(code, 78, "{out}{err}");
    assert!(format!("{out}{err}").contains("signs no people in"), "{out}{err}");
}
