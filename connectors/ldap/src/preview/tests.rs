//! What would be written, as LDIF.

use jiff::Timestamp;
use scim_relay_sdk::connector::{Link, Stage};
use scim_relay_sdk::testing::{ada, choir, deleted, delta, group_work, present};

use super::*;
use crate::dialect::Flavor;
use crate::memory::Memory;

const USERS: &str = r#"
dn = "uid={{ userName }},ou=people,dc=x"
[attributes]
cn = "{{ displayName }}"
carLicense = "{{ password }}"
title = "{{ title }}"
[initial]
userPassword = "secret of {{ userName }}"
[deprovision]
delete = "move"
move_to = "ou=leavers,dc=x"
purge_after = "90 days"
"#;

fn linked(mut work: Work, address: &str) -> Work {
    work.link = Some(Link {
        target_id: "1".to_owned(),
        address: address.to_owned(),
        hash: None,
        stage: Stage::Active,
        since: Timestamp::UNIX_EPOCH,
    });
    work
}

#[track_caller]
fn check(work: &Work, expected: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let memory = Memory::open(&folder.path().join("x.ldif")).expect("a file");
    let users: Users = toml::from_str(USERS).expect("it parses");
    let groups: Groups = toml::from_str("dn = \"cn={{ displayName }},dc=x\"").expect("it parses");
    let (users, groups) = (Some(users.into()), Some(groups.into()));
    let ldap = Ldap::new(Box::new(memory), Flavor::Auto, users, groups, None, false);
    assert_eq!(ldap.preview_text(work).expect("a preview"), expected);
}

#[test]
fn a_new_person_is_shown_whole_and_without_the_password() {
    check(
        &present(ada()),
        "dn: uid=ada@lillevik.example,ou=people,dc=x\nchangetype: add\nobjectClass: inetOrgPerson\n\
         # cn: Ada Müller\ncn:: QWRhIE3DvGxsZXI=\nuserPassword: ***\nuid: ada@lillevik.example\n\n",
    );
}

#[test]
fn a_password_that_waits_is_shown_as_one() {
    let mut work = linked(present(ada()), "uid=ada@lillevik.example,ou=people,dc=x");
    work.password = Some("canary".into());
    check(
        &work,
        "# of these, the values that the entry does not hold\n\
         dn: uid=ada@lillevik.example,ou=people,dc=x\nchangetype: modify\nadd: cn\n\
         # cn: Ada Müller\ncn:: QWRhIE3DvGxsZXI=\n-\ndelete: title\n-\n\n\
         # and carLicense is set anew: ***\n",
    );
}

#[test]
fn a_linked_person_is_shown_as_what_it_is_compared_with() {
    check(
        &linked(present(ada()), "uid=old,ou=people,dc=x"),
        "dn: uid=old,ou=people,dc=x\nchangetype: modrdn\nnewrdn: uid=ada@lillevik.example\n\
         deleteoldrdn: 1\n\n\
         # of these, the values that the entry does not hold\n\
         dn: uid=ada@lillevik.example,ou=people,dc=x\nchangetype: modify\nadd: cn\n\
         # cn: Ada Müller\ncn:: QWRhIE3DvGxsZXI=\n-\ndelete: title\n-\n\n",
    );
}

#[test]
fn a_leaver_is_shown_with_what_comes_later() {
    check(
        &linked(deleted(ada()), "uid=ada,ou=people,dc=x"),
        "# of these, the values that the entry does not hold\n\
         dn: uid=ada,ou=people,dc=x\nchangetype: modify\nadd: pwdAccountLockedTime\n\
         pwdAccountLockedTime: 000001010000Z\n-\n\n\
         dn: uid=ada,ou=people,dc=x\nchangetype: modrdn\nnewrdn: uid=ada\ndeleteoldrdn: 1\n\
         newsuperior: ou=leavers,dc=x\n\n# and deleted after 90 days\n",
    );
    check(&deleted(ada()), "# nothing would be written\n");
}

#[test]
fn a_group_is_shown_with_its_members() {
    let work = group_work(choir(), delta(&[(1, "uid=one,dc=x")], &[(2, "uid=two,dc=x")]));
    check(
        &work,
        "dn: cn=Choir,dc=x\nchangetype: add\nobjectClass: groupOfNames\nmember: uid=one,dc=x\ncn: Choir\n\n",
    );
    check(
        &linked(work, "cn=Choir,dc=x"),
        "dn: cn=Choir,dc=x\nchangetype: modify\nadd: member\nmember: uid=one,dc=x\n-\n\
         delete: member\nmember: uid=two,dc=x\n-\n\n",
    );
}
