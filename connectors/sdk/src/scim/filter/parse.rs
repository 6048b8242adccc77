//! Filters as text: the grammar of RFC 7644 figure 1, with limits.

use serde_json::Value;
use winnow::Parser as _;
use winnow::combinator::{alt, opt};
use winnow::error::ContextError;
use winnow::token::{any, one_of, take_while};

use super::{CompareOp, Filter};
use crate::scim::error::Error;
use crate::scim::path::{AttrPath, name, shorten};
use crate::scim::quirk::{Quirk, Quirks};

/// The longest filter in bytes. The URL carries it, so real ones are far shorter.
const MAX_LENGTH: usize = 16 * 1024;
/// How deep parentheses and brackets may nest. The parser, the evaluation and `Drop` recurse, and
/// a stack overflow would end the process.
const MAX_DEPTH: usize = 32;
/// How many comparisons a filter may have: each costs a look at every resource of a scan.
const MAX_TERMS: usize = 1000;

impl Filter {
    /// Reads a filter. What is wrong is said with the byte it starts at.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::parse_noting(text, &mut Quirks::default())
    }

    /// The same, and says what was understood although the grammar does not have it.
    pub(in crate::scim) fn parse_noting(text: &str, quirks: &mut Quirks) -> Result<Self, Error> {
        let mut parser = Parser::new(text, text)?;
        parser.blanks();
        let filter = parser.any_of(false)?;
        if !parser.rest.is_empty() {
            return Err(parser.wrong("`and`, `or` or the end"));
        }
        if let Some(path) = parser.compared {
            quirks.note(Quirk::ComparedValuePath, &path.to_string());
        }
        Ok(filter)
    }
}

/// Reads the filter of a PATCH path, of which `rest` follows the `[`; answers with what follows
/// the `]`.
pub(crate) fn bracketed<'a>(path: &'a str, rest: &'a str) -> Result<(Filter, &'a str), Error> {
    let mut parser = Parser::new(path, rest)?;
    let filter = parser.inside(']', true)?;
    Ok((filter, parser.rest))
}

struct Parser<'a> {
    /// The whole text, for offsets.
    whole: &'a str,
    /// What is still to be read, always the end of `whole`.
    rest: &'a str,
    depth: usize,
    terms: usize,
    /// A value path that was compared, as Entra does.
    compared: Option<AttrPath>,
}

impl<'a> Parser<'a> {
    fn new(whole: &'a str, rest: &'a str) -> Result<Self, Error> {
        if whole.len() > MAX_LENGTH {
            return Err(Error::invalid_filter(format!(
                "the filter is longer than {MAX_LENGTH} bytes"
            )));
        }
        Ok(Self { whole, rest, depth: 0, terms: 0, compared: None })
    }

    fn wrong(&self, expected: &str) -> Error {
        let offset = self.whole.len() - self.rest.len();
        let found = match self.rest.split([' ', '\t']).find(|word| !word.is_empty()) {
            Some(word) => format!("found `{}`", shorten(word)),
            None => "the filter ends".to_owned(),
        };
        Error::invalid_filter(format!(
            "the filter is wrong at byte {offset}: expected {expected}, {found}"
        ))
    }

    /// Runs a winnow parser over what is left; without a match nothing is consumed.
    fn take<T>(&mut self, mut token: impl winnow::Parser<&'a str, T, ContextError>) -> Option<T> {
        let mut rest = self.rest;
        let value = token.parse_next(&mut rest).ok()?;
        self.rest = rest;
        Some(value)
    }

    fn blanks(&mut self) -> bool {
        self.take(blank).is_some()
    }

    /// Consumes `word` in any case, if it ends there.
    fn keyword(&mut self, word: &str) -> bool {
        let Some(start) = self.rest.get(..word.len()) else { return false };
        let after = self.rest[word.len()..].chars().next();
        let ends = after.is_none_or(|c| matches!(c, ' ' | '\t' | '(' | ')' | ']' | '['));
        let found = ends && start.eq_ignore_ascii_case(word);
        if found {
            self.rest = &self.rest[word.len()..];
        }
        found
    }

    /// Consumes a keyword between two operands, with the blanks around it.
    fn joined_by(&mut self, word: &str) -> bool {
        let before = self.rest;
        let found = self.blanks() && self.keyword(word);
        if found {
            self.blanks();
        } else {
            self.rest = before;
        }
        found
    }

    /// `a or b or c`; `and` binds tighter (RFC 7644 section 3.4.2.2).
    fn any_of(&mut self, entry: bool) -> Result<Filter, Error> {
        let mut parts = vec![self.all_of(entry)?];
        while self.joined_by("or") {
            parts.push(self.all_of(entry)?);
        }
        self.blanks();
        Ok(one_or(parts, Filter::Or))
    }

    fn all_of(&mut self, entry: bool) -> Result<Filter, Error> {
        let mut parts = vec![self.term(entry)?];
        while self.joined_by("and") {
            parts.push(self.term(entry)?);
        }
        Ok(one_or(parts, Filter::And))
    }

