//! `gateway.lock`: the accepted definitions, as a text file that reads well in a diff.
//!
//! One JSON document, two spaces an indent, upstreams and what they define in the order of their names, each
//! definition in the order in which its upstream wrote it (the order of properties may mean something
//! to a model; the digest is over the canonical form and does not see it). Version 1 held tools alone; it is
//! read, and written anew as version 2 with the next change.
//!
//! Must never be half written: temporary file, sync, rename, sync of the directory. It does not trust
//! what it reads: every digest is checked against its definition.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::layout;
use crate::model::digest::Sha256;
use crate::model::name::{PromptName, ToolName, UpstreamName};
use crate::model::pin::{PinId, Pinned};
use crate::wire::{self, Fault, Revision};

/// Largest lock file, in bytes.
const LOCK_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// The version of the format.
const VERSION: u32 = 2;
/// The versions that are read.
const VERSIONS_READ: std::ops::RangeInclusive<u32> = 1..=VERSION;

/// One accepted definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definition {
    /// SHA-256 of the canonical form.
    pub(super) digest: Sha256,
    /// The definition as its upstream wrote it, without insignificant whitespace.
    pub(super) raw: Bytes,
    /// The revision in which it was offered, where that is known. Says where a difference may come from, and
    /// counts for nothing (docs/decisions/0023).
    pub(super) revision: Option<Revision>,
}

impl Definition {
    /// The definition `raw` of a tool.
    ///
    /// # Errors
    /// A fault where clients could not use it.
    pub(super) fn of(raw: &Bytes) -> Result<Self, Fault> {
        let definition = Self::of_any(raw)?;
        wire::tool::param_headers(&definition.raw)?;
        wire::tool::rename(&definition.raw, "x")?;
        Ok(definition)
    }

    /// The definition `raw` of what nothing but its spelling is asked of.
    ///
    /// # Errors
    /// A fault where it is no JSON.
    pub(super) fn of_any(raw: &Bytes) -> Result<Self, Fault> {
        let digest = Sha256::of(&wire::tool::canonical(raw)?);
        Ok(Self { digest, raw: layout::compact(raw).into(), revision: None })
    }

    /// The definition `raw` of `pinned`.
    fn of_pinned(pinned: &Pinned, raw: &Bytes) -> Result<Self, Fault> {
        if matches!(pinned, Pinned::Tool(_)) { Self::of(raw) } else { Self::of_any(raw) }
    }

    /// The same, as it was offered in `revision`.
    pub(super) fn offered_in(self, revision: Revision) -> Self {
        Self { revision: Some(revision), ..self }
    }
}

/// What is accepted of every upstream that was ever seen, also of those no longer configured: a server
/// that is taken out and put back is not trusted anew.
pub(super) type Accepted = BTreeMap<UpstreamName, BTreeMap<Pinned, Definition>>;

/// Why the lock file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The system refused.
    #[error("cannot {doing} `{}`", path.display())]
    Io {
        /// What was attempted.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what this program writes.
    #[error("`{}` is not a lock file of this version; restore it, or move it away to accept every definition anew", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A definition was edited.
    #[error("`{}`: the digest of `{id}` is not that of its definition; restore the file, or remove this entry to accept the definition anew", path.display())]
    Edited {
        /// Which file.
        path: PathBuf,
        /// Which definition.
        id: Box<PinId>,
    },
    /// The file is, or would become, larger than `LOCK_BYTES_MAX`.
    #[error("`{}` would be larger than {LOCK_BYTES_MAX} bytes", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
}

#[derive(Serialize)]
struct Written<'a> {
    v: u32,
    upstreams: BTreeMap<&'a UpstreamName, WrittenUpstream<'a>>,
}

#[derive(Serialize, Default)]
struct WrittenUpstream<'a> {
    tools: BTreeMap<&'a str, WrittenPin<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    prompts: BTreeMap<&'a str, WrittenPin<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    templates: BTreeMap<&'a str, WrittenPin<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<WrittenPin<'a>>,
}

