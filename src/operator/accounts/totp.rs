//! The second factor: codes that an app on a phone makes (RFC 6238, SHA-1, six digits, 30 seconds,
//! which is what every app knows). Pure: what time it is comes in.

use aws_lc_rs::hmac;
use jiff::Timestamp;
use subtle::ConstantTimeEq as _;

/// In seconds.
const STEP: i64 = 30;
/// Of a secret, in bytes: RFC 4226 section 4 wants 160 bits.
pub(super) const SECRET: usize = 20;

/// RFC 4648 section 6, as people type it into a phone.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A secret that the relay and a phone share.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(pub(super) Vec<u8>);

impl Secret {
    /// As it is shown: groups of four are easier to type.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (number, chunk) in self.0.chunks(5).enumerate() {
            if number > 0 {
                text.push(' ');
            }
            let bits = chunk.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            for place in (0..8).rev() {
                if place == 3 {
                    text.push(' ');
                }
                text.push(char::from(BASE32[(bits >> (5 * place) & 31) as usize]));
            }
        }
        text
    }

    /// From what [`text`](Self::text) showed.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let letters: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').take(64).collect();
        let mut bytes = Vec::new();
        for chunk in letters.chunks(8) {
            let mut bits = 0_u64;
            for letter in chunk {
                bits = bits << 5 | BASE32.iter().position(|known| known == letter)? as u64;
            }
            bytes.extend_from_slice(&bits.to_be_bytes()[3..]);
        }
        (letters.len() == SECRET / 5 * 8).then_some(Self(bytes))
    }

    /// What a phone reads from the picture.
    pub(super) fn address(&self, email: &str) -> String {
        let email =
            percent_encoding::utf8_percent_encode(email, percent_encoding::NON_ALPHANUMERIC);
        let secret = self.text().replace(' ', "");
        format!("otpauth://totp/scim-relay:{email}?secret={secret}&issuer=scim-relay")
    }

    /// The step whose code this is: now, or half a minute before or after.
    pub(super) fn step_of(&self, code: &str, now: Timestamp) -> Option<i64> {
        let digits: String =
            code.chars().filter(|letter| !letter.is_whitespace()).take(7).collect();
        let here = now.as_second() / STEP;
        [here, here - 1, here + 1]
            .into_iter()
            .find(|step| bool::from(self.code(*step).as_bytes().ct_eq(digits.as_bytes())))
    }

    /// RFC 4226 section 5.3.
    fn code(&self, step: i64) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &self.0);
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let bytes = tag.as_ref();
        let offset = usize::from(bytes[19] & 15);
        let number = bytes[offset..offset + 4]
            .iter()
            .fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
        format!("{:06}", (number & 0x7fff_ffff) % 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret(b"12345678901234567890".to_vec())
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        // RFC 6238 appendix B, the last six of eight digits.
        for (second, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
        ] {
            assert_eq!(secret().code(second / STEP), code, "{second}");
        }
    }

    #[test]
    fn a_code_is_good_for_its_half_minute_and_the_ones_beside_it() {
        let at = |second| Timestamp::from_second(second).unwrap();
        for (second, good) in
            [(0, false), (29, false), (30, true), (59, true), (89, true), (119, true), (120, false)]
        {
            let code = secret().code(59 / STEP + 1);
            assert_eq!(secret().step_of(&code, at(second)).is_some(), good, "{second}");
        }
        for wrong in ["", "28708", "2870821", "287 08", "abcdef"] {
            assert_eq!(secret().step_of(wrong, at(59)), None, "{wrong}");
        }
        assert_eq!(secret().step_of(" 287 082 ", at(59)), Some(1), "as phones show it");
    }

    #[test]
    fn a_secret_is_read_as_it_was_shown() {
        assert_eq!(secret().text(), "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ");
        assert!(Secret::parse(&secret().text()) == Some(secret()));
        for wrong in [
            "",
            "GEZD",
            "gezd gnbv gy3t qojq gezd gnbv gy3t qojq",
            "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJ1",
        ] {
            assert!(Secret::parse(wrong).is_none(), "{wrong}");
        }
        assert_eq!(
            secret().address("a@b.example"),
            "otpauth://totp/scim-relay:a%40b%2Eexample?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=scim-relay"
        );
    }
}
