//! Two conformance testers from PyPI, each with what it is strictest in.

use std::process::Command;

use serde_json::Value;

use crate::kit::provider::Provider;
use crate::kit::relay::{Relay, Setup};
use crate::python;

/// Attributes of the types that the judges can judge. scim2-tester makes up no decimals and no
/// dates, compares base64 with what it stands for, and takes a second `add` to a list for a new list.
const DECLARED: &str = r#"
[[organizations.lillevik.schemas]]
id = "urn:example:params:scim:schemas:extension:school:2.0:User"
attributes = [
  { name = "pupilNumber", type = "string", case_exact = true },
  { name = "boards", type = "boolean" },
  { name = "grade", type = "integer" },
  { name = "timetable", type = "reference" },
]
"#;

async fn relay() -> (Relay, Provider) {
    let mut setup = Setup::new();
    setup.lines.push_str(DECLARED);
    let relay = setup.start().await;
    let provider = relay.provider("lillevik");
    (relay, provider)
}

/// scim2-tester, through scim2-cli: writes and reads every attribute of every schema it discovers.
/// Ends with 0 only if every check is a plain success, none skipped.
#[tokio::test]
async fn scim2_tester_finds_nothing() {
    let (_relay, provider) = relay().await;
    let output = Command::new(python::commands().join("scim2"))
        .args(["--url", &provider.base, "test", "--verbose"])
        .env("SCIM_CLI_HEADERS", format!("Authorization: Bearer {}", &provider.token))
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{complaint}", findings(&report));
    // It would also be content with a server that shows it nothing to check.
    for check in ["check_add_attribute", "check_remove_attribute", "check_replace_attribute"] {
        let done = report.matches(&format!("SUCCESS {check}\n")).count();
        assert!(done >= 30, "{check}: only {done} times\n{report}");
    }
}

/// What the report says besides successes; every check starts at the margin.
fn findings(report: &str) -> String {
    let mut shown = true;
    let lines = report.lines().filter(|line| {
        if !line.starts_with(' ') {
            shown = !line.starts_with("SUCCESS ");
        }
        shown
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// scim-sanity: the lives of a user and of a group, searches, and errors.
#[tokio::test]
async fn scim_sanity_finds_nothing() {
    let (_relay, provider) = relay().await;
    let output = Command::new(python::commands().join("scim-sanity"))
        .args(["probe", &provider.base, "--token", &provider.token, "--strict"])
        .args(["--json-output", "--i-accept-side-effects"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr))
    });
    let results = report["results"].as_array().unwrap();
    // Agents are a draft that the relay does not offer: it has users and groups only.
    let of_an_agent = |result: &Value| {
        let skipped = result["status"] == "skip";
        skipped && result["name"].as_str().unwrap().starts_with("Agent")
    };
    let (agents, judged): (Vec<_>, Vec<_>) = results.iter().partition(|result| of_an_agent(result));
    let found: Vec<_> = judged.iter().filter(|result| result["status"] != "pass").collect();
    assert!(found.is_empty(), "{found:#?}\n{:#}", report["issues"]);
    assert_eq!((agents.len(), judged.len()), (3, 28), "it judges other things now: {report:#}");
    assert!(output.status.success(), "{}", output.status);
}
