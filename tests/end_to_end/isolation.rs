//! Two organizations in one relay.

use serde_json::json;

use crate::kit::provider::{group, person};
use crate::kit::relay::Setup;
use crate::kit::slapd::{SUFFIX, Slapd};
use crate::kit::targets::{ldap_below, webhook};
use crate::kit::webhooks::Webhooks;

const NORTH: &str = "organizations = [\"north\"]\n";
const SOUTH: &str = "organizations = [\"south\"]\n";

/// Gives each organization its part of the tree.
fn parts(slapd: &Slapd) {
    for part in ["north", "south"] {
        for tree in ["people", "groups"] {
            slapd.apply(&format!(
                "dn: ou={part},ou={tree},{SUFFIX}\nchangetype: add\n\
                 objectClass: organizationalUnit\nou: {part}\n"
            ));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_organizations_never_meet() {
    let slapd = Slapd::start().await;
    parts(&slapd);
    let north_hooks = Webhooks::start().await;
    let south_hooks = Webhooks::start().await;
    let relay = Setup::new()
        .organization("north")
        .organization("south")
        .connector("north-directory", ldap_below(&slapd, NORTH, "ou=north,"))
        .connector("south-directory", ldap_below(&slapd, SOUTH, "ou=south,"))
        .connector("north-events", webhook(&north_hooks, NORTH))
        .connector("south-events", webhook(&south_hooks, SOUTH))
        .start()
        .await;
    let north = relay.provider("north");
    let south = relay.provider("south");

    // The same names on both sides are different people.
    let ada = north.hire("ada").await;
    let other = south.hire("ada").await;
    north.set(&ada, "title", "of the north").await;
    south.set(&other, "title", "of the south").await;
    south.hire("grace").await;
    south.group("choir", &[&other]).await;
    relay.settled().await;

    let titles = |part: &str| -> Vec<String> {
        let found = slapd.search(&format!("ou={part},ou=people,{SUFFIX}"), "(uid=ada)");
        found.iter().flat_map(|entry| entry.values("title")).map(str::to_owned).collect()
    };
    assert_eq!(titles("north"), ["of the north"]);
    assert_eq!(titles("south"), ["of the south"]);
    for tree in ["people", "groups"] {
        let found =
            slapd.search(&format!("ou=north,ou={tree},{SUFFIX}"), "(|(uid=grace)(cn=choir))");
        assert_eq!(found, []);
    }
    for (hooks, organization) in [(&north_hooks, "north"), (&south_hooks, "south")] {
        let all = hooks.all();
        assert!(all.iter().all(|event| event.body["data"]["organization"] == organization));
    }
    assert_eq!(north.get("Users").await.expect(200).body["totalResults"], 1);
    assert_eq!(south.get("Users").await.expect(200).body["totalResults"], 2);

    // A foreign id is answered as one that does not exist.
    let path = |id: &str| format!("Users/{id}");
    let unknown = "0199a2b4-0000-7000-8000-000000000000";
    for id in [other.as_str(), unknown] {
        let refused = north.get(&path(id)).await.expect(404);
        assert_eq!(north.put(&path(id), person("thief")).await.expect(404).body, refused.body);
        let operation = json!([{ "op": "replace", "path": "title", "value": "thief" }]);
        assert_eq!(north.patch(&path(id), operation).await.expect(404).body, refused.body);
        assert_eq!(north.delete(&path(id)).await.expect(404).body, refused.body);
        north.post("Groups", group("thieves", &[id])).await.expect(400);
    }
    let detail = async |id: &str| {
        north.get(&path(id)).await.body["detail"].as_str().unwrap().replace(id, "…")
    };
    assert_eq!(detail(&other).await, detail(unknown).await);
    // A token opens one door.
    north.trespassing("north", "south").get("Users").await.expect(401);

    // What one deletes, the other keeps.
    north.delete(&path(&ada)).await.expect(204);
    relay.settled().await;
    assert_eq!(titles("north"), Vec::<String>::new());
    assert_eq!(titles("south"), ["of the south"]);
    assert_eq!(south.get(&path(&other)).await.expect(200).body["title"], "of the south");
}
