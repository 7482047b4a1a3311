//! A service brings the answers of people in signed messages: what counts, once, and what does not.

use aws_lc_rs::hmac;
use data_encoding::BASE64;
use sluicegate::clock::Clock;

use super::*;

const KEY: [u8; 32] = [7; 32];

/// A message of the service, as Standard Webhooks 1.0.0 says it is signed.
struct Message {
    key: [u8; 32],
    id: String,
    at: i64,
    body: String,
}

impl Message {
    fn of(question: &str, word: &str, subject: &str) -> Self {
        let body = json!({ "question": question, "word": word, "subject": subject }).to_string();
        let id = format!("m-{question}-{word}-{subject}");
        Self { key: KEY, id, at: Clock::system().wall().as_second(), body }
    }

    async fn send(&self, gateway: &Gateway) -> Exchange {
        let signed = format!("{}.{}.{}", self.id, self.at, self.body);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.key), signed.as_bytes());
        Client::anonymous(&format!("{}/approvals/webhooks/webhooks.chat", gateway.admin))
            .header("webhook-id", &self.id)
            .header("webhook-timestamp", &self.at.to_string())
            .header("webhook-signature", &format!("v1,{}", BASE64.encode(tag.as_ref())))
            .send(Method::POST, self.body.clone())
            .await
    }

    /// The status, and the reason where there is one.
    async fn said(&self, gateway: &Gateway) -> (u16, String) {
        let answer = self.send(gateway).await;
        let reason = answer.json()["reason"].as_str().unwrap_or_default().to_owned();
        (answer.status.as_u16(), reason)
    }
}

fn site() -> Site {
    let site = Site::with_oracle(&format!(
        "{ADMIN}[auth.webhooks.chat]\nsign = {{ file = \"chat.key\" }}\nsubjects = [\"user:*\"]\n\
         [[approvers]]\nentry_point = \"webhooks.chat\"\nsubject = \"user:ann\"\n\
         [[approvers]]\nentry_point = \"webhooks.chat\"\nsubject = \"user:carl\"\nsources = \"email\"\n"
    ));
    std::fs::write(site.path("chat.key"), format!("whsec_{}\n", BASE64.encode(&KEY))).unwrap();
    std::fs::set_permissions(site.path("chat.key"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    site
}

#[tokio::test]
async fn a_service_brings_the_answer_of_somebody_and_it_counts_as_theirs() {
    let site = site();
    let gateway = site.start();
    let agent = agent(&gateway).await;
    let (yes, no) = (json!({ "id": "a" }), json!({ "id": "b" }));
    let (approved, denied) = (ask(&agent, &yes).await, ask(&agent, &no).await);
    let said = Message::of(&approved, "approve", "user:ann").send(&gateway).await;
    assert_eq!((said.status.as_u16(), said.json()["answered"].as_str()), (200, Some("approve")), "{said:?}");
    assert_eq!(Message::of(&denied, "deny", "user:ann").said(&gateway).await.0, 200);
    let call = |arguments: Value| json!({ "name": "tools__write", "arguments": arguments });
    assert_eq!(agent.request(3, "tools/call", &call(yes)).await.reason(), "ok");
    assert_eq!(agent.request(4, "tools/call", &call(no)).await.reason(), "approval_denied");
    // Nothing waits any more: nobody answers twice.
    assert_eq!(Message::of(&approved, "deny", "user:ann").said(&gateway).await.0, 404);
    assert!(gateway.stop().success());
    let by = json!({ "entry_point": "webhooks.chat", "subject": "user:ann" });
    assert_eq!(answers(&site), [("approved".to_owned(), by.clone()), ("denied".to_owned(), by)]);
    check_signed(&site);
}

#[tokio::test]
async fn what_is_not_the_service_s_or_not_from_now_or_not_theirs_counts_nothing() {
    let site = site();
    let gateway = site.start();
    let agent = agent(&gateway).await;
    let question = ask(&agent, &json!({ "id": "a" })).await;
    let good = || Message::of(&question, "approve", "user:ann");
    let now = Clock::system().wall().as_second();
    let refused = [
        (Message { key: [8; 32], ..good() }, 401, "webhook_invalid"),
        (Message { at: now - 400, ..good() }, 401, "webhook_invalid"),
        (Message { at: now + 400, ..good() }, 401, "webhook_invalid"),
        (Message::of(&question, "approve", "user:eve"), 403, "not_an_approver"),
        (Message::of(&question, "approve", "root"), 403, "not_an_approver"),
        // Carl answers for mail alone.
        (Message::of(&question, "approve", "user:carl"), 403, "not_an_approver"),
        (Message::of(&question, "maybe", "user:ann"), 400, "webhook_malformed"),
        (Message { body: " ".repeat(5000), ..good() }, 413, "body_too_large"),
    ];
    for (message, status, reason) in &refused {
        assert_eq!(message.said(&gateway).await, (*status, (*reason).to_owned()), "{}", message.body);
    }
    // The same id is the same message, whatever stands in it.
    let again = Message { body: good().body, ..Message::of(&question, "approve", "user:eve") };
    assert_eq!(again.said(&gateway).await, (409, "webhook_repeated".to_owned()));
    // What an agent holds is no signature.
    let url = format!("{}/approvals/webhooks/webhooks.chat", gateway.admin);
    let with_key = Client::new(&url, CHAT_KEY).send(Method::POST, good().body).await;
    assert_eq!(
        (with_key.status, with_key.reason()),
        (StatusCode::UNAUTHORIZED, "webhook_invalid".to_owned())
    );
    let other = Client::anonymous(&url).header("host", "evil.example").send(Method::POST, good().body).await;
    assert_eq!(other.status, StatusCode::FORBIDDEN);
    assert_eq!(Client::anonymous(&url).send(Method::GET, "").await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answers(&site), []);
    // None of it kept the answer away that counts.
    assert_eq!(good().said(&gateway).await.0, 200);
    let revoked = site.run(&["runs", "revoke", "--entry-point", "webhooks.chat"]);
    assert_eq!(revoked.0, 0, "{revoked:?}");
    let next = ask(&agent, &json!({ "id": "b" })).await;
    let late = Message::of(&next, "approve", "user:ann").said(&gateway).await;
    assert_eq!(late.0, 403, "{late:?}");
    assert!(gateway.stop().success());
}
