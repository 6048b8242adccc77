//! Templates over a resource: Jinja, as administrators write it in mappings.
//!
//! A template is checked when it is read, bounded when it runs (fuel, recursion), and never sees a
//! file, the network or the environment. What it inserts is escaped for where it goes by an
//! [`Escape`], never by the administrator.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, Expression, UndefinedBehavior, Value};
use serde::{Deserialize, Deserializer, de};
use unicode_normalization::UnicodeNormalization;

use super::View;

/// Steps one rendering may take. A mapping needs some tens, a mail some hundreds.
const FUEL: u64 = 50_000;
/// What one rendering may produce, in bytes.
const MAX_OUTPUT: usize = 1 << 20;

/// How a value is written into the text around it.
#[derive(Clone, Copy, Debug)]
pub enum Escape {
    /// As it is, and nothing for a missing value.
    Plain,
    /// Through this function; a missing or empty value is an error, since the text around it
    /// (a DN, a URL) would then name something else.
    Strict(fn(&str) -> String),
}

/// A template that parses. Cheap to evaluate, expensive to make: make it once, at load.
pub struct Template {
    source: String,
    form: Form,
    variables: BTreeSet<String>,
}

enum Form {
    /// Exactly one `{{ expression }}`: keeps its type, so that a list stays a list.
    Expression(Expression<'static, 'static>),
    Text(Environment<'static>),
}

/// A template that does not parse, or a value that could not be made from it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(pub String);

static EXPRESSIONS: LazyLock<Environment<'static>> = LazyLock::new(|| environment(Escape::Plain));

const TEXT: &str = "template";

impl Template {
    /// A mapping: one expression keeps its type, anything else is text without escaping.
    pub fn parse(source: &str) -> Result<Self, TemplateError> {
        match single_expression(source) {
            Some(inner) => {
                let expression = EXPRESSIONS
                    .compile_expression_owned(inner.to_owned())
                    .map_err(|error| syntax(&error))?;
                let variables = expression.undeclared_variables(true).into_iter().collect();
                Ok(Self::known(source, Form::Expression(expression), variables))
            }
            None => Self::parse_escaped(source, Escape::Plain),
        }
    }

    /// Text whose inserted values pass through `escape`.
    pub fn parse_escaped(source: &str, escape: Escape) -> Result<Self, TemplateError> {
        let mut environment = environment(escape);
        environment.add_template_owned(TEXT, source.to_owned()).map_err(|error| syntax(&error))?;
        let variables = environment
            .get_template(TEXT)
            .map_err(|error| syntax(&error))?
            .undeclared_variables(true)
            .into_iter()
            .collect();
        Ok(Self::known(source, Form::Text(environment), variables))
    }

    fn known(source: &str, form: Form, variables: BTreeSet<String>) -> Self {
        Self { source: source.to_owned(), form, variables }
    }

    /// The template as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The variables it looks up: `userName`, `name.givenName`, `groups`.
    pub fn variables(&self) -> &BTreeSet<String> {
        &self.variables
    }

    /// Whether it looks up `root` or anything below it.
    pub fn reads(&self, root: &str) -> bool {
        self.variables.iter().any(|name| name.split('.').next() == Some(root))
    }

    /// Whether it may look up the groups a user is in, be it by `scim("groups...")`.
    pub fn reads_groups(&self) -> bool {
        self.reads("groups") || (self.reads("scim") && self.source.contains("groups"))
    }

    /// The typed value: `Null` when the template yields nothing (an absent or empty value), an
    /// array without such when it yields a list.
    pub fn value(&self, view: &View) -> Result<serde_json::Value, TemplateError> {
        match &self.form {
            Form::Expression(expression) => {
                let value = expression.eval(view.root()).map_err(|error| failed(&error))?;
                to_json(&value)
            }
            Form::Text(_) => {
                let text = self.text(view)?;
                let text = text.trim();
                Ok(if text.is_empty() { serde_json::Value::Null } else { text.into() })
            }
        }
    }

    /// The rendered text.
    pub fn text(&self, view: &View) -> Result<String, TemplateError> {
        let text = match &self.form {
            Form::Expression(expression) => {
                let value = expression.eval(view.root()).map_err(|error| failed(&error))?;
                if is_nothing(&value) { String::new() } else { value.to_string() }
            }
            Form::Text(environment) => environment
                .get_template(TEXT)
                .and_then(|template| template.render(view.root()))
                .map_err(|error| self.explain(&error, view))?,
        };
        if text.len() > MAX_OUTPUT {
            return Err(TemplateError(format!("it yields more than {MAX_OUTPUT} bytes")));
        }
        Ok(text)
    }

