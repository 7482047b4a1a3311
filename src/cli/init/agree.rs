//! What a person agrees to: asked at a terminal, or said beforehand by a flag.
//!
//! Must never take silence, or a pipe, for a yes.

use std::io::{self, IsTerminal as _, Write as _};

/// How agreement is had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Agree {
    /// It was said beforehand.
    Given,
    /// Somebody is there to be asked.
    Asked,
    /// Nobody is.
    Absent,
}

impl Agree {
    pub(super) fn of(yes: impl Into<Said>) -> Self {
        match yes.into() {
            Said::Yes => Self::Given,
            Said::Nothing if io::stdin().is_terminal() && io::stderr().is_terminal() => Self::Asked,
            Said::Nothing => Self::Absent,
        }
    }

    pub(super) fn is_asked(self) -> bool {
        self == Self::Asked
    }

    /// Whether somebody agrees to `question`; where nobody is there, `flag` would have to say so.
    pub(super) fn to(self, question: &str, flag: &str) -> anyhow::Result<bool> {
        match self {
            Self::Given => Ok(true),
            Self::Absent => {
                let message =
                    format!("this has to be agreed to, and there is no terminal to ask at: say {flag}");
                Err(super::exit::coded(super::exit::USAGE, message))
            }
            Self::Asked => {
                let mut err = io::stderr().lock();
                write!(err, "\n{question} [y/N] ")?;
                err.flush()?;
                let mut answer = String::new();
                io::stdin().read_line(&mut answer)?;
                Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
            }
        }
    }
}

/// What was said beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Yes,
    Nothing,
}

impl From<bool> for Said {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::Nothing }
    }
}
