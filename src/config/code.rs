//! The stable word of each problem that a configuration can have.
//!
//! This file is a catalogue; `docs/CONFIGURATION.md` has the same rows, and a test compares them.

use serde::Serialize;

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $word:literal;)+) => {
        /// What is wrong, in one stable word.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Code {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Code {
            /// Every code, in the order of this catalogue.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable word.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

codes! {
    // Files.
    /// A file cannot be read, or is not UTF-8.
    FileUnreadable = "file_unreadable";
    /// A file is larger than the limit.
    FileTooLarge = "file_too_large";
    /// An include that is absolute, repeated, or one too many.
    BadInclude = "bad_include";
    /// A file is not TOML.
    Syntax = "syntax";

    // What was written.
    /// A key that its table does not have.
    UnknownKey = "unknown_key";
    /// A key that a later version of Sluicegate reads.
    LaterVersion = "later_version";
    /// A value of another type than the key takes.
    WrongType = "wrong_type";
    /// A key that its table needs.
    MissingKey = "missing_key";
    /// The same table in two files.
    Duplicate = "duplicate";
    /// A value that the key cannot have.
    BadValue = "bad_value";
    /// A number, size or duration outside its bounds; zero among them.
    OutOfRange = "out_of_range";
    /// A name outside the alphabet of its kind, or a reserved one.
    BadName = "bad_name";
    /// A permission that cannot match any tool.
    BadPermission = "bad_permission";
    /// A `when` that is no condition.
    BadCondition = "bad_condition";
    /// A condition that does not fit the schema of a tool.
    ConditionInvalid = "condition_invalid";
    /// A condition that says nothing about a destination of a tool.
    DestinationOpen = "destination_open";
    /// Guardrails that cannot be read, or are none.
    BadGuardrail = "bad_guardrail";
    /// A test that does not say what it needs to.
    BadTest = "bad_test";
    /// A test that was not answered as it expects.
    TestFailed = "test_failed";
    /// Sources write through an upstream whose answers are trusted.
    StoredTrust = "stored_trust";
    /// The accepted definitions cannot be read.
    LockUnreadable = "lock_unreadable";
    /// Keys that exclude each other, or one that needs another.
    Conflict = "conflict";
    /// Something that this program was built without.
    FeatureMissing = "feature_missing";
    /// A setting that a running gateway cannot change.
    RestartNeeded = "restart_needed";

    // Names that are used and were not declared.
    /// An upstream that is not declared.
    UnknownUpstream = "unknown_upstream";
    /// A source that is not declared.
    UnknownSource = "unknown_source";
    /// A role that is not declared.
    UnknownRole = "unknown_role";
    /// An agent that is not declared, where agents are.
    UnknownAgent = "unknown_agent";
    /// An attribute that its source does not declare.
    UnknownAttribute = "unknown_attribute";
    /// An entry point that is not declared.
    UnknownEntryPoint = "unknown_entry_point";

    // Entry points and listeners.
    /// No listener at all.
    NoListener = "no_listener";
    /// A listener beyond loopback that nothing protects.
    NotLoopback = "not_loopback";
    /// A listener beyond loopback that does not say by which names it is called.
    HostsMissing = "hosts_missing";
    /// Two listeners at one place.
    ListenerCollision = "listener_collision";
    /// A place where a running gateway cannot listen.
    CannotListen = "cannot_listen";
    /// A listener that no credential could pass.
    NoCredential = "no_credential";
    /// The digest of a key is malformed, or is the key itself.
    BadHash = "bad_hash";
    /// Two keys with one digest.
    DuplicateHash = "duplicate_hash";
    /// Two clients with one certificate.
    DuplicateClient = "duplicate_client";
    /// A certificate, its key or its authorities cannot be used.
    BadCertificate = "bad_certificate";
    /// A private key that others may use.
    KeyFileOpen = "key_file_open";
    /// The certificates for the URL of a key set cannot be used.
    CaUnreadable = "ca_unreadable";

    // Upstreams and the machine.
    /// An upstream that a running gateway cannot set up.
    CannotLaunch = "cannot_launch";
    /// An upstream that does not say what it returns.
    ReturnsMissing = "returns_missing";
    /// A secret that is not there.
    SecretMissing = "secret_missing";
    /// A user that this machine does not know.
    UnknownUser = "unknown_user";
    /// The gateway may not start a process under another user.
    UserForbidden = "user_forbidden";
    /// The state directory is not one, or others may read it.
    BadStateDir = "bad_state_dir";

    // Warnings.
    /// A listener that vouches for every local process.
    InsecureLocal = "insecure_local";
    /// A client can start a fresh run by a new session.
    SessionRun = "session_run";
    /// A run that is idle longer than it can last.
    IdleBeyondMax = "idle_beyond_max";
    /// A credential whose subject has no role: it may nothing.
    NoRole = "no_role";
    /// An issuer that may assert so little that each of its tokens is refused.
    AssertsNothing = "asserts_nothing";
    /// A key set that cannot be used now.
    KeysUnreadable = "keys_unreadable";
    /// A key set that others may write.
    KeysFileOpen = "keys_file_open";
    /// A credential that names no agent, where agents are configured: it may nothing.
    NoAgent = "no_agent";
    /// Two roles of one credential disagree on a tool.
    RoleDisagreement = "role_disagreement";
    /// Something that is not enforced yet.
    Shadow = "shadow";
    /// A test that could not be run, because the definition of a tool is not known.
    TestNotRun = "test_not_run";
    /// Tools whose labels nobody declared.
    LabelsMissing = "labels_missing";
    /// A pattern that no declared upstream can match.
    MatchesNothing = "matches_nothing";
    /// An entry that a stricter or an earlier one already covers.
    NeverDecides = "never_decides";
    /// A wire name that some clients refuse.
    LongWireName = "long_wire_name";
    /// A declared source, role or agent that nothing uses.
    Unused = "unused";
    /// A secret file that others may use: refused, or where only its group may, a warning.
    SecretFileOpen = "secret_file_open";
    /// A secret that stands in the configuration itself.
    SecretInFile = "secret_in_file";
    /// A secret that would travel unencrypted.
    PlainHttp = "plain_http";
    /// A certificate that ends soon.
    CertificateExpires = "certificate_expires";
    /// An upstream whose definitions count as it changes them.
    PinsTrust = "pins_trust";
    /// Calls are forwarded before their records survive the loss of power.
    AuditRelaxed = "audit_relaxed";
    /// A folder that the user of an upstream may not enter.
    CwdShut = "cwd_shut";
    /// A program that cannot be found now.
    CommandNotFound = "command_not_found";

    // Notes.
    /// What an agent remembers beyond its run is outside.
    SubjectRun = "subject_run";
    /// Upstream processes run under the gateway's own uid.
    SameUid = "same_uid";
}
