//! The templates of a call: each inserted value is written so that it stays one value.
//!
//! The escaping follows from where the text goes and is the same whether or not the administrator
//! asks for it: `{{ externalId }}` and `{{ externalId | urlencode }}` make the same URL,
//! `"{{ displayName }}"` and `{{ displayName | tojson }}` the same JSON.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Kwargs, Object};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Value};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use scim_relay_sdk::connector::template::environment;
use scim_relay_sdk::connector::{Escape, Template, TemplateError, View};

/// Where a template's text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A URL: every value is needed, and percent-encoded.
    Url,
    Json,
    /// `application/x-www-form-urlencoded`
    Form,
    Xml,
    /// Any other body, and headers: as it is.
    Plain,
}

/// A template that was compiled for its place.
pub(crate) struct Text {
    source: String,
    place: Place,
    environment: Environment<'static>,
    /// As it was checked: it says which variables are read.
    checked: Template,
}

const NAME: &str = "text";
/// The variable that a password is in.
pub(super) const PASSWORD: &str = "password";

/// What one rendering may produce, in bytes.
const MAX_OUTPUT: usize = 1 << 20;

impl Text {
    pub(crate) fn parse(source: &str, place: Place) -> Result<Self, TemplateError> {
        // Says in a sentence what is wrong.
        let checked = Template::parse_escaped(source, Escape::Plain)?;
        let mut environment = escaping(place);
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| TemplateError(error.to_string()))?;
        Ok(Self { source: source.to_owned(), place, environment, checked })
    }

    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    pub(crate) fn place(&self) -> Place {
        self.place
    }

    /// Whether it looks up `root` or anything below it.
    pub(crate) fn reads(&self, root: &str) -> bool {
        self.checked.reads(root)
    }

    pub(crate) fn reads_groups(&self) -> bool {
        self.checked.reads_groups()
    }

    /// The rendered text; the error is a sentence without any of the resource's values.
    pub(crate) fn render(&self, view: &View) -> Result<String, String> {
        let text = self
            .environment
            .get_template(NAME)
            .and_then(|template| template.render(view.root()))
            .map_err(|error| self.explain(&error, view))?;
        if text.len() > MAX_OUTPUT {
            return Err(format!("yields more than {MAX_OUTPUT} bytes"));
        }
        Ok(text)
    }

    fn explain(&self, error: &Error, view: &View) -> String {
        if error.kind() == ErrorKind::UndefinedError {
            let missing: Vec<_> = self
                .checked
                .variables()
                .iter()
                .filter(|name| is_missing(name, view))
                .cloned()
                .collect();
            if !missing.is_empty() {
                return format!("needs {}, which this resource does not have", missing.join(", "));
            }
        }
        // The library may quote the value that it could not use.
        if self.reads(PASSWORD) {
            return "cannot be made with this password".to_owned();
        }
        let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        format!("cannot be made: {detail}")
    }
}

fn is_missing(variable: &str, view: &View) -> bool {
    Template::parse(&format!("{{{{ {variable} }}}}"))
        .and_then(|template| template.value(view))
        .is_ok_and(|value| value.is_null())
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Text").field(&self.source).finish()
    }
}

fn escaping(place: Place) -> Environment<'static> {
    match place {
        Place::Url => {
            let mut environment = environment(Escape::Strict(percent_encode));
            environment.add_filter("urlencode", |value: Value| value);
            environment
        }
        Place::Form => {
            let mut environment = environment(Escape::Plain);
            environment.add_filter("urlencode", |value: Value| value);
            environment.set_formatter(|out, _, value| match present(value) {
                Some(value) => Ok(out.write_str(&percent_encode(&value.to_string()))?),
                None => Ok(()),
            });
            environment
        }
        Place::Json => {
            let mut environment = environment(Escape::Plain);
            environment.add_filter(
                "tojson",
                |value: &Value, indent: Option<Value>, more: Kwargs| {
                    let json = minijinja::filters::tojson(value, indent, more)?;
                    Ok::<_, Error>(Value::from_object(Json(json.to_string())))
                },
            );
            environment.set_formatter(|out, _, value| match present(value) {
                Some(value) => Ok(out.write_str(&inside_json(value)?)?),
                None => Ok(()),
            });
            environment
        }
        Place::Xml => {
            let mut environment = environment(Escape::Plain);
            environment.set_auto_escape_callback(|_| AutoEscape::Html);
            environment
        }
        Place::Plain => environment(Escape::Plain),
    }
}

fn present(value: &Value) -> Option<&Value> {
    (!value.is_undefined() && !value.is_none()).then_some(value)
}

/// All but the unreserved characters of RFC 3986 section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn percent_encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// What the filter `tojson` made: the one thing that is written into JSON as it is.
#[derive(Debug)]
struct Json(String);

