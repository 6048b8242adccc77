//! The shape of the code, as tests: who may use whom, and what every file and folder has.
//!
//! The rules are the ones that ARCHITECTURE.md gives reasons for. Sources are read as text, which
//! is enough for code that rustfmt has laid out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// For each module of `src/`, the modules it may name. What connectors share (`scim_relay_sdk`) is
/// open to all. Tests may use what they need.
const MAY_USE: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("ids", &[]),
    ("metrics", &[]),
    ("network", &[]),
    ("oidc", &["ids"]),
    ("safety", &[]),
    ("vault", &[]),
    ("config", &["oidc", "safety", "vault"]),
    ("store", &["clock", "ids", "metrics", "vault"]),
    ("token", &["clock", "ids", "store"]),
    ("directory", &["clock", "ids", "store", "vault"]),
    ("delivery", &["clock", "ids", "metrics", "safety", "store", "vault"]),
    // It marks the queue and never writes to a target, so it knows nothing of deliveries.
    ("reconcile", &["clock", "config", "ids", "metrics", "store"]),
    (
        "operator",
        &[
            "clock",
            "config",
            "delivery",
            "directory",
            "ids",
            "metrics",
            "network",
            "oidc",
            "reconcile",
            "safety",
            "store",
            "token",
            "vault",
        ],
    ),
    ("http", &["clock", "config", "directory", "ids", "metrics", "network", "store", "token"]),
    // Its pages and the SCIM service share one way to serve (TLS, drain, health).
    (
        "console",
        &["clock", "config", "http", "ids", "metrics", "operator", "safety", "store", "token"],
    ),
];

/// The modules that put the others together.
const MAY_USE_ALL: &[&str] = &["cli", "daemon", "lib", "main"];

/// The one file that knows which connectors there are.
const WIRING: &str = "src/daemon/connectors.rs";

/// For a file without its tests.
const MOST_LINES: usize = 600;

#[test]
fn modules_use_only_what_lies_below_them() {
    let mut wrong = Vec::new();
    for file in production("src") {
        let module = file.module();
        if MAY_USE_ALL.contains(&module.as_str()) {
            continue;
        }
        let Some((_, allowed)) = MAY_USE.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!("{file}: `{module}` has no row in MAY_USE"));
            continue;
        };
        for used in named_modules(&file.text, file.depth()) {
            if used != module && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{file}: `{module}` may not use `{used}`"));
            }
        }
    }
    none(&wrong);
}

#[test]
fn only_the_store_speaks_sql() {
    let elsewhere = production("src").into_iter().filter(|file| file.module() != "store");
    let wrong: Vec<_> = elsewhere
        .filter(|file| names(&file.text, "rusqlite"))
        .map(|file| format!("{file}: names rusqlite"))
        .collect();
    none(&wrong);
}

#[test]
fn one_file_names_the_connectors() {
    let mut wrong = Vec::new();
    for folder in connectors() {
        let name = crate_name(&folder);
        // What others share is no connector.
        if ["scim_relay_sdk", "scim_relay_http"].contains(&name.as_str()) {
            continue;
        }
        for file in production("src").into_iter().filter(|file| file.path != Path::new(WIRING)) {
            if names(&file.text, &name) {
                wrong.push(format!("{file}: names {name}; that belongs into {WIRING}"));
            }
        }
    }
    none(&wrong);
}

#[test]
fn connectors_stand_on_the_sdk_alone() {
    let mut wrong = Vec::new();
    for folder in connectors() {
        let allowed: &[&str] = match crate_name(&folder).as_str() {
            "scim_relay_sdk" => &[],
            "scim_relay_http" => &["scim-relay-sdk"],
            _ => &["scim-relay-sdk", "scim-relay-http"],
        };
        for name in dependencies(&manifest(&folder)).keys() {
            if name.starts_with("scim-relay") && !allowed.contains(&name.as_str()) {
                wrong.push(format!("{}: may not depend on {name}", folder.display()));
            }
        }
    }
    none(&wrong);
}

