//! A message without its long strings: read as it comes, so that what is large of it need not be held.
//!
//! What a long string holds is handed out, and a mark stands in its place: the rest is a document that the one
//! grammar reads, and with it the whole is JSON exactly where the whole would be. Must never hand out what the
//! grammar refuses in a string, nor take a key for data. It trusts that its mark is in no message.

use bytes::{BufMut, Bytes, BytesMut};

use super::fault::Fault;
use super::scan::plain_run;
use super::text;

/// Longest string that stays, in bytes as it is written.
pub const SHORT_BYTES_MAX: usize = 4096;
/// Most bytes of what stays.
pub const HOLLOW_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Longest escape: two halves of a surrogate pair.
const ESCAPE_BYTES_MAX: usize = 12;

/// A message that is being hollowed.
#[derive(Debug)]
pub struct Hollow {
    mark: String,
    text: BytesMut,
    state: State,
    /// The string that is being read, for as long as it is short; later what of a long one is not whole yet.
    string: BytesMut,
    /// Where each long string begins in what was handed out.
    starts: Vec<u64>,
    handed_out: u64,
}

/// What was found.
#[derive(Debug)]
pub struct Hollowed {
    /// The message, marks in it.
    pub text: Bytes,
    /// Where each long string begins in what was handed out.
    pub starts: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Outside,
    /// Within a string that is short so far.
    Short,
    /// The same, after a backslash.
    Escaped,
    Long,
    /// A long string has ended: it must be no key.
    AfterLong,
}

impl Hollow {
    /// `mark` stands for what is taken out, followed by its number: see [`split`].
    #[must_use]
    pub fn new(mark: String) -> Self {
        let (text, string) = (BytesMut::new(), BytesMut::new());
        Self { mark, text, state: State::Outside, string, starts: Vec::new(), handed_out: 0 }
    }

    /// Takes in `chunk`, and hands what long strings hold to `out`.
    ///
    /// # Errors
    /// What no string may hold, a key that is long, or too much that stays.
    pub fn push(&mut self, chunk: &[u8], out: &mut impl FnMut(&[u8])) -> Result<(), Fault> {
        let mut rest = chunk;
        while !rest.is_empty() {
            let used = match self.state {
                State::Outside | State::AfterLong => self.outside(rest)?,
                State::Escaped => self.escaped(rest),
                State::Short => self.short(rest),
                State::Long => self.long(rest, out)?,
            };
            rest = rest.get(used..).unwrap_or_default();
            if self.text.len() + self.string.len() > HOLLOW_BYTES_MAX {
                return Err(Fault::EventTooLarge);
            }
        }
        Ok(())
    }

    /// The whole of it.
    ///
    /// # Errors
    /// [`Fault::End`] where it ends within a string.
    pub fn finish(self) -> Result<Hollowed, Fault> {
        match self.state {
            State::Outside | State::AfterLong => {
                Ok(Hollowed { text: self.text.freeze(), starts: self.starts })
            }
            State::Short | State::Escaped | State::Long => Err(Fault::End),
        }
    }

    fn outside(&mut self, rest: &[u8]) -> Result<usize, Fault> {
        if self.state == State::AfterLong
            && let Some(next) = rest.iter().find(|byte| !byte.is_ascii_whitespace())
        {
            if *next == b':' {
                return Err(Fault::KeyTooLong);
            }
            self.state = State::Outside;
        }
        let end = memchr::memchr(b'"', rest).map(|quote| quote + 1);
        if end.is_some() {
            self.state = State::Short;
        }
        let used = end.unwrap_or(rest.len());
        self.text.put_slice(rest.get(..used).unwrap_or_default());
        Ok(used)
    }

