//! The shortest decimal digits that read back as the same float, as Go's `strconv` chooses them. Where a float lies
//! half way between two equally short decimals, Go takes the one whose last digit is even; all forms of floats as text
//! are made of these digits.

/// Digits of a finite float other than 0, without leading or trailing zeros.
pub(crate) struct Shortest {
    digits: [u8; MAX_DIGITS],
    len: usize,
    /// The value is 0.DIGITS times ten to this power.
    pub(crate) point: i32,
}

/// A double needs no more.
const MAX_DIGITS: usize = 17;

impl Shortest {
    /// The digits of a finite float; its sign is left out. 0 has the digit 0.
    pub(crate) fn of(v: f64) -> Self {
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(v.abs());
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().unwrap_or(0)),
            None => (text, 0),
        };
        let (mut point, mut seen_point) = (exponent, false);
        let (mut digits, mut len) = ([b'0'; MAX_DIGITS], 0);
        for byte in mantissa.bytes() {
            match byte {
                b'.' => seen_point = true,
                b'0' if len == 0 => point -= i32::from(seen_point),
                digit => {
                    if let Some(place) = digits.get_mut(len) {
                        *place = digit;
                    }
                    len += 1;
                    point += i32::from(!seen_point);
                }
            }
        }
        len = len.min(MAX_DIGITS);
        while len > 1 && digits[len - 1] == b'0' {
            len -= 1;
        }
        let mut shortest = Self { digits, len: len.max(1), point };
        if v == 0.0 {
            shortest.point = 1;
        } else if let Some(even) =
            even_neighbour(v.abs(), shortest.digits[shortest.len - 1], shortest.last_power())
        {
            shortest.replace(even, v.abs());
        }
        shortest
    }

    /// The digits, in ASCII.
    pub(crate) fn digits(&self) -> &[u8] {
        &self.digits[..self.len]
    }

    /// The power of ten of the last digit.
    fn last_power(&self) -> i32 {
        self.point - self.len as i32
    }

    /// Takes other digits of the same length, unless they would be read as another float.
    fn replace(&mut self, number: u64, v: f64) {
        let text = number.to_string();
        if text.len() == self.len && format!("{text}e{}", self.last_power()).parse() == Ok(v) {
            self.digits[..self.len].copy_from_slice(text.as_bytes());
        }
    }
}

/// The even digits beside a positive float that lies exactly half way between two decimals whose last digits count
/// 10^`power`; `None` when it does not, or the digit at hand is even already.
pub(crate) fn even_neighbour(v: f64, last_digit: u8, power: i32) -> Option<u64> {
    if last_digit & 1 == 0 {
        return None;
    }
    let bits = v.to_bits();
    let (fraction, exponent) = (bits & ((1 << 52) - 1), (bits >> 52) as i32);
    let mantissa = if exponent == 0 { fraction } else { fraction | 1 << 52 };
    let zeros = mantissa.trailing_zeros();
    // v is `odd` times two to this power. Twice v over 10^power is an odd integer exactly when it is one less.
    if exponent.max(1) - 1075 + zeros as i32 != power - 1 {
        return None;
    }
    let odd = mantissa >> zeros;
    let halves = if power >= 0 {
        let five = 5u64.checked_pow(power.unsigned_abs()).filter(|five| odd.is_multiple_of(*five))?;
        odd / five
    } else {
        odd.checked_mul(5u64.checked_pow(power.unsigned_abs())?)?
    };
    let below = halves / 2;
    Some(below + (below & 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A positive decimal of any length: digits, most significant first, times ten to a power.
    fn exact(v: f64) -> (Vec<u8>, i32) {
        // The standard library prints as many exact digits as it is asked for; no double has more than 1074.
        let text = format!("{v:.1074}");
        let (whole, fraction) = text.split_once('.').unwrap();
        // A digit in front, because the decimals nearby may have one more.
        (b"0".iter().copied().chain(whole.bytes()).chain(fraction.bytes()).collect(), -1074)
    }

    /// The exact distance of a decimal to `v`, as digits that compare as text.
    fn distance(v: f64, digits: u64, power: i32) -> Vec<u8> {
        let (of_v, _) = exact(v);
        let mut other = vec![b'0'; of_v.len()];
        let text = digits.to_string();
        let end = other.len() - (power + 1074) as usize;
        other[end - text.len()..end].copy_from_slice(text.as_bytes());
        let (large, small) = if of_v > other { (of_v, other) } else { (other, of_v) };
        let mut borrow = 0;
        let mut difference: Vec<u8> = large
            .iter()
            .zip(&small)
            .rev()
            .map(|(a, b)| {
                let n = *a as i8 - *b as i8 - borrow;
                borrow = i8::from(n < 0);
                (n + 10 * borrow) as u8
            })
            .collect();
        difference.reverse();
        difference
    }

    fn check(v: f64) -> Result<(), TestCaseError> {
        let got = Shortest::of(v);
        let text = |n: u64| format!("{n}e{}", got.last_power());
        let n: u64 = std::str::from_utf8(got.digits()).unwrap().parse().unwrap();
        let reads_back = |n: u64| text(n).parse() == Ok(v);
        prop_assert!(reads_back(n), "{v}: {n}");
        // One digit less reads back as something else.
        for shorter in [n / 10, n / 10 + 1] {
            prop_assert!(
                got.len == 1 || format!("{shorter}e{}", got.last_power() + 1).parse() != Ok(v),
                "{v}"
            );
        }
        let of_n = distance(v, n, got.last_power());
        for other in [n - 1, n + 1] {
            if reads_back(other) && other.to_string().len() == got.len {
                let of_other = distance(v, other, got.last_power());
                prop_assert!(
                    of_n < of_other || (of_n == of_other && n.is_multiple_of(2)),
                    "{v}: {n}, nearer {other}"
                );
            }
        }
        Ok(())
    }

    #[test]
    fn halves_are_even() {
        for (v, want) in [
            (571_569_229_053.0 + 0.78125, "5715692290537812"),
            (2f64.powi(-44), "5684341886080802"),
            (27_021_597_764_222_979.0, "2702159776422298"),
            (5e-324, "5"),
            (0.5, "5"),
            (1e23, "1"),
            (9_007_199_254_740_993.0, "9007199254740992"),
        ] {
            assert_eq!(std::str::from_utf8(Shortest::of(v).digits()), Ok(want));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn any_float(bits in 1u64..0x7ff0_0000_0000_0000) {
            check(f64::from_bits(bits))?;
        }

        /// Sums of few powers of two: where halves are.
        #[test]
        fn short_binary_fractions(mantissa in 1u64..1 << 53, power in -60i32..40) {
            check(mantissa as f64 * 2f64.powi(power))?;
        }
    }
}
