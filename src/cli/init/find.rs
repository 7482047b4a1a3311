//! Which servers the user's clients have: each once, under a name that an upstream may have.
//!
//! Must never take two different servers for one, nor drop one in silence.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::clients::{self, Client, FileError, Folders, Found, Launch, Place, Scope, Server, Skipped};
use crate::model::name::UpstreamName;
use crate::upstream::OWN_PREFIX;

/// A server that is to be taken over.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Its name as an upstream.
    pub(super) name: String,
    pub(super) server: Server,
    /// Where it runs where it says nothing of that: the project that it is a server of.
    pub(super) folder: Option<PathBuf>,
    /// Where it was found, and under which name.
    pub(super) origins: Vec<(Place, String)>,
}

/// Everything that was found.
#[derive(Debug, Default)]
pub(super) struct Finds {
    pub(super) candidates: Vec<Candidate>,
    /// What is not taken over: where, its name, and why.
    pub(super) skipped: Vec<(Place, Skipped)>,
    /// Files that could not be read.
    pub(super) unreadable: Vec<FileError>,
    /// The places that have servers.
    pub(super) places: Vec<Place>,
}

/// Looks at `only`, or, where nothing is said, wherever clients keep their servers.
pub(super) fn look(only: &[PathBuf], folders: &Folders) -> anyhow::Result<Finds> {
    let mut finds = Finds::default();
    let places = if only.is_empty() {
        Client::ALL.into_iter().flat_map(|client| client.places(folders)).collect()
    } else {
        only.iter().map(|path| named(path, folders)).collect::<anyhow::Result<Vec<_>>>()?.concat()
    };
    for place in places {
        match clients::read(&place, folders) {
            Ok(None) => {}
            Ok(Some(found)) => finds.add(found, folders),
            Err(error) => finds.unreadable.push(error),
        }
    }
    Ok(finds)
}

/// The places in a file that somebody named.
fn named(path: &Path, folders: &Folders) -> anyhow::Result<Vec<Place>> {
    let path = std::path::absolute(path)?;
    anyhow::ensure!(path.exists(), "there is no file `{}`", path.display());
    let all: Vec<Place> = Client::ALL
        .into_iter()
        .flat_map(|client| client.places(folders))
        .filter(|place| place.path == path)
        .collect();
    if !all.is_empty() {
        return Ok(all);
    }
    let Some(place) = clients::place_of(&path, folders) else {
        let known = "it is named like the file of no client that is known";
        anyhow::bail!("`{}` cannot be read: {known} (`sluicegate clients` lists them)", path.display());
    };
    Ok(vec![place])
}

impl Finds {
    fn add(&mut self, found: Found, folders: &Folders) {
        let Found { place, servers, skipped } = found;
        self.skipped.extend(skipped.into_iter().map(|skipped| (place.clone(), skipped)));
        for server in servers.into_iter().filter(|server| !server.is_gateway(None)) {
            self.add_server(server, &place, folders);
        }
        self.places.push(place);
    }

    fn add_server(&mut self, server: Server, place: &Place, folders: &Folders) {
        let origin = (place.clone(), server.name.clone());
        let is_process = matches!(server.launch, Launch::Process { cwd: None, .. });
        let folder = (place.scope == Scope::Project && is_process).then(|| project(place, folders));
        let same = self.candidates.iter_mut().find(|other| {
            (&other.server.name, &other.server.launch, &other.folder)
                == (&server.name, &server.launch, &folder)
        });
        if let Some(same) = same {
            return same.origins.push(origin);
        }
        let name = self.free_name(&server.name);
        self.candidates.push(Candidate { name, server, folder, origins: vec![origin] });
    }

    /// A name that an upstream may have and none has yet.
    fn free_name(&self, name: &str) -> String {
        let name = upstream_name(name);
        let is_free = |name: &String| self.candidates.iter().all(|other| other.name != *name);
        let numbered = (2..).map(|number: u32| format!("{name}-{number}"));
        std::iter::once(name.clone()).chain(numbered).find(is_free).unwrap_or(name)
    }

    /// The servers of each place that can be taken out of it, of the candidates that `is_live`.
    pub(super) fn removals(&self, is_live: impl Fn(&str) -> bool) -> Vec<(Place, Vec<String>)> {
        let mut by_place: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for candidate in self.candidates.iter().filter(|candidate| is_live(&candidate.name)) {
            for (place, name) in &candidate.origins {
                if let Some(at) = self.places.iter().position(|other| other == place) {
                    by_place.entry(at).or_default().push(name.clone());
                }
            }
        }
        let removal = |(at, names): (usize, Vec<String>)| Some((self.places.get(at)?.clone(), names));
        by_place.into_iter().filter_map(removal).collect()
    }
}

/// The folder of the project that the file at `place` belongs to.
fn project(place: &Place, folders: &Folders) -> PathBuf {
    if place.path.starts_with(&folders.project) {
        return folders.project.clone();
    }
    let parent = place.path.parent().unwrap_or(Path::new("/"));
    let is_hidden = parent.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let project = if is_hidden { parent.parent().unwrap_or(parent) } else { parent };
    project.to_owned()
}

/// Longest name that is proposed, in characters: some clients refuse long names of tools.
const NAME_CHARS_MAX: usize = 24;

fn upstream_name(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars().take(NAME_CHARS_MAX) {
        let c = if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
        // `__` separates upstream and tool on the wire.
        if c != '_' || !out.ends_with('_') {
            out.push(c);
        }
    }
    let out = out.trim_matches(['_', '-']).to_owned();
    let is_fit = UpstreamName::new(&out).is_ok() && out != OWN_PREFIX;
    if is_fit { out } else { format!("server-{out}").trim_end_matches('-').to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_becomes_one_that_an_upstream_may_have() {
        for (name, expected) in [
            ("mail", "mail"),
            ("web search", "web_search"),
            ("@acme/mcp__x", "acme_mcp_x"),
            ("sluicegate", "server-sluicegate"),
            ("邮件", "server"),
            ("", "server"),
        ] {
            assert_eq!(upstream_name(name), expected);
            assert!(UpstreamName::new(&upstream_name(name)).is_ok());
        }
    }
}
