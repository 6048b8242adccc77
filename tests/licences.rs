//! The list of what the relay is made of, as the console shows it, is the list of what is built.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Set to anything, the list is written anew.
const UPDATE: &str = "SCIM_RELAY_UPDATE_LICENCES";

#[test]
fn the_console_lists_the_licence_of_each_crate_that_is_built_in() {
    let list = list(&metadata());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console/licences.txt");
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&file, &list).expect("the list can be written");
    }
    let kept = std::fs::read_to_string(&file).expect("the list is there");
    assert!(
        kept == list,
        "dependencies have changed: run `{UPDATE}=1 cargo test --test licences`, and look at what is new"
    );
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo answers in JSON")
}

/// A line for each: name, version, licence. Without those that only tests or builds use.
fn list(metadata: &Value) -> String {
    let each = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let nodes: BTreeMap<String, Value> = each(&metadata["resolve"]["nodes"])
        .into_iter()
        .map(|node| (text(&node["id"]), node))
        .collect();
    let mut found = BTreeSet::new();
    let mut next = vec![text(&metadata["resolve"]["root"])];
    while let Some(id) = next.pop() {
        if !found.insert(id.clone()) {
            continue;
        }
        for dependency in each(&nodes[&id]["deps"]) {
            if each(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()) {
                next.push(text(&dependency["pkg"]));
            }
        }
    }
    let foreign = each(&metadata["packages"])
        .into_iter()
        .filter(|package| found.contains(&text(&package["id"])) && !package["source"].is_null());
    let mut lines: Vec<String> = foreign
        .map(|package| {
            let licence = text(&package["license"]);
            format!("{} {}\t{licence}\n", text(&package["name"]), text(&package["version"]))
        })
        .collect();
    lines.sort();
    lines.concat()
}