impl Object for Json {
    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A value for between the quotes that the template has, so that no name can end the string it is
/// in; numbers, booleans, lists and objects stand for themselves.
fn inside_json(value: &Value) -> Result<String, Error> {
    if let Some(Json(json)) = value.downcast_object_ref() {
        return Ok(json.clone());
    }
    let json = serde_json::to_string(value).map_err(|error| {
        Error::new(ErrorKind::InvalidOperation, "a value has no JSON form").with_source(error)
    })?;
    let inner = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    Ok(inner.map_or(json.clone(), str::to_owned))
}

#[cfg(test)]
mod tests {
    use scim_relay_sdk::testing::ada;
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(place: Place, source: &str, display_name: &str, expected: Result<&str, &str>) {
        let mut resource = ada();
        resource.attributes.insert("displayName".to_owned(), json!(display_name));
        let text = Text::parse(source, place).unwrap();
        let rendered = text.render(&View::of(&resource));
        assert_eq!(rendered.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn a_url_is_encoded_once_with_and_without_the_filter() {
        let expected = Ok("/x/a%2Fb%3F%C3%A5%25?q=1");
        check(Place::Url, "/x/{{ displayName | urlencode }}?q=1", "a/b?å%", expected);
        check(Place::Url, "/x/{{ displayName }}?q=1", "a/b?å%", expected);
    }

    #[test]
    fn a_url_without_its_value_is_an_error_that_names_it() {
        check(
            Place::Url,
            "/x/{{ nickName }}/{{ userName }}",
            "Ada",
            Err("needs nickName, which this resource does not have"),
        );
        check(
            Place::Url,
            "/x/{{ building.floor | urlencode }}",
            "Ada",
            Err("needs building.floor, which this resource does not have"),
        );
        check(
            Place::Url,
            "/x/{{ displayName }}",
            "",
            Err("needs displayName, which this resource does not have"),
        );
    }

    #[test]
    fn a_list_is_no_part_of_a_url() {
        check(
            Place::Url,
            "/x/{{ emails }}",
            "Ada",
            Err("cannot be made: a list or an object cannot be inserted here; choose one value"),
        );
    }

    #[test]
    fn json_has_the_same_text_with_quotes_and_with_tojson() {
        let name = "A \"b\" \\ ü\n";
        check(Place::Json, r#"{"n":"{{ displayName }}"}"#, name, Ok(r#"{"n":"A \"b\" \\ ü\n"}"#));
        check(
            Place::Json,
            r#"{"n":{{ displayName | tojson }}}"#,
            name,
            Ok(r#"{"n":"A \"b\" \\ ü\n"}"#),
        );
    }

    #[test]
    fn a_name_cannot_end_the_json_string_it_is_in() {
        for source in [
            r#"{"n":"{{ displayName }}"}"#,
            r#"{"n":"{{ displayName | safe }}"}"#,
            r#"{"n":"{{ displayName | trim }}"}"#,
        ] {
            let text = Text::parse(source, Place::Json).unwrap();
            let mut resource = ada();
            resource
                .attributes
                .insert("displayName".to_owned(), json!("x\",\"admin\":true,\"y\":\""));
            let body = text.render(&View::of(&resource)).unwrap();
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            assert_eq!(body, json!({ "n": "x\",\"admin\":true,\"y\":\"" }), "{source}");
        }
    }

    #[test]
    fn json_values_keep_their_type_and_missing_ones_are_null() {
        check(
            Place::Json,
            r#"{"a":{{ active }},"m":{{ nickName | tojson }},"e":{{ scim('emails[type eq "home"].value') | tojson }}}"#,
            "Ada",
            Ok(r#"{"a":true,"m":null,"e":"ada@home.example"}"#),
        );
    }

    #[test]
    fn a_form_is_encoded_and_may_lack_a_value() {
        check(
            Place::Form,
            "n={{ displayName }}&m={{ displayName | urlencode }}&x={{ nickName }}",
            "a&b=c d",
            Ok("n=a%26b%3Dc%20d&m=a%26b%3Dc%20d&x="),
        );
    }

    #[test]
    fn xml_is_escaped() {
        check(Place::Xml, "<n>{{ displayName }}</n>", "<a>&'", Ok("<n>&lt;a&gt;&amp;&#x27;</n>"));
    }

    #[test]
    fn braces_in_a_value_are_data() {
        check(Place::Json, "\"{{ displayName }}\"", "{{ 7 * 7 }}", Ok("\"{{ 7 * 7 }}\""));
    }

    #[test]
    fn a_template_that_does_not_parse_says_why() {
        let error = Text::parse("/x/{{ userName", Place::Url).unwrap_err();
        assert!(error.0.starts_with("the template does not parse: "), "{error}");
    }
}
