//! What an administrator is told: whole configurations with mistakes in them, and the examples.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use proptest::prelude::*;
use scim_relay_sdk::connector::{BuildContext, Connector, Period, Problem, Settings, Template};
use serde::{Deserialize, Deserializer, de};
use toml::de::ValueDeserializer;

use super::file::{CONNECTOR_TOP, ConnectorFile, FILE_TOP, File};
use super::read::{Around, decode, read};
use super::source::Source;
use super::*;
use crate::safety::{FirstRun, Removal};
use crate::vault::Vault;

/// A connector's section like any other, so that no test here waits for a real connector.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    url: String,
    bind_dn: Option<String>,
    bind_password: Option<Secret>,
    /// A secret whose key does not sound like one.
    seal: Option<Secret>,
    timeout: Option<Period>,
    #[serde(default)]
    style: Style,
    users: Option<Users>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    shelves: Option<Shelves>,
}

/// Reads its own keys, as a mapping of attributes does.
#[derive(Debug)]
struct Shelves;

impl<'de> Deserialize<'de> for Shelves {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let shelves = BTreeMap::<String, u8>::deserialize(deserializer)?;
        match shelves.keys().find(|name| name.contains(' ')) {
            Some(name) => Err(de::Error::custom(format!("`{name}` is not the name of a shelf"))),
            None => Ok(Self),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Style {
    #[default]
    Plain,
    Fancy,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Users {
    dn: Template,
    #[serde(default)]
    attributes: BTreeMap<String, Template>,
}

impl Settings for Book {
    const SECTION: &'static str = "book";

    fn check(&self, several_organizations: bool) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.bind_dn.is_some() && self.bind_password.is_none() {
            problems
                .push(Problem::new("bind_dn", "`bind_dn` needs a `bind_password`").help("add it"));
        }
        if let Some(users) = &self.users
            && several_organizations
            && !users.dn.reads("organization")
        {
            problems.push(Problem::new("users.dn", "several organizations share it"));
        }
        problems
    }

    fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        let password = self.bind_password.as_ref().map(|secret| ("bind_password", secret));
        let seal = self.seal.as_ref().map(|secret| ("seal", secret));
        password.into_iter().chain(seal).collect()
    }

    fn wants_password(&self) -> bool {
        self.users
            .as_ref()
            .is_some_and(|users| users.attributes.values().any(|one| one.reads("password")))
    }

    fn build(&self, _: &BuildContext<'_>) -> Result<Arc<dyn Connector>, Problem> {
        let _ = (self.timeout, self.style, &self.headers, &self.shelves);
        let _ = self.users.as_ref().map(|users| &users.attributes);
        Err(Problem::new("url", format!("`{}` is not a library", self.url)))
    }
}

/// A second kind.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Slip {
    #[serde(rename = "to")]
    _to: String,
}

impl Settings for Slip {
    const SECTION: &'static str = "slip";

    fn check(&self, _: bool) -> Vec<Problem> {
        Vec::new()
    }

    fn secrets(&self) -> Vec<(&'static str, &Secret)> {
        Vec::new()
    }

    fn build(&self, _: &BuildContext<'_>) -> Result<Arc<dyn Connector>, Problem> {
        Err(Problem::new("", "nobody takes slips"))
    }
}

const KINDS: &[Kind] = &[Kind::of::<Book>(), Kind::of::<Slip>()];

const MAIN: &str = "[organizations.lillevik]\nname = \"Lillevik kommune\"\n";
const BOOK: &str = "[book]\nurl = \"https://library.example\"\n";

struct Folder(tempfile::TempDir);

impl Folder {
    /// A main file, and connector files by their names.
    fn of(main: &str, connectors: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.toml"), main).unwrap();
        fs::create_dir(folder.path().join("connectors.d")).unwrap();
        for (name, text) in connectors {
            fs::write(folder.path().join("connectors.d").join(name), text).unwrap();
        }
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn load(&self) -> Result<(Config, Vec<Diagnostic>), Vec<Diagnostic>> {
        load(&self.path().join("config.toml"), KINDS, None)
    }

    /// What an administrator reads, with the folder called DIR.
    fn told(&self) -> String {
        let diagnostics = match self.load() {
            Ok((_, warnings)) => warnings,
            Err(diagnostics) => diagnostics,
        };
        render(&diagnostics, false).replace(&self.path().display().to_string(), "DIR")
    }
}

fn told(main: &str, connectors: &[(&str, &str)]) -> String {
    Folder::of(main, connectors).told()
}

#[track_caller]
fn loaded(main: &str, connectors: &[(&str, &str)]) -> Config {
    let folder = Folder::of(main, connectors);
    match folder.load() {
        Ok((config, warnings)) => {
            assert_eq!(render(&warnings, false), "");
            config
        }
        Err(diagnostics) => panic!("{}", render(&diagnostics, false)),
    }
}

#[test]
fn an_empty_file_is_a_working_configuration_that_serves_nobody() {
    let folder = Folder::of("", &[]);
    let (config, warnings) = folder.load().unwrap();
    assert_eq!(config.public_url, "http://127.0.0.1:8080");
    assert_eq!(config.data_dir, Path::new("/var/lib/scim-relay"));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].message.starts_with("there is no organization"), "{warnings:?}");
}

