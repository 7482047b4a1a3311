//! In which ways texts can match a set of globs, told from the globs alone.
//!
//! Two sets of rules over globs can so be compared on every text there can be, also on those that nobody
//! has thought of. Must never leave a way out: where there are too many to look at, it says so.

use std::collections::{BTreeMap, HashSet, VecDeque};

use super::Glob;

/// Most situations that are looked at; beyond, [`ways`] gives up.
pub const SITUATIONS_MAX: usize = 16 * 1024;
/// Most memory that all situations may take, in words of 64 bits.
const WORDS_MAX: usize = 1024 * 1024;

/// One way to match: the globs that do, and the shortest text that is matched so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// Numbers of the globs that match, ascending.
    pub matched: Vec<usize>,
    /// A text that exactly these match.
    pub witness: String,
}

/// Every way in which some text that is not empty matches `globs`: by exactly which of them. Also the way
/// to match none, where there is one. `None` where it would take too long to tell.
#[must_use]
pub fn ways(globs: &[&Glob]) -> Option<Vec<Way>> {
    let machine = Machine::of(globs);
    let start = machine.start();
    let situations_max = (WORDS_MAX / start.len().max(1)).min(SITUATIONS_MAX);
    // Nothing was read yet at the start; what is reached by reading may be the same, and counts then.
    let mut seen = HashSet::new();
    let mut queue = VecDeque::from([(start, String::new())]);
    let mut found: BTreeMap<Vec<usize>, String> = BTreeMap::new();
    while let Some((state, text)) = queue.pop_front() {
        if !text.is_empty() {
            found.entry(machine.matched(&state)).or_insert_with(|| text.clone());
        }
        for &byte in &machine.alphabet {
            let next = machine.step(&state, byte);
            if seen.contains(&next) {
                continue;
            }
            if seen.len() >= situations_max {
                return None;
            }
            seen.insert(next.clone());
            queue.push_back((next, format!("{text}{}", char::from(byte))));
        }
    }
    Some(found.into_iter().map(|(matched, witness)| Way { matched, witness }).collect())
}

/// Where the globs stand after some text: the places before which each of them may be, as bits.
type State = Vec<u64>;

/// All globs side by side.
struct Machine {
    /// The byte that each place waits for; none behind the last byte of a glob.
    places: Vec<Option<u8>>,
    /// Where each glob begins.
    starts: Vec<usize>,
    /// Where each glob has matched.
    ends: Vec<usize>,
    /// Every byte that some glob names, and one that none does.
    alphabet: Vec<u8>,
}

/// What stands for every byte that no glob names; a letter, so that it reads as a name.
const OTHERS: &[u8] = b"xabcdefghijklmnopqrstuvwyz0123456789_-";

impl Machine {
    fn of(globs: &[&Glob]) -> Self {
        let (mut places, mut starts, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for glob in globs {
            starts.push(places.len());
            places.extend(glob.as_str().bytes().map(Some));
            ends.push(places.len());
            places.push(None);
        }
        let mut alphabet: Vec<u8> = places.iter().copied().flatten().filter(|byte| *byte != b'*').collect();
        alphabet.sort_unstable();
        alphabet.dedup();
        alphabet.extend(OTHERS.iter().copied().find(|byte| alphabet.binary_search(byte).is_err()));
        Self { places, starts, ends, alphabet }
    }

    fn start(&self) -> State {
        let mut state = vec![0; self.places.len().div_ceil(WORD_BITS)];
        for start in &self.starts {
            self.enter(&mut state, *start);
        }
        state
    }

    fn step(&self, state: &State, byte: u8) -> State {
        let mut next = vec![0; state.len()];
        for (word_at, word) in state.iter().enumerate() {
            let mut left = *word;
            while left != 0 {
                let bit = usize::try_from(left.trailing_zeros()).unwrap_or_default();
                left &= left - 1;
                let place = word_at * WORD_BITS + bit;
                match self.places.get(place).copied().flatten() {
                    Some(b'*') => self.enter(&mut next, place),
                    Some(awaited) if awaited == byte => self.enter(&mut next, place + 1),
                    _ => {}
                }
            }
        }
        next
    }

    /// Stands before `place`, and behind every star from there on, because a star may match nothing.
    fn enter(&self, state: &mut State, mut place: usize) {
        loop {
            if let Some(word) = state.get_mut(place / WORD_BITS) {
                *word |= 1 << (place % WORD_BITS);
            }
            match self.places.get(place) {
                Some(Some(b'*')) => place += 1,
                _ => return,
            }
        }
    }

    fn matched(&self, state: &State) -> Vec<usize> {
        let is_in = |place: usize| {
            state.get(place / WORD_BITS).is_some_and(|word| word & (1 << (place % WORD_BITS)) != 0)
        };
        (0..).zip(&self.ends).filter(|(_, end)| is_in(**end)).map(|(glob, _)| glob).collect()
    }
}

const WORD_BITS: usize = u64::BITS as usize;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn matched_by(globs: &[Glob], text: &str) -> Vec<usize> {
        (0..).zip(globs).filter(|(_, glob)| glob.matches(text)).map(|(at, _)| at).collect()
    }

    #[test]
    fn every_way_is_found_with_a_witness() {
        let globs = ["mail.*", "*.send", "mail.read", "*"].map(|text| Glob::new(text).unwrap());
        let found = ways(&globs.iter().collect::<Vec<_>>()).unwrap();
        let found: Vec<_> = found.iter().map(|way| (way.matched.as_slice(), way.witness.as_str())).collect();
        let expected: [(&[usize], &str); 5] = [
            (&[0, 1, 3], "mail.send"),
            (&[0, 2, 3], "mail.read"),
            (&[0, 3], "mail."),
            (&[1, 3], ".send"),
            (&[3], "."),
        ];
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (matched, witness) in expected {
            assert!(
                found.iter().any(|(way, text)| *way == matched && text.len() == witness.len()),
                "{found:?}"
            );
        }
    }

    #[test]
    fn to_match_nothing_is_a_way_too_and_too_many_ways_are_said() {
        let only = Glob::new("a").unwrap();
        let found = ways(&[&only]).unwrap();
        assert!(found.iter().any(|way| way.matched.is_empty()), "{found:?}");
        assert_eq!(ways(&[]).unwrap().len(), 1);
        let many: Vec<_> = (0..40).map(|n| Glob::new(&format!("*{n}*{n}*x{n}")).unwrap()).collect();
        assert_eq!(ways(&many.iter().collect::<Vec<_>>()), None);
    }

    proptest! {
        #[test]
        fn no_text_matches_in_a_way_that_was_not_found(
            globs in proptest::collection::vec("[ab*]{1,4}", 0..4),
            text in "[abc]{1,6}",
        ) {
            let globs: Vec<_> = globs.iter().map(|glob| Glob::new(glob).unwrap()).collect();
            let found = ways(&globs.iter().collect::<Vec<_>>()).unwrap();
            let matched = matched_by(&globs, &text);
            prop_assert!(found.iter().any(|way| way.matched == matched), "{text}: {found:?}");
            for way in &found {
                prop_assert_eq!(&matched_by(&globs, &way.witness), &way.matched, "{}", way.witness);
            }
        }
    }
}
