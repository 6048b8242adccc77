//! Search filters as values: rendered for the wire with every assertion escaped (RFC 4515), and
//! evaluated by the file transport. There is no way to make one from text.

use std::fmt;

use crate::dn;
use crate::transport::Entry;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// The entry has the attribute.
    Present(String),
    Equals(String, Vec<u8>),
    Or(Vec<Filter>),
}

impl Filter {
    /// Every entry: each has an object class.
    pub(crate) fn anything() -> Self {
        Self::Present("objectClass".to_owned())
    }

    pub(crate) fn equals(attribute: &str, value: impl AsRef<[u8]>) -> Self {
        Self::Equals(attribute.to_owned(), value.as_ref().to_vec())
    }

    /// Entries where the attribute has any of these values.
    pub(crate) fn any_of<T: AsRef<[u8]>>(attribute: &str, values: &[T]) -> Self {
        Self::Or(values.iter().map(|value| Self::equals(attribute, value)).collect())
    }

    pub(crate) fn matches(&self, entry: &Entry) -> bool {
        match self {
            Self::Present(attribute) => !entry.values(attribute).is_empty(),
            // Most attributes in use compare like this; a file knows no schema.
            Self::Equals(attribute, wanted) => entry.values(attribute).iter().any(|value| {
                dn::folded(value) == dn::folded(wanted) || dn::same_name(value, wanted)
            }),
            Self::Or(filters) => filters.iter().any(|filter| filter.matches(entry)),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present(attribute) => write!(f, "({attribute}=*)"),
            Self::Equals(attribute, value) => {
                write!(f, "({attribute}=")?;
                for &byte in value {
                    // Escaping more than RFC 4515 section 3 asks for is allowed, and leaves
                    // nothing to chance.
                    if byte.is_ascii_graphic() && !b"*()\\".contains(&byte) {
                        write!(f, "{}", char::from(byte))?;
                    } else {
                        write!(f, "\\{byte:02x}")?;
                    }
                }
                f.write_str(")")
            }
            Self::Or(filters) => {
                f.write_str("(|")?;
                filters.iter().try_for_each(|filter| filter.fmt(f))?;
                f.write_str(")")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(filter: &Filter, expected: &str) {
        assert_eq!(filter.to_string(), expected);
    }

    #[test]
    fn filters_are_written_with_every_assertion_escaped() {
        check(&Filter::anything(), "(objectClass=*)");
        check(&Filter::equals("mail", "ada@x.example"), "(mail=ada@x.example)");
        check(&Filter::equals("cn", "a b*(ü)\\\0"), "(cn=a\\20b\\2a\\28\\c3\\bc\\29\\5c\\00)");
        check(&Filter::any_of("mail", &["a", "b"]), "(|(mail=a)(mail=b))");
        check(
            &Filter::equals("uid", "*)(uid=*))(|(uid=*"),
            "(uid=\\2a\\29\\28uid=\\2a\\29\\29\\28|\\28uid=\\2a)",
        );
    }

    #[test]
    fn a_filter_finds_what_a_server_would_find() {
        let entry = Entry::new(
            "uid=ada,dc=x",
            vec![
                ("objectClass".to_owned(), vec![b"inetOrgPerson".to_vec()]),
                ("mail".to_owned(), vec![b"Ada@X.example".to_vec()]),
                ("manager".to_owned(), vec![b"uid=Bo, dc=x".to_vec()]),
            ],
        );
        assert!(Filter::equals("MAIL", "ada@x.example").matches(&entry));
        assert!(Filter::equals("manager", "UID=bo,DC=x").matches(&entry));
        assert!(!Filter::equals("mail", "*").matches(&entry));
        assert!(Filter::any_of("mail", &["b", "ada@x.example"]).matches(&entry));
    }

    proptest! {
        /// The library that parses it for the wire must see one equality with our value.
        #[test]
        fn no_value_becomes_syntax(value in "[*()\\\\|&!=~ a\0ü]{1,16}|\\PC{1,20}") {
            let text = Filter::equals("uid", &value).to_string();
            let parsed = format!("{:?}", ldap3::parse_filter(&text).expect("it parses"));
            // A bare equality is tagged 3; a substring would be 4, and, or, not 0 to 2.
            prop_assert!(parsed.starts_with("Sequence(Sequence { id: 3, class: Context"), "{}", parsed);
            prop_assert!(parsed.contains(&format!("{:?}", value.as_bytes())), "{}", parsed);
        }
    }
}
