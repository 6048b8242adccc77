//! A conversation with an identity provider, as its file in `tests/conversations` has it:
//!
//! ```toml
//! about = "what happens here, in one sentence"
//! sources = ["where the provider says that it does this"]
//! quirks = ["capital_op"]          # exactly these deviations are tolerated on the way
//! headers = { user-agent = "…" }   # that every request has
//!
//! [[step]]
//! what = "disables Ada"
//! request = "PATCH /Users/${ada}"  # unencoded
//! body = '''{ … }'''
//! status = 200
//! answer = { "/active" = false }   # what is found in the answer, by JSON pointer (RFC 6901)
//! keep = { version = "/meta/version" }  # what later steps know as ${version}
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

/// JSON pointers, and what is there.
type Expected = BTreeMap<String, Value>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Conversation {
    /// The file's stem, and the organization it is held with.
    #[serde(skip)]
    pub(crate) name: String,
    pub(crate) about: String,
    sources: Vec<String>,
    pub(crate) quirks: Vec<String>,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(rename = "step")]
    pub(crate) steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Step {
    pub(crate) what: String,
    /// `GET /Users?filter=userName eq "ada"`
    pub(crate) request: String,
    /// Besides the conversation's, or instead of them.
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Option<String>,
    status: u16,
    #[serde(default)]
    answer: Expected,
    /// JSON pointers to nothing.
    #[serde(default)]
    absent: Vec<String>,
    /// JSON pointers to lists, and how long these are.
    #[serde(default)]
    length: BTreeMap<String, usize>,
    /// What headers of the answer begin with.
    #[serde(default)]
    answer_headers: BTreeMap<String, String>,
    #[serde(default)]
    keep: BTreeMap<String, String>,
}

/// All of them, by name.
pub(crate) fn all() -> Vec<Conversation> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conversations");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| read(file)).collect()
}

fn read(file: &Path) -> Conversation {
    let text = fs::read_to_string(file).unwrap();
    let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
    let conversation = toml::from_str(&text);
    let conversation: Conversation =
        conversation.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    assert!(!conversation.sources.is_empty(), "{name}: who says that a provider does this?");
    Conversation { name, ..conversation }
}

/// What was kept so far.
#[derive(Default)]
pub(crate) struct Kept(BTreeMap<String, String>);

impl Kept {
    /// `text` with every `${name}` in it replaced.
    pub(crate) fn fill(&self, text: &str) -> String {
        let filled = self.0.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("${{{name}}}"), value)
        });
        assert!(!filled.contains("${"), "nothing is kept by such a name: {filled}");
        filled
    }

    fn filled(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => self.fill(text).into(),
            Value::Array(all) => all.iter().map(|one| self.filled(one)).collect(),
            Value::Object(all) => {
                all.iter().map(|(name, one)| (name.clone(), self.filled(one))).collect()
            }
            other => other.clone(),
        }
    }

    /// Takes along what the step keeps.
    pub(crate) fn take(&mut self, step: &Step, body: &Value) {
        for (name, pointer) in &step.keep {
            let text = body.pointer(pointer).and_then(Value::as_str);
            let text = text.unwrap_or_else(|| panic!("{}: no text at {pointer}", step.what));
            self.0.insert(name.clone(), text.to_owned());
        }
    }
}

impl Step {
    /// What is wrong with an answer, in sentences.
    pub(crate) fn complaints(
        &self,
        kept: &Kept,
        status: u16,
        headers: &HeaderMap,
        body: &Value,
    ) -> Vec<String> {
        let mut complaints = Vec::new();
        if status != self.status {
            complaints.push(format!("the status is {status} instead of {}", self.status));
        }
        for (name, expected) in &self.answer_headers {
            let found = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
            let expected = kept.fill(expected);
            if !found.starts_with(&expected) {
                complaints.push(format!("the header {name} is `{found}` instead of `{expected}`"));
            }
        }
        for (pointer, expected) in &self.answer {
            let (pointer, expected) = (kept.fill(pointer), kept.filled(expected));
            let found = body.pointer(&pointer);
            if found != Some(&expected) {
                let found = found.map_or("not there".to_owned(), Value::to_string);
                complaints.push(format!("{pointer} is {found} instead of {expected}"));
            }
        }
        for pointer in &self.absent {
            if let Some(found) = body.pointer(pointer) {
                complaints.push(format!("{pointer} is {found} instead of nothing"));
            }
        }
        for (pointer, expected) in &self.length {
            let list = body.pointer(pointer).and_then(Value::as_array);
            let found = list.map_or(0, Vec::len);
            if found != *expected {
                complaints.push(format!("{pointer} has {found} entries instead of {expected}"));
            }
        }
        complaints
    }
}

#[test]
fn an_answer_that_differs_in_anything_is_complained_about() {
    let step: Step = toml::from_str(
        r#"
        what = "reads Ada"
        request = "GET /Users/${ada}"
        status = 200
        answer = { "/id" = "${ada}", "/active" = true, "/emails/0" = { value = "a@x" } }
        absent = ["/password"]
        length = { "/emails" = 1 }
        answer_headers = { etag = "W/" }
        keep = { ada = "/id" }
        "#,
    )
    .unwrap();
    let good = serde_json::json!({ "id": "7", "active": true, "emails": [{ "value": "a@x" }] });
    let mut kept = Kept::default();
    kept.take(&step, &good);
    assert_eq!(kept.fill(&step.request), "GET /Users/7");
    let mut headers = HeaderMap::new();
    headers.insert("etag", "W/\"1\"".parse().unwrap());
    assert!(step.complaints(&kept, 200, &headers, &good).is_empty());
    for (pointer, value) in [
        ("/id", "8".into()),
        ("/active", "true".into()),
        ("/emails/0", Value::Null),
        ("/emails", serde_json::json!([{ "value": "a@x" }, {}])),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        assert_eq!(step.complaints(&kept, 200, &headers, &bad).len(), 1, "{bad}");
    }
    let mut bad = good.clone();
    bad["password"] = "p".into();
    assert_eq!(step.complaints(&kept, 200, &headers, &bad).len(), 1);
    assert_eq!(step.complaints(&kept, 404, &headers, &good).len(), 1);
    assert_eq!(step.complaints(&kept, 200, &HeaderMap::new(), &good).len(), 1);
}
