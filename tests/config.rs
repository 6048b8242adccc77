//! The configuration with the connectors that the daemon really has: the example files that
//! administrators copy, and what is said about mistakes in them.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::{Path, PathBuf};

use scim_relay::config::{Config, Diagnostic, Kind, load, render};

const KINDS: &[Kind] = &[
    Kind::of::<scim_relay_ldap::Config>(),
    Kind::of::<scim_relay_webhook::Config>(),
    Kind::of::<scim_relay_email::Config>(),
];

const MAIN: &str = "[organizations.lillevik]\nname = \"Lillevik kommune\"\nlocale = \"nb\"\n";

/// A folder with a main file and these connector files.
fn folder(connectors: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.toml"), MAIN).unwrap();
    fs::create_dir(folder.path().join("connectors.d")).unwrap();
    for (name, text) in connectors {
        fs::write(folder.path().join("connectors.d").join(name), text).unwrap();
    }
    folder
}

fn read(folder: &Path) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
    load(&folder.join("config.toml"), KINDS, None)
}

/// What an administrator reads, with the folder called DIR.
fn told(connectors: &[(&str, &str)]) -> String {
    let folder = folder(connectors);
    let diagnostics = match read(folder.path()) {
        Ok((_, warnings)) => warnings,
        Err(diagnostics) => diagnostics,
    };
    render(&diagnostics, false).replace(&folder.path().display().to_string(), "DIR")
}

/// `connectors/*/*.toml` but for cargo's own.
fn examples() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("connectors");
    let mut files: Vec<PathBuf> = fs::read_dir(root)
        .unwrap()
        .filter_map(|kind| fs::read_dir(kind.unwrap().path()).ok())
        .flatten()
        .map(|file| file.unwrap().path())
        .filter(|file| file.extension().is_some_and(|extension| extension == "toml"))
        .filter(|file| file.file_name().is_some_and(|name| name != "Cargo.toml"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_example_file_is_a_right_one() {
    let examples = examples();
    assert!(examples.len() >= 3, "{examples:?}");
    for example in examples {
        let text = fs::read_to_string(&example).unwrap();
        let name = example.file_name().unwrap().to_str().unwrap();
        let folder = folder(&[(name, &text)]);
        match read(folder.path()) {
            Ok((config, _)) => {
                assert_eq!(config.connectors.len(), 1, "{}", example.display());
                assert_eq!(config.connectors[0].organizations.len(), 1, "{}", example.display());
            }
            Err(diagnostics) => panic!("{}\n{}", example.display(), render(&diagnostics, false)),
        }
    }
}

#[test]
fn no_example_has_a_secret_in_it() {
    for example in examples() {
        let text = fs::read_to_string(&example).unwrap();
        let name = example.file_name().unwrap().to_str().unwrap();
        let told = told(&[(name, &text)]);
        assert!(!told.contains("the secret stands in the configuration itself"), "{told}");
    }
}

#[test]
fn mistakes_in_real_sections_have_their_lines() {
    insta::assert_snapshot!(told(&[
        (
            "directory.toml",
            "[ldap]\nurl = \"ldaps://dir.lillevik.example\"\nbind_dm = \"cn=scim-relay\"\n\
             [ldap.users]\ndn = \"uid={{ userName }\"\n[ldap.users.attributes]\n\
             cn = \"{{ displayName | shout }}\"\n"
        ),
        ("hook.toml", "[webhook]\nurl = \"not a url\"\nsecrets = \"whsec_geheim\"\n"),
        ("mail.toml", "[email]\ntransport = \"pigeon\"\n\n[ldap]\n"),
    ]));
}

#[test]
fn inline_secrets_of_real_sections_are_never_quoted() {
    let told = told(&[
        (
            "hook.toml",
            "[webhook]\nurl = \"https://a.example\"\nsecret = [\"geheim-1\", \"geheim-2\"]\nheaders = { X-Api = \"geheim-3\", nothing = 5 }\n",
        ),
        (
            "directory.toml",
            "[ldap]\nurl = \"ldap://geheim-4@dir.example\"\nbind_password = \"geheim-5\" x\n",
        ),
        (
            "mail.toml",
            "[email]\nurl = \"smtp://u:geheim-6@mail.example\"\npassword = \"geheim-7\"\nfrom = 5\n",
        ),
    ]);
    for number in [1, 2, 3, 5, 6, 7] {
        assert!(!told.contains(&format!("geheim-{number}")), "{told}");
    }
}
