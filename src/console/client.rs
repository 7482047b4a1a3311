//! The other end of the admin socket, for commands.
//!
//! Must never wait without a limit, nor trust an answer to be small: the socket may be someone else's.

mod custody;
mod tokens;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::api::{API_VERSION, Accept, Acceptance, PinEntry, Problem, RunEntry, Status};
use super::approvals::{Answering, Like, LikeGranted, PageLink, QuestionEntry};
use super::reload::ReloadAnswer;
use crate::model::approval::{QuestionId, Word};
use crate::model::facts::RunId;
use crate::socket::{BodyLimits, read_body};

/// Largest answer, in bytes.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest time for an answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A gateway's admin socket, seen from a command.
#[derive(Debug, Clone)]
pub struct Client {
    path: PathBuf,
}

/// Why a command got no answer, or not the one it asked for.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No gateway listens there.
    #[error("no gateway answers at `{}`; start it with `sluicegate serve`", .path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// What went wrong.
        #[source]
        error: io::Error,
    },
    /// The socket may not be used by this user.
    #[error("`{}` may be used only by the user that the gateway runs as, or by root", .path.display())]
    Forbidden {
        /// The socket.
        path: PathBuf,
    },
    /// It broke off, or speaks something else.
    #[error("the gateway at `{}` did not answer as expected: {what}", .path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What happened.
        what: String,
    },
    /// It refused.
    #[error("{message}")]
    Refused {
        /// Why, as one word.
        reason: String,
        /// In a sentence.
        message: String,
    },
}

impl Client {
    /// A client of the gateway whose admin socket is at `path`.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// How the gateway is.
    ///
    /// # Errors
    /// [`ClientError`] where it does not say.
    pub async fn status(&self) -> Result<Status, ClientError> {
        self.get("status").await
    }

    /// Its open runs.
    ///
    /// # Errors
    /// [`ClientError`] where it does not say.
    pub async fn runs(&self) -> Result<Vec<RunEntry>, ClientError> {
        self.get("runs").await
    }

    /// One of them.
    ///
    /// # Errors
    /// [`ClientError`] where there is no such run, or it does not say.
    pub async fn run(&self, run: &RunId) -> Result<RunEntry, ClientError> {
        self.get(&format!("runs/{run}")).await
    }

    /// Ends a run.
    ///
    /// # Errors
    /// [`ClientError`] where it was not ended.
    pub async fn end_run(&self, run: &RunId) -> Result<(), ClientError> {
        self.ask(Method::POST, &format!("runs/{run}/end"), Bytes::new()).await.map(drop)
    }

    /// The tools whose definition changed.
    ///
    /// # Errors
    /// [`ClientError`] where it does not say.
    pub async fn pins(&self) -> Result<Vec<PinEntry>, ClientError> {
        self.get("pins").await
    }

    /// Accepts definitions as they were shown.
    ///
    /// # Errors
    /// [`ClientError`] where they were not accepted.
    pub async fn accept_pins(&self, accept: Vec<Acceptance>) -> Result<(), ClientError> {
        let body = serde_json::to_vec(&Accept { accept }).map_err(|error| self.broken(&error))?;
        self.ask(Method::POST, "pins/accept", body.into()).await.map(drop)
    }

    /// The questions that wait for people.
    ///
    /// # Errors
    /// [`ClientError`] where it does not say.
    pub async fn questions(&self) -> Result<Vec<QuestionEntry>, ClientError> {
        self.get("approvals").await
    }

    /// Answers one.
    ///
    /// # Errors
    /// [`ClientError`] where the answer does not count.
    pub async fn answer_question(&self, id: &QuestionId, word: Word) -> Result<(), ClientError> {
        let body = serde_json::to_vec(&Answering { word }).map_err(|error| self.broken(&error))?;
        self.ask(Method::POST, &format!("approvals/{id}"), body.into()).await.map(drop)
    }

    /// Says yes to one, and to calls like it.
    ///
    /// # Errors
    /// [`ClientError`] where the answer does not count.
    pub async fn approve_like(&self, id: &QuestionId, like: &Like) -> Result<LikeGranted, ClientError> {
        let body = serde_json::to_vec(like).map_err(|error| self.broken(&error))?;
        let body = self.ask(Method::POST, &format!("approvals/{id}/like"), body.into()).await?;
        serde_json::from_slice(&body).map_err(|error| self.broken(&error))
    }

    /// A link that signs whoever asks in to the page, once.
    ///
    /// # Errors
    /// [`ClientError`] where there is none.
    pub async fn page_link(&self) -> Result<PageLink, ClientError> {
        let body = self.ask(Method::POST, "page", Bytes::new()).await?;
        serde_json::from_slice(&body).map_err(|error| self.broken(&error))
    }

    /// Has the configuration read anew.
    ///
    /// # Errors
    /// [`ClientError`] where nothing came of it. A configuration that was refused is an answer.
    pub async fn reload(&self) -> Result<ReloadAnswer, ClientError> {
        let body = self.ask(Method::POST, "reload", Bytes::new()).await?;
        serde_json::from_slice(&body).map_err(|error| self.broken(&error))
    }

    async fn get<T: DeserializeOwned>(&self, what: &str) -> Result<T, ClientError> {
        let body = self.ask(Method::GET, what, Bytes::new()).await?;
        serde_json::from_slice(&body).map_err(|error| self.broken(&error))
    }

    async fn ask(&self, method: Method, what: &str, body: Bytes) -> Result<Bytes, ClientError> {
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.exchange(method, what, body)).await;
        let (status, body) =
            answer.map_err(|_| self.broken(&format_args!("nothing within {ANSWER_TIMEOUT:?}")))??;
        if status.is_success() {
            return Ok(body);
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(_) if status == StatusCode::FORBIDDEN => {
                Err(ClientError::Forbidden { path: self.path.clone() })
            }
            Ok(Problem { reason, message }) => Err(ClientError::Refused { reason, message }),
            Err(_) => Err(self.broken(&format_args!("status {status}"))),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        what: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), ClientError> {
        let stream = UnixStream::connect(&self.path).await.map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => ClientError::Forbidden { path: self.path.clone() },
            _ => ClientError::Unreachable { path: self.path.clone(), error },
        })?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(|error| self.broken(&error))?;
        let request = Request::builder()
            .method(method)
            .uri(format!("/{API_VERSION}/{what}"))
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| self.broken(&error))?;
        let asked = async {
            let response = sender.send_request(request).await.map_err(|error| self.broken(&error))?;
            let status = response.status();
            let limits = BodyLimits { bytes_max: ANSWER_BYTES_MAX, timeout: ANSWER_TIMEOUT };
            let body = read_body(response.into_body(), limits)
                .await
                .map_err(|unread| self.broken(&unread.reason.sentence()))?;
            Ok((status, body))
        };
        tokio::select! {
            biased;
            answer = asked => answer,
            // The connection ends first only where it broke.
            ended = connection => match ended {
                Ok(()) => Err(self.broken(&"the connection was closed")),
                Err(error) => Err(self.broken(&error)),
            },
        }
    }

    fn broken(&self, what: &dyn std::fmt::Display) -> ClientError {
        ClientError::Broken { path: self.path.clone(), what: what.to_string() }
    }
}
