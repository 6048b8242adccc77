//! The connector with a file in the directory's place: the same deliveries, and LDIF to read.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use scim_relay_sdk::connector::{Action, BuildContext, Connector, MemberDelta, Settings};
use scim_relay_sdk::testing::{
    ada, choir, conformance, delta, group_work, member_conformance, organization, present, secrets,
};

const CONFIG: &str = r#"
url = "ldif:directory.ldif"
[users]
dn = "uid={{ userName }},ou=people,dc=x"
[users.attributes]
cn = "{{ displayName }}"
sn = "{{ name.familyName }}"
[groups]
dn = "cn={{ displayName }},ou=groups,dc=x"
"#;

fn connect(folder: &Path, config: &str) -> Arc<dyn Connector> {
    let config: scim_relay_ldap::Config = toml::from_str(config).expect("it parses");
    assert_eq!(config.check(false), []);
    let context = BuildContext {
        name: "demo",
        folder,
        secrets: &secrets(),
        timeout: Duration::from_secs(5),
        concurrency: 4,
        organizations: &[organization()],
    };
    config.build(&context).expect("it can be built")
}

#[tokio::test]
async fn it_does_what_every_connector_does() {
    let folder = tempfile::tempdir().unwrap();
    let seen = conformance(&*connect(folder.path(), CONFIG), ada()).await.unwrap();
    assert_eq!(seen.deleted.action, Action::Deactivated);
    let deleting = CONFIG.replace("[groups]", "[users.deprovision]\ndelete = \"delete\"\n[groups]");
    let other = tempfile::tempdir().unwrap();
    let seen = conformance(&*connect(other.path(), &deleting), ada()).await.unwrap();
    assert_eq!(seen.deleted.action, Action::Deleted);
    let third = tempfile::tempdir().unwrap();
    let connector = connect(third.path(), CONFIG);
    conformance(&*connector, choir()).await.unwrap();
    let MemberDelta::Changed { joined, .. } =
        delta(&[(1, "uid=a"), (2, "uid=b"), (3, "uid=c")], &[])
    else {
        unreachable!("a delta says who joined")
    };
    member_conformance(&*connector, choir(), joined.try_into().unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_restart_goes_on_where_the_file_ends() {
    let folder = tempfile::tempdir().unwrap();
    let connector = connect(folder.path(), CONFIG);
    let made = connector.deliver(&present(ada())).await.unwrap();
    let none = group_work(choir(), MemberDelta::All(Vec::new()));
    connector.deliver(&none).await.unwrap();
    drop(connector);
    let written = fs::read_to_string(folder.path().join("directory.ldif")).unwrap();
    assert!(written.starts_with("version: 1\n\n# entryUUID: "), "{written}");
    assert!(written.contains("\n# cn: Ada Müller\n"), "{written}");

    let mut work = present(ada());
    work.link.clone_from(&made.link);
    let again = connect(folder.path(), CONFIG).deliver(&work).await.unwrap();
    assert_eq!((again.action, again.link), (Action::Unchanged, made.link));
    assert_eq!(fs::read_to_string(folder.path().join("directory.ldif")).unwrap(), written);
}
