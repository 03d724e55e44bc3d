//! Powers modulo an odd number, of public numbers: Montgomery's multiplication over limbs of 64 bits, least significant
//! first.

/// `base ^ exponent mod modulus`, all big-endian, as long as the modulus. `None` unless the modulus is odd, more than 1
/// and more than the base.
pub(super) fn power(base: &[u8], exponent: &[u8], modulus: &[u8]) -> Option<Vec<u8>> {
    let field = Field::new(limbs(modulus, modulus.len()))?;
    let base = limbs(base, modulus.len());
    if !less(&base, &field.modulus) {
        return None;
    }
    let base = field.multiply(&base, &field.square);
    let bits = exponent.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 == 1));
    let result = field.power(&field.one, &base, bits);
    let mut one = vec![0; field.modulus.len()];
    *one.first_mut()? = 1;
    let result = field.multiply(&result, &one);
    let bytes: Vec<u8> = result.iter().rev().flat_map(|limb| limb.to_be_bytes()).collect();
    Some(bytes.get(bytes.len().checked_sub(modulus.len())?..)?.to_vec())
}

/// Numbers modulo an odd one, each times R = 2^(64 · limbs).
struct Field {
    modulus: Vec<u64>,
    /// −1 / modulus mod 2⁶⁴.
    inverse: u64,
    /// R mod modulus.
    one: Vec<u64>,
    /// R² mod modulus.
    square: Vec<u64>,
}

impl Field {
    fn new(modulus: Vec<u64>) -> Option<Self> {
        let lowest = *modulus.first().filter(|lowest| **lowest % 2 == 1)?;
        // Newton: each step doubles the bits that are right; the first is.
        let inverse = (0..6).fold(1_u64, |x, _| x.wrapping_mul(2_u64.wrapping_sub(lowest.wrapping_mul(x))));
        let zeros: usize = modulus.iter().rev().take_while(|limb| **limb == 0).count();
        let top = modulus.len().checked_sub(zeros + 1)?;
        let spare = modulus.get(top)?.leading_zeros();
        // The highest bit alone is less than the modulus, unless that is 1; doubled often enough it is R.
        let mut one = vec![0; modulus.len()];
        *one.get_mut(top)? = (1 << 63) >> spare;
        if !less(&one, &modulus) {
            return None;
        }
        let mut field = Self { modulus, inverse: inverse.wrapping_neg(), one, square: Vec::new() };
        let mut one = std::mem::take(&mut field.one);
        for _ in 0..64 * zeros + usize::try_from(spare).ok()? + 1 {
            field.double(&mut one);
        }
        // 2⁶⁴, to the power of the number of limbs.
        let mut limb = one.clone();
        (0..64).for_each(|_| field.double(&mut limb));
        let size = field.modulus.len();
        let bits = (0..usize::BITS).rev().map(|bit| size >> bit & 1 == 1);
        field.square = field.power(&one, &limb, bits);
        field.one = one;
        Some(field)
    }

    /// `base ^ bits`, the highest bit first; `start` is 1.
    fn power(&self, start: &[u64], base: &[u64], bits: impl Iterator<Item = bool>) -> Vec<u64> {
        // Before the first bit that is set there is nothing to square.
        bits.skip_while(|bit| !bit).fold(start.to_vec(), |power, bit| {
            let power = self.multiply(&power, &power);
            if bit { self.multiply(&power, base) } else { power }
        })
    }

    /// 2 · number.
    fn double(&self, number: &mut [u64]) {
        let carry = number.iter_mut().fold(0, |carry, limb| {
            let out = *limb >> 63;
            *limb = *limb << 1 | carry;
            out
        });
        if carry == 1 || !less(number, &self.modulus) {
            subtract(number, &self.modulus);
        }
    }

    /// a · b / R.
    fn multiply(&self, a: &[u64], b: &[u64]) -> Vec<u64> {
        let size = self.modulus.len();
        let mut sum = vec![0; size + 2];
        for limb in a {
            add_product(&mut sum, b, *limb);
            let lowest = sum.first().copied().unwrap_or_default();
            add_product(&mut sum, &self.modulus, lowest.wrapping_mul(self.inverse));
            // The lowest limb is 0 now.
            sum.rotate_left(1);
        }
        let overflows = sum.get(size).is_some_and(|carry| *carry != 0);
        sum.truncate(size);
        if overflows || !less(&sum, &self.modulus) {
            subtract(&mut sum, &self.modulus);
        }
        sum
    }
}