#[derive(Serialize)]
struct WrittenPin<'a> {
    digest: Sha256,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<&'static str>,
    definition: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Found {
    v: u32,
    upstreams: BTreeMap<UpstreamName, FoundUpstream>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FoundUpstream {
    tools: BTreeMap<ToolName, FoundPin>,
    #[serde(default)]
    prompts: BTreeMap<PromptName, FoundPin>,
    #[serde(default)]
    templates: BTreeMap<String, FoundPin>,
    #[serde(default)]
    instructions: Option<FoundPin>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FoundPin {
    digest: Sha256,
    #[serde(default)]
    revision: Option<String>,
    definition: Box<RawValue>,
}

impl FoundUpstream {
    /// Everything that is pinned of it; a template that could not be written here is left as `Err`.
    fn pins(self) -> impl Iterator<Item = Result<(Pinned, FoundPin), String>> {
        let tools = self.tools.into_iter().map(|(name, pin)| Ok((Pinned::Tool(name), pin)));
        let prompts = self.prompts.into_iter().map(|(name, pin)| Ok((Pinned::Prompt(name), pin)));
        let templates = self.templates.into_iter();
        let templates = templates.map(|(uri, pin)| Ok((Pinned::template(&uri).ok_or(uri)?, pin)));
        let instructions = self.instructions.into_iter().map(|pin| Ok((Pinned::Instructions, pin)));
        tools.chain(prompts).chain(templates).chain(instructions)
    }
}

/// Reads the lock file; a file that does not exist accepts nothing yet.
pub(super) fn read(path: &Path) -> Result<Accepted, LockError> {
    let io = |source| LockError::Io { doing: "read", path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Accepted::new()),
        Err(error) => return Err(io(error)),
    };
    let mut text = Vec::new();
    let read = file.take(LOCK_BYTES_MAX + 1).read_to_end(&mut text).map_err(io)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > LOCK_BYTES_MAX {
        return Err(LockError::TooLarge { path: path.to_owned() });
    }
    let malformed = |source| LockError::Malformed { path: path.to_owned(), source };
    let found: Found = serde_json::from_slice(&text).map_err(malformed)?;
    if !VERSIONS_READ.contains(&found.v) {
        let text = format!("version {} is not {VERSION}", found.v);
        return Err(malformed(serde::de::Error::custom(text)));
    }
    let mut accepted = Accepted::new();
    for (upstream, listed) in found.upstreams {
        let mut pins = BTreeMap::new();
        for pin in listed.pins() {
            let odd = |uri: String| malformed(serde::de::Error::custom(format!("`{uri}` is no template")));
            let (pinned, entry) = pin.map_err(odd)?;
            let raw = Bytes::copy_from_slice(entry.definition.get().as_bytes());
            match Definition::of_pinned(&pinned, &raw) {
                Ok(mut definition) if definition.digest == entry.digest => {
                    definition.revision = entry.revision.as_deref().and_then(Revision::parse);
                    pins.insert(pinned, definition)
                }
                _ => {
                    let id = Box::new(PinId { upstream, pinned });
                    return Err(LockError::Edited { path: path.to_owned(), id });
                }
            };
        }
        accepted.insert(upstream, pins);
    }
    Ok(accepted)
}

/// Replaces the lock file. Returns once it is on disk.
pub(super) fn write(path: &Path, accepted: &Accepted) -> Result<(), LockError> {
    let io = |doing| move |source| LockError::Io { doing, path: path.to_owned(), source };
    let text = text(accepted).map_err(|source| LockError::Malformed { path: path.to_owned(), source })?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > LOCK_BYTES_MAX {
        return Err(LockError::TooLarge { path: path.to_owned() });
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = path.with_file_name(name);
    // Until the rename the old file stands whole; a crash leaves at most `gateway.lock.new` behind,
    // which the next write replaces.
    let mut file = File::create(&temporary).map_err(io("create"))?;
    file.write_all(&text).map_err(io("write"))?;
    file.sync_all().map_err(io("sync"))?;
    fs::rename(&temporary, path).map_err(io("replace"))?;
    // From here on the new file stands; without this sync a power loss could bring the old one back.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(io("sync the directory of"))
}

fn text(accepted: &Accepted) -> Result<Vec<u8>, serde_json::Error> {
    let mut upstreams = BTreeMap::new();
    for (upstream, pins) in accepted {
        let mut written = WrittenUpstream::default();
        for (pinned, definition) in pins {
            let pin = WrittenPin {
                digest: definition.digest,
                revision: definition.revision.map(Revision::as_str),
                definition: serde_json::from_slice::<&RawValue>(&definition.raw)?,
            };
            match pinned {
                Pinned::Tool(name) => drop(written.tools.insert(name.as_str(), pin)),
                Pinned::Prompt(name) => drop(written.prompts.insert(name.as_str(), pin)),
                Pinned::Template(uri) => drop(written.templates.insert(uri, pin)),
                Pinned::Instructions => written.instructions = Some(pin),
            }
        }
        upstreams.insert(upstream, written);
    }
    let flat = serde_json::to_vec(&Written { v: VERSION, upstreams })?;
    let mut text = layout::indent(&flat);
    text.push(b'\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Accepted {
        let raw = br#"{ "name":"send", "inputSchema":{"type":"object","properties":{"z":{"maximum":123456789012345678901},"a":{}}},"x":[], "d":"a\n\"{b}" }"#;
        let tool = Definition::of(&Bytes::from_static(raw)).unwrap().offered_in(Revision::V2025_11_25);
        let any = |raw: &'static [u8]| Definition::of_any(&Bytes::from_static(raw)).unwrap();
        let pins = BTreeMap::from([
            (Pinned::Tool(ToolName::new("send").unwrap()), tool),
            (Pinned::Prompt(PromptName::new("greet").unwrap()), any(br#"{"name":"greet"}"#)),
            (Pinned::template("note:{id}").unwrap(), any(br#"{"uriTemplate":"note:{id}"}"#)),
            (Pinned::Instructions, any(br#""Be \u001b kind.""#)),
        ]);
        BTreeMap::from([(UpstreamName::new("mail").unwrap(), pins)])
    }

    #[test]
    fn a_file_of_the_first_version_is_read_and_carried_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.lock");
        let mut tools_alone = sample();
        for pins in tools_alone.values_mut() {
            pins.retain(|pinned, _| matches!(pinned, Pinned::Tool(_)));
            pins.values_mut().for_each(|definition| definition.revision = None);
        }
        write(&path, &tools_alone).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("\"v\": 2", "\"v\": 1")).unwrap();
        assert_eq!(read(&path).unwrap(), tools_alone);
        write(&path, &read(&path).unwrap()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        fs::write(&path, text.replace("\"v\": 2", "\"v\": 3")).unwrap();
        assert!(matches!(read(&path), Err(LockError::Malformed { .. })));
    }

    #[test]
    fn what_was_written_is_read_back_byte_for_byte_and_reads_well() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.lock");
        assert_eq!(read(&path).unwrap(), Accepted::new());
        write(&path, &sample()).unwrap();
        assert_eq!(read(&path).unwrap(), sample());
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("          \"z\": {\n"), "{text}");
        assert!(text.contains("\"maximum\": 123456789012345678901\n"), "{text}");
        assert!(text.ends_with("}\n"));
    }

    #[test]
    fn an_edited_definition_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gateway.lock");
        write(&path, &sample()).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        for (from, to, whose) in [
            ("\"a\"", "\"b\"", "`mail.send`"),
            ("\"uriTemplate\": \"note", "\"uriTemplate\": \"nose", "`template:mail:note:{id}`"),
            ("kind.", "cruel.", "`instructions:mail`"),
        ] {
            fs::write(&path, text.replace(from, to)).unwrap();
            let error = read(&path).unwrap_err().to_string();
            assert!(error.contains(whose), "{error}");
        }
        fs::write(&path, "{}").unwrap();
        assert!(matches!(read(&path), Err(LockError::Malformed { .. })));
    }
}
