//! Distinguished names (RFC 4514): reading them, writing values into them, and telling whether two
//! of them name the same entry however they are spelt.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Deserializer, de};
use unicode_normalization::UnicodeNormalization;

/// A name, from the entry up to the root.
#[derive(Clone)]
pub(crate) struct Dn {
    rdns: Vec<Rdn>,
}

/// One step of a name: usually one attribute and its value, sometimes several.
#[derive(Clone)]
pub(crate) struct Rdn {
    parts: Vec<Part>,
}

#[derive(Clone)]
struct Part {
    attribute: String,
    value: Value,
}

#[derive(Clone)]
enum Value {
    /// What the escapes stand for; UTF-8 in every name people make.
    Plain(Vec<u8>),
    /// `#04024869`: the value's BER encoding (RFC 4514 section 2.4), compared as it is.
    Ber(Vec<u8>),
}

/// Text that is not a distinguished name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a distinguished name: {why}")]
pub(crate) struct DnError {
    text: String,
    why: String,
}

/// Attribute types that have several names in distinguished names (RFC 4514 section 3, RFC 4519):
/// the short one, then the others.
const ALIASES: &[(&str, &[&str])] = &[
    ("c", &["countryname", "2.5.4.6"]),
    ("cn", &["commonname", "2.5.4.3"]),
    ("dc", &["domaincomponent", "0.9.2342.19200300.100.1.25"]),
    ("l", &["localityname", "2.5.4.7"]),
    ("o", &["organizationname", "2.5.4.10"]),
    ("ou", &["organizationalunitname", "2.5.4.11"]),
    ("st", &["stateorprovincename", "2.5.4.8"]),
    ("street", &["streetaddress", "2.5.4.9"]),
    ("uid", &["userid", "0.9.2342.19200300.100.1.1"]),
];

impl Dn {
    pub(crate) fn parse(text: &str) -> Result<Self, DnError> {
        let mut scanner = Scanner { rest: text.as_bytes() };
        scanner.dn().map_err(|why| DnError { text: text.to_owned(), why })
    }

    /// The first step: what the entry is called within its parent.
    pub(crate) fn rdn(&self) -> Option<&Rdn> {
        self.rdns.first()
    }

    pub(crate) fn parent(&self) -> Self {
        Self { rdns: self.rdns.iter().skip(1).cloned().collect() }
    }

    /// The name that `rdn` has below this one.
    pub(crate) fn child(&self, rdn: &Rdn) -> Self {
        Self { rdns: std::iter::once(rdn).chain(&self.rdns).cloned().collect() }
    }

    /// The name that the entry `other` would have below this one.
    pub(crate) fn child_of(&self, other: &Self) -> Self {
        other.rdn().map_or_else(|| self.clone(), |rdn| self.child(rdn))
    }

    pub(crate) fn is_root(&self) -> bool {
        self.rdns.is_empty()
    }

    /// Whether this is `base` or lies below it.
    pub(crate) fn is_within(&self, base: &Self) -> bool {
        let above = self.rdns.len().checked_sub(base.rdns.len());
        above.is_some_and(|above| {
            self.rdns[above..].iter().zip(&base.rdns).all(|(ours, theirs)| ours == theirs)
        })
    }

    /// The one spelling that all spellings of this name share.
    pub(crate) fn key(&self) -> String {
        let steps: Vec<String> = self.rdns.iter().map(Rdn::key).collect();
        steps.join(",")
    }
}

impl PartialEq for Dn {
    fn eq(&self, other: &Self) -> bool {
        self.rdns == other.rdns
    }
}

impl fmt::Display for Dn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rdn) in self.rdns.iter().enumerate() {
            if index > 0 {
                f.write_char(',')?;
            }
            rdn.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Dn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dn({self})")
    }
}

impl<'de> Deserialize<'de> for Dn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

impl Rdn {
    /// The attributes that name the entry, with their values.
    pub(crate) fn values(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.parts.iter().filter_map(|part| match &part.value {
            Value::Plain(value) => Some((part.attribute.as_str(), value.as_slice())),
            Value::Ber(_) => None,
        })
    }