/// sum += number · factor.
fn add_product(sum: &mut [u64], number: &[u64], factor: u64) {
    let mut carry = 0_u128;
    for (limb, digit) in sum.iter_mut().zip(number.iter().copied().chain(std::iter::repeat(0))) {
        let total = u128::from(*limb) + u128::from(digit) * u128::from(factor) + carry;
        (*limb, carry) = (low(total), total >> 64);
    }
}

/// a −= b, modulo R.
fn subtract(a: &mut [u64], b: &[u64]) {
    let mut borrow = false;
    for (a, b) in a.iter_mut().zip(b) {
        let (first, one) = a.overflowing_sub(*b);
        let (second, two) = first.overflowing_sub(u64::from(borrow));
        (*a, borrow) = (second, one || two);
    }
}

/// a < b, of one length.
fn less(a: &[u64], b: &[u64]) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

/// The number's limbs, as many as so many bytes have.
fn limbs(bytes: &[u8], length: usize) -> Vec<u64> {
    let limbs = bytes.rchunks(8).map(|chunk| chunk.iter().fold(0, |limb, byte| limb << 8 | u64::from(*byte)));
    limbs.chain(std::iter::repeat(0)).take(length.div_ceil(8)).collect()
}

/// The 64 lowest bits.
fn low(number: u128) -> u64 {
    (number & u128::from(u64::MAX)) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(bytes: &[u8]) -> u128 {
        bytes.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
    }

    #[test]
    fn what_has_no_power_is_refused() {
        assert_eq!(power(&[3], &[1], &[4]), None, "an even modulus");
        assert_eq!(power(&[5], &[1], &[5]), None, "a base that is not smaller");
        assert_eq!(power(&[], &[], &[]), None);
        assert_eq!(power(&[0], &[1], &[1]), None);
        assert_eq!(power(&[0, 2], &[3], &[0, 5]), Some(vec![0, 3]), "leading zeros");
        assert_eq!(power(&[0], &[3], &[5]), Some(vec![0]));
        assert_eq!(power(&[2], &[], &[5]), Some(vec![1]));
    }

    proptest! {
        /// Against multiplication step by step, with moduli around the size of a limb.
        #[test]
        fn small_powers_are_right(modulus in prop::collection::vec(any::<u8>(), 1..=8), base: u64, exponent in 0..200_u8) {
            let mut modulus = modulus;
            *modulus.last_mut().unwrap() |= 1;
            let n = number(&modulus);
            prop_assume!(n > 1);
            let base = u128::from(base) % n;
            let expected = (0..exponent).fold(1 % n, |power, _| power * base % n);
            let bytes = base.to_be_bytes();
            let found = power(&bytes[16 - modulus.len()..], &[exponent], &modulus).unwrap();
            prop_assert_eq!(number(&found), expected);
            prop_assert_eq!(found.len(), modulus.len());
        }
    }

    /// (b^e)^f = b^(e·f), with moduli of RSA's sizes and of those that fill no limb.
    #[test]
    fn large_powers_follow_their_law() {
        for bits in [2048_usize, 2049, 2055, 2056, 3001] {
            let mut modulus = crate::HashFunction::Sha2_512.digest(&bits.to_be_bytes()).repeat(6);
            modulus.truncate(bits.div_ceil(8));
            modulus[0] = (modulus[0] | 0x80) >> (8 * modulus.len() - bits);
            *modulus.last_mut().unwrap() |= 1;
            let mut base = modulus.clone();
            base[0] = 0;
            base[9] ^= 0x55;
            let once = power(&base, &[17], &modulus).unwrap();
            let twice = power(&once, &[251], &modulus).unwrap();
            assert_eq!(power(&base, &[0x10, 0xab], &modulus), Some(twice), "{bits}");
            assert_ne!(once, base);
        }
    }
}
