//! A text of a client's file, with its references to variables told apart from what is written out.
//!
//! Must never be printed: what is written out may be a secret (I10).

use std::fmt;

use super::Folders;
use super::format::References;

/// A text, in parts.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(Vec<Part>);

#[derive(Clone, PartialEq, Eq)]
enum Part {
    /// As it is written.
    Written(String),
    /// An environment variable, and what stands in for it where it is not set.
    Variable { name: String, otherwise: Option<String> },
    /// What the client asks its user for.
    Asked(String),
}

/// Why a value is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// A variable is not set here.
    #[error("the environment variable `{0}` is not set")]
    Unset(String),
    /// Only the client has the answer.
    #[error("the client asks its user for `{0}`")]
    Asked(String),
}

impl Value {
    /// What the variable `name` holds.
    pub(super) fn of_variable(name: &str) -> Self {
        Self(vec![Part::Variable { name: name.to_owned(), otherwise: None }])
    }

    /// `text` and then `self`.
    pub(super) fn after(self, text: &str) -> Self {
        Self(std::iter::once(Part::Written(text.to_owned())).chain(self.0).collect())
    }

    /// `text`, whose references are written as `references` says.
    pub(super) fn parse(text: &str, references: References, folders: &Folders) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, reference, after)) = next(rest, references) {
            parts.push(Part::Written(before.to_owned()));
            parts.push(part(reference, references, folders));
            rest = after;
        }
        parts.push(Part::Written(rest.to_owned()));
        parts.retain(|part| !matches!(part, Part::Written(text) if text.is_empty()));
        Self(parts)
    }

    /// The variable that this is the value of, if it is nothing else.
    #[must_use]
    pub fn variable(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Part::Variable { name, otherwise: None }] => Some(name),
            _ => None,
        }
    }

    /// The variables that have to be set for this to be known.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Variable { name, otherwise: None } => Some(name.as_str()),
            _ => None,
        })
    }

    /// Whether nothing in it refers to anything.
    #[must_use]
    pub fn is_written_out(&self) -> bool {
        self.0.iter().all(|part| matches!(part, Part::Written(_)))
    }

    /// The whole text, where `environment` gives the value of a variable.
    ///
    /// # Errors
    /// [`Unresolved`] says what is not known.
    pub fn resolve(&self, environment: impl Fn(&str) -> Option<String>) -> Result<String, Unresolved> {
        let one = |part: &Part| match part {
            Part::Written(text) => Ok(text.clone()),
            Part::Variable { name, otherwise } => environment(name)
                .filter(|value| !value.is_empty())
                .or_else(|| otherwise.clone())
                .ok_or_else(|| Unresolved::Unset(name.clone())),
            Part::Asked(id) => Err(Unresolved::Asked(id.clone())),
        };
        self.0.iter().map(one).collect()
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Value(…)")
    }
}

/// What stands before the next reference, what is in it, and what follows.
fn next(text: &str, references: References) -> Option<(&str, &str, &str)> {
    if references == References::None {
        return None;
    }
    let mut from = 0;
    loop {
        let at = from + text.get(from..)?.find('$')?;
        let (before, rest) = (text.get(..at)?, text.get(at + 1..)?);
        if let Some((inside, after)) = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
            return Some((before, inside, after));
        }
        if references == References::Dollar {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let length = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            if length > 0 && !rest.starts_with(|c: char| c.is_ascii_digit()) {
                let (name, after) = rest.split_at_checked(length)?;
                return Some((before, name, after));
            }
        }
        from = at + 1;
    }
}

fn part(inside: &str, references: References, folders: &Folders) -> Part {
    let variable = |name: &str, otherwise: Option<&str>| Part::Variable {
        name: name.to_owned(),
        otherwise: otherwise.map(str::to_owned),
    };
    if references != References::Named {
        return match inside.split_once(":-") {
            Some((name, otherwise)) => variable(name, Some(otherwise)),
            None => variable(inside, None),
        };
    }
    let project = &folders.project;
    match inside.split_once(':') {
        Some(("env", name)) => variable(name, None),
        Some(("input", id)) => Part::Asked(id.to_owned()),
        _ => match inside {
            "userHome" => Part::Written(folders.home.to_string_lossy().into_owned()),
            "workspaceFolder" => Part::Written(project.to_string_lossy().into_owned()),
            "workspaceFolderBasename" => {
                let name = project.file_name().unwrap_or_default();
                Part::Written(name.to_string_lossy().into_owned())
            }
            "pathSeparator" | "/" => Part::Written("/".to_owned()),
            other => Part::Asked(other.to_owned()),
        },
    }
}
