//! The servers of a client's file: how each is started or reached, and which of its tools are wanted.
//!
//! Must never drop one in silence: what cannot be taken over is named with the reason. Trusts nothing: whatever is
//! not of the type that it should be makes its server one of those.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value as Json};

use super::format::{Format, Transport};
use super::value::Value;
use super::{Folders, OWN_NAME};

/// Most servers of one file.
pub const SERVERS_MAX: usize = 64;
/// Most arguments of a program.
const ARGUMENTS_MAX: usize = 256;
/// Longest text of a server, in bytes.
const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Why a server is left out that the client does not use.
pub(super) const SWITCHED_OFF: &str = "it is switched off in the client";

/// One server of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name there.
    pub name: String,
    /// How it is started or reached.
    pub launch: Launch,
    /// Which of its tools are wanted.
    pub tools: ToolChoice,
}

/// How a server is started or reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Launch {
    /// A process that speaks over stdio.
    Process {
        /// Program and arguments.
        command: Vec<Value>,
        /// What is set in its environment.
        env: BTreeMap<String, Value>,
        /// Where it runs.
        cwd: Option<Value>,
    },
    /// An HTTP endpoint.
    Http {
        /// Where.
        url: Value,
        /// Sent with each request.
        headers: BTreeMap<String, Value>,
        /// Whether it speaks HTTP+SSE of 2024-11-05 and nothing else.
        is_event_stream: bool,
    },
}

/// Which tools of a server a client uses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ToolChoice {
    /// Only these, where it says so.
    pub only: Option<Vec<String>>,
    /// Not these.
    pub without: Vec<String>,
}

/// A server that cannot be taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// Its name in the file.
    pub name: String,
    /// Why.
    pub why: &'static str,
}

impl Server {
    /// Whether this is the way to a gateway already: the bridge, or something at `url`.
    #[must_use]
    pub fn is_gateway(&self, url: Option<&str>) -> bool {
        let written = |value: &Value| value.resolve(|_| None).ok();
        match &self.launch {
            Launch::Process { command, .. } => {
                let words: Vec<String> = command.iter().filter_map(written).collect();
                let is_ours =
                    |word: &String| Path::new(word).file_name().is_some_and(|name| name == OWN_NAME);
                words.first().is_some_and(is_ours) && words.get(1).is_some_and(|word| word == "connect")
            }
            Launch::Http { url: at, .. } => {
                let same = |at: &str| url.is_some_and(|url| at.trim_end_matches('/') == url);
                written(at).is_some_and(|at| same(&at))
            }
        }
    }
}

/// The servers of the table `table`, and those that cannot be taken over.
pub(super) fn read_all(table: &Json, format: &Format, folders: &Folders) -> (Vec<Server>, Vec<Skipped>) {
    let (mut servers, mut skipped) = (Vec::new(), Vec::new());
    for (name, entry) in table.as_object().into_iter().flatten() {
        let skip = |why| Skipped { name: name.clone(), why };
        if servers.len() + skipped.len() >= SERVERS_MAX {
            skipped.push(skip("the file has more servers than are read"));
            break;
        }
        let Some(entry) = entry.as_object() else {
            skipped.push(skip("it is not a table"));
            continue;
        };
        match (Reader { entry, format, folders }).server(name) {
            Ok(server) => servers.push(server),
            Err(why) => skipped.push(skip(why)),
        }
    }
    (servers, skipped)
}

/// Reads one entry.
struct Reader<'a> {
    entry: &'a Map<String, Json>,
    format: &'a Format,
    folders: &'a Folders,
}

type Read<T> = Result<T, &'static str>;

