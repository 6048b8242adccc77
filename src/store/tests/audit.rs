//! The audit log, page by page.

use std::time::Duration;

use super::kit::Kit;
use crate::store::{AuditFilter, AuditRow, People, Store};

/// What `actor` did, a minute after what came before.
async fn did(kit: &Kit, actor: &str, action: &str, organization: Option<&str>) {
    kit.pass(Duration::from_mins(1));
    let row = AuditRow {
        at: kit.now(),
        actor: actor.to_owned(),
        from: None,
        action: action.to_owned(),
        organization: organization.map(str::to_owned),
        subject: format!("{actor} {action}"),
        detail: None,
    };
    kit.store.audit(row).await.unwrap();
}

async fn pages(kit: &Kit, filter: AuditFilter, limit: usize) -> Vec<Vec<String>> {
    let mut filter = AuditFilter { limit, ..filter };
    let mut pages = Vec::new();
    loop {
        let page = kit.store.audit_page(filter.clone()).await.unwrap();
        pages.push(page.rows.into_iter().map(|one| one.row.subject).collect());
        let Some(next) = page.next else { return pages };
        filter.before = Some(next);
    }
}

async fn kit() -> Kit {
    let kit = Kit::new().await;
    did(&kit, "kari", "token.create", Some("north")).await;
    did(&kit, "ola", "queue.skip", Some("south")).await;
    did(&kit, "kari", "connector.pause", None).await;
    did(&kit, "kari", "queue.skip", Some("south")).await;
    did(&kit, "ola", "queue.retry", Some("north")).await;
    kit
}

#[tokio::test]
async fn each_row_is_on_one_page_the_newest_first() {
    let kit = kit().await;
    let all = pages(&kit, AuditFilter::default(), 2).await;
    let sizes: Vec<usize> = all.iter().map(Vec::len).collect();
    assert_eq!(sizes, [2, 2, 1]);
    assert_eq!(all[0], ["ola queue.retry", "kari queue.skip"]);
    assert_eq!(all.concat().last().unwrap(), "kari token.create");
}

#[tokio::test]
async fn whoever_has_some_organizations_reads_their_rows_and_no_other() {
    let kit = kit().await;
    let of = |these: &[&str]| AuditFilter {
        organizations: Some(these.iter().map(|one| (*one).to_owned()).collect()),
        ..AuditFilter::default()
    };
    for limit in [1, 10] {
        let north = pages(&kit, of(&["north"]), limit).await.concat();
        assert_eq!(north, ["ola queue.retry", "kari token.create"]);
        let both = pages(&kit, of(&["north", "south"]), limit).await.concat();
        assert_eq!(
            both,
            ["ola queue.retry", "kari queue.skip", "ola queue.skip", "kari token.create"]
        );
        assert!(pages(&kit, of(&[]), limit).await.concat().is_empty());
    }
}

#[tokio::test]
async fn a_filter_leaves_out_the_rest() {
    let kit = kit().await;
    let any = AuditFilter::default;
    let end = kit.now();
    let actor = |name: &str| Some(name.to_owned());
    for (filter, expected) in [
        (AuditFilter { actor: actor("ola"), ..any() }, vec!["ola queue.retry", "ola queue.skip"]),
        (AuditFilter { about: actor("token"), ..any() }, vec!["kari token.create"]),
        (AuditFilter { about: actor("tok"), ..any() }, vec![]),
        (
            AuditFilter { actor: actor("kari"), about: actor("queue"), ..any() },
            vec!["kari queue.skip"],
        ),
        (
            AuditFilter {
                organizations: Some(vec!["south".to_owned()]),
                actor: actor("ola"),
                ..any()
            },
            vec!["ola queue.skip"],
        ),
        (AuditFilter { from: Some(end), ..any() }, vec!["ola queue.retry"]),
        (
            AuditFilter { to: Some(end - Duration::from_mins(3)), ..any() },
            vec!["kari token.create"],
        ),
        (AuditFilter { to: Some(end - Duration::from_hours(1)), ..any() }, vec![]),
    ] {
        assert_eq!(pages(&kit, filter.clone(), 1).await.concat(), expected, "{filter:?}");
        assert_eq!(pages(&kit, filter.clone(), 9).await.concat(), expected, "{filter:?}");
    }
}
