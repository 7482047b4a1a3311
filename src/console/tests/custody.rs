//! Revoking and closing over the admin socket.

use super::*;
use crate::model::barrier::{Revoked, Since};
use crate::model::claim::ClaimName;
use crate::model::name::Txn;

const BY: Since = Since { at: Timestamp::UNIX_EPOCH, by: Actor { uid: 7 } };

fn subject() -> Revoked {
    Revoked::Subject(Subject::new("user:4711").unwrap())
}

fn email() -> SourceName {
    SourceName::new("email").unwrap()
}

impl Gateway {
    fn note(&self, by: Actor, what: impl std::fmt::Display) {
        assert_eq!(by.uid, rustix::process::geteuid().as_raw());
        self.custody.lock().unwrap().push(what.to_string());
    }
}

impl Custody for Gateway {
    async fn revoke_run(&self, by: Actor, run: &RunId) -> Result<(), AdministrationError> {
        self.note(by, format_args!("revoke run {run}"));
        Err(AdministrationError::Impossible("no token claims it".into()))
    }

    async fn end_claim(&self, by: Actor, name: &ClaimName) -> Result<(), AdministrationError> {
        self.note(by, format_args!("end {} at {}", name.txn, name.entry_point));
        Ok(())
    }

    async fn revoke(&self, by: Actor, who: &Revoked) -> Result<Revocation, AdministrationError> {
        self.note(by, format_args!("revoke {who}"));
        Ok(Revocation { runs_ended: 3 })
    }

    async fn lift(&self, by: Actor, who: &Revoked) -> Result<(), AdministrationError> {
        self.note(by, format_args!("lift {who}"));
        Ok(())
    }

    async fn revocations(&self) -> Vec<RevocationEntry> {
        vec![RevocationEntry { who: subject(), since: BY }]
    }

    async fn close_source(&self, by: Actor, source: &SourceName) -> Result<(), AdministrationError> {
        self.note(by, format_args!("close {source}"));
        Ok(())
    }

    async fn open_source(&self, by: Actor, source: &SourceName) -> Result<(), AdministrationError> {
        self.note(by, format_args!("open {source}"));
        Ok(())
    }

    async fn erase(&self, by: Actor, subject: &Subject) -> Result<Erasure, AdministrationError> {
        self.note(by, format_args!("erase {subject}"));
        Ok(Erasure { was_kept: true })
    }

    async fn rotate_audit_key(
        &self,
        by: Actor,
        overlap: std::time::Duration,
    ) -> Result<RotatedAuditKey, AdministrationError> {
        self.note(by, format_args!("rotate, {overlap:?}"));
        Ok(RotatedAuditKey { key: "name+hash+key".into() })
    }

    async fn sources(&self) -> Vec<SourceEntry> {
        vec![SourceEntry { source: email(), closed: Some(BY) }, SourceEntry { source: email(), closed: None }]
    }
}

#[tokio::test]
async fn what_is_closed_and_revoked_comes_to_the_gateway_as_it_was_named() {
    let stage = stage();
    let client = Client::new(stage.path.clone());
    let entry_point = Revoked::EntryPoint(EntryPointName::new("issuers.mailbot").unwrap());
    assert_eq!(client.revoke(&subject()).await.unwrap(), Revocation { runs_ended: 3 });
    client.lift(&entry_point).await.unwrap();
    let entry_point = EntryPointName::new("issuers.mailbot").unwrap();
    client.end_claim(&ClaimName { entry_point, txn: Txn::new("r1").unwrap() }).await.unwrap();
    client.close_source(&email()).await.unwrap();
    client.open_source(&email()).await.unwrap();
    assert_eq!(client.revocations().await.unwrap(), stage.gateway.revocations().await);
    assert_eq!(client.sources().await.unwrap(), stage.gateway.sources().await);
    let nine = Subject::new("user:9").unwrap();
    assert_eq!(client.erase(&nine).await.unwrap(), Erasure { was_kept: true });
    let overlap = std::time::Duration::from_secs(60);
    assert_eq!(client.rotate_audit_key(overlap).await.unwrap().key, "name+hash+key");
    let refused = client.revoke_run(&run_entry().run).await.unwrap_err();
    assert!(matches!(refused, ClientError::Refused { reason, .. } if reason == "impossible"));
    let done = stage.gateway.custody.lock().unwrap().join(", ");
    let expected = "revoke the subject `user:4711`, lift the entry point `issuers.mailbot`, end r1 at issuers.mailbot, close email, open email, erase user:9, rotate, 60s";
    assert_eq!(done, format!("{expected}, revoke run {}", run_entry().run));
}