#[test]
fn paths_start_at_the_main_file_and_connectors_are_sorted_by_name() {
    let main = format!("data_dir = \"state\"\n{MAIN}");
    let folder = Folder::of(&main, &[("b.toml", BOOK), ("a.toml", BOOK), (".#a.toml", "x")]);
    let (config, _) = folder.load().unwrap();
    assert_eq!(config.data_dir, folder.path().join("state"));
    let names: Vec<&str> = config.connectors.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(config.connectors[0].file, folder.path().join("connectors.d/a.toml"));
}

#[test]
fn a_connector_has_what_its_file_says_and_defaults_for_the_rest() {
    let text = format!(
        "[scope]\nusers = 'userType eq \"student\"'\n[limits]\nrate = \"50/s\"\n\
         [reconcile]\nschedule = \"15 2 * * *\"\n[safety]\nfirst_run = \"go\"\n{BOOK}"
    );
    let config = loaded(MAIN, &[("a.toml", &text)]);
    let connector = &config.connectors[0];
    assert!(connector.enabled && connector.scope.users.is_some());
    assert_eq!(connector.organizations[0].key.as_ref(), "lillevik");
    assert_eq!(connector.limits.concurrency, 8);
    assert_eq!(connector.limits.rate.map(|rate| rate.count), Some(50));
    assert_eq!(connector.retry.give_up_after, Duration::from_hours(7 * 24));
    assert_eq!(connector.reconcile.schedule.as_ref().map(Schedule::source), Some("15 2 * * *"));
    assert_eq!(connector.safety.first_run, FirstRun::Go);
    assert_eq!(connector.settings.kind(), "book");
}

#[test]
fn the_fingerprint_is_of_the_text() {
    let of = |text: &str| loaded(MAIN, &[("a.toml", text)]).connectors[0].fingerprint.clone();
    assert_eq!(of(BOOK), of(BOOK));
    assert_ne!(of(BOOK), of(&format!("# changed\n{BOOK}")));
}

#[test]
fn an_organizations_rules_are_those_of_the_rfc_unless_it_says_otherwise() {
    let rules = |text: &str| {
        let config = loaded(&format!("[organizations.o]\n{text}"), &[]);
        let organization = &config.organizations["o"];
        (organization.strict, organization.members)
    };
    assert_eq!(rules(""), (false, UnsaidMembers::Replace));
    assert_eq!(rules("strict = true\nmembers = \"keep\"\n"), (true, UnsaidMembers::Keep));
    let wrong = told("[organizations.o]\nmembers = \"leave\"\n", &[]);
    assert!(wrong.contains("it can be \"replace\" or \"keep\""), "{wrong}");
}

#[test]
fn a_declared_attribute_has_the_characteristics_of_the_rfc() {
    let config = loaded(
        "[organizations.o]\nstrict = true\n[[organizations.o.schemas]]\nid = \"urn:o:school:2.0:User\"\n\
         attributes = [\n\
         { name = \"number\", type = \"string\", mutability = \"immutable\", returned = \"request\" },\n\
         { name = \"pin\", type = \"string\", mutability = \"writeOnly\" },\n\
         { name = \"page\", type = \"reference\" },\n\
         { name = \"guardians\", type = \"complex\", multi_valued = true, sub_attributes = [\n\
         { name = \"value\", type = \"string\" },\n\
         { name = \"type\", type = \"string\", canonical_values = [\"parent\"] }] }]\n",
        &[],
    );
    let organization = &config.organizations["o"];
    assert!(organization.strict);
    let schema = organization.info.schemas.all().find(|schema| schema.name == "school").unwrap();
    let served = schema.to_json();
    let traits = |index: usize| {
        let one = &served["attributes"][index];
        [&one["mutability"], &one["returned"]].map(|word| word.as_str().unwrap())
    };
    assert_eq!(traits(0), ["immutable", "request"]);
    assert_eq!(traits(1), ["writeOnly", "never"]);
    assert_eq!(served["attributes"][2]["referenceTypes"][0], "external");
    let kind = &served["attributes"][3]["subAttributes"][1];
    assert_eq!((&kind["name"], &kind["canonicalValues"][0]), (&"type".into(), &"parent".into()));
}

