//! Where a request left the RFCs and was understood all the same.
//!
//! What they let a service provider put up with (a read-only attribute in a POST, names in another
//! case, a null) is none.

use super::error::Error;
use super::path::shorten;

/// One habit of identity providers that the RFCs do not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Quirk {
    /// A message without the URN of what it is in `schemas`.
    MissingSchemas,
    UnknownSchema,
    /// Attributes of an extension that `schemas` does not list.
    UnlistedSchema,
    UnknownAttribute,
    /// A path as a key: `name.givenName`, `urn:…:User:department`.
    DottedKey,
    /// An extension's attribute without its URN, as Entra sends `manager`.
    UnqualifiedName,
    /// `"True"` or `"False"` for a boolean.
    StringBoolean,
    /// `"7"` for a number.
    StringNumber,
    /// An entry as JSON in its own `value`, as Entra sends roles.
    JsonInText,
    /// The manager as a plain id.
    BareManager,
    /// A plain value where an entry with a `value` belongs.
    BareValue,
    /// An empty text for no value.
    EmptyValue,
    /// One value where a list belongs.
    SingleValue,
    /// A list of one where a single object belongs, as Entra sends the manager.
    ListForOne,
    /// A reference that is no URI; it was kept.
    NotAUri,
    /// Several entries marked primary; the first one stayed so.
    ManyPrimaries,
    /// `Add`, `Replace`, `Remove`.
    CapitalOp,
    /// A `path` that is an empty text.
    EmptyPath,
    /// A PATCH that asks for nothing, as Microsoft's validator sends it.
    NoOperations,
    /// A selected entry that was not there, and was made.
    MissingEntry,
    /// A `remove` that lists what to remove in `value`.
    RemoveWithValue,
    /// Something that is no id where a member is added; it was left out.
    UnknownMember,
    /// An `id` among the values of a PATCH.
    IdInValue,
    /// Another read-only attribute among the values of a PATCH.
    ReadOnlyInValue,
    /// A filter such as `emails[type eq "work"].value eq "x"`.
    ComparedValuePath,
}

impl Quirk {
    pub const ALL: [Self; 25] = [
        Self::MissingSchemas,
        Self::UnknownSchema,
        Self::UnlistedSchema,
        Self::UnknownAttribute,
        Self::DottedKey,
        Self::UnqualifiedName,
        Self::StringBoolean,
        Self::StringNumber,
        Self::JsonInText,
        Self::BareManager,
        Self::BareValue,
        Self::EmptyValue,
        Self::SingleValue,
        Self::ListForOne,
        Self::NotAUri,
        Self::ManyPrimaries,
        Self::CapitalOp,
        Self::EmptyPath,
        Self::NoOperations,
        Self::MissingEntry,
        Self::RemoveWithValue,
        Self::UnknownMember,
        Self::IdInValue,
        Self::ReadOnlyInValue,
        Self::ComparedValuePath,
    ];

