//! `gateway.lock`: the accepted tool definitions, as a text file that reads well in a diff.
//!
//! One JSON document, two spaces an indent, upstreams and tools in the order of their names, each
//! definition in the order in which its upstream wrote it (the order of properties may mean something
//! to a model; the digest is over the canonical form and does not see it).
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
use crate::model::name::{ToolName, UpstreamName};
use crate::wire::{self, Fault};

/// Largest lock file, in bytes.
const LOCK_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// The version of the format.
const VERSION: u32 = 1;

/// One accepted definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definition {
    /// SHA-256 of the canonical form.
    pub(super) digest: Sha256,
    /// The definition as its upstream wrote it, without insignificant whitespace.
    pub(super) raw: Bytes,
}

impl Definition {
    /// The definition `raw`.
    ///
    /// # Errors
    /// A fault where clients could not use it.
    pub(super) fn of(raw: &Bytes) -> Result<Self, Fault> {
        let digest = Sha256::of(&wire::tool::canonical(raw)?);
        let definition = Self { digest, raw: layout::compact(raw).into() };
        wire::tool::param_headers(&definition.raw)?;
        wire::tool::rename(&definition.raw, "x")?;
        Ok(definition)
    }
}

/// What is accepted of every upstream that was ever seen, also of those no longer configured: a server
/// that is taken out and put back is not trusted anew.
pub(super) type Accepted = BTreeMap<UpstreamName, BTreeMap<ToolName, Definition>>;

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
    #[error("`{}`: the digest of `{upstream}.{tool}` is not that of its definition; restore the file, or remove this entry to accept the definition anew", path.display())]
    Edited {
        /// Which file.
        path: PathBuf,
        /// Whose tool.
        upstream: UpstreamName,
        /// Which tool.
        tool: ToolName,
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

#[derive(Serialize)]
struct WrittenUpstream<'a> {
    tools: BTreeMap<&'a ToolName, WrittenTool<'a>>,
}

#[derive(Serialize)]
struct WrittenTool<'a> {
    digest: Sha256,
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
    tools: BTreeMap<ToolName, FoundTool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FoundTool {
    digest: Sha256,
    definition: Box<RawValue>,
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
    if found.v != VERSION {
        let text = format!("version {} is not {VERSION}", found.v);
        return Err(malformed(serde::de::Error::custom(text)));
    }
    let mut accepted = Accepted::new();
    for (upstream, listed) in found.upstreams {
        let mut tools = BTreeMap::new();
        for (tool, entry) in listed.tools {
            let raw = Bytes::copy_from_slice(entry.definition.get().as_bytes());
            match Definition::of(&raw) {
                Ok(definition) if definition.digest == entry.digest => tools.insert(tool, definition),
                _ => return Err(LockError::Edited { path: path.to_owned(), upstream, tool }),
            };
        }
        accepted.insert(upstream, tools);
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
    for (upstream, tools) in accepted {
        let mut entries = BTreeMap::new();
        for (tool, definition) in tools {
            let raw = serde_json::from_slice::<&RawValue>(&definition.raw)?;
            entries.insert(tool, WrittenTool { digest: definition.digest, definition: raw });
        }
        upstreams.insert(upstream, WrittenUpstream { tools: entries });
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
        let tools = BTreeMap::from([(
            ToolName::new("send").unwrap(),
            Definition::of(&Bytes::from_static(raw)).unwrap(),
        )]);
        BTreeMap::from([(UpstreamName::new("mail").unwrap(), tools)])
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
        let edited = fs::read_to_string(&path).unwrap().replace("\"a\"", "\"b\"");
        fs::write(&path, edited).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("`mail.send`"), "{error}");
        fs::write(&path, "{}").unwrap();
        assert!(matches!(read(&path), Err(LockError::Malformed { .. })));
    }
}
