//! Numbers by their exact decimal value: `1`, `1.0` and `10e-1` are one number.
//!
//! Must never round, and never compute with a number larger than its limits: such a one equals nothing. Trusts that
//! what it is given was scanned as a JSON number (RFC 8259 §6); what is none is no number here either.

use std::cmp::Ordering;
use std::fmt;

/// Longest number that is compared, in bytes; a longer one equals nothing.
pub const NUMBER_BYTES_MAX: usize = 256;
/// Most digits of the exponent of a number that is compared.
const EXPONENT_DIGITS_MAX: usize = 9;

/// A number. Its value is `0.DIGITS × 10^EXPONENT`; zero has no digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decimal {
    sign: Sign,
    /// Without zeros at either end.
    digits: String,
    exponent: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Minus,
    /// Zero has this one.
    Plus,
}

impl Decimal {
    /// The number that the JSON number `text` is; `None` where it is beyond the limits.
    pub(super) fn new(text: &str) -> Option<Self> {
        if text.len() > NUMBER_BYTES_MAX {
            return None;
        }
        let (sign, rest) = match text.strip_prefix('-') {
            Some(rest) => (Sign::Minus, rest),
            None => (Sign::Plus, text),
        };
        let (mantissa, written) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
            return None;
        }
        let all = format!("{whole}{fraction}");
        let significant = all.trim_start_matches('0');
        let leading = i64::try_from(all.len().checked_sub(significant.len())?).ok()?;
        let digits = significant.trim_end_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self { sign: Sign::Plus, digits, exponent: 0 });
        }
        let point = i64::try_from(whole.len()).ok()?.checked_sub(leading)?;
        let exponent = point.checked_add(exponent(written)?)?;
        Some(Self { sign, digits, exponent })
    }

    /// The integer `value`.
    pub(super) fn of(value: i64) -> Option<Self> {
        Self::new(&value.to_string())
    }

    /// The number as a small whole number, if it is one.
    pub(super) fn to_u32(&self) -> Option<u32> {
        let zeros = usize::try_from(self.exponent).ok()?.checked_sub(self.digits.len())?;
        let is_small = self.sign == Sign::Plus && self.exponent <= i64::from(u32::MAX.ilog10()) + 1;
        let written = is_small.then(|| format!("0{}{}", self.digits, "0".repeat(zeros)))?;
        written.parse().ok()
    }

    /// Whether it has no part after the point.
    pub(super) fn is_integer(&self) -> bool {
        i64::try_from(self.digits.len()).is_ok_and(|digits| digits <= self.exponent) || self.digits.is_empty()
    }
}

fn exponent(written: &str) -> Option<i64> {
    let digits = written.trim_start_matches(['+', '-']).trim_start_matches('0');
    if digits.len() > EXPONENT_DIGITS_MAX {
        return None;
    }
    let value: i64 = if digits.is_empty() { 0 } else { digits.parse().ok()? };
    Some(if written.starts_with('-') { -value } else { value })
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let rank = |number: &Self| match (number.sign, number.digits.is_empty()) {
            (Sign::Minus, _) => -1,
            (Sign::Plus, true) => 0,
            (Sign::Plus, false) => 1,
        };
        // Digits without zeros at the ends compare as fractions do: by the first that differs, then by length.
        let size = || (self.exponent, &self.digits).cmp(&(other.exponent, &other.digits));
        rank(self).cmp(&rank(other)).then_with(|| match self.sign {
            Sign::Plus => size(),
            Sign::Minus => size().reverse(),
        })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Decimal {
    /// The one spelling that all spellings of a number have in common.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sign == Sign::Minus {
            out.write_str("-")?;
        }
        if self.digits.is_empty() {
            return out.write_str("0");
        }
        write!(out, "0.{}e{}", self.digits, self.exponent)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Decimal {
        Decimal::new(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn every_spelling_of_a_number_is_the_same_number_and_no_other() {
        for same in [
            &["1", "1.0", "10e-1", "0.1e1", "1E0", "1e+0", "0.001e003"][..],
            &["0", "-0", "0.0", "0e999999999", "-0.0e5"],
            &["-12.5", "-125e-1", "-0.0125E3"],
            &["9007199254740993", "9007199254740993.0"],
        ] {
            for text in same {
                assert_eq!(number(text), number(same[0]), "{text}");
                assert_eq!(number(text).to_string(), number(same[0]).to_string());
            }
        }
        // What 64-bit floating point takes for the same.
        assert_ne!(number("9007199254740993"), number("9007199254740992"));
        assert_ne!(number("0.1"), number("0.1000000000000000055511151231257827"));
        assert_ne!(number("1e400"), number("1e401"));
    }

    #[test]
    fn what_is_beyond_the_limits_is_no_number() {
        let long = "1".repeat(NUMBER_BYTES_MAX + 1);
        for text in ["1e1000000000", "1e-99999999999999999999", &long, "", "-", "x", "1x", ".5", "1e5e"] {
            assert_eq!(Decimal::new(text), None, "{text}");
        }
        assert!(Decimal::new("1e000000000000001").is_some());
    }

    #[test]
    fn integers_are_known_by_their_value() {
        for text in ["0", "10", "1e3", "1.50e1", "-2.0"] {
            assert!(number(text).is_integer(), "{text}");
        }
        for text in ["0.5", "15e-1", "1.01"] {
            assert!(!number(text).is_integer(), "{text}");
            assert_eq!(number(text).to_u32(), None, "{text}");
        }
        for (text, value) in
            [("0", Some(0)), ("1e2", Some(100)), ("4294967295", Some(u32::MAX)), ("4294967296", None)]
        {
            assert_eq!(number(text).to_u32(), value, "{text}");
        }
        assert_eq!((number("-1").to_u32(), number("1e999999").to_u32()), (None, None));
    }

    proptest! {
        #[test]
        fn order_is_that_of_integers(a in any::<i64>(), b in any::<i64>(), zeros in 0_usize..4) {
            let spelled = format!("{b}.{}", "0".repeat(zeros + 1));
            prop_assert_eq!(Decimal::of(a).unwrap().cmp(&number(&spelled)), a.cmp(&b));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = Decimal::new(&text);
        }
    }
}