#[test]
fn characteristics_that_do_not_fit_together_are_told() {
    for (attribute, expected) in [
        (
            "type = \"string\", mutability = \"writeOnly\", returned = \"always\"",
            "`x` is writeOnly, so it is never returned",
        ),
        ("type = \"complex\"", "`x` is complex and has no parts"),
        (
            "type = \"string\", sub_attributes = [{ name = \"y\", type = \"string\" }]",
            "`x` has parts and is not complex",
        ),
        (
            "type = \"complex\", sub_attributes = [{ name = \"y\", type = \"complex\" }]",
            "a part of `x` cannot be complex itself",
        ),
        ("type = \"boolean\", canonical_values = [\"a\"]", "only texts have canonical values"),
        ("type = \"string\", mutability = \"readOnly\"", "readOnly"),
        (
            "type = \"complex\", sub_attributes = [{ name = \"1\", type = \"string\" }]",
            "`1` cannot be an attribute's name",
        ),
    ] {
        let text = format!(
            "[organizations.o]\n[[organizations.o.schemas]]\nid = \"urn:o:school:2.0:User\"\n\
             attributes = [{{ name = \"x\", {attribute} }}]\n"
        );
        let told = told(&text, &[]);
        assert!(told.contains(expected) && told.contains("config.toml:4:"), "{attribute}: {told}");
    }
}

#[test]
fn an_organizations_own_schema_extends_its_users() {
    let config = loaded(
        "[organizations.o]\n[[organizations.o.schemas]]\n\
         id = \"urn:o:params:scim:schemas:extension:school:2.0:User\"\n\
         attributes = [{ name = \"gradeLevel\", type = \"integer\", multi_valued = true }]\n",
        &[],
    );
    let schemas = &config.organizations["o"].info.schemas;
    let schema = schemas.all().find(|schema| schema.name == "school").unwrap();
    let attribute = schema.attribute("gradelevel").unwrap();
    assert!(attribute.multi_valued);
    assert_eq!(attribute.kind.word(), "integer");
}

#[test]
fn a_misspelt_key_is_told_what_it_resembles() {
    insta::assert_snapshot!(told(
        MAIN,
        &[("hr.toml", "[book]\nurl = \"https://library.example\"\nbind_dm = \"cn=relay\"\n")]
    ));
}

#[test]
fn a_key_that_resembles_nothing_is_told_the_known_ones() {
    insta::assert_snapshot!(told(
        &format!("{MAIN}colour = \"red\"\n"),
        &[("hr.toml", "[reconcile]\nevery = \"1h\"\n[book]\nurl = \"x\"\nenabled = false\n")]
    ));
}

#[test]
fn a_misspelt_section_is_one_mistake() {
    insta::assert_snapshot!(told(MAIN, &[("hr.toml", "[bokk]\nurl = \"x\"\n")]));
}

#[test]
fn a_wrong_type_is_told_in_plain_words() {
    insta::assert_snapshot!(told(
        "data_dir = 5\n[listener]\naddress = \"localhost:8080\"\nmax_body = \"1 elephant\"\n\
         behind_proxy = \"yes\"\nrate_limit = { per_second = -1 }\n",
        &[(
            "hr.toml",
            "enabled = 1\n[limits]\nconcurrency = 2.5\ntimeout = \"soon\"\n[reconcile]\n\
             schedule = \"61 * * * *\"\norphans = \"reprot\"\n[book]\nurl = [\"x\"]\n\
             style = \"modern\"\nusers = \"all\"\n"
        )]
    ));
}

#[test]
fn a_bad_template_and_a_bad_filter_are_shown_where_they_stand() {
    insta::assert_snapshot!(told(
        MAIN,
        &[(
            "hr.toml",
            "[scope]\nusers = 'userType eqq \"student\"'\ngroups = 'shoeSize gt 40'\n[book]\n\
             url = \"x\"\n[book.users]\ndn = \"uid={{ userName ,ou=people\"\n\
             [book.users.attributes]\ncn = \"{{ displayName | shout }}\"\n"
        )]
    ));
}

#[test]
fn a_connector_is_of_exactly_one_kind() {
    insta::assert_snapshot!(told(
        MAIN,
        &[
            ("both.toml", "[book]\nurl = \"x\"\n\n[slip]\nto = \"y\"\n"),
            ("none.toml", "enabled = true\n")
        ]
    ));
}

