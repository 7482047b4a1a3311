//! The admin socket, both ends of it.

mod custody;

use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::socket::Desk;
use super::*;
use crate::model::approval::Word;
use crate::model::digest::Sha256;
use crate::model::facts::RunId;
use crate::model::name::{EntryPointName, SourceName, Subject};
use crate::model::person::Person;
use crate::model::pin::{Finding, Suspicion};
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::run::{Actor, RunHistory};
use crate::model::text::Bounded;
use crate::socket::{HostRule, Peer};
use crate::telemetry::Readiness;

#[derive(Default)]
struct Gateway {
    ended: Mutex<Vec<RunId>>,
    accepted: Mutex<Vec<(u32, Acceptance)>>,
    custody: Mutex<Vec<String>>,
}

fn run_entry() -> RunEntry {
    RunEntry {
        run: RunId::of([7; 16]),
        entry_point: EntryPointName::new("keys.laptop").unwrap(),
        subject: Subject::new("user:4711").unwrap(),
        session: None,
        claim: None,
        origin: None,
        provenance: Provenance::of([SourceName::new("chat").unwrap()]),
        started: Timestamp::UNIX_EPOCH,
        used: Timestamp::UNIX_EPOCH,
        history: RunHistory::Whole,
    }
}

impl Approvals for Gateway {
    async fn questions(&self) -> Vec<QuestionEntry> {
        Vec::new()
    }

    async fn questions_of(&self, _: &Person) -> Vec<QuestionEntry> {
        Vec::new()
    }

    async fn answer_question(&self, by: &Person, id: &str, word: Word) -> Result<(), AdministrationError> {
        self.custody.lock().unwrap().push(format!("{by} {id} {word:?}"));
        Err(AdministrationError::Missing("no question of this id waits for an answer".to_owned()))
    }

    async fn approve_like(
        &self,
        by: &Person,
        id: &str,
        like: Like,
    ) -> Result<LikeGranted, AdministrationError> {
        self.custody.lock().unwrap().push(format!("{by} {id} {} {}", like.calls, like.for_s));
        let arguments = format!("{:?}", like.limits.keys());
        Ok(LikeGranted { calls: like.calls, until: Timestamp::UNIX_EPOCH, arguments })
    }
}

impl Administration for Gateway {
    async fn status(&self) -> Status {
        Status {
            version: "0".into(),
            started: Timestamp::UNIX_EPOCH,
            readiness: Readiness::default(),
            listeners: vec![ListenerEntry { name: "main".into(), place: "127.0.0.1:7400".into() }],
            calls_in_flight: 0,
            sessions: 0,
            runs: 1,
        }
    }

    async fn runs(&self) -> Vec<RunEntry> {
        vec![run_entry()]
    }

    async fn run(&self, run: &RunId) -> Option<RunEntry> {
        (*run == run_entry().run).then(run_entry)
    }

    async fn end_run(&self, _by: Actor, run: &RunId) -> Result<(), AdministrationError> {
        if *run != run_entry().run {
            return Err(AdministrationError::Missing("no such run".into()));
        }
        self.ended.lock().unwrap().push(run.clone());
        Ok(())
    }

    async fn pins(&self) -> Vec<PinEntry> {
        let (digest, definition) = (Sha256::of(b"new"), "{\"a\":\"\u{202e}\"}".into());
        let offered = Offered { digest, definition, revision: Some("2025-11-25".into()) };
        let (at, excerpt) = (Bounded::new("a"), Bounded::new("\u{202e}"));
        vec![PinEntry {
            tool: "mail.send".into(),
            state: PinStanding::Changed,
            accepted: Some(Sha256::of(b"old")),
            accepted_definition: "{}".into(),
            accepted_revision: None,
            offered: Some(offered),
            findings: vec![Finding { what: Suspicion::Hidden, at, excerpt }],
        }]
    }

    async fn accept_pins(&self, by: Actor, acceptances: Vec<Acceptance>) -> Result<(), AdministrationError> {
        if acceptances.iter().any(|acceptance| acceptance.offered != Some(Sha256::of(b"new"))) {
            return Err(AdministrationError::Stale("changed again".into()));
        }
        let halted = acceptances.is_empty();
        self.accepted.lock().unwrap().extend(acceptances.into_iter().map(|one| (by.uid, one)));
        if halted {
            let message = "the disk is full".into();
            return Err(AdministrationError::Unavailable { reason: Reason::JournalHalted, message });
        }
        Ok(())
    }