#[test]
fn every_version_and_lint_stands_in_the_workspace_alone() {
    let mut wrong = Vec::new();
    for folder in connectors().into_iter().chain([PathBuf::new()]) {
        let manifest = manifest(&folder);
        let place = folder.join("Cargo.toml");
        for (name, dependency) in dependencies(&manifest) {
            if !is_from_workspace(&dependency) {
                wrong.push(format!("{}: `{name}` without workspace = true", place.display()));
            }
        }
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            if !manifest["package"].get(key).is_some_and(is_from_workspace) {
                wrong.push(format!("{}: {key}.workspace = true is missing", place.display()));
            }
        }
        if !manifest.get("lints").is_some_and(is_from_workspace) {
            wrong.push(format!("{}: [lints] workspace = true is missing", place.display()));
        }
    }
    none(&wrong);
}

#[test]
fn every_connector_is_in_the_workspace() {
    let manifest = manifest(Path::new(""));
    let members = manifest["workspace"]["members"].as_array().expect("a list of members");
    let members: BTreeSet<_> = members.iter().filter_map(toml::Value::as_str).collect();
    let folders = connectors();
    let folders: BTreeSet<_> = folders.iter().filter_map(|folder| folder.to_str()).collect();
    assert_eq!(members, folders);
}

#[test]
fn every_kind_of_connector_has_a_readme_and_an_example() {
    let mut wrong = Vec::new();
    for folder in connectors() {
        let is_a_kind = production(&folder)
            .iter()
            .any(|file| code(&file.text).any(|line| line.contains("impl Settings for ")));
        if !is_a_kind {
            continue;
        }
        let has = |wanted: &dyn Fn(&str) -> bool| {
            children(&folder).iter().any(|path| wanted(&name(path)))
        };
        if !has(&|name| name == "README.md") {
            wrong.push(format!("{}: no README.md", folder.display()));
        }
        if !has(&|name| is_a(name, "toml") && name != "Cargo.toml") {
            wrong.push(format!("{}: no example file", folder.display()));
        }
    }
    none(&wrong);
    assert!(root().join("config.example.toml").exists(), "no config.example.toml");
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = everything().into_iter().filter(|file| !file.text.starts_with("//!"));
    none(&silent.map(|file| format!("{file}: no `//!` on the first line")).collect::<Vec<_>>());
}

#[test]
fn every_file_can_be_read_in_one_sitting() {
    let mut wrong = Vec::new();
    for folder in ["src", "connectors"] {
        for file in production(folder) {
            let lines = file.text.lines().count();
            if lines > MOST_LINES {
                wrong.push(format!("{file}: {lines} lines without its tests"));
            }
        }
    }
    none(&wrong);
}

#[test]
fn nothing_is_left_for_later() {
    // Taken apart, so that this file does not find itself. A test that needs what no run has says
    // so: `#[ignore = "needs ..."]` is fine.
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("to", "do!"),
        concat!("unimple", "mented!"),
        concat!("db", "g!("),
        concat!("#[ig", "nore]"),
    ];
    let mut wrong = Vec::new();
    for file in everything() {
        for (number, line) in file.text.lines().enumerate() {
            for mark in marks.iter().filter(|mark| line.contains(*mark)) {
                wrong.push(format!("{file}:{}: {mark}", number + 1));
            }
        }
    }
    none(&wrong);
}

#[test]
fn alerts_watch_metrics_that_there_are() {
    let rules = read(Path::new("systemd/prometheus-alerts.yml"));
    let metrics = read(Path::new("src/metrics.rs"));
    let known: BTreeSet<_> = metrics.split('"').skip(1).step_by(2).collect();
    let mut named = 0;
    let mut wrong = Vec::new();
    for word in rules.split(|c: char| !is_part_of_a_name(c)) {
        let Some(metric) = word.strip_prefix("scim_relay_") else { continue };
        named += 1;
        if !known.contains(without_suffixes(metric)) && !known.contains(metric) {
            wrong.push(format!("{word} is not in src/metrics.rs"));
        }
    }
    none(&wrong);
    assert!(named > 0, "no rule names a metric");
}

