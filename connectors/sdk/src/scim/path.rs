//! Attribute paths: in filters, in projections, and in PATCH (RFC 7644 section 3.10 and figure 7).

use std::fmt;

use winnow::Parser as _;
use winnow::combinator::{alt, opt, preceded};
use winnow::error::ContextError;
use winnow::token::{one_of, take_while};

use super::error::Error;
use super::filter::{self, Filter};
use super::schema::{AttributeType, Found, ResourceType};

/// An attribute, a sub-attribute, or (with an empty `attribute`) a whole extension.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AttrPath {
    /// The schema's URN; none for core and common attributes once the path has been resolved.
    pub schema: Option<String>,
    pub attribute: String,
    pub sub: Option<String>,
}

impl AttrPath {
    /// Reads a path. With `ty`, names and URNs become canonical and an unknown one is refused;
    /// without, only the form is checked.
    pub fn parse(text: &str, ty: Option<&ResourceType>) -> Result<Self, Error> {
        let path = Self::split(text).ok_or_else(|| {
            Error::invalid_path(format!("`{}` is not an attribute path", shorten(text)))
        })?;
        match ty {
            None => Ok(path),
            Some(ty) => path.resolve(ty).ok_or_else(|| {
                Error::invalid_path(format!(
                    "`{}` is not an attribute of a {}",
                    shorten(text),
                    ty.kind
                ))
            }),
        }
    }

    /// Reads the form of a path. The attribute follows the last colon, since attribute names
    /// hold none; what does not read so can only be a whole URN.
    pub(super) fn split(text: &str) -> Option<Self> {
        let Some((schema, rest)) = text.rsplit_once(':') else {
            let (attribute, sub) = dotted(text)?;
            return Some(Self { schema: None, attribute, sub });
        };
        if !is_urn(text) {
            return None;
        }
        Some(match dotted(rest) {
            Some((attribute, sub)) if is_urn(schema) => {
                Self { schema: Some(schema.to_owned()), attribute, sub }
            }
            _ => Self { schema: Some(text.to_owned()), attribute: String::new(), sub: None },
        })
    }

    /// The same path under canonical names.
    pub fn resolve(&self, ty: &ResourceType) -> Option<Self> {
        Some(match ty.find(self)? {
            Found::Extension(schema) => {
                Self { schema: Some(schema.id.clone()), attribute: String::new(), sub: None }
            }
            Found::Attribute { extension, attribute, sub } => Self {
                schema: extension.map(|schema| schema.id.clone()),
                attribute: attribute.name.clone(),
                sub: sub.map(|sub| sub.name.clone()),
            },
        })
    }

    /// Whether the path, as it was sent, names an extension's attribute without the URN.
    pub(super) fn is_unqualified(&self, ty: &ResourceType) -> bool {
        self.schema.is_none()
            && matches!(ty.find(self), Some(Found::Attribute { extension: Some(_), .. }))
    }

    /// Whether the path names all attributes of an extension.
    pub fn is_extension(&self) -> bool {
        self.attribute.is_empty()
    }
}

impl fmt::Display for AttrPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.schema {
            f.write_str(schema)?;
            if !self.attribute.is_empty() {
                f.write_str(":")?;
            }
        }
        f.write_str(&self.attribute)?;
        if let Some(sub) = &self.sub {
            write!(f, ".{sub}")?;
        }
        Ok(())
    }
}

/// `attribute` or `attribute.sub`.
fn dotted(text: &str) -> Option<(String, Option<String>)> {
    let mut path = (name, opt(preceded('.', name)));
    let (attribute, sub) = path.parse(text).ok()?;
    Some((attribute.to_owned(), sub.map(str::to_owned)))
}

/// An attribute name (RFC 7644 figure 1); `$ref` has its dollar from RFC 7643 section 2.4.
pub(super) fn name<'a>(input: &mut &'a str) -> winnow::Result<&'a str, ContextError> {
    (
        alt((one_of('$'), one_of(|c: char| c.is_ascii_alphabetic()))),
        take_while(0.., |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '$')),
    )
        .take()
        .parse_next(input)
}