    /// Reads on in a string that is short so far.
    fn short(&mut self, rest: &[u8]) -> usize {
        let window = rest.get(..SHORT_BYTES_MAX + 1 - self.string.len()).unwrap_or(rest);
        let found = memchr::memchr2(b'"', b'\\', window);
        let used = found.map_or(window.len(), |at| at + 1);
        self.string.put_slice(window.get(..used).unwrap_or_default());
        match found.and_then(|at| window.get(at)) {
            Some(b'"') => {
                let string = self.string.split();
                self.text.put_slice(&string);
                self.state = State::Outside;
            }
            Some(_) => self.state = State::Escaped,
            None => {}
        }
        if self.state != State::Outside && self.string.len() > SHORT_BYTES_MAX {
            self.text.put_slice(format!("{}{}.", self.mark, self.starts.len()).as_bytes());
            self.starts.push(self.handed_out);
            self.state = State::Long;
        }
        used
    }

    /// What a backslash escapes ends no string.
    fn escaped(&mut self, rest: &[u8]) -> usize {
        self.string.put_slice(rest.get(..1).unwrap_or_default());
        self.state = State::Short;
        1
    }

    /// Reads on in a long string: from what was left over of it, if anything was.
    fn long(&mut self, rest: &[u8], out: &mut impl FnMut(&[u8])) -> Result<usize, Fault> {
        if self.string.is_empty() {
            return self.inside(rest, out);
        }
        let left_over = self.string.split();
        let joined = [left_over.as_ref(), rest].concat();
        Ok(self.inside(&joined, out)?.saturating_sub(left_over.len()))
    }

    fn inside(&mut self, bytes: &[u8], out: &mut impl FnMut(&[u8])) -> Result<usize, Fault> {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let (run, after) = rest.split_at(plain_run(rest));
            let whole = whole_characters(run, after)?;
            self.hand_out(run.get(..whole).unwrap_or_default(), out);
            self.string.put_slice(run.get(whole..).unwrap_or_default());
            at += run.len();
            match after.first() {
                None => return Ok(bytes.len()),
                Some(b'"') => {
                    self.text.put_u8(b'"');
                    self.state = State::AfterLong;
                    return Ok(at + 1);
                }
                Some(b'\\') => match text::escape(after) {
                    Ok((_, length)) => {
                        self.hand_out(after.get(..length).unwrap_or_default(), out);
                        at += length;
                    }
                    Err(_) if after.len() < ESCAPE_BYTES_MAX => {
                        self.string.put_slice(after);
                        return Ok(bytes.len());
                    }
                    Err(fault) => return Err(fault),
                },
                Some(_) => return Err(Fault::Control),
            }
        }
    }

    fn hand_out(&mut self, bytes: &[u8], out: &mut impl FnMut(&[u8])) {
        if !bytes.is_empty() {
            self.handed_out += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            out(bytes);
        }
    }
}

/// How much of `run` are whole characters; what is cut off at its end may go on where nothing came `after` it.
fn whole_characters(run: &[u8], after: &[u8]) -> Result<usize, Fault> {
    match std::str::from_utf8(run) {
        Ok(_) => Ok(run.len()),
        Err(error) if after.is_empty() && error.error_len().is_none() => Ok(error.valid_up_to()),
        Err(_) => Err(Fault::Utf8),
    }
}

/// One part of a text with marks in it.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// Text.
    Text(Bytes),
    /// What stood where the mark is: the long string of this number.
    Long(usize),
}

