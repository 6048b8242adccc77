//! The example files that administrators copy: they parse, and nothing is wrong with them.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use scim_relay_sdk::connector::{Secret, Settings};
use scim_relay_webhook::Config;

#[track_caller]
fn check(text: &str) -> Config {
    let file: toml::Table = toml::from_str(text).unwrap();
    let section = toml::to_string(&file[Config::SECTION]).unwrap();
    let config: Config = toml::from_str(&section).unwrap();
    assert_eq!(config.check(false), []);
    assert!(!config.secrets().into_iter().map(|(_, secret)| secret).any(Secret::is_inline));
    config
}

#[test]
fn the_events_example_is_sound() {
    check(include_str!("../events.toml"));
}

#[test]
fn the_rest_example_is_sound() {
    check(include_str!("../building-access.toml"));
}

#[test]
fn the_examples_in_the_readme_are_sound() {
    let readme = include_str!("../README.md");
    let blocks = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let sections: Vec<_> = blocks.filter(|block| block.contains("[webhook]")).collect();
    assert_eq!(sections.len(), 2);
    for section in sections {
        check(section);
    }
}
