//! The ledger, tokens, retention, reports.

use std::time::Duration;

use jiff::SignedDuration;
use scim_relay_sdk::connector::MemberDelta;

use super::kit::{Kit, NORTH, SOUTH, arc, linked, linked_at, parked, unlinked};
use crate::store::{
    AuditRow, Claim, DriftRow, NewRun, NewToken, Once, OnceKey, People, Reason, Store, Touch,
};

fn welcome(organization: &str) -> OnceKey {
    OnceKey { connector: arc("mail"), organization: arc(organization), key: "welcome:1".to_owned() }
}

async fn begin(kit: &Kit, key: &OnceKey, claim: &Claim) -> Once {
    kit.store.once_begin(key, claim, kit.now()).await.unwrap()
}

#[tokio::test]
async fn what_happens_once_is_begun_and_ended_across_restarts() {
    let mut kit = Kit::new().await;
    let mail = kit.hook().await;
    let ada = kit.user("ada").await;
    let claim = kit.claim_of(mail, &ada).await.unwrap();
    assert_eq!(begin(&kit, &welcome(NORTH), &claim).await, Once::Begun);
    let kit = kit.reopened().await;
    assert_eq!(begin(&kit, &welcome(NORTH), &claim).await, Once::Interrupted);
    kit.store.once_end(&welcome(NORTH), false).await.unwrap();
    assert_eq!(
        begin(&kit, &welcome(NORTH), &claim).await,
        Once::Begun,
        "it certainly was not sent"
    );
    kit.store.once_end(&welcome(NORTH), true).await.unwrap();
    let kit = kit.reopened().await;
    assert_eq!(begin(&kit, &welcome(NORTH), &claim).await, Once::Sent);
    kit.store.once_end(&welcome(NORTH), false).await.unwrap();
    assert_eq!(begin(&kit, &welcome(NORTH), &claim).await, Once::Sent, "what was sent stays sent");
    assert_eq!(begin(&kit, &welcome(SOUTH), &claim).await, Once::Begun, "another organization's");
    let other = OnceKey { key: "welcome:2".to_owned(), ..welcome(NORTH) };
    assert_eq!(begin(&kit, &other, &claim).await, Once::Begun);
}

#[tokio::test]
async fn what_was_cut_off_for_somebody_before_is_in_doubt_for_who_comes_back() {
    let mut kit = Kit::new().await;
    let mail = kit.hook().await;
    let before = kit.user("ada").await;
    let claim = kit.claim_of(mail, &before).await.unwrap();
    assert_eq!(begin(&kit, &welcome(NORTH), &claim).await, Once::Begun);
    kit.settle(&claim, parked("may have been sent")).await;
    kit.delete(&before).await;
    let after = kit.user("ada").await;
    let claim = kit.claim_of(mail, &after).await.unwrap();
    assert_eq!(begin(&kit, &welcome(NORTH), &claim).await, Once::InterruptedElsewhere);
    assert_eq!(begin(&kit, &welcome(NORTH), &claim).await, Once::Interrupted, "it is theirs now");
}

#[tokio::test]
async fn what_a_person_skips_counts_as_sent() {
    let mut kit = Kit::new().await;
    let mail = kit.hook().await;
    let ada = kit.user("ada").await;
    let claim = kit.claim_of(mail, &ada).await.unwrap();
    begin(&kit, &welcome(NORTH), &claim).await;
    kit.settle(&claim, parked("may have been sent")).await;
    kit.touch(mail, Touch::Skip).await;
    assert_eq!(begin(&kit, &welcome(NORTH), &claim).await, Once::Sent);
}

async fn prune(kit: &Kit) {
    while kit.store.prune(kit.now(), kit.now()).await.unwrap().more {}
}