// Reading the sources.

/// One source file, by its path from the project's folder.
struct Source {
    path: PathBuf,
    text: String,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.path.display().fmt(f)
    }
}

impl Source {
    /// `store` for `src/store/sqlite/mod.rs` and for `src/store.rs`.
    fn module(&self) -> String {
        let below = self.path.strip_prefix("src").unwrap_or(&self.path);
        let first = below.components().next().map(Component::as_os_str).unwrap_or_default();
        first.to_string_lossy().trim_end_matches(".rs").to_owned()
    }

    /// How many times `super::` leads from here to the crate's root.
    fn depth(&self) -> usize {
        let below = self.path.strip_prefix("src").unwrap_or(&self.path);
        below.components().count() - usize::from(below.ends_with("mod.rs"))
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path))
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Whether a file's name has this extension.
fn is_a(name: &str, extension: &str) -> bool {
    Path::new(name).extension().is_some_and(|found| found == extension)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What is in a folder, in order, by paths from the project's folder.
fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder))
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries
        .map(|entry| folder.join(entry.expect("a folder can be read").file_name()))
        .collect();
    paths.sort();
    paths
}

/// Every Rust file in a folder.
fn sources(folder: &Path) -> Vec<Source> {
    let mut found = Vec::new();
    for path in children(folder) {
        if root().join(&path).is_dir() {
            found.extend(sources(&path));
        } else if is_a(&name(&path), "rs") {
            found.push(Source { text: read(&path), path });
        }
    }
    found
}

fn everything() -> Vec<Source> {
    let folders = ["src", "connectors", "tests", "benches", "fuzz/fuzz_targets"].map(Path::new);
    // A clone has no empty folders.
    let present = folders.into_iter().filter(|folder| root().join(folder).is_dir());
    present.flat_map(sources).collect()
}

/// The files in a folder that are part of the product, each without its inline tests.
fn production(folder: impl AsRef<Path>) -> Vec<Source> {
    let files = sources(folder.as_ref());
    let tests: BTreeSet<_> = files
        .iter()
        .flat_map(|file| test_modules(&file.text).into_iter().map(|name| beside(&file.path, &name)))
        .collect();
    files
        .into_iter()
        .filter(|file| !file.path.components().any(|part| part.as_os_str() == "tests"))
        .filter(|file| {
            !tests.contains(&file.path.with_extension(""))
                && !file.path.ancestors().any(|folder| tests.contains(folder))
        })
        .map(|file| Source { text: without_tests(&file.text), ..file })
        .collect()
}

/// Where the module `name`, declared in `file`, lies: the path without `.rs` or `/mod.rs`.
fn beside(file: &Path, name: &str) -> PathBuf {
    match file.file_name().and_then(|name| name.to_str()) {
        Some("mod.rs" | "lib.rs" | "main.rs") => file.with_file_name(name),
        _ => file.with_extension("").join(name),
    }
}

/// The names in `#[cfg(test)] mod name;`, or the file's where a `#[path]` stands between.
fn test_modules(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut lines = text.lines().map(str::trim);
    while lines.any(|line| line == "#[cfg(test)]") {
        let mut path = None;
        for line in lines.by_ref() {
            if let Some(rest) = line.strip_prefix("#[path = \"") {
                path = Some(rest.trim_end_matches("\"]").trim_end_matches(".rs").to_owned());
            } else if !line.starts_with("#[") {
                let name = line.rsplit_once("mod ").and_then(|(_, name)| name.strip_suffix(';'));
                found.extend(name.map(|name| path.unwrap_or_else(|| name.to_owned())));
                break;
            }
        }
    }
    found
}