    /// A filter up to the bracket that closes it, one level down.
    fn inside(&mut self, close: char, entry: bool) -> Result<Filter, Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Error::invalid_filter(format!(
                "the filter is nested deeper than {MAX_DEPTH} levels"
            )));
        }
        self.blanks();
        let filter = self.any_of(entry)?;
        let Some(rest) = self.rest.strip_prefix(close) else {
            return Err(self.wrong(&format!("`and`, `or` or `{close}`")));
        };
        self.rest = rest;
        self.depth -= 1;
        Ok(filter)
    }

    fn term(&mut self, entry: bool) -> Result<Filter, Error> {
        if let Some(rest) = self.rest.strip_prefix('(') {
            self.rest = rest;
            return self.inside(')', entry);
        }
        // The grammar writes `not(`, its examples `not (`; both are sent. An attribute might be
        // called `not`, so the parenthesis decides.
        let before = self.rest;
        if self.keyword("not") {
            self.blanks();
            if let Some(rest) = self.rest.strip_prefix('(') {
                self.rest = rest;
                return Ok(Filter::Not(Box::new(self.inside(')', entry)?)));
            }
            self.rest = before;
        }
        self.attribute_term(entry)
    }

    fn attribute_term(&mut self, entry: bool) -> Result<Filter, Error> {
        self.terms += 1;
        if self.terms > MAX_TERMS {
            return Err(Error::invalid_filter(format!(
                "the filter has more than {MAX_TERMS} comparisons"
            )));
        }
        let before = self.rest;
        let path = self.take(path_text).and_then(AttrPath::split);
        let Some(path) = path else {
            self.rest = before;
            return Err(self.wrong("an attribute, `not` or `(`"));
        };
        // Entries hold no entries: figure 1 allows no value path inside a value path.
        if !entry && let Some(rest) = self.rest.strip_prefix('[') {
            self.rest = rest;
            let mut filter = self.inside(']', true)?;
            if let Some(sub) = self.compared_sub() {
                self.compared.get_or_insert_with(|| path.clone());
                let compared = AttrPath { schema: None, attribute: sub, sub: None };
                filter = Filter::And(vec![filter, self.comparison(compared)?]);
            }
            return Ok(Filter::ValuePath { path, filter: Box::new(filter) });
        }
        self.comparison(path)
    }

    /// Entra looks people up by `emails[type eq "work"].value eq "…"`, and its documentation has
    /// the same without `.value`. The grammar has neither; what is meant is one entry that fulfils
    /// both.
    fn compared_sub(&mut self) -> Option<String> {
        if let Some(rest) = self.rest.strip_prefix('.') {
            self.rest = rest;
            return self.take(name).map(str::to_owned);
        }
        let before = self.rest;
        let mut operators = CompareOp::ALL.into_iter().map(CompareOp::word).chain(["pr"]);
        let compared = self.blanks() && operators.any(|word| self.keyword(word));
        self.rest = before;
        compared.then(|| "value".to_owned())
    }

    /// What follows the path of a comparison.
    fn comparison(&mut self, path: AttrPath) -> Result<Filter, Error> {
        if !self.blanks() {
            return Err(self.wrong("an operator"));
        }
        if self.keyword("pr") {
            return Ok(Filter::Present(path));
        }
        let Some(op) = CompareOp::ALL.into_iter().find(|op| self.keyword(op.word())) else {
            return Err(self.wrong("an operator (eq, ne, co, sw, ew, gt, ge, lt, le, pr)"));
        };
        self.blanks();
        let value = self.value()?;
        Ok(Filter::Compare { path, op, value })
    }

    fn value(&mut self) -> Result<Value, Error> {
        const EXPECTED: &str = "a value: a string in double quotes, a number, true, false or null";
        for (word, value) in
            [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)]
        {
            if self.keyword(word) {
                return Ok(value);
            }
        }
        let before = self.rest;
        // The form of strings and numbers is JSON's (RFC 7644 figure 1), and serde_json reads it.
        let value = self
            .take(alt((quoted, number)))
            .and_then(|text| serde_json::from_str::<Value>(text).ok());
        let ends = self.rest.chars().next().is_none_or(|c| matches!(c, ' ' | '\t' | ')' | ']'));
        match value {
            Some(value) if ends => Ok(value),
            _ => {
                self.rest = before;
                Err(self.wrong(EXPECTED))
            }
        }
    }
}

/// A list of one is that one.
fn one_or(mut parts: Vec<Filter>, join: fn(Vec<Filter>) -> Filter) -> Filter {
    match parts.pop() {
        Some(only) if parts.is_empty() => only,
        Some(last) => {
            parts.push(last);
            join(parts)
        }
        None => join(parts),
    }
}

type Token<'a> = winnow::Result<&'a str, ContextError>;

fn blank<'a>(input: &mut &'a str) -> Token<'a> {
    take_while(1.., (' ', '\t')).parse_next(input)
}

/// What may be an attribute path: [`AttrPath::split`] decides.
fn path_text<'a>(input: &mut &'a str) -> Token<'a> {
    take_while(1.., |c: char| c.is_ascii_graphic() && !matches!(c, '(' | ')' | '[' | ']' | '"'))
        .parse_next(input)
}

fn quoted<'a>(input: &mut &'a str) -> Token<'a> {
    let body = winnow::combinator::repeat::<_, _, (), _, _>(
        0..,
        alt((('\\', any).take(), take_while(1.., |c: char| c != '"' && c != '\\'))),
    );
    ('"', body, '"').take().parse_next(input)
}

fn number<'a>(input: &mut &'a str) -> Token<'a> {
    (
        opt('-'),
        one_of('0'..='9'),
        take_while(0.., |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-')),
    )
        .take()
        .parse_next(input)
}