fn is_urn(text: &str) -> bool {
    text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("urn:"))
        && text.len() > 4
        && text.chars().all(|c| c.is_ascii_graphic())
}

/// A client's text for an error message: a long one helps nobody.
pub(super) fn shorten(text: &str) -> String {
    const LONGEST: usize = 120;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}

/// The target of a PATCH operation: an attribute, or the entries of a multi-valued one that a
/// filter selects, and of these perhaps a sub-attribute.
#[derive(Clone, Debug, PartialEq)]
pub struct PatchPath {
    pub attr: AttrPath,
    pub filter: Option<Filter>,
    /// The sub-attribute after the filter; without a filter it is in `attr`.
    pub sub: Option<String>,
}

impl PatchPath {
    /// Reads a path and makes its names canonical; what `ty` does not have is refused.
    pub fn parse(text: &str, ty: &ResourceType) -> Result<Self, Error> {
        let Some((attr, rest)) = text.split_once('[') else {
            return Ok(Self { attr: AttrPath::parse(text, Some(ty))?, filter: None, sub: None });
        };
        let attr = AttrPath::parse(attr, Some(ty))?;
        let attribute = match ty.find(&attr) {
            Some(Found::Attribute { attribute, sub: None, .. }) if attribute.multi_valued => {
                attribute
            }
            _ => {
                return Err(Error::invalid_path(format!(
                    "`{attr}` has one value only, so no filter can select among them"
                )));
            }
        };
        let (filter, rest) = filter::bracketed(text, rest)?;
        filter.check_entries(attribute)?;
        let sub = match rest.strip_prefix('.') {
            None if rest.is_empty() => None,
            Some(sub) if attribute.kind == AttributeType::Complex => {
                let sub = attribute.sub(sub).ok_or_else(|| {
                    let sub = shorten(sub);
                    Error::invalid_path(format!("`{sub}` is not a sub-attribute of `{attr}`"))
                })?;
                Some(sub.name.clone())
            }
            _ => {
                return Err(Error::invalid_path(format!(
                    "`{}` does not continue a path after `]`",
                    shorten(rest)
                )));
            }
        };
        Ok(Self { attr, filter: Some(filter), sub })
    }
}

impl PatchPath {
    /// The path for an error message; its filter may be long.
    pub(super) fn shown(&self) -> String {
        shorten(&self.to_string())
    }

    /// The refusal to remove what must be there (RFC 7644 section 3.5.2.2).
    pub(super) fn required(&self) -> Error {
        Error::mutability(format!("`{}` is required", self.shown()))
    }
}

