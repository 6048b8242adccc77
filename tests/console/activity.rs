//! The audit log over the wire: whose rows somebody sees, and the whole of it to take along.

use crate::kit::relay::Setup;

#[tokio::test]
async fn an_owner_reads_their_own_organization_s_rows() {
    let relay = Setup::new().organization("solvang").start().await;
    for (organization, name) in [("lillevik", "ours"), ("solvang", "theirs")] {
        relay.command(&["token", "create", organization, "--name", name]);
    }
    let owner = relay.sign_in("owner", &["lillevik"]).await;
    let log = owner.get("/activity?about=token").await.expect(200);
    assert!(log.text.contains("ours") && !log.text.contains("theirs"), "{}", log.text);
    owner.get("/activity?org=solvang").await.expect(404);
    owner.get("/activity.csv?org=solvang").await.expect(404);
    let csv = owner.get("/activity.csv?about=token").await.expect(200);
    assert!(csv.text.contains("ours") && !csv.text.contains("theirs"), "{}", csv.text);
    let all = relay.sign_in("administrator", &[]).await;
    let log = all.get("/activity?about=token").await.expect(200);
    assert!(log.text.contains("ours") && log.text.contains("theirs"));
    // That it was taken along is in it.
    let log = all.get("/activity?about=activity").await.expect(200);
    assert!(log.text.contains("Downloaded the activity") && log.text.contains(&owner.email));
}

#[tokio::test]
async fn ten_thousand_rows_are_taken_along_whole() {
    const ROWS: usize = 10_000;
    let mut relay = Setup::new().start().await;
    let all = relay.sign_in("administrator", &[]).await;
    relay.kill();
    let database = rusqlite::Connection::open(relay.data.join("relay.db")).unwrap();
    database
        .execute(
            "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < ?1)
             INSERT INTO audit (at, actor, action, subject, detail)
             SELECT 1788220800000 + x, 'user kari', 'queue.skip', 'many', '=cmd|' || x FROM n",
            [ROWS],
        )
        .unwrap();
    drop(database);
    relay.restart().await;
    let csv = all.get("/activity.csv?who=user%20kari").await.expect(200);
    assert_eq!(csv.headers["content-type"], "text/csv; charset=utf-8");
    let name = csv.headers["content-disposition"].to_str().unwrap();
    assert!(name.starts_with("attachment; filename=\"activity-20"), "{name}");
    assert_eq!(csv.text.lines().count(), ROWS + 1);
    assert!(csv.text.starts_with("\u{feff}time,who,"), "{}", &csv.text[..80]);
    assert!(csv.text.contains(",'=cmd|7,"), "no cell is a formula");
    let lines = all.get("/activity.jsonl?who=user%20kari").await.expect(200);
    let rows = lines.text.lines().map(|line| serde_json::from_str(line).unwrap());
    let rows: Vec<serde_json::Value> = rows.collect();
    assert_eq!(rows.len(), ROWS);
    assert_eq!(rows[0]["detail"], format!("=cmd|{ROWS}"));
    assert_eq!(rows[ROWS - 1]["detail"], "=cmd|1");
}