    /// For a metric's label.
    pub fn word(self) -> &'static str {
        self.texts().0
    }

    /// For a person.
    pub fn sentence(self) -> &'static str {
        self.texts().1
    }

    fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::MissingSchemas => {
                ("missing_schemas", "bodies without their own URN in `schemas`")
            }
            Self::UnknownSchema => {
                ("unknown_schema", "schemas that the organization does not have")
            }
            Self::UnlistedSchema => {
                ("unlisted_schema", "attributes of an extension that `schemas` does not list")
            }
            Self::UnknownAttribute => {
                ("unknown_attribute", "attributes that no schema of the organization has")
            }
            Self::DottedKey => ("dotted_key", "paths as keys, like `name.givenName`"),
            Self::UnqualifiedName => {
                ("unqualified_name", "attributes of an extension without its URN, like `manager`")
            }
            Self::StringBoolean => ("string_boolean", "`\"True\"` or `\"False\"` for a boolean"),
            Self::StringNumber => ("string_number", "numbers in quotes"),
            Self::JsonInText => ("json_in_text", "entries as JSON inside their own `value`"),
            Self::BareManager => ("bare_manager", "the manager as a plain id"),
            Self::BareValue => {
                ("bare_value", "a plain value where an object with a `value` belongs")
            }
            Self::EmptyValue => ("empty_value", "an empty text for no value"),
            Self::SingleValue => ("single_value", "a single value where a list belongs"),
            Self::ListForOne => ("list_for_one", "a list of one where a single object belongs"),
            Self::NotAUri => ("not_a_uri", "references that are no URIs"),
            Self::ManyPrimaries => ("many_primaries", "several primary values of one attribute"),
            Self::CapitalOp => ("capital_op", "operations written `Add`, `Replace` or `Remove`"),
            Self::EmptyPath => ("empty_path", "an empty text for no `path`"),
            Self::NoOperations => ("no_operations", "a PATCH without any operation"),
            Self::MissingEntry => {
                ("missing_entry", "writes to a selected value that is not there (it is made)")
            }
            Self::RemoveWithValue => ("remove_with_value", "a `remove` with a `value`"),
            Self::UnknownMember => {
                ("unknown_member", "new members that are no ids of this service (left out)")
            }
            Self::IdInValue => ("id_in_value", "an `id` among the values of a PATCH"),
            Self::ReadOnlyInValue => {
                ("read_only_in_value", "read-only attributes among the values of a PATCH")
            }
            Self::ComparedValuePath => (
                "compared_value_path",
                "filters that compare a value path, like `emails[...].value eq`",
            ),
        }
    }
}

/// The deviations of one request, each kind once and where it was first met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quirks(Vec<(Quirk, String)>);

impl Quirks {
    /// Notes a deviation. `at` is a path or a key, never a value.
    pub fn note(&mut self, quirk: Quirk, at: &str) {
        if !self.0.iter().any(|(known, _)| *known == quirk) {
            self.0.push((quirk, shorten(at)));
        }
    }

    /// Takes over what another part of the request deviated in.
    pub fn extend(&mut self, others: Self) {
        for (quirk, at) in others.0 {
            self.note(quirk, &at);
        }
    }

    /// In the order they were met.
    pub fn kinds(&self) -> Vec<Quirk> {
        self.0.iter().map(|(quirk, _)| *quirk).collect()
    }

    /// The refusal of a request that must keep to the RFCs, if it does not.
    pub fn refusal(&self) -> Option<Error> {
        if self.0.is_empty() {
            return None;
        }
        let named: Vec<String> = self
            .0
            .iter()
            .map(|(quirk, at)| format!("{} (`{at}`: {})", quirk.word(), quirk.sentence()))
            .collect();
        let detail = format!(
            "this organization takes only what RFC 7643 and RFC 7644 say, and the request deviates: \
             {}",
            named.join("; ")
        );
        Some(Error::invalid_syntax(detail).met(self))
    }
}

#[cfg(test)]
#[path = "quirk_tests.rs"]
mod table;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_kind_has_a_word_of_its_own_that_fits_a_label() {
        let words: HashSet<_> = Quirk::ALL.map(Quirk::word).into();
        assert_eq!(words.len(), Quirk::ALL.len());
        for word in words {
            assert!(word.bytes().all(|c| c.is_ascii_lowercase() || c == b'_'), "{word}");
        }
    }

    #[test]
    fn a_refusal_names_each_deviation_once_and_its_place() {
        let mut quirks = Quirks::default();
        assert_eq!(quirks.refusal(), None);
        quirks.note(Quirk::CapitalOp, "Operations[0].op");
        quirks.note(Quirk::StringBoolean, "active");
        quirks.note(Quirk::CapitalOp, "Operations[1].op");
        let refusal = quirks.refusal().unwrap();
        assert_eq!((refusal.status, &refusal.quirks), (400, &quirks.kinds()));
        assert!(refusal.detail.contains("capital_op (`Operations[0].op`: "), "{}", refusal.detail);
        assert!(refusal.detail.contains("string_boolean (`active`: "), "{}", refusal.detail);
        assert!(!refusal.detail.contains("Operations[1]"), "{}", refusal.detail);
    }
}
