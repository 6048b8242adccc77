//! What does not fit together in a section, though each value alone may be right.

use scim_relay_sdk::connector::Problem;

use crate::config::{Config, Groups, Mapping, Policy, Users, is_attribute};
use crate::dn::Dn;
use crate::dn_template::DnTemplate;
use crate::password;
use crate::url::Url;

/// Everything that is wrong with the section.
pub(crate) fn section(config: &Config, several_organizations: bool) -> Vec<Problem> {
    let mut problems = Vec::new();
    connection(config, &mut problems);
    if config.users.is_none() && config.groups.is_none() {
        problems.push(
            Problem::new("", "neither people nor groups are mapped, so nothing would be written")
                .help("add [ldap.users], [ldap.groups] or both"),
        );
    }
    if let Some(users) = &config.users {
        check_users(users, several_organizations, &mut problems);
    }
    if let Some(groups) = &config.groups {
        check_groups(groups, several_organizations, &mut problems);
    }
    password::check(config, &mut problems);
    problems
}

fn connection(config: &Config, problems: &mut Vec<Problem>) {
    let Url::Server { tls, .. } = config.url else {
        return;
    };
    if tls && config.starttls {
        problems.push(
            Problem::new("starttls", "an ldaps:// address is protected from the first byte")
                .help("leave starttls out, or use ldap://"),
        );
    }
    if !tls && !config.starttls && !config.allow_plaintext {
        problems.push(
            Problem::new("url", "the bind password and everybody's data would go in clear text")
                .help(
                    "use ldaps://, or starttls = true; on a machine's own loopback \
                     allow_plaintext = true may do",
                ),
        );
    }
    if config.bind_dn.as_ref().is_none_or(Dn::is_root) {
        problems.push(
            Problem::new("bind_dn", "nothing can be written without signing in")
                .help("name an account of the relay's own, with rights on its part of the tree"),
        );
    }
    if config.bind_password.is_none() {
        problems.push(Problem::new("bind_password", "the bind DN has no password").help(
            "bind_password = { credential = \"..\" }, { file = \"..\" } or { env = \"..\" }",
        ));
    }
}

/// What no mapping may write: what the server keeps, what other keys say, what is never read back.
const RESERVED: &[(&str, &str)] = &[
    ("objectClass", "is what object_classes says"),
    ("memberOf", "is worked out by the server from the groups' members"),
    ("entryUUID", "is the server's own"),
    ("nsUniqueId", "is the server's own"),
    ("entryDN", "is the server's own"),
    ("entryCSN", "is the server's own"),
    ("createTimestamp", "is the server's own"),
    ("modifyTimestamp", "is the server's own"),
    ("pwdAccountLockedTime", "is written by disabling and enabling"),
    ("nsAccountLock", "is written by disabling and enabling"),
];

fn check_users(users: &Users, several_organizations: bool, problems: &mut Vec<Problem>) {
    check_place("users", &users.dn, users.base.as_ref(), several_organizations, problems);
    check_classes("users", &users.object_classes, problems);
    check_mapping("users.attributes", &users.attributes, problems);
    check_mapping("users.initial", &users.initial, problems);
    let deprovision = &users.deprovision;
    check_mapping(
        "users.deprovision.disabled_attributes",
        &deprovision.disabled_attributes,
        problems,
    );
    for (name, _) in users.initial.iter().filter(|(name, _)| users.attributes.get(name).is_some()) {
        problems.push(
            Problem::new(
                format!("users.initial.{name}"),
                "is kept up to date by users.attributes too",
            )
            .help("leave it out of one of the two"),
        );
    }
    for name in users.correlate.iter().filter(|name| users.attributes.get(name).is_none()) {
        problems.push(
            Problem::new(
                "users.correlate",
                format!("`{name}` is not mapped, so there is nothing to look for"),
            )
            .help(format!(
                "add it to [ldap.users.attributes], e.g. {name} = \"{{{{ externalId }}}}\""
            )),
        );
    }
    let moves = [deprovision.deactivate, deprovision.delete].contains(&Policy::Move);
    match &deprovision.move_to {
        None if moves => problems.push(
            Problem::new(
                "users.deprovision.move_to",
                "somebody is to be moved, and nothing says where",
            )
            .help("move_to = \"ou=leavers,dc=example,dc=org\""),
        ),
        Some(place) if users.base().is_some_and(|base| base.is_within(place)) => problems.push(
            Problem::new(
                "users.deprovision.move_to",
                format!("everybody is within `{place}` already"),
            )
            .help("choose a part of the tree beside or below the people"),
        ),
        _ => {}
    }
    let stays = |policy| matches!(policy, Policy::Disable | Policy::Move);
    if deprovision.purge_after.is_some()
        && !stays(deprovision.deactivate)
        && !stays(deprovision.delete)
    {
        problems.push(
            Problem::new(
                "users.deprovision.purge_after",
                "nobody is disabled or moved, so nobody would be purged",
            )
            .help("leave it out, or set delete = \"disable\""),
        );
    }
}

fn check_groups(groups: &Groups, several_organizations: bool, problems: &mut Vec<Problem>) {
    check_place("groups", &groups.dn, groups.base.as_ref(), several_organizations, problems);
    check_classes("groups", &groups.object_classes, problems);
    check_mapping("groups.attributes", &groups.attributes, problems);
    if !is_attribute(groups.member_attribute()) {
        problems.push(Problem::new("groups.member_attribute", "is not an attribute's name"));
    }
    if groups.attributes.get(groups.member_attribute()).is_some() {
        problems.push(
            Problem::new(
                format!("groups.attributes.{}", groups.member_attribute()),
                "members are written as they join and leave",
            )
            .help("leave it out"),
        );
    }
}

fn check_place(
    section: &str,
    dn: &DnTemplate,
    base: Option<&Dn>,
    several: bool,
    problems: &mut Vec<Problem>,
) {
    match (base, dn.base()) {
        (None, None) => problems.push(
            Problem::new(
                format!("{section}.base"),
                "the dn has templates in more than its first step, so nothing says where to look",
            )
            .help(format!("add [ldap.{section}] base, the part of the tree they are all in")),
        ),
        (Some(base), Some(below)) if !below.is_within(base) => problems.push(Problem::new(
            format!("{section}.base"),
            format!("entries would be made in `{below}`, outside of `{base}`"),
        )),
        _ => {}
    }
    if several && !dn.reads("organization") {
        problems.push(
            Problem::new(format!("{section}.dn"), "several organizations would share one name")
                .help(
                    "use {{ organization.key }} in it, or make a connector for each with \
                     organizations = [..]",
                ),
        );
    }
}

fn check_classes(section: &str, classes: &[String], problems: &mut Vec<Problem>) {
    if classes.is_empty() {
        problems.push(Problem::new(
            format!("{section}.object_classes"),
            "an entry needs an object class",
        ));
    }
    for class in classes.iter().filter(|class| !is_attribute(class)) {
        problems.push(Problem::new(
            format!("{section}.object_classes"),
            format!("`{class}` is not an object class's name"),
        ));
    }
}

fn check_mapping(path: &str, mapping: &Mapping, problems: &mut Vec<Problem>) {
    for (name, why) in RESERVED {
        if mapping.get(name).is_some() {
            problems.push(Problem::new(format!("{path}.{name}"), *why).help("leave it out"));
        }
    }
}