    /// Whether the two are spelt alike but for their escapes: not even case differs.
    pub(crate) fn is_exactly(&self, other: &Self) -> bool {
        self.parts.len() == other.parts.len()
            && self.parts.iter().all(|ours| {
                other.parts.iter().any(|theirs| {
                    canonical(&ours.attribute) == canonical(&theirs.attribute)
                        && ours.value.bytes() == theirs.value.bytes()
                })
            })
    }

    fn key(&self) -> String {
        let mut parts: Vec<String> = self
            .parts
            .iter()
            .map(|part| {
                let value = match &part.value {
                    Value::Plain(value) => escape_bytes(&folded(value)),
                    Value::Ber(value) => hex(value),
                };
                format!("{}={value}", canonical(&part.attribute))
            })
            .collect();
        // A multi-valued step is a set (RFC 4514 section 2.2).
        parts.sort();
        parts.join("+")
    }
}

impl PartialEq for Rdn {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl fmt::Display for Rdn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.parts.iter().enumerate() {
            if index > 0 {
                f.write_char('+')?;
            }
            let value = match &part.value {
                Value::Plain(value) => escape_bytes(value),
                Value::Ber(value) => hex(value),
            };
            write!(f, "{}={value}", part.attribute)?;
        }
        Ok(())
    }
}

impl Value {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Plain(value) | Self::Ber(value) => value,
        }
    }
}

/// A value as it is written into a name (RFC 4514 section 2.4), whatever it holds.
pub(crate) fn escape(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 4);
    let last = value.chars().count().saturating_sub(1);
    for (index, letter) in value.chars().enumerate() {
        match letter {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => out.extend(['\\', letter]),
            ' ' if index == 0 || index == last => out.push_str("\\ "),
            '#' if index == 0 => out.push_str("\\#"),
            // Only NUL must be escaped; a line break in a log or a diff is worth it too.
            '\0'..='\x1f' | '\x7f' => {
                let _ = write!(out, "\\{:02X}", u32::from(letter));
            }
            _ => out.push(letter),
        }
    }
    out
}

fn escape_bytes(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) => escape(text),
        Err(_) => value.iter().fold(String::new(), |mut out, byte| {
            let _ = write!(out, "\\{byte:02X}");
            out
        }),
    }
}