#[test]
fn a_key_that_a_connector_refuses_itself_is_shown_where_it_stands() {
    let text =
        "[book]\nurl = \"x\"\n[book.shelves]\nabc = 1\n\"d e\" = 2\n\"f g\" = 3\nhij = 999\n";
    insta::assert_snapshot!(told(MAIN, &[("hr.toml", text)]));
}

#[test]
fn a_missing_key_is_told_with_the_table_that_lacks_it() {
    insta::assert_snapshot!(told(
        "[listener]\ntls = { certificate = \"x.pem\" }\n[organizations.o]\n\
         schemas = [{ id = \"urn:o:2.0:User\", attributes = [{ name = \"a\" }, { type = \"string\" }] }]\n",
        &[("hr.toml", "[book.users]\nattributes = {}\n"), ("it.toml", "[book]\nulr = \"x\"\n")]
    ));
}

#[test]
fn an_inline_secret_is_masked_whatever_is_said_about_its_line() {
    let text = "[book]\nurl = \"https://relay:geheim@library.example\"\nbind_password = \"geheim\"\n\
                seal = \"geheim\"\n[book.headers]\nX-Key = \"geheim\"\n";
    let warnings = told(MAIN, &[("hr.toml", text)]);
    assert!(!warnings.contains("geheim"), "{warnings}");
    insta::assert_snapshot!(warnings);
}

#[test]
fn a_secret_of_the_wrong_shape_is_not_quoted() {
    for line in [
        "bind_password = 123456789",
        "bind_password = [\"123456789\"]",
        "bind_password = { fiel = \"123456789\" }",
        "bind_password = \"123456789",
        "bind_password \"123456789\"",
        "bind_password = '''\n123456789\n",
        "headers = { X = 123456789 }",
        "headers = \"123456789\"",
        "bind_pasword = \"123456789\"",
        "bindpasword = \"123456789\"",
        "client_secret = \"123456789\"",
        "url = 5\nbind_password = \"123456789\" trailing",
        "bind_dn = { password = \"123456789\" }",
    ] {
        let text = format!("{BOOK}{line}\n");
        let folder = Folder::of(MAIN, &[("hr.toml", &text)]);
        let diagnostics = folder.load().unwrap_err();
        let told = format!("{}{diagnostics:?}", render(&diagnostics, true));
        assert!(!told.contains("123456789"), "{told}");
        assert!(told.contains("hr.toml"), "{told}");
    }
}

#[test]
fn toml_that_is_none_is_shown_where_it_breaks() {
    insta::assert_snapshot!(told(
        "public_url = https://scim.example\n[listener\naddress = \"127.0.0.1:1\"\n[organizations.o]\nname = \"a\nname = \"b\"\n",
        &[("hr.toml", "enabled = true\nenabled = true\n[book]\nurl = \"x\"\n")]
    ));
}

#[test]
fn mistakes_in_three_files_are_told_at_once() {
    insta::assert_snapshot!(told(
        "timezone = \"Europe/Olso\"\n[listener]\naddress = \"0.0.0.0:8443\"\n[organizations.lillevik]\n",
        &[
            (
                "hr.toml",
                "organizations = [\"lilevik\"]\n[book]\nurl = \"x\"\nbind_dn = \"cn=relay\"\n"
            ),
            ("it.toml", "[retry]\nfirst = \"2h\"\n[slip]\ntwo = \"y\"\n"),
        ]
    ));
}

#[test]
fn what_does_not_fit_together_in_the_main_file_is_told() {
    insta::assert_snapshot!(told(
        "public_url = \"ftp://scim.example\"\n\
         [listener]\nmax_body = \"0\"\nrate_limit = { per_second = 0 }\n\
         tls = { certificate = \"missing.pem\", key = \"missing.key\" }\n\
         [console]\naddress = \"127.0.0.1:8080\"\n\
         [store]\nurl = \"postgres://relay@db/relay\"\n\
         [retention]\nchanges = \"0s\"\n\
         [organizations.\"Lillevik kommune\"]\nlocale = \"norsk bokmål\"\n\
         [[organizations.o.schemas]]\nid = \"urn:ietf:params:scim:schemas:core:2.0:User\"\n\
         attributes = [{ name = \"1a\", type = \"string\" }, { name = \"b\", type = \"complex\" }]\n\
         [[organizations.o.schemas]]\nid = \"school\"\n\
         attributes = [{ name = \"b\", type = \"string\" }, { name = \"B\", type = \"string\" }]\n",
        &[]
    ));
}

