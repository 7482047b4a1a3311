//! A set of tool numbers as machine words.
//!
//! Must never answer *yes* for a number beyond its size: an operation between sets of different sizes
//! treats what one of them lacks as absent.

/// A set of numbers below a fixed size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    /// The empty set, with room for numbers below `size`.
    pub(super) fn none(size: usize) -> Self {
        Self(vec![0; size.div_ceil(WORD_BITS)])
    }

    /// Puts `number` into the set. A number beyond the size stays out.
    pub(super) fn insert(&mut self, number: usize) {
        if let Some(word) = self.0.get_mut(number / WORD_BITS) {
            *word |= 1 << (number % WORD_BITS);
        }
    }

    /// Puts every number below `size` into the set.
    pub(super) fn fill(&mut self, size: usize) {
        (0..size).for_each(|number| self.insert(number));
    }

    /// Adds what `other` holds.
    pub(super) fn unite(&mut self, other: &Self) {
        for (word, theirs) in self.0.iter_mut().zip(&other.0) {
            *word |= theirs;
        }
    }

    /// Keeps what `other` holds too.
    pub(super) fn intersect(&mut self, other: &Self) {
        let theirs = other.0.iter().copied().chain(std::iter::repeat(0));
        for (word, theirs) in self.0.iter_mut().zip(theirs) {
            *word &= theirs;
        }
    }

    /// Empties the set.
    pub(super) fn clear(&mut self) {
        self.0.fill(0);
    }

    /// The numbers in the set, ascending.
    pub(super) fn into_ones(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(at, word)| {
            let mut left = word;
            std::iter::from_fn(move || {
                let bit = usize::try_from(left.trailing_zeros()).ok()?;
                // The lowest bit goes; of no bits nothing is left to go.
                left &= left.checked_sub(1)?;
                Some(at * WORD_BITS + bit)
            })
        })
    }
}

const WORD_BITS: usize = u64::BITS as usize;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_exactly_what_was_put_in() {
        let mut bits = Bits::none(130);
        for number in [0, 63, 64, 129, 4000] {
            bits.insert(number);
        }
        assert_eq!(bits.into_ones().collect::<Vec<_>>(), [0, 63, 64, 129]);
    }

    #[test]
    fn a_smaller_set_leaves_nothing_beyond_its_size() {
        let mut large = Bits::none(200);
        large.insert(3);
        large.insert(150);
        let mut small = Bits::none(10);
        small.insert(3);
        large.intersect(&small);
        assert_eq!(large.into_ones().collect::<Vec<_>>(), [3]);
    }
}