impl Reader<'_> {
    fn server(&self, name: &str) -> Read<Server> {
        let is = |key: &str, value: bool| self.entry.get(key).and_then(Json::as_bool) == Some(value);
        if is("disabled", true) || is("enabled", false) {
            return Err(SWITCHED_OFF);
        }
        let launch = match self.entry.get("command") {
            Some(command) => self.process(command)?,
            None => self.http()?,
        };
        Ok(Server { name: name.to_owned(), launch, tools: self.tools()? })
    }

    fn process(&self, program: &Json) -> Read<Launch> {
        if self.entry.contains_key("envFile") {
            return Err("its environment is in a file (`envFile`), which is not read: set `env` by hand");
        }
        let mut command = vec![self.value(program)?];
        for argument in self.array("args")?.iter().take(ARGUMENTS_MAX + 1) {
            command.push(self.value(argument)?);
        }
        if command.len() > ARGUMENTS_MAX {
            return Err("it has too many arguments");
        }
        let mut env = self.values("env")?;
        for name in self.array("env_vars")? {
            let name = name.as_str().ok_or("`env_vars` is not a list of names")?;
            env.insert(name.to_owned(), Value::of_variable(name));
        }
        let cwd = self.entry.get("cwd").map(|cwd| self.value(cwd)).transpose()?;
        Ok(Launch::Process { command, env, cwd })
    }

    fn http(&self) -> Read<Launch> {
        let found =
            self.format.urls.iter().find_map(|(key, transport)| Some((self.entry.get(*key)?, *transport)));
        let (url, transport) = found.ok_or("it has neither a command nor a URL that this client knows")?;
        for key in ["headersHelper", "http_headers_helper"] {
            if self.entry.contains_key(key) {
                return Err("a program makes its headers, which the gateway cannot ask");
            }
        }
        let mut headers = self.values(self.format.headers)?;
        for (header, variable) in self.texts("env_http_headers")? {
            headers.insert(header, Value::of_variable(&variable));
        }
        if let Some(variable) = self.entry.get("bearer_token_env_var") {
            let name = variable.as_str().ok_or("`bearer_token_env_var` is not a name")?;
            headers.insert("Authorization".to_owned(), Value::of_variable(name).after("Bearer "));
        }
        let is_sse =
            self.entry.get("type").and_then(Json::as_str) == Some("sse") || transport == Transport::Sse;
        Ok(Launch::Http { url: self.value(url)?, headers, is_event_stream: is_sse })
    }

    fn tools(&self) -> Read<ToolChoice> {
        let names = |keys: [&str; 2]| -> Read<Option<Vec<String>>> {
            let Some(key) = keys.into_iter().find(|key| self.entry.contains_key(*key)) else {
                return Ok(None);
            };
            let name =
                |name: &Json| name.as_str().map(str::to_owned).ok_or("its tools are not a list of names");
            self.array(key)?.iter().map(name).collect::<Read<Vec<String>>>().map(Some)
        };
        let without = names(["excludeTools", "disabled_tools"])?.unwrap_or_default();
        Ok(ToolChoice { only: names(["includeTools", "enabled_tools"])?, without })
    }

    fn array(&self, key: &str) -> Read<&[Json]> {
        match self.entry.get(key) {
            None | Some(Json::Null) => Ok(&[]),
            Some(Json::Array(items)) => Ok(items),
            Some(_) => Err("something that should be a list is not one"),
        }
    }

    fn values(&self, key: &str) -> Read<BTreeMap<String, Value>> {
        let texts = self.texts(key)?;
        Ok(texts.into_iter().map(|(name, text)| (name, self.parsed(&text))).collect())
    }

    /// The table `key` of texts; numbers and booleans count as what they look like.
    fn texts(&self, key: &str) -> Read<BTreeMap<String, String>> {
        let table = match self.entry.get(key) {
            None | Some(Json::Null) => return Ok(BTreeMap::new()),
            Some(Json::Object(table)) => table,
            Some(_) => return Err("something that should be a table is not one"),
        };
        table.iter().map(|(name, value)| Ok((name.clone(), text(value)?))).collect()
    }

    fn value(&self, value: &Json) -> Read<Value> {
        Ok(self.parsed(&text(value)?))
    }

    fn parsed(&self, text: &str) -> Value {
        Value::parse(text, self.format.references, self.folders)
    }
}

fn text(value: &Json) -> Read<String> {
    let text = match value {
        Json::String(text) => text.clone(),
        Json::Number(number) => number.to_string(),
        Json::Bool(value) => value.to_string(),
        _ => return Err("something that should be a text is not one"),
    };
    if text.len() > TEXT_BYTES_MAX {
        return Err("one of its texts is too long");
    }
    Ok(text)
}
