//! Where a request left the RFC and was understood all the same.

/// One habit of an identity provider, for a metric's label. None of them is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Quirk {
    /// `"True"` or `"False"` for a boolean.
    StringBoolean,
    /// `Add`, `Replace`, `Remove`.
    CapitalOp,
    /// A path as a key: `name.givenName`, `urn:…:User:department`.
    DottedKey,
    /// The manager as a plain id.
    BareManager,
    /// A plain value where an entry with a `value` belongs.
    BareValue,
    /// One value where a list belongs.
    SingleValue,
    /// Several entries marked primary; the first one stayed so.
    ManyPrimaries,
    UnknownAttribute,
    UnknownSchema,
    /// An `id` among the values of a PATCH.
    IdInValue,
    /// A `remove` that lists what to remove in `value`.
    RemoveWithValue,
    ReadOnlyIgnored,
    /// A PATCH without the `schemas` of RFC 7644 section 3.5.2.
    MissingPatchSchema,
}

impl Quirk {
    pub const ALL: [Self; 13] = [
        Self::StringBoolean,
        Self::CapitalOp,
        Self::DottedKey,
        Self::BareManager,
        Self::BareValue,
        Self::SingleValue,
        Self::ManyPrimaries,
        Self::UnknownAttribute,
        Self::UnknownSchema,
        Self::IdInValue,
        Self::RemoveWithValue,
        Self::ReadOnlyIgnored,
        Self::MissingPatchSchema,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Self::StringBoolean => "string_boolean",
            Self::CapitalOp => "capital_op",
            Self::DottedKey => "dotted_key",
            Self::BareManager => "bare_manager",
            Self::BareValue => "bare_value",
            Self::SingleValue => "single_value",
            Self::ManyPrimaries => "many_primaries",
            Self::UnknownAttribute => "unknown_attribute",
            Self::UnknownSchema => "unknown_schema",
            Self::IdInValue => "id_in_value",
            Self::RemoveWithValue => "remove_with_value",
            Self::ReadOnlyIgnored => "read_only_ignored",
            Self::MissingPatchSchema => "missing_patch_schema",
        }
    }
}

/// The quirks of one request, each once, in the order they were met.
#[derive(Clone, Debug, Default)]
pub(super) struct Quirks(Vec<Quirk>);

impl Quirks {
    pub(super) fn note(&mut self, quirk: Quirk) {
        if !self.0.contains(&quirk) {
            self.0.push(quirk);
        }
    }

    pub(super) fn into_vec(self) -> Vec<Quirk> {
        self.0
    }
}
