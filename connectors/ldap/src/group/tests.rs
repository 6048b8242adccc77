//! Memberships by value: against a directory that answers as it is told.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use scim_relay_sdk::connector::Connector as _;
use scim_relay_sdk::scim::{ResourceId, ResourceKey, ResourceKind};
use scim_relay_sdk::testing::{choir, group_work};
use uuid::Uuid;

use super::*;
use crate::dialect::Flavor;
use crate::memory::Memory;
use crate::transport::{Attributes, Entry, NewName, Secret, Sink, Transport};

fn values(count: usize) -> Values {
    (0..count).map(|number| format!("uid={number:05},dc=x").into_bytes()).collect()
}

fn shape(delta: &Delta) -> Vec<String> {
    let word = |step: &Modification| match step {
        Modification::Add(_, values) => format!("+{}", values.len()),
        Modification::Delete(_, values) => format!("-{}", values.len()),
    };
    steps("member", delta).iter().map(|step| step.iter().map(word).collect()).collect()
}

#[test]
fn a_delta_is_as_few_modifies_as_the_server_takes() {
    let filler = || b"cn=nobody".to_vec();
    let check = |joined, left, expected: &[&str]| {
        let delta = Delta { joined: values(joined), left: values(left), ..Delta::default() };
        assert_eq!(shape(&delta), expected);
    };
    check(0, 0, &[]);
    check(3, 2, &["+3-2"]);
    check(999, 2, &["+999", "-2"]);
    check(2_100, 0, &["+1000", "+1000", "+100"]);
    check(0, 1_001, &["-1000", "-1"]);

    let first = Delta { joined: values(1_001), unfill: vec![filler()], ..Delta::default() };
    assert_eq!(shape(&first), ["+1000-1", "+1"]);
    let last = Delta { left: values(1_001), fill: Some(filler()), ..Delta::default() };
    assert_eq!(shape(&last), ["-1000", "+1-1"]);
    let empty = Delta { fill: Some(filler()), ..Delta::default() };
    assert_eq!(shape(&empty), ["+1"]);
}

/// A directory that answers some modifies with a fault.
struct Faulty {
    inner: Memory,
    /// Let so many through, then fail once.
    until: Mutex<Option<usize>>,
}

#[async_trait]
impl Transport for Arc<Faulty> {
    fn place(&self) -> &str {
        self.inner.place()
    }

    fn identity(&self) -> Option<&str> {
        self.inner.identity()
    }

    fn has_containers(&self) -> bool {
        false
    }

    async fn find(&self, query: &Query<'_>, limit: usize) -> Result<Vec<Entry>, Fault> {
        self.inner.find(query, limit).await
    }

    async fn list(&self, query: &Query<'_>, sink: &mut Sink<'_>) -> Result<(), Fault> {
        self.inner.list(query, sink).await
    }

    async fn add(&self, dn: &str, attributes: Attributes) -> Result<(), Fault> {
        self.inner.add(dn, attributes).await
    }

    async fn modify(&self, dn: &str, changes: Vec<Modification>) -> Result<(), Fault> {
        let fails = match &mut *self.until.lock().unwrap() {
            until @ Some(0) => until.take().is_some(),
            Some(more) => {
                *more -= 1;
                false
            }
            None => false,
        };
        if fails { Err(Fault::refusal(51, "busy")) } else { self.inner.modify(dn, changes).await }
    }

    async fn write_secret(&self, dn: &str, secret: Secret) -> Result<(), Fault> {
        self.inner.write_secret(dn, secret).await
    }

    async fn rename(&self, dn: &str, to: &NewName) -> Result<(), Fault> {
        self.inner.rename(dn, to).await
    }

    async fn delete(&self, dn: &str) -> Result<(), Fault> {
        self.inner.delete(dn).await
    }
}

fn members(count: usize) -> Vec<Member> {
    values(count)
        .into_iter()
        .map(|address| Member {
            key: ResourceKey {
                organization: "lillevik".into(),
                kind: ResourceKind::User,
                id: ResourceId(Uuid::new_v4()),
            },
            target_id: String::new(),
            address: String::from_utf8(address).expect("text"),
        })
        .collect()
}

#[tokio::test]
async fn a_delta_that_fails_half_way_is_completed_and_never_shortened() {
    for begin in [true, false] {
        for until in 0..4 {
            let folder = tempfile::tempdir().expect("a folder");
            let inner = Memory::open(&folder.path().join("x.ldif")).expect("a file");
            let groups: Groups =
                toml::from_str("dn = \"cn={{ displayName }},dc=x\"").expect("it parses");
            let transport = Arc::new(Faulty { inner, until: Mutex::new(None) });
            let ldap = Ldap::new(
                Box::new(Arc::clone(&transport)),
                Flavor::Auto,
                None,
                Some(groups.into()),
                None,
                false,
            );
            let people = members(2_600);
            let (half, other) = people.split_at(500);
            let made = group_work(choir(), MemberDelta::All(half.to_vec()));
            let made = ldap.deliver(&made).await.expect("the group is made");

            let delta = if begin {
                MemberDelta::Changed { joined: other.to_vec(), left: Vec::new() }
            } else {
                MemberDelta::All(people.clone())
            };
            let mut work = group_work(choir(), delta);
            work.link = made.link;
            *transport.until.lock().unwrap() = Some(until);
            let first = ldap.deliver(&work).await;
            assert_eq!(first.is_err(), until < 3, "three modifies are needed");
            *transport.until.lock().unwrap() = None;
            ldap.deliver(&work).await.expect("the second attempt completes it");
            let (fillers, held) = ldap
                .members_of(ldap.groups.as_ref().expect("groups"), "cn=Choir,dc=x")
                .await
                .expect("readable");
            assert_eq!((fillers.len(), held.len()), (0, 2_600));
        }
    }
}