/// The text up to its inline `mod tests`.
fn without_tests(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let opens_tests = |next: &&str| next.contains("mod ") && next.ends_with('{');
        if line == "#[cfg(test)]" && lines.peek().is_some_and(opens_tests) {
            // rustfmt puts the brace that ends it at the start of a line.
            lines.by_ref().find(|line| *line == "}");
        } else {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// The lines without their comments.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| match line.find("//") {
        // The slashes of an address are no comment.
        Some(at) if !line[..at].ends_with(':') => &line[..at],
        _ => line,
    })
}

fn is_part_of_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Whether `word` stands in the code, as a word of its own.
fn names(text: &str, word: &str) -> bool {
    code(text).any(|line| line.split(|c| !is_part_of_a_name(c)).any(|found| found == word))
}

/// The crate's own modules that a file names: by `crate::`, by `scim_relay::`, or by as many
/// `super::` as lead out of its own module.
fn named_modules(text: &str, depth: usize) -> BTreeSet<String> {
    let text = code(text).collect::<Vec<_>>().join("\n");
    let out = "super::".repeat(depth);
    let mut found = BTreeSet::new();
    for prefix in ["crate::", "scim_relay::", &out] {
        for (at, _) in text.match_indices(prefix) {
            let before = &text[..at];
            if before.ends_with(is_part_of_a_name) || before.ends_with("super::") {
                continue;
            }
            let after = text[at + prefix.len()..].trim_start();
            match after.strip_prefix('{') {
                Some(group) => found.extend(heads(group)),
                None => found.extend([first_name(after)]),
            }
        }
    }
    // `crate::Name` and `crate::macro!` are not modules; a file of `src/lib.rs` exports none.
    found.retain(|name| name.starts_with(|c: char| c.is_ascii_lowercase()) && name != "super");
    found
}

fn first_name(text: &str) -> String {
    text.chars().take_while(|c| is_part_of_a_name(*c)).collect()
}

/// The first names in what follows a `{`: `a` and `c` in `a::{b, d}, c::e}`.
fn heads(group: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let mut heads = vec![String::new()];
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => heads.push(String::new()),
            _ if depth == 0 => heads.last_mut().expect("it begins with one").push(c),
            _ => {}
        }
    }
    heads.iter().map(|head| first_name(head.trim())).filter(|head| !head.is_empty()).collect()
}

// Reading the manifests.

/// The folders of all crates below `connectors/`.
fn connectors() -> Vec<PathBuf> {
    children(Path::new("connectors"))
        .into_iter()
        .filter(|folder| root().join(folder).join("Cargo.toml").exists())
        .collect()
}

fn manifest(folder: &Path) -> toml::Table {
    let text = read(&folder.join("Cargo.toml"));
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
}

fn crate_name(folder: &Path) -> String {
    let manifest = manifest(folder);
    manifest["package"]["name"].as_str().expect("a package has a name").replace('-', "_")
}

/// Of every kind: normal, for tests, for the build, for one platform.
fn dependencies(table: &toml::Table) -> BTreeMap<String, toml::Value> {
    let mut found = BTreeMap::new();
    for (key, value) in table {
        match (key.as_str(), value) {
            (
                "dependencies" | "dev-dependencies" | "build-dependencies",
                toml::Value::Table(these),
            ) => {
                found.extend(these.clone());
            }
            ("target", toml::Value::Table(platforms)) => {
                let platforms = platforms.values().filter_map(toml::Value::as_table);
                found.extend(platforms.flat_map(dependencies));
            }
            _ => {}
        }
    }
    found
}

fn is_from_workspace(value: &toml::Value) -> bool {
    let inherits = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
    inherits && ["version", "path", "git"].iter().all(|key| value.get(key).is_none())
}

/// The name a metric was registered with: units and kinds are put behind it by the registry.
fn without_suffixes(metric: &str) -> &str {
    ["_bucket", "_sum", "_count", "_total", "_info", "_seconds"]
        .iter()
        .fold(metric, |name, suffix| name.strip_suffix(suffix).unwrap_or(name))
}

