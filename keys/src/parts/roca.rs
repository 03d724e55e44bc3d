//! RSA moduli that certain smart cards and TPMs made and that anybody can factor (CVE-2017-15361, "ROCA").

/// The largest prime below which such moduli of 2048 bits and more show what they are. Nemec and others, "The Return of
/// Coppersmith's Attack" (CCS 2017), §2: their primes are a power of 65537 modulo the product of the first primes.
const LARGEST: u16 = 701;

/// Whether the modulus is a power of 65537 modulo each of the small primes. One in 2¹⁶⁰ other moduli is, too.
pub(super) fn is_fingerprint(modulus: &[u8]) -> bool {
    (3..=LARGEST).filter(|number| is_prime(*number)).all(|prime| is_power_of_65537(remainder(modulus, prime), prime))
}

fn is_prime(number: u16) -> bool {
    (2..number).take_while(|divisor| divisor * divisor <= number).all(|divisor| !number.is_multiple_of(divisor))
}

fn remainder(number: &[u8], prime: u16) -> u32 {
    number.iter().fold(0, |rest, byte| (rest << 8 | u32::from(*byte)) % u32::from(prime))
}

fn is_power_of_65537(residue: u32, prime: u16) -> bool {
    let mut power = 1;
    for _ in 1..prime {
        if power == residue {
            return true;
        }
        power = power * 65537 % u32::from(prime);
    }
    false
}

#[cfg(test)]
pub(super) mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    /// Of Wycheproof, `json_web_key_test`, case 7.
    pub(in super::super) fn vulnerable() -> Vec<u8> {
        let base64 = concat!(
            "AanFpofbj7KjD4Lf-N2hVMKR7yewSyXhhbirIMTGpfYEhZ_lnt5UoK98DnKIgArXGTu3MaW_HhFw16HGaTDUHqPrId7fe4r11CqRw09yBFuW79",
            "V8sYIwHdzCaWflUI6auImYbVfoN9_nD5n8N8SY9DwXw7mwZM9wREPXoDPgOoIWl6q_MPsp7n0zs3Z5ZaiQWOOzl1S9OhwAfSiiOwz6efnXEaxu",
            "TEtPd7BjSx7NaFka8Dx9U7YqXy2RFj1O9PjyaDGuRh7YXsX3iMUSP_wSyHQg_c_qHRtKUsNSGCT7OZg0hzm2KphtjnayKJvC64vAbROBR4Ubg6",
            "Bxg9IQVZ-QYyE",
        );
        URL_SAFE_NO_PAD.decode(base64).unwrap()
    }

    #[test]
    fn a_vulnerable_modulus_and_its_neighbours() {
        let modulus = vulnerable();
        assert!(is_fingerprint(&modulus));
        for change in [2, 4, 8, 16] {
            let mut other = modulus.clone();
            *other.last_mut().unwrap() ^= change;
            assert!(!is_fingerprint(&other), "{change}");
        }
        assert!(!is_fingerprint(&[0xff; 256]));
    }

    #[test]
    fn small_primes_and_powers() {
        let primes: Vec<u16> = (2..30).filter(|number| is_prime(*number)).collect();
        assert_eq!(primes, [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
        assert_eq!((3..=LARGEST).filter(|number| is_prime(*number)).count(), 125);
        // 65537 is 10 modulo 11, whose powers are 1 and 10.
        let powers: Vec<u32> = (0..11).filter(|residue| is_power_of_65537(*residue, 11)).collect();
        assert_eq!(powers, [1, 10]);
        assert_eq!(remainder(&[1, 0, 1], 11), 10);
    }
}
