//! That what runs all the time goes by an index: SQLite's own word for it.

use std::collections::HashMap;

use rusqlite::Connection;
use scim_relay_sdk::scim::{ResourceKind, Schemas, SortBy};

use super::{
    accounts, audit, cases, claims, entries, find, follow, forget, held, history, index, links,
    list, members, open, passwords, prune, queue, reconcile, removals, requests, rows, settle,
    standing, touch,
};
use crate::store::{ConnectorId, EntryFilter, State};

fn database() -> (tempfile::TempDir, Connection) {
    let folder = tempfile::tempdir().unwrap();
    let connection = open::writer(&folder.path().join("relay.db")).unwrap();
    (folder, connection)
}

/// One line for each step of the plan.
fn plan(c: &Connection, query: &str) -> Vec<String> {
    let mut statement = c.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
    let mut rows = statement.raw_query();
    let mut steps = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        steps.push(row.get(3).unwrap());
    }
    steps
}

/// Whether every step searches an index, but for tables of a handful of rows, and what a statement
/// has found by itself.
#[track_caller]
fn check(query: &str, by: &[&str]) {
    let (_folder, c) = database();
    let steps = plan(&c, query);
    let small = [
        "SCAN k",
        "SCAN connector",
        "SCAN CONSTANT ROW",
        "SCAN f",
        "SCAN below",
        "SCAN json_each",
        "SCAN (subquery",
    ];
    for step in &steps {
        let scans = step.starts_with("SCAN") && !small.iter().any(|table| step.starts_with(table));
        assert!(!scans && !step.contains("TEMP B-TREE"), "{steps:#?}");
    }
    for index in by {
        assert!(steps.iter().any(|step| step.contains(index)), "{index} is not used: {steps:#?}");
    }
}

#[test]
fn lanes_look_and_claim_by_index() {
    let due = "queue_due (connector=? AND organization=? AND class=? AND due<?)";
    for query in [claims::IS_DUE, claims::WHO_WAITS, claims::DUE] {
        check(query, &[due]);
    }
    check(claims::NEXT_DUE, &["queue_due (connector=? AND organization=? AND class=?)"]);
    check(
        queue::OLDEST,
        &[
            "PRIMARY KEY (connector=?)",
            "COVERING INDEX queue_listed (connector=? AND organization=? AND state=?)",
        ],
    );
    check(
        claims::FORMER,
        &[
            "resource_former (organization=? AND kind=? AND <expr>=?",
            "PRIMARY KEY (connector=? AND resource=?)",
        ],
    );
    for query in [claims::CUT_OFF, claims::TAKE_BACK] {
        check(query, &["queue_leased"]);
    }
}

#[test]
fn who_asks_for_a_page_is_found_by_index() {
    check(accounts::SEAT, &["sqlite_autoindex_session_1 (hash=?)", "INTEGER PRIMARY KEY"]);
    check(accounts::LASTS, &["INTEGER PRIMARY KEY"]);
    check(accounts::BY_EMAIL, &["(folded=?)"]);
    check(accounts::REACH, &["PRIMARY KEY (account=?)"]);
    check(accounts::INVITATION, &["PRIMARY KEY (hash=?)"]);
}

#[test]
fn settling_goes_by_index() {
    check(queue::WAKE, &["queue_waiting (connector=? AND waits_for=?)"]);
    check(settle::WAITED_FOR, &["resource_public_id", "PRIMARY KEY (connector=? AND resource=?)"]);
    check(passwords::DUE, &["PRIMARY KEY (resource=? AND connector=?)"]);
    check(passwords::SETTLED, &["PRIMARY KEY (resource=? AND connector=?)"]);
    check(links::OWNER, &["link_target (connector=? AND target_id=?)"]);
    check(links::LIVING_OWNER, &["link_target (connector=? AND target_id=?)"]);
    check(links::GROUPS_OF, &["member_of (member_id=?)"]);
    check(
        cases::EARLIER,
        &["change_resource (resource=? AND seq>?)", "change_resource (resource=? AND seq<?)"],
    );
    check(cases::IS_MEMBERS_ADDRESS, &["link_address (connector=? AND address=?)"]);
}

#[test]
fn what_is_asked_for_before_each_removal_goes_by_index() {
    check(removals::OPEN, &["removal_open (connector=? AND resource=? AND kind=? AND at>?)"]);
    check(removals::RENEW, &["removal_open (connector=? AND resource=? AND kind=? AND at>?)"]);
    check(removals::CLOSE, &["removal_open (connector=? AND resource=?)"]);
    check(removals::EXECUTED, &["COVERING INDEX removal_window (connector=? AND kind=? AND at>?)"]);
    check(removals::HELD, &["queue_hold (connector=? AND hold_kind=?)"]);
    check(
        removals::LEAVING,
        &[
            "queue_leaving (connector=?)",
            "removal_open (connector=? AND resource=? AND kind=? AND at>?)",
        ],
    );
    check(
        removals::HELD_ROWS,
        &["COVERING INDEX queue_hold (connector=? AND hold_kind=? AND state=?)"],
    );
    check(links::KEPT_IN, &["member_mark_member (connector=? AND member_id=?)"]);
}

