//! A witness: somebody else who sees each checkpoint, makes sure that the journal only grows, and signs that (C2SP
//! tlog-witness). What it signed is kept in a file, for whoever verifies.
//!
//! Must never keep a checkpoint that the witness did not sign, nor go on where the witness knows more of the journal than
//! there is: that is what it is for. Trusts the witness for nothing but its signature.

use std::io;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use http::StatusCode;

use super::anchor;
use super::failure::Failure;
use super::http::said;
use super::parcel::Parcel;
use super::settings::WitnessSettings;
use super::target::Sure;
use crate::audit::{self, Checkpoint, ProveError};
use crate::outbound::{Client, Compression, Response, post};

/// Where a witness takes checkpoints, below its submission prefix (C2SP tlog-witness, "add-checkpoint").
pub const WITNESS_PATH: &str = "/add-checkpoint";
/// How often one checkpoint is submitted: once as far as we know, once as far as the witness says.
const ATTEMPTS: usize = 2;

#[derive(Debug)]
pub(super) struct WitnessTarget {
    settings: WitnessSettings,
    /// The folder of the journal.
    journal: PathBuf,
    client: Option<Client>,
}

/// What a witness says to a checkpoint.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// It signed it: its lines.
    Cosigned(String),
    /// The last one that it signed has so many leaves.
    Knows(u64),
}

impl WitnessTarget {
    pub(super) fn new(settings: WitnessSettings, journal: &Path) -> Self {
        Self { settings, journal: journal.to_owned(), client: None }
    }

    pub(super) async fn deliver(&mut self, parcels: &[Parcel]) -> Result<Sure, Failure> {
        let Some(note) = anchor::newest(parcels) else { return Ok(Sure::Arrived) };
        let malformed = |error| Failure::Request(format!("the checkpoint: {error}"));
        let checkpoint = Checkpoint::read(&note, &[]).map_err(malformed)?;
        let kept = self.cosigned(&checkpoint).await?;
        let mut old = kept.as_ref().map_or(0, |kept| kept.size);
        if kept.as_ref() == Some(&checkpoint) {
            return Ok(Sure::Arrived);
        }
        if old > checkpoint.size {
            return self.is_known(old).await;
        }
        for _ in 0..ATTEMPTS {
            match self.submit(old, &checkpoint, &note).await? {
                Answer::Cosigned(lines) => return self.keep(note + &lines).await,
                Answer::Knows(size) if size > checkpoint.size => return self.is_known(size).await,
                Answer::Knows(size) => old = size,
            }
        }
        Err(Failure::Witness(format!("it says that it knows {old} lines, and takes no proof from there")))
    }