    async fn reload(&self, by: Actor) -> Result<ReloadAnswer, AdministrationError> {
        let widened = vec![format!("asked by {}", by.uid)];
        let (epoch, config, result) = (2, Sha256::of(b"files"), ReloadResult::InForce);
        Ok(ReloadAnswer { result, epoch, config, widened, changed: Vec::new(), problems: Vec::new() })
    }
}

fn accepted() -> TokenVerdict {
    let entry_point = EntryPointName::new("issuers.sluicegate").unwrap();
    TokenVerdict::Accepted { entry_point, sources: Provenance::of([SourceName::new("email").unwrap()]) }
}

impl Minting for Gateway {
    async fn mint(
        &self,
        by: Actor,
        request: crate::model::mint::TokenRequest,
    ) -> Result<MintedToken, AdministrationError> {
        if request.subject.as_str() != "user:4711" {
            let message = "subject `x` may not be asserted here".into();
            return Err(AdministrationError::Refused { reason: Reason::LabelForbidden, message });
        }
        let txn = crate::model::name::Txn::new(&format!("by-{}", by.uid)).unwrap();
        let (token, audience) = (crate::model::mint::TokenText::new("eyJ".into()), "http://a/mcp".into());
        Ok(MintedToken { token, txn, exp: 7, expires_in: 5, audience })
    }

    async fn renew(&self, _by: Actor, renewal: RenewalRequest) -> Result<MintedToken, AdministrationError> {
        let txn = crate::model::name::Txn::new("renewed").unwrap();
        let audience = String::new();
        Ok(MintedToken { token: renewal.token, txn, exp: 9, expires_in: 5, audience })
    }

    async fn rotate_token_key(&self, _by: Actor) -> Result<RotatedKey, AdministrationError> {
        Ok(RotatedKey { kid: "kid".into() })
    }

    async fn judge_token(&self, token: &crate::model::mint::TokenText) -> TokenVerdict {
        match token.reveal() {
            "eyJ" => accepted(),
            _ => TokenVerdict::Refused { reason: Reason::TokenExpired },
        }
    }
}

struct Stage {
    gateway: Arc<Gateway>,
    path: std::path::PathBuf,
    _socket: AdminSocket,
    _directory: tempfile::TempDir,
}

fn stage() -> Stage {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.sock");
    let gateway = Arc::new(Gateway::default());
    let socket = AdminSocket::serve(AdminSocket::bind(&path).unwrap(), Arc::clone(&gateway), None);
    Stage { gateway, path, _socket: socket, _directory: directory }
}

#[tokio::test]
async fn what_people_ask_comes_back_as_it_was() {
    let stage = stage();
    assert_eq!(std::fs::metadata(&stage.path).unwrap().permissions().mode() & 0o777, 0o600);
    let client = Client::new(stage.path.clone());
    assert_eq!(client.status().await.unwrap(), stage.gateway.status().await);
    assert_eq!(client.runs().await.unwrap(), [run_entry()]);
    assert_eq!(client.run(&run_entry().run).await.unwrap(), run_entry());
    assert_eq!(client.pins().await.unwrap(), stage.gateway.pins().await);

    client.end_run(&run_entry().run).await.unwrap();
    assert_eq!(*stage.gateway.ended.lock().unwrap(), [run_entry().run]);
    let acceptance = Acceptance { tool: "mail.send".into(), offered: Some(Sha256::of(b"new")) };
    client.accept_pins(vec![acceptance.clone()]).await.unwrap();
    let uid = rustix::process::geteuid().as_raw();
    assert_eq!(*stage.gateway.accepted.lock().unwrap(), [(uid, acceptance)]);
}