#[test]
fn a_console_that_others_reach_is_private_and_knows_its_name() {
    let organization = "[organizations.lillevik]\n";
    for (console, expected) in [
        ("", ""),
        ("address = \"0.0.0.0:8081\"", "error: the console would take passwords in clear text"),
        ("behind_proxy = true", "warning: `console.url` is left out"),
        ("behind_proxy = true\nurl = \"https://console.example/\"", ""),
        ("address = \"0.0.0.0:8081\"\nbehind_proxy = true\nurl = \"https://c.example\"", ""),
        ("url = \"https://c.example/console\"", "error: `https://c.example/console` cannot be"),
        ("url = \"console.example\"", "error: `console.example` cannot be the console's address"),
        (
            "tls = { certificate = \"none.pem\", key = \"none.key\" }",
            "error: the file `DIR/none.pem` does not exist",
        ),
    ] {
        let told = told(&format!("[console]\n{console}\n{organization}"), &[]);
        assert!(told.starts_with(expected) && told.is_empty() == expected.is_empty(), "{told}");
    }
    let url =
        |console: &str| loaded(&format!("[console]\n{console}\n{organization}"), &[]).console.url;
    assert_eq!(url(""), "http://127.0.0.1:8081");
    assert_eq!(url("url = \"https://console.example/\""), "https://console.example");
}

#[test]
fn what_does_not_fit_together_in_a_connector_is_told() {
    insta::assert_snapshot!(told(
        MAIN,
        &[(
            "hr.toml",
            "organizations = []\n[limits]\nconcurrency = 0\ntimeout = \"0s\"\n\
             [retry]\nfirst = \"0s\"\n[reconcile]\nrepair = false\norphans = \"deprovision\"\n\
             schedule = \"0 0 31 2 *\"\n[safety]\nfirst_run = \"ask\"\n[book]\nurl = \"x\"\n"
        )]
    ));
}

#[test]
fn limits_on_removals_are_numbers_or_percentages_with_windows_in_the_main_files_zone() {
    let main = format!("timezone = \"Pacific/Auckland\"\n{MAIN}");
    let text = format!(
        "[safety]\nmax_removals = 40\nfloor = 10\nfirst_run = \"plan\"\n\
         [[safety.window]]\nfrom = 2026-12-15\nuntil = \"2027-02-01\"\nmax_removals = \"60%\"\n\
         [[safety.window]]\nfrom = \"06-15\"\nuntil = \"06-20\"\nmax_member_removals = 0\n{BOOK}"
    );
    let safety = loaded(&main, &[("a.toml", &text)]).connectors[0].safety.clone();
    assert_eq!(safety.first_run, FirstRun::Plan);
    let limit = |removal, now: &str| safety.limit(removal, now.parse().unwrap(), 100);
    assert_eq!(limit(Removal::Entry, "2026-12-01T00:00:00Z"), 40);
    assert_eq!(limit(Removal::Member, "2026-12-01T00:00:00Z"), 20);
    // Auckland is thirteen hours ahead then, and twelve in June.
    assert_eq!(limit(Removal::Entry, "2026-12-14T10:59:59Z"), 40);
    assert_eq!(limit(Removal::Entry, "2026-12-14T11:00:00Z"), 60);
    assert_eq!(limit(Removal::Member, "2031-06-14T12:00:00Z"), 0);
}

#[test]
fn what_is_wrong_with_a_limit_is_told_where_it_stands() {
    insta::assert_snapshot!(told(
        MAIN,
        &[
            (
                "a.toml",
                "[safety]\nmax_removals = -3\nmax_member_removals = \"120%\"\nfloor = -1\n\
                 first_run = \"paln\"\nmax_removal = 5\n[slip]\nto = \"y\"\n"
            ),
            (
                "b.toml",
                "[safety]\nmax_removals = \"0%\"\nmax_member_removals = \"40\"\n\
                 [slip]\nto = \"y\"\n"
            ),
            ("c.toml", "[safety]\nmax_removals = 2.5\nwindow = \"summer\"\n[slip]\nto = \"y\"\n"),
            ("d.toml", "[safety]\nmax_removals = \"0%\"\nfloor = 4\n[slip]\nto = \"y\"\n"),
        ]
    ));
}