#[test]
fn lists_go_by_index() {
    let living = "resource_living (organization=? AND kind=? AND id>?)";
    for columns in ["id", rows::COLUMNS] {
        check(&list::everyone_query(&[ResourceKind::User], columns), &[living]);
        let both = list::everyone_query(&ResourceKind::ALL, columns);
        check(&both, &[living, "MERGE (UNION ALL)"]);
    }
    for (look_up, index) in [
        (index::BY_ID, "resource_public_id (organization=? AND kind=? AND public_id=?)"),
        (index::BY_USER_NAME, "resource_user_name (organization=? AND user_name=?)"),
        (
            index::BY_EXTERNAL_ID,
            "resource_external_id (organization=? AND kind=? AND external_id=?)",
        ),
        (index::BY_DISPLAY_NAME, "resource_display_name (organization=? AND display_name=?)"),
    ] {
        check(&index::look_up_query(look_up), &[index]);
    }
    check(index::ABOVE, &["member_of (member_id=?)", "INTEGER PRIMARY KEY (rowid=?)"]);
    check(index::BELOW, &["PRIMARY KEY (group_id=?)", "INTEGER PRIMARY KEY (rowid=?)"]);
}

#[test]
fn memberships_go_by_index() {
    check(members::MEMBERS, &["PRIMARY KEY (group_id=?)", "INTEGER PRIMARY KEY (rowid=?)"]);
    check(
        members::ONE,
        &[
            "resource_public_id (organization=? AND kind=? AND public_id=?)",
            "PRIMARY KEY (group_id=? AND member_id=?)",
        ],
    );
    check(members::ABOVE, &["member_of (member_id=?)"]);
    check(members::ARE_MORE, &["PRIMARY KEY (group_id=?)"]);
    check(
        queue::MARK_PEOPLE,
        &[
            "PRIMARY KEY (group_id=?)",
            "INTEGER PRIMARY KEY (rowid=?)",
            "change_resource (resource=?)",
        ],
    );
}

#[test]
fn an_order_by_name_goes_by_its_index() {
    let schemas = Schemas::builtin();
    let name = |kind, by, order| {
        index::Name::of(&SortBy::parse(by, order, &[schemas.of(kind)]).unwrap(), kind)
    };
    let (up, down) = (None, Some("descending"));
    for (kind, by, order, from, after) in [
        (
            ResourceKind::User,
            "userName",
            up,
            "resource_user_name (organization=? AND user_name>?)",
            "resource_user_name (organization=? AND user_name>?)",
        ),
        (
            ResourceKind::User,
            "userName",
            down,
            "resource_user_name (organization=? AND user_name>?)",
            "resource_user_name (organization=? AND user_name>? AND user_name<?)",
        ),
        (
            ResourceKind::Group,
            "displayName",
            up,
            "resource_display_name (organization=? AND display_name>?)",
            "resource_display_name (organization=? AND display_name>?)",
        ),
    ] {
        let name = name(kind, by, order).unwrap();
        check(&name.query(false), &[from]);
        check(&name.query(true), &[after]);
    }
    assert!(name(ResourceKind::Group, "displayName", down).is_none());
    assert!(name(ResourceKind::User, "displayName", up).is_none());
}

#[test]
fn pruning_goes_by_index() {
    check(prune::OLD, &["change USING INTEGER PRIMARY KEY (rowid>?)"]);
    check(prune::AWAITING, &["PRIMARY KEY (connector=? AND resource=?)"]);
    check(
        prune::COLLAPSE,
        &["PRIMARY KEY (connector=? AND resource=?)", "change_resource (resource=?"],
    );
    check(prune::SETTLED, &["resource_deleted"]);
}

#[test]
fn the_ring_of_requests_goes_by_index() {
    check(requests::TRIM, &["request_organization (organization=?)"]);
    check(requests::FORGET, &["request_at (at<?)"]);
    check(requests::CALLS, &["request_organization (organization=?)"]);
    for order in [requests::Order::OldestFirst, requests::Order::NewestFirst] {
        check(
            &requests::read_query(order),
            &[
                "request_organization (organization=? AND id>?)",
                "resource_public_id (organization=? AND kind=? AND public_id=?)",
            ],
        );
    }
}

#[test]
fn pages_of_what_was_asked_and_done_go_by_index() {
    check(
        &requests::page_query(),
        &[
            "request_organization (organization=? AND id<?)",
            "resource_public_id (organization=? AND kind=? AND public_id=?)",
        ],
    );
    check(requests::NEWEST, &["request_organization (organization=?)"]);
    check(requests::NEWER, &["COVERING INDEX request_organization (organization=? AND id>?)"]);
    check(audit::ALL, &["INTEGER PRIMARY KEY (rowid<?)"]);
    check(audit::OF_ACTOR, &["audit_actor (actor=? AND id<?)"]);
    check(audit::OF_ORGANIZATION, &["audit_organization (organization=? AND id<?)"]);
    check(audit::BEFORE, &["audit_at (at<?)"]);
}

