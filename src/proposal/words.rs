//! The words of a name: `searchInbox`, `search_inbox` and `search-inbox` are two words each.

/// The words of `name`, in lower case.
pub(super) fn split(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        let begins = c.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit());
        if begins || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether one of `words` is one of `known`.
pub(super) fn any(words: &[String], known: &[&str]) -> bool {
    words.iter().any(|word| known.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_same_words_however_it_is_written() {
        for name in ["searchInbox", "search_inbox", "search-inbox", "SEARCH_INBOX", "Search.Inbox"] {
            assert_eq!(split(name), ["search", "inbox"], "{name}");
        }
        assert_eq!(split("__"), Vec::<String>::new());
    }
}
