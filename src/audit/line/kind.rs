//! The kinds of lines: one word each.
//!
//! Must never give a word another meaning. Read it as one reads a dictionary.

macro_rules! kinds {
    ($($(#[doc = $doc:literal])+ $variant:ident = $word:literal;)+) => {
        /// What a line records. The word stands in `kind`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in the record.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The kind that `word` names.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

kinds! {
    /// The first line of a segment.
    Segment = "segment";
    /// A part of the live state, after the first line of a segment.
    State = "state";
    /// The end of a group of lines that were written at once.
    Commit = "commit";
    /// A line that stands in an earlier segment and was not known durable there.
    Restated = "restated";
    /// The gateway started.
    Start = "start";
    /// The gateway stopped in order.
    Stop = "stop";
    /// An unfinished tail was cut off at start.
    Torn = "torn";
    /// Part of the history cannot be read.
    Gap = "gap";
    /// The journal was halted for a while.
    Halted = "halted";
    /// A call that was open when the gateway died: nobody knows whether it was executed.
    Unknown = "unknown";
    /// A call is about to be forwarded.
    Intent = "intent";
    /// How a call ended.
    Outcome = "outcome";
    /// A request was refused.
    Denial = "denial";
    /// A list was answered.
    List = "list";
    /// Requests refused before or at authentication, counted.
    AuthFailures = "auth_failures";
    /// A run started.
    RunStart = "run_start";
    /// A run ended.
    RunEnd = "run_end";
    /// Sources joined a run outside a call.
    Taint = "taint";
    /// Credentials no longer count, or count again.
    Revocation = "revocation";
    /// A source was closed, or opened again.
    Source = "source";
    /// What is stored at an upstream no longer carries sources.
    StoredCleared = "stored_cleared";
    /// What was kept of a subject's arguments is erased.
    Erasure = "erasure";
    /// A tool definition was accepted or changed.
    Pin = "pin";
    /// Something about an upstream that is no call.
    Upstream = "upstream";
    /// A run token was asked for.
    Mint = "mint";
    /// A key signs run tokens from now on.
    TokenKey = "token_key";
    /// Another key signs checkpoints from now on.
    AuditKey = "audit_key";
    /// Segments are removed because of their age.
    Retired = "retired";
    /// A configuration was put in force or refused.
    Reload = "reload";
    /// A call waits for its client.
    Suspended = "suspended";
    /// A suspended call goes on.
    Resumed = "resumed";
    /// A plan was submitted, and what its review granted.
    Plan = "plan";
    /// Something became of a grant: a step was done.
    Grant = "grant";
    /// A person is asked about one exact call, or has answered.
    Approval = "approval";
    /// Reserved: a signed head of the tree over the lines.
    Checkpoint = "checkpoint";
}
