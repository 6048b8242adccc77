//! What a client wants listed: the query of a GET (RFC 7644 section 3.4.2) or the body of a search
//! (section 3.4.3), held against the types that are listed.

use serde_json::{Map, Value};

use super::error::{Error, ScimType};
use super::filter::Filter;
use super::path::{AttrPath, shorten};
use super::projection::Projection;
use super::quirk::{Quirk, Quirks};
use super::resource::ResourceKind;
use super::schema::ResourceType;
use super::sort::SortBy;

/// The URN of a list response.
pub const LIST_URN: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// The URN of a search.
pub const SEARCH_URN: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

/// The page a client gets that asks for none.
pub const DEFAULT_COUNT: usize = 100;
/// The longest page, as the service provider configuration says.
pub const MAX_COUNT: usize = 1000;

/// The store counts in signed 64-bit integers.
const LARGEST: usize = i64::MAX as usize;

/// What a client wants listed, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct ListQuery {
    pub filter: Option<Filter>,
    /// None: in the order of creation.
    pub sort: Option<SortBy>,
    pub start: Start,
    /// At most so many; 0 asks for the total only.
    pub count: usize,
    /// Where the query left the RFCs.
    pub quirks: Quirks,
    /// For each type that is listed.
    projections: Vec<(ResourceKind, Projection)>,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// At this place in the list, counted from 1 (RFC 7644 section 3.4.2.4).
    Index(usize),
    /// After the page that this cursor came with; none: at the beginning (RFC 9865 section 2).
    Cursor(Option<String>),
}

impl ListQuery {
    /// Reads the pairs of a query string, already decoded. Names ignore case; unknown ones are
    /// left alone, and of one given twice the last counts.
    pub fn parse(pairs: &[(String, String)], types: &[&ResourceType]) -> Result<Self, Error> {
        let given = |wanted: &str| {
            let mut pairs = pairs.iter().rev();
            pairs.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim())
        };
        let get = |wanted: &str| given(wanted).filter(|value| !value.is_empty());
        let number = |name: &str| get(name).map(|text| whole(text).ok_or_else(|| shorten(text)));
        let names = |name: &str| get(name).into_iter().flat_map(|text| text.split(','));
        Parameters {
            filter: get("filter").map(str::to_owned),
            sort_by: get("sortBy").map(str::to_owned),
            sort_order: get("sortOrder").map(str::to_owned),
            start_index: number("startIndex"),
            count: number("count"),
            // An empty one asks for the first page.
            cursor: given("cursor").map(str::to_owned),
            attributes: names("attributes").map(str::to_owned).collect(),
            excluded: names("excludedAttributes").map(str::to_owned).collect(),
        }
        .check(types, Quirks::default())
    }

    /// Reads the body of a search. Names ignore case, and null is as good as nothing.
    pub fn parse_search(body: Value, types: &[&ResourceType]) -> Result<Self, Error> {
        let Value::Object(body) = body else {
            return Err(Error::invalid_syntax("a search is a JSON object"));
        };
        let mut quirks = Quirks::default();
        let schemas = list(&body, "schemas")?;
        if schemas.is_empty() {
            quirks.note(Quirk::MissingSchemas, "schemas");
        } else if !schemas.iter().any(|urn| urn.eq_ignore_ascii_case(SEARCH_URN)) {
            return Err(Error::invalid_syntax(format!(
                "`schemas` of a search is [\"{SEARCH_URN}\"]"
            )));
        }
        let full = |name: &str| -> Result<Option<String>, Error> {
            Ok(text(&body, name)?.filter(|text| !text.trim().is_empty()))
        };
        Parameters {
            filter: full("filter")?,
            sort_by: full("sortBy")?,
            sort_order: full("sortOrder")?,
            start_index: integer(&body, "startIndex"),
            count: integer(&body, "count"),
            cursor: text(&body, "cursor")?,
            attributes: list(&body, "attributes")?,
            excluded: list(&body, "excludedAttributes")?,
        }
        .check(types, quirks)
    }

    /// The types that are listed, and what is shown of each.
    pub fn projections(&self) -> impl Iterator<Item = (ResourceKind, &Projection)> {
        self.projections.iter().map(|(kind, projection)| (*kind, projection))
    }
}

/// A number, or what was written in its place.
type Number = Option<Result<usize, String>>;