    /// Says which variable was missing, where that is what went wrong.
    fn explain(&self, error: &Error, view: &View) -> TemplateError {
        if error.kind() == ErrorKind::UndefinedError {
            let missing: Vec<&str> = self
                .variables
                .iter()
                .map(String::as_str)
                .filter(|name| view.lookup(name).is_none_or(|value| is_nothing(&value)))
                .collect();
            if !missing.is_empty() {
                return TemplateError(format!(
                    "`{}` needs {}, which this resource does not have",
                    self.source,
                    missing.join(", ")
                ));
            }
        }
        failed(error)
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Template").field(&self.source).finish()
    }
}

impl PartialEq for Template {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let source = String::deserialize(deserializer)?;
        Self::parse(&source).map_err(de::Error::custom)
    }
}

/// The environment every template of ours runs in: mail templates use it too.
pub fn environment(escape: Escape) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(50);
    environment.add_filter("ascii", |text: String| ascii(&text));
    match escape {
        Escape::Plain => environment.set_formatter(|out, state, value| {
            let value = if value.is_none() { &Value::UNDEFINED } else { value };
            minijinja::escape_formatter(out, state, value)
        }),
        Escape::Strict(escape) => environment.set_formatter(move |out, _, value| {
            if is_nothing(value) {
                return Err(Error::new(ErrorKind::UndefinedError, "a value is missing"));
            }
            if matches!(value.kind(), ValueKind::Seq | ValueKind::Map | ValueKind::Iterable) {
                return Err(Error::new(
                    ErrorKind::InvalidOperation,
                    "a list or an object cannot be inserted here; choose one value",
                ));
            }
            out.write_str(&escape(&value.to_string())).map_err(Error::from)
        }),
    }
    environment
}

/// Latin letters without their accents, in ASCII; what has no such form is left out.
fn ascii(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.nfkd() {
        match letter {
            letter if letter.is_ascii() => plain.push(letter),
            'æ' => plain.push_str("ae"),
            'Æ' => plain.push_str("Ae"),
            'ø' => plain.push('o'),
            'Ø' => plain.push('O'),
            'œ' => plain.push_str("oe"),
            'Œ' => plain.push_str("Oe"),
            'ß' => plain.push_str("ss"),
            'ẞ' => plain.push_str("SS"),
            'ł' => plain.push('l'),
            'Ł' => plain.push('L'),
            'đ' | 'ð' => plain.push('d'),
            'Đ' | 'Ð' => plain.push('D'),
            'þ' => plain.push_str("th"),
            'Þ' => plain.push_str("Th"),
            'ı' => plain.push('i'),
            'ŋ' => plain.push('n'),
            'ŧ' => plain.push('t'),
            _ => {}
        }
    }
    plain
}

/// The inside of a template that is one expression and nothing else.
fn single_expression(source: &str) -> Option<&str> {
    let inner = source.trim().strip_prefix("{{")?.strip_suffix("}}")?;
    let alone = !["{{", "}}", "{%", "{#"].iter().any(|mark| inner.contains(mark));
    alone.then(|| inner.trim_start_matches('-').trim_end_matches('-').trim())
}

fn is_nothing(value: &Value) -> bool {
    value.is_undefined() || value.is_none() || value.as_str() == Some("")
}

fn to_json(value: &Value) -> Result<serde_json::Value, TemplateError> {
    if is_nothing(value) {
        return Ok(serde_json::Value::Null);
    }
    let json = serde_json::to_value(value)
        .map_err(|error| TemplateError(format!("its value cannot be used: {error}")))?;
    Ok(match json {
        serde_json::Value::Array(values) => {
            let values: Vec<_> = values
                .into_iter()
                .filter(|value| !value.is_null() && value.as_str() != Some(""))
                .collect();
            if values.is_empty() { serde_json::Value::Null } else { values.into() }
        }
        other => other,
    })
}

fn syntax(error: &Error) -> TemplateError {
    TemplateError(format!("the template does not parse: {}", detail(error)))
}

