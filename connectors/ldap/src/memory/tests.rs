//! A directory that is a file.

use std::fs;

use super::*;
use crate::filter::Filter;

fn attribute(name: &str, value: &str) -> (String, Vec<Vec<u8>>) {
    (name.to_owned(), vec![value.as_bytes().to_vec()])
}

fn query<'a>(base: &'a str, attributes: &'a [String]) -> Query<'a> {
    Query { base, scope: Scope::Base, filter: Filter::anything(), attributes }
}

async fn read(memory: &Memory, dn: &str) -> Option<Entry> {
    let attributes = ["cn", "uid", "member", "entryUUID"].map(str::to_owned);
    memory.find(&query(dn, &attributes), 1).await.ok()?.pop()
}

fn group() -> Attributes {
    vec![
        attribute("objectClass", "groupOfNames"),
        attribute("cn", "g"),
        attribute("member", "uid=ada,dc=x"),
    ]
}

#[tokio::test]
async fn a_directory_that_is_opened_again_is_as_it_was() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.ldif");
    let memory = Memory::open(&path).expect("a new file");
    memory.add("cn=g,dc=x", group()).await.expect("added");
    let to = NewName { rdn: "cn=h".to_owned(), parent: None, delete_old: true };
    memory.rename("cn=g,dc=x", &to).await.expect("renamed");
    let change = Modification::Add("member".to_owned(), vec![b"uid=bo,dc=x".to_vec()]);
    memory.modify("CN=H, DC=x", vec![change]).await.expect("modified");
    let before = read(&memory, "cn=h,dc=x").await.expect("it is there");
    assert_eq!(before.values("member").len(), 2);
    drop(memory);

    // A crash in the middle of a record.
    let whole = fs::read_to_string(&path).expect("readable");
    fs::write(&path, format!("{whole}dn: cn=h,dc=x\nchangetype: dele")).expect("writable");
    let memory = Memory::open(&path).expect("what is complete counts");
    assert_eq!(read(&memory, "cn=h,dc=x").await, Some(before));
    assert_eq!(fs::read_to_string(&path).expect("readable"), whole);
    memory.delete("cn=h,dc=x").await.expect("deleted");
    drop(memory);
    let memory = Memory::open(&path).expect("the file goes on");
    assert_eq!(read(&memory, "cn=h,dc=x").await, None);
}

#[tokio::test]
async fn it_refuses_what_a_server_refuses() {
    let folder = tempfile::tempdir().expect("a folder");
    let memory = Memory::open(&folder.path().join("x.ldif")).expect("a new file");
    memory.add("cn=g,dc=x", group()).await.expect("added");
    memory.add("cn=h,dc=x", group()).await.expect("added");
    let code = |result: Result<(), Fault>| result.err().and_then(|fault| fault.code());
    let ada = || vec![b"UID=Ada,dc=x".to_vec()];
    let change = |change| memory.modify("cn=g,dc=x", vec![change]);

    assert_eq!(code(memory.add("CN=g, dc=x", group()).await), Some(68));
    let taken = NewName { rdn: "cn=h".to_owned(), parent: None, delete_old: true };
    assert_eq!(code(memory.rename("cn=g,dc=x", &taken).await), Some(68));
    assert_eq!(code(memory.delete("cn=i,dc=x").await), Some(32));
    assert_eq!(code(change(Modification::Add("member".to_owned(), ada())).await), Some(20));
    assert_eq!(
        code(change(Modification::Delete("member".to_owned(), vec![b"x".to_vec()])).await),
        Some(16)
    );
    assert_eq!(code(change(Modification::Delete("member".to_owned(), ada())).await), Some(65));
    let missing = memory.find(&query("cn=i,dc=x", &[]), 1).await;
    assert_eq!(missing.err().and_then(|fault| fault.code()), Some(32));
    assert_eq!(read(&memory, "cn=g,dc=x").await.expect("unchanged").values("member").len(), 1);
}

#[test]
fn a_file_that_is_no_ldif_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("x.ldif");
    fs::write(&path, "something else\n\nentirely\n").expect("writable");
    assert!(Memory::open(&path).is_err());
    assert_eq!(fs::read_to_string(&path).expect("readable"), "something else\n\nentirely\n");
}
