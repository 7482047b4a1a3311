//! What looks like a secret, by its name or by itself.
//!
//! Must never be sure that something is none: what is taken for one by mistake only moves to a file of its own.

use super::words::{any, split};

const NAMES: &[&str] = &[
    "authorization",
    "auth",
    "cookie",
    "key",
    "apikey",
    "keys",
    "passwd",
    "password",
    "passphrase",
    "pass",
    "secret",
    "token",
    "tokens",
    "credential",
    "credentials",
    "pat",
    "dsn",
    "bearer",
    "session",
    "private",
    "pwd",
    "pgpassword",
];
const BEGINNINGS: &[&str] = &[
    "sk-",
    "pk-",
    "rk_",
    "sk_",
    "pk_",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xapp-",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
    "eyJ",
    "sg_",
    "SG.",
    "Bearer ",
    "Basic ",
    "lin_api_",
    "ntn_",
    "secret_",
    "hf_",
];
/// From this length on a text without spaces that mixes letters and digits is taken for one.
const MIXED_CHARS_MIN: usize = 12;
/// The same of an argument, where versions and names of packages stand too.
const MIXED_ARGUMENT_CHARS_MIN: usize = 24;

/// Whether `value` under `name`, of the environment or a header, may be a secret.
#[must_use]
pub fn is_secret_value(name: &str, value: &str) -> bool {
    !is_harmless(value) && (is_secret_name(name) || is_secret_text(value, MIXED_CHARS_MIN))
}

/// Whether the argument `word` may be or hold a secret; `before` is the argument before it.
#[must_use]
pub fn is_secret_argument(before: &str, word: &str) -> bool {
    let is_option = |word: &str| word.starts_with('-');
    if let Some((name, value)) = word.split_once('=').filter(|_| is_option(word)) {
        return is_secret_value(name, value) && is_secret_name(name)
            || is_secret_text(value, MIXED_ARGUMENT_CHARS_MIN);
    }
    if let Some((name, value)) =
        word.split_once(':').filter(|(name, _)| !name.is_empty() && !word.contains("://"))
    {
        // A header, as `--header "Authorization: …"` takes one.
        if is_secret_name(name) && !value.trim().is_empty() {
            return true;
        }
    }
    let follows = is_option(before) && !before.contains('=') && is_secret_name(before);
    (follows && !is_option(word) && !is_harmless(word)) || is_secret_text(word, MIXED_ARGUMENT_CHARS_MIN)
}

fn is_secret_name(name: &str) -> bool {
    let words = split(name);
    let lower = name.to_ascii_lowercase();
    any(&words, NAMES)
        || ["apikey", "token", "secret", "password", "passwd"].iter().any(|word| lower.contains(word))
}

fn is_harmless(value: &str) -> bool {
    let value = value.trim();
    value.is_empty()
        || matches!(value, "true" | "false" | "yes" | "no" | "on" | "off")
        || value.parse::<u16>().is_ok()
}

/// Whether `text` is one whatever it is called.
fn is_secret_text(text: &str, chars_min: usize) -> bool {
    if BEGINNINGS.iter().any(|begin| text.starts_with(begin)) {
        return true;
    }
    if let Some((_, rest)) = text.split_once("://") {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let query = rest.split_once('?').map_or("", |(_, query)| query);
        let in_query =
            |pair: &str| pair.split_once('=').is_some_and(|(name, value)| is_secret_value(name, value));
        return authority.contains('@') || query.split('&').any(in_query);
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '/' | '.');
    let is_path = text.starts_with(['/', '.', '~', '@']) || text.matches('/').count() > 1;
    let (digits, letters) = (
        text.chars().filter(char::is_ascii_digit).count(),
        text.chars().filter(char::is_ascii_alphabetic).count(),
    );
    text.chars().count() >= chars_min
        && text.trim_end_matches('=').chars().all(is_plain)
        && !is_path
        && digits >= 2
        && letters >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_by_name_and_by_look() {
        for (name, value) in [
            ("MAIL_TOKEN", "x"),
            ("apiKey", "abc"),
            ("Authorization", "Bearer abc"),
            ("X", "ghp_abcdef"),
            ("DATABASE_URL", "postgres://sam:hunter2@db/app"),
            ("ENDPOINT", "https://x.example/?api_key=1a2b3c"),
            ("ID", "0c9f1d77aa55bb66"),
            ("PGPASSWORD", "hunter2"),
        ] {
            assert!(is_secret_value(name, value), "{name}");
        }
        for (name, value) in [
            ("LOG_LEVEL", "info"),
            ("PORT", "8080"),
            ("TOKEN_CACHE", "true"),
            ("ROOT", "/srv/documents/2026/data1"),
            ("URL", "https://mcp.acme.example/v2/mcp"),
            ("NODE_ENV", "production"),
        ] {
            assert!(!is_secret_value(name, value), "{name}");
        }
    }

    #[test]
    fn secrets_in_arguments_are_found() {
        for (before, word) in [
            ("--api-key", "abc"),
            ("", "--token=abc"),
            ("--header", "Authorization: Bearer abc"),
            ("", "postgresql://reader:pw@db/app"),
            ("x", "sk-abc"),
            ("x", "9f8e7d6c5b4a39281706f5e4d3c2b1a0"),
        ] {
            assert!(is_secret_argument(before, word), "{before} {word}");
        }
        for (before, word) in [
            ("-y", "@modelcontextprotocol/server-filesystem@2026.1.14"),
            ("--limit", "5"),
            ("--api-key", "--verbose"),
            ("--api-key=x", "server.py"),
            ("run", "/srv/documents"),
            ("", "mcp-server-git==2026.11.1"),
        ] {
            assert!(!is_secret_argument(before, word), "{before} {word}");
        }
    }
}
