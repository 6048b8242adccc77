//! axe-core's judgement of a page (https://github.com/dequelabs/axe-core), which tests/run fetches.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::chromium::Browser;

/// As in tests/run.
const FILE: &str = "target/tools/axe-core-4.14.1/axe.min.js";

/// What WCAG 2.2 asks for on the levels A and AA.
const RULES: &str = "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']";

/// Makes axe-core known to the page that is open; a person's browser has none.
pub(crate) async fn load(browser: &Browser) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let script = fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{}: {error}; run tests/run once", file.display()));
    browser.run(&script).await;
}

/// Each rule that the page breaks as it looks now, with the places.
pub(crate) async fn violations(browser: &Browser) -> Vec<String> {
    let judge = format!(
        "const done = arguments[0]; \
         axe.run(document, {{ runOnly: {RULES}, resultTypes: ['violations'] }}) \
           .then((found) => done(found.violations.flatMap((rule) => rule.nodes.map((node) => \
             `${{rule.id}}: ${{node.target}}: ${{node.failureSummary}}`))))"
    );
    let found = browser.run_async(&judge).await;
    let found: Vec<Value> = found.as_array().expect("a list").clone();
    found.iter().map(|line| line.as_str().unwrap_or_default().to_owned()).collect()
}