#[test]
fn what_is_wrong_with_a_window_is_told_where_it_stands() {
    let window = |keys: &str| format!("[[safety.window]]\n{keys}\n");
    let files = [
        "from = \"06-15\"\nmax_removals = 5",
        "from = \"06-31\"\nuntil = 2026-06-15T10:00:00\nmax_removals = 5\nmax_removal = 6",
        "from = \"06-15\"\nuntil = 2026-08-15\nmax_removals = 5",
        "from = 2026-08-15\nuntil = 2026-06-15\nmax_removals = 5",
        "from = \"06-15\"\nuntil = \"08-15\"",
        "from = { day = 5 }\nuntil = \"08-15\"\nmax_removals = \"0%\"",
        "from = \"06-15\"\nuntil = \"08-15\"\nmax_removals = 5\n[[safety.window]]\n\
         from = 2026-08-15\nuntil = 2026-09-15\nmax_member_removals = \"50%\"",
    ];
    let files: Vec<(String, String)> = files
        .iter()
        .enumerate()
        .map(|(number, keys)| (format!("{number}.toml"), window(keys) + "[slip]\nto = \"y\"\n"))
        .collect();
    let files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    insta::assert_snapshot!(told(MAIN, &files));
}

#[test]
fn a_name_that_several_organizations_share_is_the_connectors_to_refuse() {
    let text = "[book]\nurl = \"x\"\n[book.users]\ndn = \"uid={{ userName }}\"\n";
    assert_eq!(told(MAIN, &[("hr.toml", text)]), "");
    let two = format!("{MAIN}[organizations.other]\n");
    assert!(told(&two, &[("hr.toml", text)]).contains("several organizations share it"));
    let one = format!("organizations = [\"other\"]\n{text}");
    assert_eq!(told(&two, &[("hr.toml", &one)]), "");
}

