//! Addresses and header text that came from outside, checked before the mail library sees them.

use lettre::Address;
use lettre::message::Mailbox;
use serde::{Deserialize, Deserializer, de};

/// Reads one address, its domain turned into A-labels (RFC 5890) since most servers know no other.
///
/// Only the dot-atom form of RFC 5322 section 3.4.1 is taken, with letters outside ASCII (RFC
/// 6531): quoted local parts, comments and lists are where header injection hides, and nobody's
/// mailbox is called that.
pub(crate) fn parse(text: &str) -> Result<Address, String> {
    let wrong = |why: &str| format!("`{}` is not one mail address: {why}", text.escape_debug());
    let (local, domain) = text.rsplit_once('@').ok_or_else(|| wrong("it has no @"))?;
    if local.is_empty() || local.split('.').any(str::is_empty) {
        return Err(wrong("the part before the @ is empty, or has a dot too many"));
    }
    if let Some(bad) = local.chars().find(|&letter| letter != '.' && !is_atom(letter)) {
        return Err(wrong(&format!("`{}` cannot be in it", bad.escape_debug())));
    }
    if local.len() > 64 {
        return Err(wrong("the part before the @ is longer than 64 bytes"));
    }
    let domain = idna::domain_to_ascii_strict(domain)
        .map_err(|_| wrong("what follows the @ is not a domain"))?;
    if domain.parse::<std::net::IpAddr>().is_ok() {
        return Err(wrong("what follows the @ is not a domain"));
    }
    Address::new(local, domain).map_err(|error| wrong(&error.to_string()))
}

/// `atext` of RFC 5322 section 3.2.3, widened by RFC 6531 section 3.3.
fn is_atom(letter: char) -> bool {
    letter.is_ascii_alphanumeric()
        || "!#$%&'*+-/=?^_`{|}~".contains(letter)
        || (!letter.is_ascii() && !letter.is_control() && !letter.is_whitespace())
}

/// Text for a header: a line break would start another one.
pub(crate) fn header_text<'a>(what: &str, text: &'a str) -> Result<&'a str, String> {
    match text.chars().find(|letter| letter.is_control()) {
        Some(bad) => Err(format!(
            "{what} has the control character `{}` in it, which a mail's header cannot hold",
            bad.escape_debug()
        )),
        None => Ok(text),
    }
}

/// Whom mails come from, as the configuration writes it: `Lillevik IT <it@lillevik.example>`.
#[derive(Clone, Debug)]
pub(crate) struct Sender(pub(crate) Mailbox);

impl<'de> Deserialize<'de> for Sender {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

impl Sender {
    fn parse(text: &str) -> Result<Self, String> {
        let text = header_text("the address", text.trim())?;
        let (name, address) = match text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
            Some((name, address)) => (name.trim().trim_matches('"').trim(), address),
            None => ("", text),
        };
        let name = (!name.is_empty()).then(|| name.to_owned());
        Ok(Self(Mailbox::new(name, parse(address)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(parse(text).map(|address| address.to_string()).as_deref(), Ok(expected));
    }

    #[test]
    fn usual_addresses_are_taken() {
        check("ada@lillevik.example", "ada@lillevik.example");
        check("ada.o'neil+school@lillevik.example", "ada.o'neil+school@lillevik.example");
        check("jürgen@lillevik.example", "jürgen@lillevik.example");
    }

    #[test]
    fn a_domain_is_sent_as_a_labels() {
        check("ada@blåbær.example", "ada@xn--blbr-roah.example");
    }

    #[test]
    fn what_is_not_exactly_one_address_is_refused() {
        for text in [
            "",
            "ada",
            "@lillevik.example",
            "ada@",
            "ada@.example",
            "a..b@lillevik.example",
            "ada@lillevik.example\r\nBcc: eve@evil.example",
            "ada\r\nRCPT TO:<eve@evil.example>@lillevik.example",
            "ada@lillevik.example\0",
            "ada@lillevik.example, eve@evil.example",
            "ada@lillevik.example;eve@evil.example",
            "Ada <ada@lillevik.example>",
            "\"ada\r\n\"@lillevik.example",
            "\"ada eve\"@lillevik.example",
            "ada@[127.0.0.1]",
            "ada@127.0.0.1",
            " ada@lillevik.example",
            "ada@lillevik example",
            "ada@lille>vik.example",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert!(parse(&format!("{}@lillevik.example", "a".repeat(65))).is_err());
        assert!(parse(&format!("ada@{}.example", "a".repeat(250))).is_err());
    }

    #[test]
    fn an_error_names_the_address_on_one_line() {
        let error = parse("ada\r\n@lillevik.example").unwrap_err();
        assert_eq!(
            error,
            "`ada\\r\\n@lillevik.example` is not one mail address: `\\r` cannot be in it"
        );
    }

    #[test]
    fn a_sender_may_have_a_name() {
        let sender = |text| Sender::parse(text).map(|sender| sender.0.to_string());
        let named = Ok("Lillevik IT <it@lillevik.example>".to_owned());
        assert_eq!(sender("Lillevik IT <it@lillevik.example>"), named);
        assert_eq!(sender("\"Lillevik IT\" <it@lillevik.example>"), named);
        assert_eq!(sender("it@lillevik.example"), Ok("it@lillevik.example".to_owned()));
        assert!(sender("Lillevik IT").is_err());
        assert!(sender("A\nBcc: b@c.example <it@lillevik.example>").is_err());
    }
}
