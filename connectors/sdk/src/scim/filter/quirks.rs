//! What a filter says in other words than the RFC's.

use super::{Filter, Names};
use crate::scim::path::AttrPath;
use crate::scim::quirk::{Quirk, Quirks};
use crate::scim::schema::{Attribute, AttributeType, Found, ResourceType};

impl Filter {
    /// The deviations of a filter that has been checked.
    pub fn quirks(&self, ty: &ResourceType) -> Quirks {
        let mut quirks = Quirks::default();
        collect(self, Names::Resource(ty), &mut quirks);
        quirks
    }

    /// The same for the filter in `attribute[…]`.
    pub(crate) fn entry_quirks(&self, attribute: &Attribute) -> Quirks {
        let mut quirks = Quirks::default();
        collect(self, Names::Entry(attribute), &mut quirks);
        quirks
    }
}

fn collect(filter: &Filter, names: Names<'_>, quirks: &mut Quirks) {
    match filter {
        Filter::And(parts) | Filter::Or(parts) => {
            for part in parts {
                collect(part, names, quirks);
            }
        }
        Filter::Not(inner) => collect(inner, names, quirks),
        Filter::Compare { path, value, .. } => {
            unqualified(path, names, quirks);
            if value.is_string()
                && let Some(Found::Attribute { attribute, sub, .. }) = names.find(path)
                && let Some(compared) = sub.unwrap_or(attribute).compared()
                && compared.kind == AttributeType::Boolean
            {
                quirks.note(Quirk::StringBoolean, &path.to_string());
            }
        }
        Filter::ValuePath { path, filter } => {
            unqualified(path, names, quirks);
            if let Some(Found::Attribute { attribute, .. }) = names.find(path) {
                collect(filter, Names::Entry(attribute), quirks);
            }
        }
        Filter::Present(path) => unqualified(path, names, quirks),
    }
}

fn unqualified(path: &AttrPath, names: Names<'_>, quirks: &mut Quirks) {
    if let Names::Resource(ty) = names
        && path.is_unqualified(ty)
    {
        quirks.note(Quirk::UnqualifiedName, &path.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::{ResourceKind, Schemas};

    #[test]
    fn a_boolean_in_quotes_and_a_name_without_its_urn_are_deviations_wherever_they_stand() {
        let schemas = Schemas::builtin();
        let ty = schemas.of(ResourceKind::User);
        for (text, expected) in [
            ("active eq true", vec![]),
            ("active eq \"True\"", vec![Quirk::StringBoolean]),
            ("userName eq \"true\"", vec![]),
            ("not (title pr or emails[primary ne \"false\"])", vec![Quirk::StringBoolean]),
            ("emails[type eq \"true\"] and emails.primary eq true", vec![]),
            ("emails.primary eq \"TRUE\"", vec![Quirk::StringBoolean]),
            ("title pr and department eq \"IT\"", vec![Quirk::UnqualifiedName]),
            ("not (manager pr)", vec![Quirk::UnqualifiedName]),
            ("manager[value eq \"x\"]", vec![Quirk::UnqualifiedName]),
        ] {
            let filter = Filter::parse(text).unwrap();
            filter.check(ty).unwrap();
            assert_eq!(filter.quirks(ty).kinds(), expected, "{text}");
        }
    }
}