/// What was asked for, in whichever form.
struct Parameters {
    filter: Option<String>,
    sort_by: Option<String>,
    sort_order: Option<String>,
    start_index: Number,
    count: Number,
    cursor: Option<String>,
    attributes: Vec<String>,
    excluded: Vec<String>,
}

impl Parameters {
    fn check(self, types: &[&ResourceType], mut quirks: Quirks) -> Result<ListQuery, Error> {
        let filter = match &self.filter {
            None => None,
            Some(text) => Some(Filter::parse_noting(text, &mut quirks)?),
        };
        if let Some(filter) = &filter {
            filter.check_any(types)?;
            for ty in types {
                quirks.extend(filter.quirks(ty));
            }
        }
        let order = self.sort_order.as_deref().map(str::trim);
        // Without `sortBy`, `sortOrder` says nothing.
        let mut by = |text: &String| {
            let text = text.trim();
            let path = AttrPath::parse(text, None)?;
            if types.iter().any(|ty| path.is_unqualified(ty)) {
                quirks.note(Quirk::UnqualifiedName, text);
            }
            SortBy::parse(text, order, types)
        };
        let (start, count) = page(self.start_index, self.count, self.cursor)?;
        let projection = |ty: &&ResourceType| {
            Ok((ty.kind, Projection::of(&self.attributes, &self.excluded, ty)?))
        };
        Ok(ListQuery {
            sort: self.sort_by.as_ref().map(&mut by).transpose()?,
            filter,
            start,
            count,
            projections: types.iter().map(projection).collect::<Result<_, Error>>()?,
            quirks,
        })
    }
}

fn page(start: Number, count: Number, cursor: Option<String>) -> Result<(Start, usize), Error> {
    let wrong = |scim_type, name: &str, text: &str| {
        Error::bad_request(scim_type, format!("`{name}` is not a whole number: `{text}`"))
    };
    let start =
        start.transpose().map_err(|text| wrong(ScimType::InvalidValue, "startIndex", &text))?;
    let Some(cursor) = cursor else {
        let count =
            count.transpose().map_err(|text| wrong(ScimType::InvalidValue, "count", &text))?;
        // RFC 7644 section 3.4.2.4: less than 1 is 1.
        let start = Start::Index(start.unwrap_or(1).max(1));
        return Ok((start, count.unwrap_or(DEFAULT_COUNT).min(MAX_COUNT)));
    };
    if start.is_some() {
        return Err(Error::invalid_value(
            "a page begins at a `startIndex` or at a `cursor`, not both",
        ));
    }
    let count = count.transpose().map_err(|text| wrong(ScimType::InvalidCount, "count", &text))?;
    // RFC 9865 section 2.1 does not have a count cut down in silence.
    let count = count.unwrap_or(DEFAULT_COUNT);
    if count > MAX_COUNT {
        let detail = format!("`count` is between 0 and {MAX_COUNT}");
        return Err(Error::bad_request(ScimType::InvalidCount, detail));
    }
    let cursor = cursor.trim();
    Ok((Start::Cursor((!cursor.is_empty()).then(|| cursor.to_owned())), count))
}

/// A whole number, with negative ones as 0 and those too large for us as the largest.
fn whole(text: &str) -> Option<usize> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let value = digits.parse::<usize>().unwrap_or(LARGEST).min(LARGEST);
    Some(if negative { 0 } else { value })
}

fn member<'a>(body: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let mut members = body.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    members.next_back().map(|(_, value)| value).filter(|value| !value.is_null())
}

fn text(body: &Map<String, Value>, name: &str) -> Result<Option<String>, Error> {
    match member(body, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Error::invalid_syntax(format!("`{name}` of a search is a string"))),
    }
}

fn list(body: &Map<String, Value>, name: &str) -> Result<Vec<String>, Error> {
    let wrong = || Error::invalid_syntax(format!("`{name}` of a search is a list of strings"));
    match member(body, name) {
        None => Ok(Vec::new()),
        Some(Value::Array(entries)) => entries
            .iter()
            .map(|entry| entry.as_str().map(str::to_owned).ok_or_else(wrong))
            .collect(),
        Some(_) => Err(wrong()),
    }
}

fn integer(body: &Map<String, Value>, name: &str) -> Number {
    let value = member(body, name)?;
    Some(match value {
        Value::Number(number) => {
            whole(&number.to_string()).ok_or_else(|| shorten(&number.to_string()))
        }
        other => Err(shorten(&other.to_string())),
    })
}

#[cfg(test)]
#[path = "list_tests.rs"]
mod tests;
