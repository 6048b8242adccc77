//! A big group that is emptied by mistake.

use serde_json::json;

use super::School;
use crate::kit::slapd::SUFFIX;
use crate::kit::until;

fn members(school: &School) -> usize {
    school.slapd.one("(cn=choir)").values("member").len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_arrives_and_who_should_leave_stays_until_it_is_approved() {
    let school = School::of(30, "").await;
    let School { slapd, relay, provider, pupils, .. } = &school;
    let all: Vec<&str> = pupils.iter().map(String::as_str).collect();
    let choir = provider.group("choir", &all[..25]).await;
    relay.settled().await;
    assert_eq!(members(&school), 25);

    // Three stay of twenty-five, and two are new.
    let value: Vec<_> = all[22..27].iter().map(|id| json!({ "value": id })).collect();
    let replace = json!([{ "op": "replace", "path": "members", "value": value }]);
    provider.patch(&format!("Groups/{choir}"), replace).await.expect(200);

    school.holds(1).await;
    assert_eq!(members(&school), 27, "the new ones are in, and nobody is out");
    let held = &school.held()[0];
    assert_eq!(held["hold_kind"], "member_removal");
    assert_eq!((&held["name"], &held["members"]), (&json!("choir"), &json!(5)));
    let status = relay.json(&["status"]);
    let sentence = status["attention"][0].as_str().unwrap();
    assert!(sentence.contains("22 removals of members"), "{sentence}");

    // The group goes on meanwhile.
    provider.join(&choir, all[28]).await;
    until("another one is in", async || members(&school) == 28).await;
    // Written down a moment after that.
    school.holds(1).await;
    let metrics = relay.metrics().await;
    let gauge = "scim_relay_held{connector=\"directory\",kind=\"member_removal\"} 1";
    assert!(metrics.contains(gauge), "{metrics}");

    school.command(&["held", "approve", "directory", "--kind", "member_removal", "--yes"]);
    school.holds(0).await;
    let left = slapd.one("(cn=choir)");
    let mut expected: Vec<String> = [22, 23, 24, 25, 26, 28]
        .map(|number| format!("uid=pupil{number},ou=people,{SUFFIX}"))
        .into();
    expected.sort_unstable();
    assert_eq!(left.values("member"), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_few_leave_without_a_word_and_a_group_that_is_deleted_counts_its_members() {
    let school = School::of(30, "").await;
    let School { slapd, relay, provider, pupils, .. } = &school;
    let all: Vec<&str> = pupils.iter().map(String::as_str).collect();
    let choir = provider.group("choir", &all[..20]).await;
    relay.settled().await;
    for leaver in &all[..2] {
        provider.leave(&choir, leaver).await;
    }
    relay.settled().await;
    assert_eq!(members(&school), 18);

    provider.delete(&format!("Groups/{choir}")).await.expect(204);
    school.holds(1).await;
    assert_eq!(members(&school), 18);
    school.command(&["held", "approve", "directory", "--all", "--yes"]);
    school.holds(0).await;
    assert_eq!(slapd.search(SUFFIX, "(cn=choir)"), []);
}
