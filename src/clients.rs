//! Configuration files of MCP clients: where each client keeps its tool servers, what a file says of them, and how
//! the gateway takes their place.
//!
//! Must never start or reach anything, and never show a value that a file holds: it may be a secret (I10). Must never
//! leave a file half written, or otherwise changed than was asked. Trusts nothing in a file: whoever wrote a
//! repository wrote its `.mcp.json`. One file for each client says what is its own; a client that is added is one
//! more such file and a line in [`Client`].

mod claude_code;
mod claude_desktop;
mod codex;
mod cursor;
mod document;
mod edit;
mod file;
mod format;
mod gemini;
mod jsonc;
mod server;
#[cfg(test)]
mod tests;
mod value;
mod vs_code;
mod windsurf;

use std::path::{Path, PathBuf};

pub use edit::{Change, EditError, Written, changed, write};
pub use file::FileError;
pub use server::{Launch, SERVERS_MAX, Server, Skipped, ToolChoice};
pub use value::{Unresolved, Value};

use format::{Format, SwitchedOff, Syntax};

/// The name of the gateway in the configuration of a client.
pub const OWN_NAME: &str = "sluicegate";

/// The clients that are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Client {
    /// Claude Code.
    ClaudeCode,
    /// Claude Desktop.
    ClaudeDesktop,
    /// Cursor.
    Cursor,
    /// Visual Studio Code.
    VsCode,
    /// Codex.
    Codex,
    /// Gemini CLI.
    Gemini,
    /// Windsurf.
    Windsurf,
}

/// Where clients look for their files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// The user's own folder.
    pub home: PathBuf,
    /// Where programs keep the settings of a user: `~/.config`, or `~/Library/Application Support`.
    pub settings: PathBuf,
    /// The project that somebody works in; absolute.
    pub project: PathBuf,
    /// Codex's own folder, `~/.codex` unless `CODEX_HOME` says another.
    pub codex: PathBuf,
}

/// Whose a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The user's: it lies in their home.
    User,
    /// A project's: others may have written it, and it may be under version control.
    Project,
}

/// Where servers of a client stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Whose file it is.
    pub client: Client,
    /// Whose servers these are.
    pub scope: Scope,
    /// The file.
    pub path: PathBuf,
    /// The keys that lead to the table of servers.
    pub section: Vec<String>,
}

/// What stands at a place.
#[derive(Debug)]
pub struct Found {
    /// Where.
    pub place: Place,
    /// The servers that can be taken over.
    pub servers: Vec<Server>,
    /// Those that cannot, and why.
    pub skipped: Vec<Skipped>,
}

/// How a client starts what leads it to the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// This program.
    pub program: PathBuf,
    /// `connect` and where the gateway is and the key.
    pub arguments: Vec<String>,
}

impl Client {
    /// Every client.
    pub const ALL: [Self; 7] = [
        Self::ClaudeCode,
        Self::ClaudeDesktop,
        Self::Cursor,
        Self::VsCode,
        Self::Codex,
        Self::Gemini,
        Self::Windsurf,
    ];

    fn format(self) -> &'static Format {
        match self {
            Self::ClaudeCode => &claude_code::FORMAT,
            Self::ClaudeDesktop => &claude_desktop::FORMAT,
            Self::Cursor => &cursor::FORMAT,
            Self::VsCode => &vs_code::FORMAT,
            Self::Codex => &codex::FORMAT,
            Self::Gemini => &gemini::FORMAT,
            Self::Windsurf => &windsurf::FORMAT,
        }
    }

    /// Its name on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.format().word
    }

    /// Its name, for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.format().title
    }

    /// The places where its servers may stand.
    #[must_use]
    pub fn places(self, folders: &Folders) -> Vec<Place> {
        let place = |(scope, path, section)| Place { client: self, scope, path, section };
        (self.format().places)(folders).into_iter().map(place).collect()
    }

    /// What to write where the client starts `bridge`, as it stands in its file.
    #[must_use]
    pub fn snippet(self, bridge: &Bridge) -> String {
        self.format().snippet(bridge)
    }

    /// What to write where the client reaches the gateway at `url` by itself, with the key in the environment
    /// variable `variable` or asked of the user; `None` where it cannot.
    #[must_use]
    pub fn snippet_by_url(self, url: &str, variable: &str) -> Option<String> {
        self.format().by_url.map(|by_url| by_url(url, variable))
    }

    /// What this client makes of the name of a tool of its server `server`, and how long that may be.
    #[must_use]
    pub fn shown_name(self, server: &str, tool: &str) -> (String, usize) {
        let Format { name_before, name_max, .. } = self.format();
        (format!("{}{tool}", name_before.replace("{server}", server)), *name_max)
    }
}

/// The place in `path` whose client is told by the file's name and by what stands in it.
#[must_use]
pub fn place_of(path: &Path, folders: &Folders) -> Option<Place> {
    let known = Client::ALL.into_iter().flat_map(|client| client.places(folders));
    let mut known: Vec<Place> = known.collect();
    if let Some(place) = known.iter().find(|place| place.path == *path) {
        return Some(place.clone());
    }
    let name = path.file_name()?;
    let folder = |path: &Path| path.parent().and_then(Path::file_name).map(ToOwned::to_owned);
    known.retain(|place| place.path.file_name() == Some(name));
    let place = known.iter().find(|place| folder(&place.path) == folder(path)).or_else(|| known.first())?;
    Some(Place { scope: Scope::Project, path: path.to_owned(), ..place.clone() })
}

/// What stands at `place`; `None` where there is no file, or nothing of servers in it.
///
/// # Errors
/// [`FileError`] where there is a file that cannot be read.
pub fn read(place: &Place, folders: &Folders) -> Result<Option<Found>, FileError> {
    let format = place.client.format();
    let Some(text) = file::read(place, folders)? else { return Ok(None) };
    let document = document::parse(format.syntax, &text)
        .map_err(|line| FileError::Syntax { path: place.path.clone(), line })?;
    let Some(table) = document::at(&document, &place.section) else { return Ok(None) };
    let (mut servers, mut skipped) = server::read_all(table, format, folders);
    if place.scope == Scope::Project {
        let off = switched_off(format, place, folders)?;
        let (gone, stay) = servers.into_iter().partition(|server| off.contains(&server.name));
        servers = stay;
        let gone: Vec<Server> = gone;
        skipped
            .extend(gone.into_iter().map(|server| Skipped { name: server.name, why: server::SWITCHED_OFF }));
    }
    Ok(Some(Found { place: place.clone(), servers, skipped }))
}

/// The servers of a project that its client was told to leave alone.
fn switched_off(format: &Format, of: &Place, folders: &Folders) -> Result<Vec<String>, FileError> {
    let mut names = Vec::new();
    let Some(SwitchedOff { files, key }) = &format.switched_off else { return Ok(names) };
    for (scope, path) in files(folders) {
        let place = Place { scope, path, ..of.clone() };
        let Some(text) = file::read(&place, folders)? else { continue };
        let document = document::parse(Syntax::Json, &text)
            .map_err(|line| FileError::Syntax { path: place.path.clone(), line })?;
        let listed = document.get(key).and_then(serde_json::Value::as_array);
        names.extend(listed.into_iter().flatten().filter_map(|name| name.as_str().map(str::to_owned)));
    }
    Ok(names)
}