fn hex(value: &[u8]) -> String {
    value.iter().fold("#".to_owned(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// How `caseIgnoreMatch` sees a value (RFC 4518): one form for each character, no case, and no
/// spaces that mean nothing.
pub(crate) fn folded(value: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(value) {
        // Most names, and the form is what they have.
        Ok(text)
            if text.is_ascii()
                && !text.starts_with(' ')
                && !text.ends_with(' ')
                && !text.contains("  ") =>
        {
            text.to_ascii_lowercase().into_bytes()
        }
        Ok(text) => {
            let text: String = text.nfkc().flat_map(char::to_lowercase).nfkc().collect();
            let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
            words.join(" ").into_bytes()
        }
        Err(_) => value.to_vec(),
    }
}

/// An attribute type under its shortest name, in lower case.
fn canonical(attribute: &str) -> String {
    let attribute = attribute.to_ascii_lowercase();
    let known = ALIASES.iter().find(|(_, others)| others.contains(&attribute.as_str()));
    known.map_or(attribute, |(short, _)| (*short).to_owned())
}

/// Whether two attribute types are the same.
pub(crate) fn same_attribute(one: &str, other: &str) -> bool {
    canonical(one) == canonical(other)
}

/// Whether two texts name the same entry; text that is no name is compared as it is.
pub(crate) fn same_name(one: &[u8], other: &[u8]) -> bool {
    one == other || name_key(one) == name_key(other)
}

/// [`Dn::key`] of a value, or the value itself where it is no name.
pub(crate) fn name_key(value: &[u8]) -> Vec<u8> {
    std::str::from_utf8(value)
        .ok()
        .and_then(|text| Dn::parse(text).ok())
        .map_or_else(|| value.to_ascii_lowercase(), |dn| dn.key().into_bytes())
}

/// Reads a name from left to right.
struct Scanner<'a> {
    rest: &'a [u8],
}

impl Scanner<'_> {
    fn dn(&mut self) -> Result<Dn, String> {
        let mut rdns = Vec::new();
        self.skip_spaces();
        if self.rest.is_empty() {
            return Ok(Dn { rdns });
        }
        loop {
            let mut parts = vec![self.part()?];
            while self.take(b'+') {
                parts.push(self.part()?);
            }
            rdns.push(Rdn { parts });
            // RFC 2253 let a semicolon stand for the comma; old servers still send it.
            if !self.take(b',') && !self.take(b';') {
                break;
            }
        }
        if self.rest.is_empty() {
            Ok(Dn { rdns })
        } else {
            Err(format!("unexpected `{}`", String::from_utf8_lossy(self.rest)))
        }
    }

    fn part(&mut self) -> Result<Part, String> {
        self.skip_spaces();
        let length = self
            .rest
            .iter()
            .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')))
            .unwrap_or(self.rest.len());
        let attribute = String::from_utf8_lossy(&self.rest[..length]).into_owned();
        self.rest = &self.rest[length..];
        self.skip_spaces();
        if attribute.is_empty() {
            return Err("an attribute is missing before `=`".to_owned());
        }
        if !self.take(b'=') {
            return Err(format!("`=` is missing after `{attribute}`"));
        }
        self.skip_spaces();
        let value = if self.take(b'#') { self.ber()? } else { self.plain()? };
        Ok(Part { attribute, value })
    }

    fn plain(&mut self) -> Result<Value, String> {
        let mut value = Vec::new();
        // Spaces at the end count only where they are escaped.
        let mut length = 0;
        while let Some((&byte, rest)) = self.rest.split_first() {
            match byte {
                b',' | b'+' | b';' => break,
                b'"' | b'<' | b'>' | 0 => {
                    return Err(format!("`{}` must be escaped", char::from(byte).escape_default()));
                }
                b'\\' => {
                    value.push(self.escaped()?);
                    length = value.len();
                }
                _ => {
                    self.rest = rest;
                    value.push(byte);
                    if byte != b' ' {
                        length = value.len();
                    }
                }
            }
        }
        value.truncate(length);
        Ok(Value::Plain(value))
    }

    fn escaped(&mut self) -> Result<u8, String> {
        match *self.rest {
            [_, high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                self.rest = &self.rest[3..];
                Ok(nibble(high) << 4 | nibble(low))
            }
            [_, byte, ..] if b" \"#+,;<=>\\".contains(&byte) => {
                self.rest = &self.rest[2..];
                Ok(byte)
            }
            _ => Err("a `\\` stands before something that needs none".to_owned()),
        }
    }

    fn ber(&mut self) -> Result<Value, String> {
        let length =
            self.rest.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(length);
        self.rest = rest;
        self.skip_spaces();
        if digits.is_empty() || !digits.len().is_multiple_of(2) {
            return Err("a value that begins with `#` has two hex digits for each byte".to_owned());
        }
        let bytes = digits.chunks(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])).collect();
        Ok(Value::Ber(bytes))
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.rest.first() == Some(&byte);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }
}

fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn same(one: &str, other: &str, expected: bool) {
        let parse = |text| Dn::parse(text).expect("a name");
        assert_eq!(parse(one) == parse(other), expected, "{one} and {other}");
    }

    #[test]
    fn spelling_does_not_make_another_name() {
        same("uid=ada,ou=People,dc=x", "UID=Ada, OU=people , DC=X", true);
        same(r"cn=M\C3\BCller\2C Zo\C3\AB,dc=x", r"cn=Müller\, Zoë,dc=x", true);
        same("cn=a  b,dc=x", "cn=A b,dc=x", true);
        same("cn=a+sn=b,dc=x", "SN=b + cn=a,dc=x", true);
        same("2.5.4.3=ada,dc=x", "cn=ada,dc=x", true);
        same("commonName=ada;dc=x", "cn=ada,dc=x", true);
        same("cn=ﬁ,dc=x", "cn=fi,dc=x", true);
        same("cn=#04024869,dc=x", "cn=#04024869,dc=x", true);
    }

    #[test]
    fn different_values_are_different_names() {
        same("uid=ada,dc=x", "uid=ada,dc=y", false);
        same("uid=ada,dc=x", "cn=ada,dc=x", false);
        same("uid=ada,ou=a,dc=x", "uid=ada,dc=x", false);
        same(r"cn=a\,dc=x", "cn=a,dc=x", false);
        same("cn=a+sn=b,dc=x", "cn=a,sn=b,dc=x", false);
    }

    #[test]
    fn a_value_keeps_its_escaped_spaces_and_loses_the_others() {
        let value = |text: &str| {
            let dn = Dn::parse(text).expect("a name");
            dn.rdn().and_then(|rdn| rdn.values().next()).map(|(_, value)| value.to_vec())
        };
        assert_eq!(value(r"cn= a b \ ,dc=x"), Some(b"a b  ".to_vec()));
        assert_eq!(value(r"cn=\ a ,dc=x"), Some(b" a".to_vec()));
        assert_eq!(value("cn=,dc=x"), Some(Vec::new()));
    }

    #[test]
    fn what_is_no_name_is_refused_with_a_reason() {
        let why = |text: &str| Dn::parse(text).expect_err("no name").why;
        assert_eq!(why("ada"), "`=` is missing after `ada`");
        assert_eq!(why("=x"), "an attribute is missing before `=`");
        assert_eq!(why("uid=a,"), "an attribute is missing before `=`");
        assert_eq!(why("uid=\"a\""), "`\\\"` must be escaped");
        assert_eq!(why(r"uid=a\b"), "a `\\` stands before something that needs none");
        assert_eq!(why("uid=#0"), "a value that begins with `#` has two hex digits for each byte");
    }

    #[test]
    fn names_are_placed_in_their_tree() {
        let people = Dn::parse("ou=people,dc=x").expect("a name");
        let ada = Dn::parse("uid=ada,OU=People,dc=x").expect("a name");
        assert!(ada.is_within(&people) && people.is_within(&people));
        assert!(!people.is_within(&ada));
        assert_eq!(ada.parent(), people);
        assert_eq!(people.child(ada.rdn().expect("a first step")), ada);
        assert!(Dn::parse(" ").expect("the root").is_root());
    }

    #[test]
    fn case_alone_is_told_apart_where_it_matters() {
        let rdn = |text: &str| Dn::parse(text).expect("a name").rdn().cloned().expect("a step");
        assert!(rdn("UID=ada").is_exactly(&rdn("uid=ada")));
        assert!(rdn(r"uid=a\2Cb").is_exactly(&rdn(r"uid=a\,b")));
        assert!(!rdn("uid=Ada").is_exactly(&rdn("uid=ada")));
    }

    proptest! {
        /// Whatever a user name holds, it stays one value of one step.
        #[test]
        fn an_escaped_value_reads_back_as_itself(
            value in "[ #\"+,;<=>\\\\\0a\u{fc}\u{202e}\n]{1,12}|\\PC{1,20}",
        ) {
            let text = format!("uid={},ou=people,dc=x", escape(&value));
            let dn = Dn::parse(&text).expect("an escaped value makes a name");
            prop_assert_eq!(dn.rdns.len(), 3);
            let values: Vec<_> = dn.rdns[0].values().collect();
            prop_assert_eq!(values, vec![("uid", value.as_bytes())]);
            let printed = Dn::parse(&dn.to_string()).expect("what is printed parses");
            prop_assert!(printed.rdns[0].is_exactly(&dn.rdns[0]));
        }

        #[test]
        fn parsing_never_panics(text in "\\PC{0,40}|[a=,+\\\\# \"0-9]{0,20}") {
            if let Ok(dn) = Dn::parse(&text) {
                prop_assert_eq!(&Dn::parse(&dn.to_string()).expect("printed names parse"), &dn);
            }
        }
    }
}