#[test]
fn what_people_look_for_in_the_queue_goes_by_index() {
    check(
        entries::AT_PLACE,
        &[
            "queue_listed (connector=? AND organization=? AND state=? AND (dirty_at,resource)>(?,?))",
        ],
    );
    check(entries::COUNTED, &["PRIMARY KEY (connector=?)"]);
    check(touch::PICKED, &["resource_public_id", "PRIMARY KEY (connector=? AND resource=?)"]);
    let (_folder, c) = database();
    let steps = plan(&c, entries::OF_RESOURCE);
    assert!(
        steps.iter().any(|step| step.contains("PRIMARY KEY (connector=? AND resource=?)")),
        "{steps:#?}"
    );
    check(standing::AWAITED_BY, &["queue_waiting (connector=? AND waits_for=?)"]);
    for (by, index) in [
        (standing::BY_ID, "resource_public_id (organization=? AND kind=? AND public_id=?)"),
        (standing::BY_USER_NAME, "resource_user_name (organization=? AND user_name=?)"),
        (standing::BY_DISPLAY_NAME, "resource_display_name (organization=? AND display_name=?)"),
        (standing::BY_FORMER_NAME, "resource_former (organization=? AND kind=? AND <expr>=?)"),
    ] {
        check(&format!("SELECT id FROM resource INDEXED BY {by}"), &[index]);
    }
}

#[test]
fn a_connector_is_forgotten_by_index() {
    let (_folder, c) = database();
    for (statement, by) in forget::MUCH.iter().zip([
        "PRIMARY KEY (connector=? AND resource=?)",
        "PRIMARY KEY (connector=? AND resource=?)",
        "member_mark_member (connector=?)",
        "removal_window (connector=?)",
        "drift_run (run=?)",
        "run_connector (connector=?)",
        "PRIMARY KEY (connector=? AND quarter=?)",
    ]) {
        let steps = plan(&c, statement);
        assert!(steps.iter().any(|step| step.contains(by)), "{statement}: {steps:#?}");
        assert!(!steps.iter().any(|step| step.starts_with("SCAN")), "{statement}: {steps:#?}");
    }
}

#[test]
fn what_waits_for_a_person_is_touched_without_looking_at_what_does_not() {
    let (_folder, c) = database();
    for connector in [None, Some(ConnectorId(1))] {
        let filter =
            EntryFilter { connector, state: Some(State::Parked), ..EntryFilter::default() };
        let (rows, _) = touch::select(&filter, &HashMap::new());
        let steps = plan(&c, &format!("SELECT q.resource FROM {rows}"));
        assert!(steps.iter().any(|step| step.contains("queue_human (state=?")), "{steps:#?}");
    }
}

#[test]
fn a_day_of_the_past_is_read_without_its_month() {
    check(history::READ, &["PRIMARY KEY (organization=? AND quarter>?)"]);
    check(history::CONNECTORS, &["PRIMARY KEY (connector=? AND quarter>?)"]);
    for (statement, by) in history::FORGET.iter().zip(["organization", "connector"]) {
        check(statement, &[&format!("PRIMARY KEY ({by}=? AND quarter<?)")]);
    }
}

#[test]
fn what_is_held_is_read_page_by_page_without_sorting() {
    check(
        held::HELD,
        &[
            "queue_listed (connector=? AND organization=? AND state=? AND (dirty_at,resource)>(?,?))",
        ],
    );
    check(held::IS_HELD, &["queue_hold (connector=? AND hold_kind=? AND state=?)"]);
    check(held::FIND, &["resource_public_id", "PRIMARY KEY (connector=? AND resource=?)"]);
}

#[test]
fn people_are_found_and_followed_without_looking_at_everyone() {
    check(follow::CHANGES, &["change USING INTEGER PRIMARY KEY (rowid>?)"]);
    check(follow::THERE, &["resource USING INTEGER PRIMARY KEY (rowid>?)"]);
    check(follow::MOVES, &["moved_member (member=?)"]);
    check(find::FIRST_MEMBERS, &["PRIMARY KEY (group_id=?)"]);
    check(standing::ACTS_ABOUT, &["audit_organization (organization=?)"]);
    check(find::NEWEST_RESOURCES, &["resource_living (organization=? AND kind=?)"]);
    let (_folder, c) = database();
    // By the words, and in the order of the index.
    let by_words = plan(&c, find::MATCH).concat();
    assert!(
        by_words.starts_with("SCAN search VIRTUAL TABLE") && by_words.ends_with(":M1"),
        "{by_words}"
    );
    assert_eq!(plan(&c, find::NEWEST_CHANGES), ["SCAN change"]);
}

#[test]
fn what_a_comparison_found_is_read_page_by_page() {
    check(reconcile::RUNS, &["run_connector (connector=?)"]);
    check(reconcile::DRIFT, &["drift_run (run=? AND rowid>?)"]);
}