#[track_caller]
fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

mod the_reading_itself {
    //! These rules find nothing when they cannot read; so reading is tried.
    use super::*;

    #[track_caller]
    fn check_modules(text: &str, depth: usize, expected: &[&str]) {
        let found: Vec<_> = named_modules(text, depth).into_iter().collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn modules_are_found_however_they_are_named() {
        check_modules("use crate::store::Store;", 1, &["store"]);
        check_modules("let now = crate::clock::now();", 1, &["clock"]);
        check_modules("use scim_relay::config::load;", 1, &["config"]);
        check_modules(
            "use crate::{clock::Clock, store::{self, sqlite::{A, b}}, ids};",
            1,
            &["clock", "ids", "store"],
        );
        check_modules("use crate::{\n    clock::Clock,\n    store,\n};", 1, &["clock", "store"]);
        check_modules("use super::super::store::Store;", 2, &["store"]);
        check_modules("use super::{delivery, http::Url};", 1, &["delivery", "http"]);
    }

    #[test]
    fn what_only_looks_like_a_module_is_not_one() {
        check_modules("use super::store::Store;", 2, &[]);
        check_modules("use super::super::work;", 3, &[]);
        check_modules("use a_crate::store; use crate::Wide;", 1, &[]);
        check_modules(
            "// as crate::http does\nlet url = \"http://x\"; crate::ids::next()",
            1,
            &["ids"],
        );
    }

    #[test]
    fn words_are_whole() {
        assert!(names("use scim_relay_http::Client;", "scim_relay_http"));
        assert!(names("scim_relay_http", "scim_relay_http"));
        assert!(!names("\"scim_relay_http_requests\"", "scim_relay_http"));
        assert!(!names("/// [scim_relay_http]", "scim_relay_http"));
    }

    #[test]
    fn a_file_knows_where_it_is() {
        let at = |path: &str| {
            let file = Source { path: path.into(), text: String::new() };
            (file.module(), file.depth())
        };
        assert_eq!(at("src/clock.rs"), ("clock".to_owned(), 1));
        assert_eq!(at("src/store/mod.rs"), ("store".to_owned(), 1));
        assert_eq!(at("src/store/sqlite/mod.rs"), ("store".to_owned(), 2));
        assert_eq!(at("src/store/sqlite/queue.rs"), ("store".to_owned(), 3));
    }

    #[test]
    fn tests_are_not_production() {
        let text = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\nfn c() {}\n";
        assert_eq!(without_tests(text), "fn a() {}\n\nfn c() {}\n");
        let declared =
            "#[cfg(test)]\nmod tests;\nmod run;\n#[cfg(test)]\n#[path = \"plan_tests.rs\"]\nmod t;";
        assert_eq!(test_modules(declared), ["tests", "plan_tests"]);
        assert_eq!(beside(Path::new("src/a/mod.rs"), "tests"), Path::new("src/a/tests"));
        assert_eq!(beside(Path::new("src/a/plan.rs"), "tests"), Path::new("src/a/plan/tests"));
        assert!(!production("src").is_empty());
    }

    #[test]
    fn a_version_of_its_own_is_found() {
        let manifest: toml::Table =
            "[dependencies]\na.workspace = true\nb = \"1\"\n[target.'cfg(unix)'.dev-dependencies]\n\
             c = { workspace = true, path = \"c\" }"
                .parse()
                .expect("it is TOML");
        let own =
            dependencies(&manifest).into_iter().filter(|(_, value)| !is_from_workspace(value));
        assert_eq!(own.map(|(name, _)| name).collect::<Vec<_>>(), ["b", "c"]);
    }

    #[test]
    fn metrics_are_known_by_the_name_they_were_registered_with() {
        assert_eq!(
            without_suffixes("http_request_duration_seconds_bucket"),
            "http_request_duration"
        );
        assert_eq!(without_suffixes("deliveries_total"), "deliveries");
        assert_eq!(without_suffixes("build_info"), "build");
    }
}
