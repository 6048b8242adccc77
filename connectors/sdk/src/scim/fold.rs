//! The comparison key of text that ignores case.

use unicode_normalization::{UnicodeNormalization as _, is_nfkc};

/// The key under which two spellings of one value meet: compatibility normalization (NFKC), then
/// lower case.
///
/// The store's unique indexes and the filters both compare this key, so that what a filter finds
/// and what counts as taken never differ.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    // Letter by letter: `str::to_lowercase` looks at the neighbours of a sigma, and one name
    // must not have two keys. Lower case can undo the normal form, so that comes twice.
    let lower: String = text
        .nfkc()
        .flat_map(char::to_lowercase)
        .map(|letter| if letter == 'ς' { 'σ' } else { letter })
        .collect();
    if is_nfkc(&lower) { lower } else { lower.nfkc().collect() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::fold;

    #[track_caller]
    fn check(left: &str, right: &str) {
        assert_eq!(fold(left), fold(right), "{left} and {right}");
    }

    #[test]
    fn case_and_form_make_no_difference() {
        check("Ada", "aDA");
        check("BJØRN", "bjørn");
        // Composed and decomposed, Kelvin sign, full width, both small sigmas.
        check("\u{e5}se", "a\u{30a}se");
        check("\u{212a}ari", "kari");
        check("ｋａｒｉ", "kari");
        check("ΟΔΥΣΣΕΥΣ", "Οδυσσευς");
    }

    #[test]
    fn different_letters_stay_different() {
        assert_ne!(fold("masse"), fold("maße"));
        assert_ne!(fold("i"), fold("ı"));
        assert_ne!(fold("ada"), fold("ada "));
    }

    #[test]
    fn a_key_is_its_own_key() {
        // The planes that have letters with case or with compatibility forms.
        for letter in (0..0x2_0000).filter_map(char::from_u32) {
            let key = fold(&letter.to_string());
            assert_eq!(fold(&key), key, "{letter:?}");
        }
    }

    proptest! {
        #[test]
        fn a_key_of_any_text_is_its_own_key(text in any::<String>()) {
            let key = fold(&text);
            prop_assert_eq!(fold(&key), key);
        }
    }
}