#[tokio::test]
async fn tokens_are_minted_renewed_and_judged_for_whoever_asks() {
    let stage = stage();
    let client = Client::new(stage.path.clone());
    let ask = |subject| serde_json::json!({ "sources": [{ "kind": "email" }], "subject": subject });
    let request = |subject| serde_json::from_value(ask(subject)).unwrap();
    let minted = client.mint(&request("user:4711")).await.unwrap();
    let uid = rustix::process::geteuid().as_raw();
    assert_eq!((minted.token.reveal(), minted.txn.as_str()), ("eyJ", &*format!("by-{uid}")));
    let renewal = RenewalRequest { token: minted.token.clone(), ttl_s: Some(60) };
    assert_eq!(client.renew(&renewal).await.unwrap().txn.as_str(), "renewed");
    assert_eq!(client.rotate_token_key().await.unwrap().kid, "kid");
    let token = |text: &str| crate::model::mint::TokenText::new(text.into());
    assert_eq!(client.judge_token(token("eyJ")).await.unwrap(), accepted());
    let expired = TokenVerdict::Refused { reason: Reason::TokenExpired };
    assert_eq!(client.judge_token(token("old")).await.unwrap(), expired);
    let refused = client.mint(&request("user:1")).await.unwrap_err();
    assert!(matches!(refused, ClientError::Refused { reason, .. } if reason == "label_forbidden"));
}

#[tokio::test]
async fn what_is_refused_says_why() {
    let stage = stage();
    let client = Client::new(stage.path.clone());
    let reason = |error| match error {
        ClientError::Refused { reason, .. } => reason,
        other => panic!("{other}"),
    };
    let other = RunId::of([8; 16]);
    assert_eq!(reason(client.run(&other).await.unwrap_err()), "missing");
    assert_eq!(reason(client.end_run(&other).await.unwrap_err()), "missing");
    let stale = Acceptance { tool: "mail.send".into(), offered: None };
    assert_eq!(reason(client.accept_pins(vec![stale]).await.unwrap_err()), "stale");
    assert_eq!(reason(client.accept_pins(vec![]).await.unwrap_err()), "journal_halted");
    let nowhere = Client::new(stage.path.with_file_name("nothing.sock"));
    assert!(matches!(nowhere.status().await, Err(ClientError::Unreachable { .. })));
}

async fn raw(path: &std::path::Path, request: &str) -> String {
    let mut stream = UnixStream::connect(path).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn only_what_it_knows_is_answered() {
    let stage = stage();
    let end = "Host: localhost\r\nConnection: close\r\n\r\n";
    for (request, status) in [
        ("GET /v1/nothing", "404"),
        ("GET /v2/status", "404"),
        ("GET /v1/runs/../pins", "404"),
        ("GET /v1/runs/zz", "404"),
        ("POST /v1/status", "405"),
        ("GET /v1/pins/accept", "405"),
        ("POST /v1/pins/accept", "415"),
        ("GET /v1/token/mint", "405"),
        ("POST /v1/token/mint", "415"),
        ("POST /v1/token", "404"),
        ("POST /v1/token/mint/x", "404"),
        ("POST /v1/upstreams", "404"),
        ("GET /v1/runs/x/revoke", "405"),
        ("DELETE /v1/revocations", "405"),
        ("POST /v1/revocations", "415"),
        ("GET /v1/revocations/lift", "405"),
        ("POST /v1/sources", "405"),
        ("POST /v1/sources/email", "404"),
        ("GET /v1/sources/email/close", "405"),
        ("POST /v1/sources/a%2fb/close", "400"),
    ] {
        let answer = raw(&stage.path, &format!("{request} HTTP/1.1\r\n{end}")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
    }
    let body = "{\"accept\":[],\"command\":[\"sh\"]}";
    let head = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    let answer = raw(&stage.path, &format!("POST /v1/pins/accept HTTP/1.1\r\n{head}{end}{body}")).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("params_invalid"), "{answer}");
}

#[test]
fn another_uid_is_refused_whatever_the_mode_of_the_socket() {
    let place = crate::socket::Place::Unix("/run/admin.sock".into());
    let desk = Desk {
        own_uid: 990,
        hosts: HostRule::new(&place, &[]),
        administration: Arc::new(Gateway::default()),
        door: None,
    };
    let head = http::Request::builder().header("host", "localhost").body(()).unwrap().into_parts().0;
    for (uid, may) in
        [(Some(990), true), (Some(0), true), (Some(991), false), (Some(65534), false), (None, false)]
    {
        assert_eq!(desk.operator(&head, Peer { uid, ..Peer::default() }).is_ok(), may, "{uid:?}");
    }
}
