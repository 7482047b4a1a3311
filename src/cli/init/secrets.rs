//! What of a client's server goes into `gateway.toml`, and what into files of its own.
//!
//! Must never leave in the configuration what looks like a secret, nor show it (I10). Values stay in memory until
//! they are written to their files.

use std::collections::{BTreeMap, BTreeSet};

use crate::clients::{self, Value};
use crate::proposal::{self, Launch, Written, is_secret_argument, is_secret_value};

use super::find::Candidate;

/// The folder of secrets, beside the configuration.
pub(super) const FOLDER: &str = "secrets";

/// A secret, and the file that it goes to.
pub(super) struct SecretFile {
    /// Relative to the configuration.
    pub(super) path: String,
    pub(super) value: String,
}

/// One server, as it will be written.
pub(super) struct Taken {
    pub(super) server: proposal::Server,
    pub(super) secrets: Vec<SecretFile>,
}

/// What `candidate` becomes. What is known of the environment is what `environment` says; names of files that are
/// `taken` are not used again.
pub(super) fn take(
    candidate: &Candidate,
    environment: &dyn Fn(&str) -> Option<String>,
    taken: &mut BTreeSet<String>,
    own_folder: &std::path::Path,
) -> Taken {
    let mut taking = Taking { name: &candidate.name, environment, taken, secrets: Vec::new(), failed: None };
    let (launch, words) = match &candidate.server.launch {
        clients::Launch::Process { command, env, cwd } => {
            let words = taking.texts(command);
            let cwd = cwd.as_ref().map(|cwd| taking.text(cwd));
            let folder = candidate.folder.as_ref().filter(|folder| *folder != own_folder);
            let cwd = cwd.or_else(|| folder.map(|folder| folder.to_string_lossy().into_owned()));
            let mut env = taking.table(env);
            let command = taking.command(&words, &mut env);
            (Launch::Process { command, env, cwd }, words)
        }
        clients::Launch::Http { url, headers, is_event_stream } => {
            let url = taking.text(url);
            let headers = taking.table(headers);
            let (url, words) = (taking.url(&url), vec![host(&url)]);
            (Launch::Http { url, headers, is_event_stream: *is_event_stream }, words)
        }
    };
    let Taking { secrets, failed, .. } = taking;
    let found_in = candidate
        .origins
        .iter()
        .map(|(place, _)| format!("{} ({})", place.client.title(), place.path.display()));
    let server = proposal::Server {
        name: candidate.name.clone(),
        found_in: found_in.collect(),
        launch,
        returns: proposal::returns(&candidate.name, &words),
        tools: Vec::new(),
        off: candidate.server.tools.without.clone(),
        failed,
    };
    Taken { server, secrets }
}

struct Taking<'a> {
    name: &'a str,
    environment: &'a dyn Fn(&str) -> Option<String>,
    taken: &'a mut BTreeSet<String>,
    secrets: Vec<SecretFile>,
    failed: Option<String>,
}

impl Taking<'_> {
    fn fail(&mut self, why: String) {
        self.failed.get_or_insert(why);
    }

    /// The text of `value`; empty, and a reason, where it is not known.
    fn text(&mut self, value: &Value) -> String {
        value.resolve(self.environment).unwrap_or_else(|why| {
            self.fail(why.to_string());
            String::new()
        })
    }

    fn texts(&mut self, values: &[Value]) -> Vec<String> {
        values.iter().map(|value| self.text(value)).collect()
    }

    fn table(&mut self, values: &BTreeMap<String, Value>) -> BTreeMap<String, Written> {
        values.iter().map(|(name, value)| (name.clone(), self.written(name, value))).collect()
    }

    fn written(&mut self, name: &str, value: &Value) -> Written {
        if let Some(variable) = value.variable() {
            if (self.environment)(variable).is_none_or(|value| value.is_empty()) {
                self.fail(format!("the environment variable `{variable}` is not set"));
            }
            return Written::Env(variable.to_owned());
        }
        let refers_to_secret = value.variables().any(|variable| is_secret_value(variable, "a value"));
        let text = match value.resolve(self.environment) {
            Ok(text) => text,
            Err(why) => {
                self.fail(format!("{why}; put the value of `{name}` into its file"));
                let path = self.file(name);
                return Written::File(path);
            }
        };
        if refers_to_secret || is_secret_value(name, &text) {
            self.secret(name, text)
        } else {
            Written::Text(text)
        }
    }

    fn secret(&mut self, name: &str, value: String) -> Written {
        let path = self.file(name);
        self.secrets.push(SecretFile { path: path.clone(), value });
        Written::File(path)
    }

    /// A file for the secret `name` that nothing has yet.
    fn file(&mut self, name: &str) -> String {
        let fit = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
        let name: String = name.chars().map(fit).take(FILE_NAME_CHARS_MAX).collect();
        let plain = format!("{FOLDER}/{}.{name}", self.name);
        let numbered = (2..).map(|number: u32| format!("{plain}-{number}"));
        let free = std::iter::once(plain.clone()).chain(numbered).find(|path| !self.taken.contains(path));
        let path = free.unwrap_or(plain);
        self.taken.insert(path.clone());
        path
    }

    /// The program with its arguments; one that is a secret comes out of the environment, by a shell.
    fn command(&mut self, words: &[String], env: &mut BTreeMap<String, Written>) -> Vec<String> {
        let before = std::iter::once("").chain(words.iter().map(String::as_str));
        let is_secret: Vec<bool> =
            words.iter().zip(before).map(|(word, before)| is_secret_argument(before, word)).collect();
        if !is_secret.contains(&true) {
            return words.to_vec();
        }
        let mut line = String::from("exec");
        for (at, (word, is_secret)) in words.iter().zip(is_secret).enumerate() {
            if is_secret {
                let variable = format!("SLUICEGATE_ARGUMENT_{at}");
                line.push_str(&format!(" \"${variable}\""));
                let value = self.secret(&format!("argument-{at}"), word.clone());
                env.insert(variable, value);
            } else {
                line.push_str(&format!(" '{}'", word.replace('\'', "'\\''")));
            }
        }
        vec!["sh".to_owned(), "-c".to_owned(), line]
    }

    /// A URL; what is a secret in it is cut out, because nothing can stand in its place.
    fn url(&mut self, url: &str) -> String {
        let (before, query) = url.split_once('?').map_or((url, ""), |(before, query)| (before, query));
        let is_secret =
            |part: &str| part.contains('@') || (is_secret_argument("", part) && !part.contains('.'));
        let parts = before.split('/').map(|part| if is_secret(part) { "…" } else { part });
        let shown = parts.collect::<Vec<_>>().join("/");
        let in_query = !query.is_empty() && is_secret_argument("", url);
        if shown == before && !in_query {
            return url.to_owned();
        }
        self.fail("its URL holds a secret, which `url` cannot refer to: move it into `headers`".to_owned());
        shown
    }
}

/// Longest part of a file's name that comes from a client, in characters.
const FILE_NAME_CHARS_MAX: usize = 64;

fn host(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?']).next().unwrap_or_default().to_owned()
}
