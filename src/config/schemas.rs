//! `[[organizations.NAME.schemas]]`: extension schemas, held to RFC 7643 section 7.

use scim_relay_sdk::scim::{
    Attribute, AttributeType, GROUP_URN, Mutability, Returned, Schema, Schemas, USER_URN,
};

use super::file;
use super::source::Sheet;

/// The builtin schemas with those that the organization declares.
pub(super) fn schemas(path: &str, written: &file::Organization, sheet: &mut Sheet) -> Schemas {
    let mut declared: Vec<Schema> = Vec::new();
    let mut all = Vec::new();
    for (number, schema) in written.schemas.iter().enumerate() {
        let path = format!("{path}.schemas.{number}");
        let id = schema.id.as_str();
        let id_path = format!("{path}.id");
        if !id.to_ascii_lowercase().starts_with("urn:") || id.contains(char::is_whitespace) {
            sheet.error(&id_path, format!("`{id}` is not a URN")).help(
                "write it like \"urn:example:params:scim:schemas:extension:school:2.0:User\"",
            );
        } else if [USER_URN, GROUP_URN].iter().any(|core| core.eq_ignore_ascii_case(id)) {
            sheet
                .error(&id_path, format!("`{id}` is a core schema, which is there already"))
                .help("declare what you add as an extension with a URN of its own");
        } else if declared.iter().any(|other| other.id.eq_ignore_ascii_case(id)) {
            sheet.error(&id_path, format!("`{id}` is declared twice"));
        }
        let list = format!("{path}.attributes");
        if schema.attributes.is_empty() {
            sheet.error(&list, format!("`{id}` has no attributes"));
        }
        let schema = Schema {
            id: id.to_owned(),
            name: schema.name.clone().unwrap_or_else(|| short_name(id).to_owned()),
            description: schema.description.clone(),
            attributes: attributes(&list, &schema.attributes, sheet),
        };
        declared.push(schema.clone());
        all.push((written.schemas[number].resource.into(), schema));
    }
    Schemas::with(all)
}

/// What a URN is about: `building` in `...:extension:building:2.0:User`.
fn short_name(urn: &str) -> &str {
    let parts: Vec<&str> = urn.split(':').collect();
    match parts.as_slice() {
        [.., name, version, _] if version.starts_with(|c: char| c.is_ascii_digit()) => name,
        [.., last] => last,
        [] => urn,
    }
}

fn attributes(list: &str, written: &[file::Attribute], sheet: &mut Sheet) -> Vec<Attribute> {
    let mut attributes: Vec<Attribute> = Vec::new();
    for (number, one) in written.iter().enumerate() {
        let path = format!("{list}.{number}");
        let name = format!("{path}.name");
        if !is_attribute_name(&one.name) {
            sheet
                .error(&name, format!("`{}` cannot be an attribute's name", one.name))
                .help("a letter first, then letters, digits, `-`, `_` and `$` (RFC 7643)");
        } else if attributes.iter().any(|other| other.name.eq_ignore_ascii_case(&one.name)) {
            sheet
                .error(&name, format!("the attribute `{}` is there twice", one.name))
                .help("names of attributes differ by more than upper and lower case");
        }
        attributes.push(attribute(&path, one, sheet));
    }
    attributes
}

fn attribute(path: &str, written: &file::Attribute, sheet: &mut Sheet) -> Attribute {
    let file::Attribute { name, kind, sub_attributes, canonical_values, .. } = written;
    let mut attribute = Attribute::new(name, (*kind).into(), &written.description);
    attribute.multi_valued = written.multi_valued;
    attribute.required = written.required;
    attribute.case_exact |= written.case_exact;
    attribute.mutability = written.mutability.into();
    attribute.returned = returned(path, written, sheet);

    let textual = matches!(attribute.kind, AttributeType::String | AttributeType::Reference);
    if !canonical_values.is_empty() && !textual {
        let message = format!("`{name}` is a {}, and only texts have", attribute.kind.word());
        let path = format!("{path}.canonical_values");
        sheet.error(&path, format!("{message} canonical values"));
    }
    attribute.canonical_values.clone_from(canonical_values);
    if attribute.kind == AttributeType::Reference {
        // An address outside of SCIM, or any other URI (RFC 7643 section 7).
        attribute = attribute.reference_types(&["external", "uri"]);
    }

    let list = format!("{path}.sub_attributes");
    match (attribute.kind, sub_attributes.as_slice()) {
        (AttributeType::Complex, []) => {
            sheet
                .error(&format!("{path}.type"), format!("`{name}` is complex and has no parts"))
                .help("name them: `sub_attributes = [{ name = \"value\", type = \"string\" }]`");
        }
        (AttributeType::Complex, subs) => {
            for (number, sub) in subs.iter().enumerate() {
                // RFC 7643 section 2.3.8.
                if sub.kind == file::Type::Complex {
                    let path = format!("{list}.{number}.type");
                    sheet.error(&path, format!("a part of `{name}` cannot be complex itself"));
                }
            }
            attribute.sub_attributes = attributes(&list, subs, sheet);
        }
        (_, []) => {}
        _ => {
            sheet
                .error(&list, format!("`{name}` has parts and is not complex"))
                .help("write `type = \"complex\"`");
        }
    }
    attribute
}

/// What can only be written is never returned (RFC 7643 section 7).
fn returned(path: &str, written: &file::Attribute, sheet: &mut Sheet) -> Returned {
    let returned = written.returned.map(Returned::from);
    if Mutability::from(written.mutability) != Mutability::WriteOnly {
        return returned.unwrap_or(Returned::Default);
    }
    if returned.is_some_and(|returned| returned != Returned::Never) {
        let message = format!("`{}` is writeOnly, so it is never returned", written.name);
        sheet.error(&format!("{path}.returned"), message).help("leave `returned` out");
    }
    Returned::Never
}

/// RFC 7643 section 2.1: `ATTRNAME = ALPHA *(nameChar)`.
fn is_attribute_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '$'))
}