fn failed(error: &Error) -> TemplateError {
    TemplateError(match error.kind() {
        ErrorKind::OutOfFuel => "the template runs too long".to_owned(),
        _ => detail(error),
    })
}

/// The library's own sentence, without the position inside a one-line template.
fn detail(error: &Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "so that a test reads `json!(..)`")]
    fn check(template: &str, expected: Value) {
        let view = View::of(&crate::testing::ada());
        let template = Template::parse(template).expect("the template parses");
        assert_eq!(template.value(&view).expect("it renders"), expected);
    }

    #[test]
    fn a_path_yields_the_value() {
        check("{{ userName }}", json!("ada@lillevik.example"));
        check("{{ name.givenName }}", json!("Ada"));
    }

    #[test]
    fn one_expression_keeps_its_type() {
        check("{{ active }}", json!(true));
        check(
            "{{ emails | map(attribute='value') | list }}",
            json!(["ada@lillevik.example", "ada@home.example"]),
        );
    }

    #[test]
    fn what_yields_nothing_is_absent() {
        check("{{ nickName }}", Value::Null);
        check("{{ name.honorificPrefix | upper }}", Value::Null);
        check("{{ title }} {{ nickName }}", Value::Null);
    }

    #[test]
    fn shorthands_reach_what_people_look_for() {
        check("{{ email }}", json!("ada@lillevik.example"));
        check("{{ enterprise.department }}", json!("Science"));
        check("{{ building.buildingId }}", json!("B-7"));
        check("{{ organization.key }}", json!("lillevik"));
        check("{{ groups }}", json!(["Choir", "Class 7A"]));
        check("{{ scim('emails[type eq \"home\"].value') }}", json!("ada@home.example"));
    }

    #[test]
    fn groups_are_reached_by_name_and_by_path() {
        let direct = "{{ scim('groups[type eq \"direct\"].display') }}";
        check(direct, json!(["Class 7A", "Choir"]));
        check("{{ scim('groups[type eq \"indirect\"].display') }}", Value::Null);
        for (source, reads) in [
            ("{{ groups }}", true),
            (direct, true),
            ("{{ scim('emails.value') }}", false),
            ("{{ userName }} has groups", false),
        ] {
            assert_eq!(Template::parse(source).expect("parses").reads_groups(), reads, "{source}");
        }
    }

    #[test]
    fn ascii_writes_letters_without_accents() {
        check(
            "{{ 'Åse Bjørnæss Müller-Weiß' | ascii | lower }}",
            json!("ase bjornaess muller-weiss"),
        );
    }

    #[test]
    fn a_strict_template_escapes_and_refuses_a_missing_value() {
        let view = View::of(&crate::testing::ada());
        let escape = Escape::Strict(|text| format!("<{text}>"));
        let uid = Template::parse_escaped("uid={{ userName }},ou=x", escape).expect("parses");
        assert_eq!(uid.text(&view).as_deref(), Ok("uid=<ada@lillevik.example>,ou=x"));
        let nick = Template::parse_escaped("uid={{ nickName }},ou=x", escape).expect("parses");
        assert_eq!(
            nick.text(&view).map_err(|error| error.0),
            Err("`uid={{ nickName }},ou=x` needs nickName, which this resource does not have"
                .to_owned())
        );
    }

    #[test]
    fn an_endless_template_runs_out_of_fuel() {
        let view = View::of(&crate::testing::ada());
        let template = Template::parse(
            "{% for a in range(9999) %}{% for b in range(9999) %}{{ a }}{% endfor %}{% endfor %}",
        )
        .expect("parses");
        assert_eq!(
            template.text(&view).map_err(|error| error.0),
            Err("the template runs too long".to_owned())
        );
    }

    #[test]
    fn braces_in_a_value_are_data() {
        let mut resource = crate::testing::ada();
        resource.attributes.insert("displayName".into(), json!("{{ 7 * 7 }}"));
        let template = Template::parse("{{ displayName }}").expect("parses");
        assert_eq!(template.value(&View::of(&resource)), Ok(json!("{{ 7 * 7 }}")));
    }

    #[test]
    fn a_mistake_is_said_in_a_sentence() {
        let error = Template::parse("{{ userName ").expect_err("it does not parse");
        assert!(error.0.starts_with("the template does not parse: "), "{error}");
    }
}
