//! The pages' templates, built in, and what they can say.
//!
//! A page's data is `page`, what surrounds it is `frame` (see `page`). Whatever comes from outside is
//! escaped, because every template's name ends in `.html`.
//!
//! | filter | of | gives |
//! | --- | --- | --- |
//! | `number` | 12345 | `12,345` |
//! | `count("person", "people")` | 2 | `2 people` |
//! | `when` | a time | `09:42` today, else date and time, in a `<time>` |
//! | `date`, `moment`, `clock`, `ago` | a time | `27 Nov 2026`, with its time, `09:42`, `2 min ago`; each in a `<time>` |
//! | `day` | a time | `Today, Wednesday 18 Nov 2026`, as text |
//! | `span` | seconds | `3 min` |
//!
//! Functions: `icon(name)`, `asset(name)`. Macros are in `parts.html`.

use jiff::{SignedDuration, Timestamp};
use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, Value};
use rust_embed::RustEmbed;

use super::reader::Reader;
use super::{assets, icons};
use crate::operator::words;

#[derive(RustEmbed)]
#[folder = "src/console/templates"]
struct Files;

/// All templates, parsed.
pub(super) fn load() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_syntax(SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build()?);
    environment.add_function("icon", icon);
    environment.add_function("asset", asset);
    environment.add_filter("number", number);
    environment.add_filter("count", count);
    environment.add_filter("when", when);
    environment.add_filter("date", date);
    environment.add_filter("moment", moment);
    environment.add_filter("clock", clock);
    environment.add_filter("ago", ago);
    environment.add_filter("day", day);
    environment.add_filter("span", span);
    for name in Files::iter() {
        let file = Files::get(&name).map(|file| file.data.into_owned()).unwrap_or_default();
        let text = String::from_utf8(file)
            .map_err(|_| Error::new(ErrorKind::InvalidOperation, format!("{name} is not UTF-8")))?;
        environment.add_template_owned(name.into_owned(), text)?;
    }
    Ok(environment)
}

fn wrong(what: String) -> Error {
    Error::new(ErrorKind::InvalidOperation, what)
}

fn icon(name: &str) -> Result<Value, Error> {
    let svg = icons::svg(name).ok_or_else(|| wrong(format!("there is no icon `{name}`")))?;
    Ok(Value::from_safe_string(svg))
}

fn asset(name: &str) -> Result<Value, Error> {
    let address =
        assets::address(name).ok_or_else(|| wrong(format!("there is no file `{name}`")))?;
    Ok(Value::from_safe_string(address))
}

fn with_reader<T>(state: &State<'_, '_>, read: impl FnOnce(&Reader) -> T) -> Result<T, Error> {
    let value = state.lookup("reader").unwrap_or_default();
    let reader = value.downcast_object_ref::<Reader>();
    reader.map(read).ok_or_else(|| wrong("`reader` is missing in the context".to_owned()))
}

fn parsed(text: &str) -> Result<Timestamp, Error> {
    text.parse().map_err(|error| wrong(format!("`{text}` is no time: {error}")))
}

/// In a `<time>`, which tells programs the moment, and a pointer that hovers the whole of it.
fn element(
    state: &State<'_, '_>,
    text: &str,
    write: impl FnOnce(&Reader, Timestamp) -> String,
) -> Result<Value, Error> {
    let at = parsed(text)?;
    let (written, whole) = with_reader(state, |reader| (write(reader, at), reader.moment(at)))?;
    let title = if written == whole { String::new() } else { format!(" title=\"{whole}\"") };
    Ok(Value::from_safe_string(format!("<time datetime=\"{at:.0}\"{title}>{written}</time>")))
}

fn number(state: &State<'_, '_>, number: i64) -> Result<String, Error> {
    with_reader(state, |reader| reader.number(number))
}

fn count(state: &State<'_, '_>, count: i64, one: &str, many: &str) -> Result<String, Error> {
    let number = with_reader(state, |reader| reader.number(count))?;
    Ok(format!("{number} {}", if count == 1 { one } else { many }))
}

fn when(state: &State<'_, '_>, at: &str) -> Result<Value, Error> {
    element(state, at, Reader::when)
}

fn date(state: &State<'_, '_>, at: &str) -> Result<Value, Error> {
    element(state, at, Reader::date)
}

fn moment(state: &State<'_, '_>, at: &str) -> Result<Value, Error> {
    element(state, at, Reader::moment)
}

fn clock(state: &State<'_, '_>, at: &str) -> Result<Value, Error> {
    element(state, at, Reader::clock)
}

fn ago(state: &State<'_, '_>, at: &str) -> Result<Value, Error> {
    element(state, at, Reader::ago)
}

fn day(state: &State<'_, '_>, at: &str) -> Result<String, Error> {
    let at = parsed(at)?;
    with_reader(state, |reader| reader.day(at))
}

fn span(seconds: f64) -> String {
    let length = SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::MAX);
    words::span(length).unwrap_or_else(|| "more than two years".to_owned())
}

#[cfg(test)]
mod tests {
    use minijinja::context;
    use minijinja::value::Serde;

    use super::*;
    use crate::console::page::sample;
    use crate::operator::Rights;

    fn rendered(text: &str) -> String {
        let reader = Value::from_object(sample::viewer(Rights::administrator()).reader);
        let mut environment = load().unwrap();
        environment
            .add_template("part.html", "{% macro at(it) %}{{ it | when }}{% endmacro %}")
            .unwrap();
        let at = "2026-11-18T08:40:02Z".parse::<Timestamp>().unwrap();
        environment.add_template("test.html", text).unwrap();
        environment
            .get_template("test.html")
            .unwrap()
            .render(context! { reader, at => Serde(at) })
            .unwrap()
    }

    #[test]
    fn times_and_numbers_are_written_for_their_reader() {
        for (template, expected) in [
            ("{{ 12345 | number }}", "12,345"),
            ("{{ 1 | count('person', 'people') }}", "1 person"),
            ("{{ 0 | count('person', 'people') }}", "0 people"),
            ("{{ 200 | span }}", "3 min"),
            (
                "{{ at | when }}",
                "<time datetime=\"2026-11-18T08:40:02Z\" title=\"18\u{a0}Nov\u{a0}2026, 09:40\">09:40</time>",
            ),
            (
                "{{ at | moment }}",
                "<time datetime=\"2026-11-18T08:40:02Z\">18\u{a0}Nov\u{a0}2026, 09:40</time>",
            ),
            ("{{ '<b>' }}", "&lt;b&gt;"),
        ] {
            assert_eq!(rendered(template), expected, "{template}");
        }
        let macroed = rendered("{% from 'part.html' import at as m %}{{ m(at) }}");
        assert!(macroed.contains(">09:40</time>"), "in a macro, too: {macroed}");
    }
}
