//! The matrix: what is presented, and what comes of it.

use http::StatusCode;

use super::{Issuers, call, claims, confused};
use crate::support::audit::of_kind;
use crate::support::{Client, check_audit};

/// One credential, or several, and what has to come of it.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// Header by header.
    pub(super) sent: Vec<(&'static str, String)>,
    pub(super) comes: Comes,
}

/// What comes of a row.
#[derive(Clone, Copy)]
pub(super) enum Comes {
    /// The call is executed.
    Accepted,
    /// The credential is refused for this reason, with 401.
    Refused(&'static str),
}

pub(super) use Comes::{Accepted, Refused};

/// A row of one access token.
pub(super) fn access(name: &'static str, token: &str, comes: Comes) -> Row {
    Row { name, sent: vec![("authorization", format!("Bearer {token}"))], comes }
}

/// A row of one transaction token.
pub(super) fn run(name: &'static str, token: &str, comes: Comes) -> Row {
    Row { name, sent: vec![("txn-token", token.to_owned())], comes }
}

/// Fewer rows than this would be another matrix.
const ROWS_MIN: usize = 120;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a37_to_a42_every_row_of_the_token_matrix_comes_out_as_it_has_to() {
    let issuers = Issuers::new();
    let gateway = issuers.site.start();
    let rows: Vec<Row> = [
        confused::form(&issuers),
        confused::types(&issuers),
        confused::algorithms(&issuers),
        confused::keys(&issuers),
        claims::required(&issuers),
        claims::times(&issuers),
        claims::audiences(&issuers),
        claims::labels(&issuers),
        claims::actors(&issuers),
        claims::contexts(&issuers),
        claims::attributes(&issuers),
        claims::transactions(&issuers),
        claims::carriers(&issuers),
        claims::confirmations(&issuers),
    ]
    .into_iter()
    .flatten()
    .collect();
    assert!(rows.len() >= ROWS_MIN, "{} rows", rows.len());
    let mut wrong = Vec::new();
    let mut accepted = Vec::new();
    for row in &rows {
        let client = row
            .sent
            .iter()
            .fold(Client::anonymous(&gateway.url), |client, (name, value)| client.header(name, value));
        let answer = call(&client, row.name).await;
        let (status, reason) = match row.comes {
            Accepted => (StatusCode::OK, "ok"),
            Refused(reason) => (StatusCode::UNAUTHORIZED, reason),
        };
        if (answer.status, answer.reason().as_str()) != (status, reason) {
            wrong.push(format!("{}: {} {}, not {status} {reason}", row.name, answer.status, answer.reason()));
        }
        if matches!(row.comes, Accepted) {
            accepted.push(row.name);
        }
        // RFC 6750 §3: a refusal is a challenge, and none names metadata.
        let challenge = answer.headers.get("www-authenticate").map(|value| value.to_str().unwrap());
        let is_right = match row.comes {
            Accepted => challenge.is_none(),
            Refused(_) => challenge.is_some_and(|challenge| !challenge.contains("metadata")),
        };
        if !is_right {
            wrong.push(format!("{}: {challenge:?}", row.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(gateway.stop().success());
    assert_eq!(issuers.site.executed(), accepted, "what was accepted was executed, and nothing else");
    // I6: before there is a principal, refusals are counted exactly.
    let counted: u64 =
        of_kind(&issuers.site, "auth_failures").iter().map(|record| record["count"].as_u64().unwrap()).sum();
    assert_eq!(counted, (rows.len() - accepted.len()) as u64);
    check_audit(&issuers.site);
}
