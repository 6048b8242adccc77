//! The query of a list (RFC 7644 section 3.4.2).

use super::error::Error;
use super::filter::Filter;
use super::path::{AttrPath, shorten};
use super::projection::Projection;
use super::quirk::Quirks;
use super::schema::{Found, ResourceType, Returned};

/// The URN of a list response.
pub const LIST_URN: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// The page a client gets that asks for none.
pub const DEFAULT_COUNT: usize = 100;
/// The longest page, as the service provider configuration says.
pub const MAX_COUNT: usize = 1000;

/// What a client wants listed, checked against the type.
#[derive(Clone, Debug, PartialEq)]
pub struct ListQuery {
    pub filter: Option<Filter>,
    /// The first one to show, from 1.
    pub start_index: usize,
    /// At most so many; 0 asks for the total only.
    pub count: usize,
    /// What the client would have liked; the service provider configuration says that lists come
    /// in the order of creation.
    pub sort_by: Option<AttrPath>,
    pub descending: bool,
    pub projection: Projection,
    pub quirks: Quirks,
}

impl ListQuery {
    /// Reads the pairs of a query string, already decoded. Names ignore case; unknown ones are
    /// left alone, and of one given twice the last counts.
    pub fn parse(pairs: &[(String, String)], ty: &ResourceType) -> Result<Self, Error> {
        let get = |wanted: &str| {
            pairs
                .iter()
                .rev()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
                .map(|(_, value)| value.trim())
                .filter(|value| !value.is_empty())
        };
        let filter = get("filter").map(Filter::parse).transpose()?;
        let mut quirks = Quirks::default();
        if let Some(filter) = &filter {
            filter.check(ty)?;
            quirks = filter.quirks(ty);
        }
        // RFC 7644 section 3.4.2.4: less than 1 is 1, and a negative count is 0.
        let start_index = number("startIndex", get("startIndex"))?.unwrap_or(1).max(1);
        let count = number("count", get("count"))?.unwrap_or(DEFAULT_COUNT).min(MAX_COUNT);
        let descending = get("sortOrder").is_some_and(|v| v.eq_ignore_ascii_case("descending"));
        Ok(Self {
            filter,
            start_index,
            count,
            sort_by: get("sortBy").map(|text| sort_by(text, ty)).transpose()?,
            descending,
            projection: Projection::parse(get("attributes"), get("excludedAttributes"), ty)?,
            quirks,
        })
    }
}

/// The store counts in signed 64-bit integers.
const LARGEST: usize = i64::MAX as usize;

/// A whole number, with negative ones as 0 and those too large for us as the largest.
fn number(name: &str, text: Option<&str>) -> Result<Option<usize>, Error> {
    let Some(text) = text else { return Ok(None) };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(Error::invalid_value(format!(
            "`{name}` is not a whole number: `{}`",
            shorten(text)
        )));
    }
    let value = digits.parse::<usize>().unwrap_or(LARGEST).min(LARGEST);
    Ok(Some(if negative { 0 } else { value }))
}

/// An order tells about the values as much as a filter does.
fn sort_by(text: &str, ty: &ResourceType) -> Result<AttrPath, Error> {
    let path = AttrPath::parse(text, Some(ty))?;
    match ty.find(&path) {
        Some(Found::Attribute { attribute, sub, .. })
            if sub.unwrap_or(attribute).returned != Returned::Never =>
        {
            Ok(path)
        }
        _ => Err(Error::invalid_path(format!("nothing can be sorted by `{path}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::{ResourceKind, Schemas};

    fn parse(query: &[(&str, &str)]) -> Result<ListQuery, Error> {
        let pairs: Vec<_> =
            query.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        ListQuery::parse(&pairs, Schemas::builtin().of(ResourceKind::User))
    }

    #[track_caller]
    fn check(start_index: &str, count: &str, expected: (usize, usize)) {
        let query = parse(&[("startindex", start_index), ("COUNT", count)]).unwrap();
        assert_eq!((query.start_index, query.count), expected, "{start_index}, {count}");
    }

    #[track_caller]
    fn check_error(name: &str, value: &str, expected: &str) {
        let error = parse(&[(name, value)]).unwrap_err();
        assert_eq!(error.status, 400);
        assert!(error.detail.contains(expected), "{}", error.detail);
    }

    #[test]
    fn pages_stay_within_bounds() {
        check("", "", (1, 100));
        check("7", "20", (7, 20));
        check("0", "0", (1, 0));
        check("-5", "-1", (1, 0));
        check("+3", "5000", (3, 1000));
        check("99999999999999999999999", "99999999999999999999999", (LARGEST, 1000));
    }

    #[test]
    fn a_page_is_a_number() {
        for wrong in ["one", "1.5", "1e3", "-", "0x10", "1 2"] {
            check_error("startIndex", wrong, "`startIndex` is not a whole number");
            check_error("count", wrong, "`count` is not a whole number");
        }
    }

    #[test]
    fn filters_and_orders_are_held_against_the_type() {
        let query =
            parse(&[("FILTER", "userName eq \"a\""), ("sortBy", "NAME.familyname")]).unwrap();
        assert_eq!(query.filter.unwrap().to_string(), "userName eq \"a\"");
        assert_eq!(query.sort_by.unwrap().to_string(), "name.familyName");
        assert!(!query.descending);
        check_error("filter", "colour pr", "`colour` is not an attribute");
        check_error("filter", "userName", "byte 8");
        check_error("sortBy", "colour", "`colour` is not an attribute");
        check_error("sortBy", "password", "nothing can be sorted by `password`");
    }

    #[test]
    fn what_is_unknown_is_left_alone() {
        let query = parse(&[("cursor", "x"), ("sortOrder", "Descending"), ("attributes", "id")]);
        let query = query.unwrap();
        assert!(query.descending && query.filter.is_none() && !query.projection.is_default());
    }
}