    /// The last checkpoint of this journal that the witness signed, as far as we know.
    async fn cosigned(&self, checkpoint: &Checkpoint) -> Result<Option<Checkpoint>, Failure> {
        let path = self.settings.path.clone();
        Ok(match anchor::blocking(move || audit::read_note(&path)).await {
            // What is no checkpoint, or one of another journal, is replaced: the witness itself says what it knows.
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
                None
            }
            read => {
                let note = read.map_err(Failure::doing("reading the checkpoint that was witnessed last"))?;
                Checkpoint::read(&note, &[]).ok().filter(|kept| kept.origin == checkpoint.origin)
            }
        })
    }

    /// Submits `checkpoint` to a witness that knows the first `old` lines.
    async fn submit(&mut self, old: u64, checkpoint: &Checkpoint, note: &str) -> Result<Answer, Failure> {
        let proof = self.prove(old, checkpoint).await?;
        let request = post(&self.settings.url, "text/plain; charset=utf-8", Compression::None, {
            format!("old {old}\n{proof}\n{note}").into_bytes()
        });
        let request = request.await?;
        let settings = &self.settings;
        let client = match self.client.take() {
            Some(open) => open,
            None => Client::new(&settings.url, &settings.headers, settings.ca.as_deref())?,
        };
        answer(self.client.insert(client).send(request).await?)
    }

    /// The lines that prove that the first `old` lines are the beginning of the tree of `checkpoint`.
    async fn prove(&self, old: u64, checkpoint: &Checkpoint) -> Result<String, Failure> {
        if old == 0 {
            return Ok(String::new());
        }
        let (dir, checkpoint) = (self.journal.clone(), checkpoint.clone());
        let proof = tokio::task::spawn_blocking(move || audit::prove_growth(&dir, old, &checkpoint)).await;
        let proof = proof.map_err(|error| Failure::Request(error.to_string()))?;
        let proof = proof.map_err(|error| match error {
            ProveError::Journal(error) => Failure::Journal(error),
            other => Failure::Witness(format!("it cannot be shown that the journal goes on: {other}")),
        })?;
        Ok(proof.proof.iter().map(|hash| BASE64.encode(hash.as_bytes()) + "\n").collect())
    }

    /// Keeps a checkpoint with what the witness signed.
    async fn keep(&self, cosigned: String) -> Result<Sure, Failure> {
        if let Err(error) = self.settings.key.seen(&cosigned) {
            let name = self.settings.key.name();
            return Err(Failure::Witness(format!("its answer is not signed by `{name}`: {error}")));
        }
        anchor::keep(&self.settings.path, cosigned).await
    }

    /// The witness knows more than this checkpoint holds: a newer one reached it before, or the journal was taken back.
    async fn is_known(&self, size: u64) -> Result<Sure, Failure> {
        let dir = self.journal.clone();
        let newest = tokio::task::spawn_blocking(move || audit::newest_checkpoint(&dir)).await;
        let newest = newest.ok().and_then(Result::ok).flatten();
        let has = newest.and_then(|note| Checkpoint::read(&note, &[]).ok()).map_or(0, |newest| newest.size);
        if has >= size {
            return Ok(Sure::Arrived);
        }
        let why = format!(
            "it signed a checkpoint of {size} lines, and the newest that is here has {has}: lines of this journal are \
             gone; run `sluicegate audit verify`"
        );
        Err(Failure::Witness(why))
    }

    pub(super) fn reset(&mut self) {
        self.client = None;
    }
}

/// What `response` means (C2SP tlog-witness, "add-checkpoint").
fn answer(response: Response) -> Result<Answer, Failure> {
    let text = String::from_utf8_lossy(response.body.as_deref().unwrap_or_default());
    let size = || text.strip_suffix('\n').unwrap_or(&text).parse().ok();
    let remedy = match response.status {
        StatusCode::OK if text.ends_with('\n') => return Ok(Answer::Cosigned(text.into_owned())),
        StatusCode::CONFLICT => match size() {
            Some(size) => return Ok(Answer::Knows(size)),
            None => Some(
                "a checkpoint of this size that it signed had another root; run `sluicegate audit verify`",
            ),
        },
        StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Some(
            "the witness has to know this journal by its origin, and the key that `sluicegate audit key` prints",
        ),
        StatusCode::UNPROCESSABLE_ENTITY => {
            Some("what it signed is not the beginning of this journal; run `sluicegate audit verify`")
        }
        _ => None,
    };
    Err(Failure::Answer { answer: said(&response, &text, remedy), retry_after: response.retry_after })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_witness_says_is_signed_lines_or_what_it_knows_and_everything_else_a_failure() {
        let answered = |code: u16, body: &str| {
            let status = StatusCode::from_u16(code).unwrap();
            answer(Response {
                status,
                retry_after: None,
                headers: http::HeaderMap::new(),
                body: Some(body.into()),
            })
        };
        assert_eq!(answered(200, "\u{2014} w x\n").unwrap(), Answer::Cosigned("\u{2014} w x\n".to_owned()));
        assert_eq!(answered(409, "4711\n").unwrap(), Answer::Knows(4711));
        for (code, body) in [
            (200, ""),
            (200, "cut"),
            (409, ""),
            (409, "another root"),
            (403, "no"),
            (404, ""),
            (422, ""),
            (500, ""),
        ] {
            assert!(answered(code, body).is_err(), "{code} {body:?}");
        }
    }
}
