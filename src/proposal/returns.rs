//! Which people can write what a server returns, by its name and by the program that it is.
//!
//! Must never propose trust: that is for somebody to say who knows the server. Must never propose the user's own
//! source: what a server returns, the user did not type.

use super::OWN_SOURCE;
use super::words::{any, split};

/// A source, the words that speak for it, and why.
struct Known {
    source: &'static str,
    words: &'static [&'static str],
    why: &'static str,
}

const KNOWN: &[Known] = &[
    Known {
        source: "email",
        words: &[
            "mail", "email", "gmail", "imap", "smtp", "outlook", "fastmail", "calendar", "gcal", "caldav",
        ],
        why: "mail and invitations are written by whoever sends them",
    },
    Known {
        source: "web",
        words: &[
            "fetch",
            "browser",
            "playwright",
            "puppeteer",
            "web",
            "search",
            "brave",
            "tavily",
            "firecrawl",
            "exa",
            "crawl",
            "scrape",
            "http",
            "selenium",
            "chrome",
            "devtools",
            "duckduckgo",
            "perplexity",
            "serp",
        ],
        why: "pages are written by strangers",
    },
    Known {
        source: "messages",
        words: &[
            "slack",
            "discord",
            "telegram",
            "whatsapp",
            "teams",
            "mattermost",
            "matrix",
            "sms",
            "twilio",
        ],
        why: "messages are written by whoever may write to you",
    },
    Known {
        source: "files",
        words: &["filesystem", "files", "file", "fs", "drive", "dropbox", "obsidian", "documents"],
        why: "a file holds what whoever it came from wrote",
    },
];

/// The source that is proposed for what the server `name` returns, which `words` start or reach, and why.
#[must_use]
pub fn returns(name: &str, words: &[String]) -> (String, String) {
    let mut all = split(name);
    all.extend(words.iter().flat_map(|word| split(word)));
    let known = |words: &[String]| KNOWN.iter().find(|known| any(words, known.words));
    // The name is what the user gave it; the program says it where the name does not.
    if let Some(known) = known(&split(name)).or_else(|| known(&all)) {
        return (known.source.to_owned(), known.why.to_owned());
    }
    let taken = [OWN_SOURCE, "trusted"].contains(&name);
    let source = if taken { format!("{name}-server") } else { name.to_owned() };
    (source, "a source of its own until you know who can write it".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_servers_have_their_source_and_others_one_of_their_own() {
        let source = |name: &str, words: &[&str]| {
            returns(name, &words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).0
        };
        assert_eq!(source("inbox", &["npx", "-y", "@acme/gmail-mcp"]), "email");
        assert_eq!(source("fetch", &["uvx", "mcp-server-fetch"]), "web");
        assert_eq!(source("fs", &["npx", "@modelcontextprotocol/server-filesystem", "/srv"]), "files");
        assert_eq!(source("github", &["docker", "run"]), "github");
        assert_eq!(source("chat", &[]), "chat-server");
        assert_eq!(source("trusted", &[]), "trusted-server");
    }
}