#[test]
fn where_a_secret_is_kept_is_looked_at_before_anything_runs() {
    let text = |place: &str| format!("{BOOK}bind_password = {{ {place} }}\n");
    let folder = Folder::of(
        MAIN,
        &[
            ("missing.toml", &text("file = \"nowhere\"")),
            ("open.toml", &text("file = \"open\"")),
            ("shut.toml", &text("file = \"shut\"")),
            ("unset.toml", &text("env = \"SCIM_RELAY_NO_SUCH_VARIABLE\"")),
            ("unit.toml", &text("credential = \"ldap\"")),
            ("off.toml", &format!("enabled = false\n{}", text("file = \"nowhere\""))),
        ],
    );
    for (name, mode) in [("open", 0o644), ("shut", 0o640)] {
        let path = folder.path().join("connectors.d").join(name);
        fs::write(&path, "geheim\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    insta::assert_snapshot!(folder.told());
}

#[test]
fn a_systemd_credential_is_read_from_the_folder_that_systemd_names() {
    let text = format!("{BOOK}bind_password = {{ credential = \"ldap\" }}\n");
    let folder = Folder::of(MAIN, &[("hr.toml", &text)]);
    let credentials = tempfile::tempdir().unwrap();
    let main = folder.path().join("config.toml");
    let missing = load(&main, KINDS, Some(credentials.path())).unwrap_err();
    assert!(missing[0].message.contains("LoadCredential=ldap"), "{missing:?}");
    fs::write(credentials.path().join("ldap"), "geheim").unwrap();
    let (config, warnings) = load(&main, KINDS, Some(credentials.path())).unwrap();
    assert_eq!(warnings, []);
    assert!(config.connectors[0].secrets_are_in_reach(Some(credentials.path())));
    assert!(!config.connectors[0].secrets_are_in_reach(None));
}

#[test]
fn files_that_cannot_be_read_are_told_by_name() {
    let folder = Folder::of("connectors = \"[\"\n[organizations.o]\n", &[]);
    let nowhere = load(&folder.path().join("nowhere.toml"), KINDS, None).unwrap_err();
    fs::write(folder.path().join("latin1.toml"), b"a = 1\nb = \"\xe5\"\n").unwrap();
    let latin1 = load(&folder.path().join("latin1.toml"), KINDS, None).unwrap_err();
    let all = [nowhere, latin1, folder.load().unwrap_err()].concat();
    insta::assert_snapshot!(
        render(&all, false).replace(&folder.path().display().to_string(), "DIR")
    );
}

#[test]
fn the_main_file_is_no_connector_though_the_pattern_fits_it() {
    let folder = Folder::of(&format!("connectors = \"*.toml\"\n{MAIN}"), &[]);
    fs::write(folder.path().join("hr.toml"), BOOK).unwrap();
    let (config, _) = folder.load().unwrap();
    assert_eq!(config.connectors.len(), 1);
}

#[test]
fn two_files_of_one_name_are_refused() {
    let main = format!("connectors = \"*/*.toml\"\n{MAIN}");
    let folder = Folder::of(&main, &[("hr.toml", BOOK)]);
    fs::create_dir(folder.path().join("more")).unwrap();
    fs::write(folder.path().join("more/hr.toml"), BOOK).unwrap();
    assert!(folder.told().contains("there is another connector `hr`"), "{}", folder.told());
}

#[test]
fn a_mistake_that_shows_when_the_connector_is_built_has_its_line() {
    let config = loaded(MAIN, &[("hr.toml", BOOK)]);
    let error = config.connectors[0].build(None).err().unwrap();
    let spot = error.place.spot.clone().unwrap();
    assert_eq!((spot.line, spot.column), (2, 7));
    assert!(error.to_string().ends_with("hr.toml:2:7: `https://library.example` is not a library"));
}

#[test]
fn the_column_is_the_files_even_behind_a_masked_secret() {
    let text = "book = { bind_password = \"geheim\", uri = 5, url = \"x\" }\n";
    let told = told(MAIN, &[("hr.toml", text)]);
    assert!(told.contains("DIR/connectors.d/hr.toml:1:36\n"), "{told}");
    assert!(told.contains("1 | book = { bind_password = ***, uri = 5, url = \"x\" }\n"), "{told}");
}

#[test]
fn colour_is_there_only_when_asked_for() {
    let folder = Folder::of("x = 1", &[]);
    let diagnostics = folder.load().unwrap_err();
    assert!(!render(&diagnostics, false).contains('\u{1b}'));
    assert!(render(&diagnostics, true).contains('\u{1b}'));
}

#[test]
fn control_characters_of_a_file_do_not_reach_the_terminal() {
    let folder = Folder::of("\"a\\u001b[31m\" = 1\n\"b\\u009b31m\" = 1\n", &[]);
    let told = folder.told();
    assert!(!told.contains(['\u{1b}', '\u{9b}']), "{told:?}");
}

const ASKS: &str = "[book]\nurl = \"https://library.example\"\n[book.users]\ndn = \"x\"\n\
                    [book.users.attributes]\npin = \"{{ password }}\"\n";
const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

#[test]
fn passwords_are_sealed_with_a_key_from_wherever_a_secret_may_be() {
    let main = format!("[passwords]\nkey = {{ file = \"key\" }}\n{MAIN}[organizations.nordvik]\n");
    let asks = format!("organizations = [\"lillevik\"]\n{ASKS}");
    let folder = Folder::of(&main, &[("asks.toml", &asks), ("not.toml", BOOK)]);
    let file = folder.path().join("key");
    fs::write(&file, format!("{KEY}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let (config, warnings) = folder.load().unwrap();
    assert_eq!(render(&warnings, false), "");
    let vault = config.vault(None).unwrap().unwrap();
    assert_eq!(vault.id(), Vault::new(&KEY.into()).unwrap().id());
    assert!(config.wants_passwords("lillevik") && !config.wants_passwords("nordvik"));

    // Gone after it was checked.
    fs::remove_file(file).unwrap();
    let error = config.vault(None).unwrap_err();
    assert!(error.message.starts_with("passwords.key: the file `"), "{error:?}");
}

#[test]
fn a_key_that_will_not_do_is_said_and_never_shown() {
    let told = |key: &str| told(&format!("{MAIN}[passwords]\nkey = {key}\n"), &[]);
    for (key, expected) in [
        ("\"c2hvcnQ=\"", "error: the key has 5 bytes instead of 32; make one with `openssl rand"),
        ("\"pass word\"", "error: the key is not base64; make one with `openssl rand"),
        ("{ file = \"no-key\" }", "no-key` does not exist"),
        ("{ credential = \"password-key\" }", "only the service can read it"),
        (&format!("\"{KEY}\""), "warning: the secret stands in the configuration itself"),
    ] {
        let said = told(key);
        assert!(said.contains(expected), "{said}");
        let shown = ["c2hv", "pass word", &KEY[..8]].iter().any(|secret| said.contains(secret));
        assert!(!shown, "{said}");
    }
}

#[test]
fn who_asks_for_passwords_that_nobody_keeps_is_warned() {
    let said = told(MAIN, &[("asks.toml", ASKS)]);
    assert!(
        said.starts_with("warning: it asks for people's passwords, and there is no key"),
        "{said}"
    );
    assert!(said.contains("asks.toml:1"), "{said}");
    let off = format!("enabled = false\n{ASKS}");
    assert_eq!(told(MAIN, &[("asks.toml", &off)]), "");
    assert!(loaded(MAIN, &[("asks.toml", &off)]).vault(None).unwrap().is_none());
}

/// `# key = value` shows a default, `#> key = value` an example of a key without one.
fn uncomment(example: &str, also_examples: bool) -> String {
    let setting = |line: &str| {
        line.starts_with('[')
            || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(char::is_whitespace))
    };
    let mut out = String::new();
    for line in example.lines() {
        let line = match line.strip_prefix("# ") {
            Some(rest) if setting(rest) => rest,
            _ => match line.strip_prefix("#> ") {
                Some(rest) if also_examples => rest,
                _ => line,
            },
        };
        out.push_str(line);
        out.push('\n');
    }
    out
}

#[track_caller]
fn parsed<T>(text: &str, also: &[&str]) -> T
where
    T: de::DeserializeOwned,
{
    let parsed = Source::parse(Path::new("example"), text);
    assert!(parsed.mistakes.is_empty(), "{:?}\n{text}", parsed.mistakes);
    let around = Around { prefix: "", also, top: &[] };
    let reading = read(parsed.tree, &around, |value: ValueDeserializer<'_>| decode::<T>(value));
    assert!(reading.mistakes.is_empty(), "{:?}\n{text}", reading.mistakes);
    reading.value.unwrap()
}

const EXAMPLE: &str = include_str!("../../config.example.toml");
const CONNECTOR_EXAMPLE: &str = include_str!("../../connector.example.toml");

#[test]
fn the_example_files_defaults_are_the_defaults() {
    assert_eq!(parsed::<File>(&uncomment(EXAMPLE, false), &[]), File::default());
    assert_eq!(
        parsed::<ConnectorFile>(&uncomment(CONNECTOR_EXAMPLE, false), &[]),
        ConnectorFile::default()
    );
}

#[test]
fn the_example_files_examples_are_right() {
    let file = parsed::<File>(&uncomment(EXAMPLE, true), &[]);
    assert!(file.public_url.is_some() && file.listener.tls.is_some());
    assert!(file.passwords.key.is_some());
    assert!(file.organizations["example"].schemas.len() == 1);
    let connector = parsed::<ConnectorFile>(&uncomment(CONNECTOR_EXAMPLE, true), &[]);
    assert!(connector.reconcile.schedule.is_some() && connector.scope.groups.is_some());
}

/// The keys that a struct of the file has, from serde itself.
fn keys_of<T: de::DeserializeOwned>() -> Vec<String> {
    let nothing = "no_such_key = 1";
    let parsed = Source::parse(Path::new("x"), nothing);
    let around = Around { prefix: "", also: &[], top: &[] };
    let reading = read(parsed.tree, &around, decode::<T>);
    let help = reading.mistakes[0].help.clone().unwrap();
    help.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_key_is_in_the_example() {
    for key in keys_of::<File>() {
        let shown = EXAMPLE.lines().any(|line| {
            let line = line.trim_start_matches(['#', '>', ' ']);
            line.starts_with(&format!("{key} = "))
                || line.starts_with(&format!("[{key}]"))
                || line.starts_with(&format!("[{key}."))
        });
        assert!(shown, "{key}");
    }
    for key in keys_of::<ConnectorFile>() {
        assert!(CONNECTOR_EXAMPLE.contains(&key), "{key}");
    }
}

#[test]
fn the_keys_at_the_top_of_a_file_are_keys_of_it() {
    assert!(FILE_TOP.iter().all(|key| keys_of::<File>().contains(&(*key).to_owned())));
    assert!(
        CONNECTOR_TOP.iter().all(|key| keys_of::<ConnectorFile>().contains(&(*key).to_owned()))
    );
}

/// Pieces that make up files which are wrong in ways that a person is wrong.
fn almost_toml() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "[book]\n",
        "[book.users]\n",
        "[listener]\n",
        "[scope]\n",
        "[[organizations.o.schemas]]\n",
        "[organizations.o]\n",
        "url = ",
        "address = ",
        "dn = ",
        "users = ",
        "bind_password = ",
        "attributes = ",
        "\"x\"",
        "'''",
        "\"\"\"",
        "{ ",
        " }",
        "[",
        "]",
        ", ",
        "= ",
        "\n",
        "5",
        "é",
        "\u{1F1F3}",
        "\t",
        "\r\n",
        "true",
        "{ file = \"y\" }",
        "# c",
        "\"\\u",
        "a.b.c = 1\n",
        "\0",
        "https://u:p@h",
        "1979-05-27",
        "headers.",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_loading_or_rendering_panic(
        main in prop_oneof![".{0,80}", almost_toml()],
        connector in prop_oneof![".{0,80}", almost_toml()],
    ) {
        let folder = Folder::of(&main, &[("hr.toml", &connector)]);
        let diagnostics = folder.load().err().unwrap_or_default();
        prop_assert_eq!(render(&diagnostics, true).is_empty(), diagnostics.is_empty());
        for diagnostic in &diagnostics {
            if let Some(spot) = &diagnostic.place.spot {
                prop_assert!(spot.quote.get(spot.mark.clone()).is_some());
            }
        }
    }
}