impl fmt::Display for PatchPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.attr.fmt(f)?;
        if let Some(filter) = &self.filter {
            write!(f, "[{filter}]")?;
        }
        match &self.sub {
            Some(sub) => write!(f, ".{sub}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AttrPath, PatchPath};
    use crate::scim::{
        Attribute, AttributeType, BUILDING_URN, ENTERPRISE_URN, ResourceKind, Schema, Schemas,
        USER_URN,
    };

    /// The canonical form of a path.
    #[track_caller]
    fn check(text: &str, expected: &str) {
        let schemas = Schemas::builtin();
        let path = AttrPath::parse(text, Some(schemas.of(ResourceKind::User))).unwrap();
        assert_eq!(path.to_string(), expected);
        assert_eq!(PatchPath::parse(text, schemas.of(ResourceKind::User)).unwrap().attr, path);
        let unresolved = AttrPath::parse(text, None).unwrap();
        assert_eq!(unresolved.resolve(schemas.of(ResourceKind::User)), Some(path));
    }

    #[track_caller]
    fn check_error(text: &str) {
        let schemas = Schemas::builtin();
        let error = AttrPath::parse(text, Some(schemas.of(ResourceKind::User))).unwrap_err();
        assert_eq!(error.scim_type, Some(crate::scim::ScimType::InvalidPath), "{text}");
    }

    #[test]
    fn names_become_canonical() {
        check("USERNAME", "userName");
        check("name.GIVENNAME", "name.givenName");
        check("meta.lastmodified", "meta.lastModified");
        check("externalid", "externalId");
        check("groups.$REF", "groups.$ref");
    }

    #[test]
    fn a_core_urn_goes_and_an_extension_urn_stays() {
        check(&format!("{USER_URN}:userName"), "userName");
        check(&format!("{}:name.givenName", USER_URN.to_uppercase()), "name.givenName");
        let department = format!("{ENTERPRISE_URN}:department");
        check(&department.to_uppercase(), &department);
        check(
            &format!("{ENTERPRISE_URN}:manager.VALUE"),
            &format!("{ENTERPRISE_URN}:manager.value"),
        );
        check(&format!("{BUILDING_URN}:buildingid"), &format!("{BUILDING_URN}:buildingId"));
    }

    #[test]
    fn a_name_that_one_extension_alone_has_is_that_one() {
        check("Department", &format!("{ENTERPRISE_URN}:department"));
        check("manager.VALUE", &format!("{ENTERPRISE_URN}:manager.value"));
        let schema = |id: &str, names: &[&str]| Schema {
            id: id.to_owned(),
            name: "Own".to_owned(),
            description: String::new(),
            attributes: names
                .iter()
                .map(|name| Attribute::new(name, AttributeType::String, ""))
                .collect(),
        };
        let schemas = Schemas::with([
            (ResourceKind::User, schema("urn:a:1.0:User", &["title", "grade", "shelf"])),
            (ResourceKind::User, schema("urn:b:1.0:User", &["grade"])),
        ]);
        let found = |text: &str| AttrPath::parse(text, Some(schemas.of(ResourceKind::User)));
        assert_eq!(found("shelf").unwrap().to_string(), "urn:a:1.0:User:shelf");
        // The core schema's own goes first, and nobody guesses between two.
        assert_eq!(found("title").unwrap().to_string(), "title");
        assert!(found("grade").is_err());
    }

    #[test]
    fn an_extension_urn_alone_is_the_whole_extension() {
        check(&ENTERPRISE_URN.to_uppercase(), ENTERPRISE_URN);
        check(BUILDING_URN, BUILDING_URN);
        let path = AttrPath::parse("urn:example:1.0", None).unwrap();
        assert!(path.is_extension());
        assert_eq!(path.to_string(), "urn:example:1.0");
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "a.b.c",
            "1a",
            "a b",
            "colour",
            "name.colour",
            "æ",
            "urn:",
            "urn:x",
            "urn:x:y",
            "http://x/y",
            ":userName",
            USER_URN,
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:colour",
        ] {
            check_error(text);
        }
    }

    #[test]
    fn a_patch_path_may_select_entries() {
        let schemas = Schemas::builtin();
        let ty = schemas.of(ResourceKind::User);
        let parse = |text: &str| PatchPath::parse(text, ty).map(|path| path.to_string());
        let selected = "emails[type eq \"work\" and value co \"]\"].value";
        assert_eq!(parse("EMAILS[type eq \"work\" and value co \"]\"].VALUE").unwrap(), selected);
        assert_eq!(parse("emails[primary eq true]").unwrap(), "emails[primary eq true]");
        assert_eq!(parse(&format!("{USER_URN}:ims[type pr]")).unwrap(), "ims[type pr]");
        for text in ["emails[type pr", "emails[type pr]]", "emails[type pr].", "emails[]", "[a pr]"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse(&"emails[".repeat(5_000)).is_err());
        assert!(parse(&format!("emails[{}", "(".repeat(5_000))).is_err());
    }
}