/// Cuts `text` at the marks that begin with `mark`.
#[must_use]
pub fn split(text: &Bytes, mark: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut from = 0;
    for at in memchr::memmem::find_iter(text, mark) {
        let digits = text.get(at + mark.len()..).unwrap_or_default();
        let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = digits.get(..length).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
        let Some(number) = number else { continue };
        parts.push(Part::Text(text.slice(from..at)));
        parts.push(Part::Long(number));
        // The dot that ends the number.
        from = at + mark.len() + length + 1;
    }
    parts.push(Part::Text(text.slice(from.min(text.len())..)));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MARK: &str = "~mark~";

    /// What comes out of `document`, pushed in pieces of `piece` bytes: the hollow text, and what was taken out.
    fn hollowed(document: &[u8], piece: usize) -> Result<(Hollowed, Vec<u8>), Fault> {
        let mut hollow = Hollow::new(MARK.to_owned());
        let mut out = Vec::new();
        for chunk in document.chunks(piece.max(1)) {
            hollow.push(chunk, &mut |bytes| out.extend_from_slice(bytes))?;
        }
        Ok((hollow.finish()?, out))
    }

    fn restored(hollowed: &Hollowed, out: &[u8]) -> Vec<u8> {
        let mut whole = Vec::new();
        for part in split(&hollowed.text, MARK) {
            match part {
                Part::Text(text) => whole.extend_from_slice(&text),
                Part::Long(number) => {
                    let at = |number: usize| {
                        hollowed.starts.get(number).map_or(out.len(), |at| usize::try_from(*at).unwrap())
                    };
                    whole.extend_from_slice(&out[at(number)..at(number + 1)]);
                }
            }
        }
        whole
    }

    #[test]
    fn i7_long_strings_go_and_come_back_byte_for_byte() {
        let long = "x\\u00e9\\n\u{1f600}é".repeat(2000);
        let document = format!("{{\"a\":\"{long}\",\"b\":[\"{long}\",\"short\\\"\"],\"c\":1e400 }}\n");
        for piece in [1, 2, 3, 7, 4096, 100_000] {
            let (hollowed, out) = hollowed(document.as_bytes(), piece).unwrap();
            assert!(hollowed.text.len() < 200, "{piece}");
            assert_eq!(hollowed.starts.len(), 2);
            assert_eq!(restored(&hollowed, &out), document.as_bytes(), "{piece}");
        }
    }

    #[test]
    fn what_the_grammar_refuses_in_a_string_is_refused() {
        let long = "x".repeat(SHORT_BYTES_MAX + 1);
        let fault = |inside: &[u8], after: &str| {
            let document = [b"{\"a\":\"", long.as_bytes(), inside, after.as_bytes()].concat();
            [1, 5, 100_000].map(|piece| hollowed(&document, piece).unwrap_err())
        };
        assert_eq!(fault(b"\n", "\"}"), [Fault::Control, Fault::Control, Fault::Control]);
        assert_eq!(fault(b"\\x", "aaaaaaaaaaaaaa\"}")[2], Fault::Escape);
        assert_eq!(fault(b"\\ud800", "aaaaaaaaaaaaaa\"}")[2], Fault::Surrogate);
        assert_eq!(fault(b"\xff", "\"}"), [Fault::Utf8, Fault::Utf8, Fault::Utf8]);
        assert_eq!(fault(b"", "")[0], Fault::End);
        let key = format!("{{\"{long}\" :1}}");
        assert_eq!(hollowed(key.as_bytes(), 3).unwrap_err(), Fault::KeyTooLong);
    }

    #[test]
    fn i11_what_stays_is_bounded() {
        let mut hollow = Hollow::new(MARK.to_owned());
        let many = "\"short\",".repeat(100_000);
        let refused = (0..HOLLOW_BYTES_MAX / many.len() + 2)
            .find_map(|_| hollow.push(many.as_bytes(), &mut |_| {}).err());
        assert_eq!(refused, Some(Fault::EventTooLarge));
    }

    proptest! {
        #[test]
        fn whatever_is_json_comes_back(strings in prop::collection::vec("\\PC{0,40}", 1..6), times in 1..400_usize, piece in 1..9000_usize) {
            let strings: Vec<_> = strings.iter().map(|string| string.repeat(times)).collect();
            let document = serde_json::to_vec(&serde_json::json!({ "a": strings, "k": 1 })).unwrap();
            let (hollowed, out) = hollowed(&document, piece).unwrap();
            prop_assert_eq!(restored(&hollowed, &out), document);
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&hollowed.text).is_ok());
        }
    }
}