#[tokio::test]
async fn what_is_young_is_not_pruned() {
    let kit = Kit::new().await;
    let ada = kit.user("ada").await;
    kit.change(&ada, "ada", "a").await;
    kit.pass(Duration::from_mins(1));
    kit.change(&ada, "ada", "b").await;
    let before = kit.now() - SignedDuration::from_secs(30);
    while kit.store.prune(before, before).await.unwrap().more {}
    assert_eq!(kit.store.log(kit.north, ada.row, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_tombstone_goes_when_everyone_has_settled_it() {
    let mut kit = Kit::new().await;
    let (dir, hook) = (kit.directory().await, kit.hook().await);
    let ada = kit.user("ada").await;
    for connector in [dir, hook] {
        kit.deliver_all(connector).await;
    }
    kit.delete(&ada).await;
    kit.pass(Duration::from_hours(24 * 90));
    prune(&kit).await;
    assert_eq!(kit.rows("resource"), 1, "nobody has been told");
    kit.deliver_all(hook).await;
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    kit.settle(&claim, linked("ou=leavers")).await;
    prune(&kit).await;
    assert_eq!(kit.rows("resource"), 1, "the directory still holds an entry");
    kit.store.mark(dir, vec![ada.row], Reason::Resync, kit.now()).await.unwrap();
    let claim = kit.claim_of(dir, &ada).await.unwrap();
    kit.settle(&claim, unlinked()).await;
    prune(&kit).await;
    for table in ["resource", "change", "link", "queue", "member_mark"] {
        assert_eq!(kit.rows(table), 0, "{table}");
    }
}

#[tokio::test]
async fn a_group_whose_log_is_gone_is_compared_whole() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let (ada, bob) = (kit.user("ada").await, kit.user("bob").await);
    let choir = kit.group("choir", &[&ada, &bob]).await;
    for (user, address) in [(&ada, "a"), (&bob, "b")] {
        let claim = kit.claim_of(dir, user).await.unwrap();
        kit.settle(&claim, linked_at(address, address)).await;
    }
    kit.deliver_all(dir).await;
    kit.remove(&choir, &[&ada]).await;
    let claim = kit.claim_of(dir, &choir).await.unwrap();
    kit.settle(&claim, parked("refused")).await;
    kit.update(&choir, Some(super::kit::group("the choir")), Vec::new()).await;
    let claim = kit.claim_of(dir, &choir).await.unwrap();
    kit.settle(&claim, parked("refused")).await;
    kit.pass(Duration::from_hours(24 * 90));
    prune(&kit).await;
    kit.touch(dir, Touch::Retry).await;
    let claim = kit.claim_of(dir, &choir).await.unwrap();
    let case = kit.case(&claim).await;
    let Some(MemberDelta::All(members)) = case.members else { panic!("{:?}", case.members) };
    assert_eq!(members.into_iter().map(|member| member.address).collect::<Vec<_>>(), ["b"]);
}

#[tokio::test]
async fn a_long_log_is_pruned_piece_by_piece() {
    let mut kit = Kit::new().await;
    let hook = kit.hook().await;
    let ada = kit.user("ada").await;
    let parked_claim = kit.claim_of(hook, &ada).await.unwrap();
    kit.settle(&parked_claim, parked("410 Gone")).await;
    let bob = kit.user("bob").await;
    kit.changes(&ada, "ada", 700).await;
    kit.changes(&bob, "bob", 700).await;
    // As if somebody had delivered all of Bob's.
    kit.touch(hook, Touch::Retry).await;
    let claims = kit.claim(hook).await;
    let his = claims.iter().find(|claim| claim.resource == bob.row).unwrap();
    let mut case = kit.case(his).await;
    case.covers += 10_000;
    kit.settle_as(his, Some(&case), linked("b")).await;
    kit.pass(Duration::from_secs(1));
    let mut pieces = 0;
    while kit.store.prune(kit.now(), kit.now()).await.unwrap().more {
        pieces += 1;
    }
    assert!(pieces >= 2, "{pieces}");
    assert_eq!(kit.rows("change"), 701 + 1, "hers are just being told");
}

#[tokio::test]
async fn tokens_are_kept_as_hashes_and_end_when_they_should() {
    let kit = Kit::new().await;
    let token = kit.new_token();
    let id = kit.store.add_token(token.clone()).await.unwrap();
    assert!(kit.store.add_token(token).await.is_err(), "two with one look-up id");
    let later = kit.now() + SignedDuration::from_hours(24);
    let end = async |organization, at, revoke| {
        kit.store.end_token(organization, id, at, revoke).await.unwrap()
    };
    assert!(!end(kit.south, later, true).await, "another organization's is not found");
    assert!(end(kit.north, later, false).await);
    assert!(end(kit.north, later + SignedDuration::from_hours(1), false).await);
    kit.store.token_used(vec![(id, later), (id, kit.now())]).await.unwrap();
    let row = kit.store.tokens().await.unwrap().remove(0);
    assert_eq!((row.expires, row.last_used, row.revoked), (Some(later), Some(later), None));
    assert_eq!((row.hash, row.organization), ([7; 32], kit.north));
    assert_eq!((row.made_by.as_deref(), row.replaces), (Some("ingrid"), None));
    let lookup = "another".to_owned();
    let successor = NewToken { lookup, replaces: Some(id), ..kit.new_token() };
    kit.store.add_token(successor).await.unwrap();
    assert_eq!(kit.store.tokens().await.unwrap()[1].replaces, Some(id));
    assert!(end(kit.north, kit.now(), true).await);
    assert!(end(kit.north, later, true).await);
    assert_eq!(kit.store.tokens().await.unwrap()[0].revoked, Some(kit.now()), "once is enough");
}

#[tokio::test]
async fn reports_and_the_audit_log_go_when_their_time_is_over() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let drift = DriftRow {
        kind: "missing".to_owned(),
        resource: Some(1),
        address: "uid=ada".to_owned(),
        detail: serde_json::json!({ "mail": ["a", "b"] }),
    };
    let run = NewRun {
        connector: dir,
        started: kit.now(),
        ended: kit.now(),
        dry: false,
        error: None,
        seen: 7,
        drift: vec![drift.clone(); 600],
    };
    let id = kit.store.record_run(run).await.unwrap();
    let last = kit.store.last_run(dir).await.unwrap().unwrap();
    assert_eq!((last.seen, last.drifted, last.error), (7, 600, None));
    let page = kit.store.drift(id, 0, 500).await.unwrap();
    let rest = kit.store.drift(id, page[499].id, 500).await.unwrap();
    assert_eq!((page.len(), rest.len()), (500, 100));
    assert_eq!((&page[0].kind, &page[0].address), (&drift.kind, &drift.address));
    assert_eq!((&page[0].detail, page[0].row), (&drift.detail, None), "nobody has that row");
    assert_eq!(kit.store.runs(dir, 10).await.unwrap().len(), 1);
    let row = AuditRow {
        at: kit.now(),
        actor: "kari".to_owned(),
        from: None,
        action: "queue.skip".to_owned(),
        organization: None,
        subject: "dir".to_owned(),
        detail: None,
    };
    kit.store.audit(row).await.unwrap();
    assert_eq!(kit.store.audit_log(10).await.unwrap()[0].actor, "kari");
    prune(&kit).await;
    assert_eq!(kit.store.audit_log(10).await.unwrap().len(), 1);
    kit.pass(Duration::from_secs(1));
    prune(&kit).await;
    for table in ["run", "drift", "audit"] {
        assert_eq!(kit.rows(table), 0, "{table}");
    }
    assert!(kit.store.last_run(dir).await.unwrap().is_none());
}

#[tokio::test]
async fn reconciliation_reads_what_a_connector_serves_and_holds() {
    let mut kit = Kit::new().await;
    let dir = kit.directory().await;
    let (ada, bob, gone) = (kit.user("ada").await, kit.user("bob").await, kit.user("gone").await);
    let choir = kit.group("choir", &[&ada, &gone]).await;
    kit.deliver_all(dir).await;
    kit.change(&bob, "bob", "newer").await;
    kit.delete(&gone).await;
    let kind = scim_relay_sdk::scim::ResourceKind::User;
    let holdings = kit.store.holdings(dir, kind, crate::store::RowId(0), 10).await.unwrap();
    let told: Vec<_> =
        holdings.iter().map(|one| (one.row, one.deleted, one.link.is_some(), one.queued)).collect();
    assert_eq!(
        told,
        [(ada.row, false, true, false), (bob.row, false, true, true), (gone.row, true, true, true)]
    );
    kit.deliver_all(dir).await;
    let holdings = kit.store.holdings(dir, kind, ada.row, 10).await.unwrap();
    assert_eq!(
        holdings.iter().map(|one| one.row).collect::<Vec<_>>(),
        [bob.row],
        "nothing is held of the gone"
    );
    let kind = scim_relay_sdk::scim::ResourceKind::Group;
    let groups = kit.store.holdings(dir, kind, crate::store::RowId(0), 10).await.unwrap();
    assert_eq!(groups[0].row, choir.row);
    assert_eq!(groups[0].members, Some(vec![format!("at-{}", ada.row.0)]));
}
