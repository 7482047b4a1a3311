//! Asks a gateway once, for `sluicegate doctor`: what it lists for a credential, and whether an address answers as
//! something else would.
//!
//! Must never call a tool, nor send a credential to another address than a client would.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;

use super::endpoint::{Endpoint, Place};
use super::once::ask;
use super::trouble::Trouble;
use crate::cli::credential::CredentialSource;

/// What a gateway said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Said {
    /// It lists so many tools, on the first page at least.
    Tools(usize),
    /// Nothing answers there.
    Nothing,
    /// It refuses, with this word.
    Refused(&'static str),
    /// What answers is no gateway.
    Strange,
}

/// What the gateway at `url` lists for `credential`.
pub(in crate::cli) async fn tools(url: &str, credential: CredentialSource) -> Said {
    match list(url, credential).await {
        Ok(said) => said,
        Err(Trouble::Unreachable) => Said::Nothing,
        Err(Trouble::Refused(reason)) => Said::Refused(reason.code()),
        Err(Trouble::Lost | Trouble::Invalid) => Said::Strange,
    }
}

async fn list(url: &str, credential: CredentialSource) -> Result<Said, Trouble> {
    // With TLS the certificate would have to be known; the client will say it.
    let place = Place::of_url(url).map_err(|_| Trouble::Unreachable)?;
    let endpoint = Endpoint::new(place, credential);
    let told = ask(&endpoint, "tools/list", None, &[]).await?;
    let tools = told.pointer("/result/tools").and_then(Value::as_array);
    Ok(Said::Tools(tools.ok_or(Trouble::Invalid)?.len()))
}

/// How what listens at `url` answers to a bare GET; nothing where nothing does.
pub(in crate::cli) async fn status(url: &str) -> Option<StatusCode> {
    let endpoint = Endpoint::new(Place::of_url(url).ok()?, CredentialSource::None);
    let answer = endpoint.send(Method::GET, "application/json", HeaderMap::new(), Bytes::new()).await.ok()?;
    Some(answer.response.status())
}
