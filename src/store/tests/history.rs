//! What charts are made of: sums, and the worst, of each quarter of an hour.

use std::time::Duration;

use super::kit::{Kit, directory};
use crate::store::{
    ConnectorPast, EVERYONE, HISTORY, History, Note, OrgId, Past, PastHealth, People, Quarter,
    Store,
};

const NOTHING: Past =
    Past { changes: 0, answered: 0, refused: 0, delivered: 0, failed: 0, backlog: 0 };
const CALM: ConnectorPast = ConnectorPast {
    delivered: 0,
    failed: 0,
    backlog: 0,
    lag: Duration::ZERO,
    health: PastHealth::Well,
};

async fn note(kit: &Kit, organizations: Vec<(OrgId, Past)>) {
    let note = Note { now: kit.now(), organizations, connectors: Vec::new() };
    kit.store.note(note).await.unwrap();
}

#[tokio::test]
async fn what_is_done_is_added_up_and_of_what_waits_the_most_is_kept() {
    let kit = Kit::new().await;
    let (north, south, begin) = (kit.north, kit.south, Quarter::of(kit.now()));
    let busy = Past { changes: 5, answered: 6, refused: 1, delivered: 10, failed: 2, backlog: 40 };
    note(&kit, vec![(north, busy), (south, Past { changes: 1, backlog: 3, ..NOTHING })]).await;
    kit.pass(Duration::from_mins(1));
    note(&kit, vec![(north, Past { changes: 1, backlog: 7, ..NOTHING }), (south, NOTHING)]).await;
    kit.pass(Duration::from_mins(30));
    note(&kit, vec![(north, NOTHING), (south, Past { refused: 1, ..NOTHING })]).await;

    let read = kit.store.history(vec![EVERYONE, north, south], begin).await.unwrap();
    let later = Quarter(begin.0 + 2);
    assert_eq!(read[&north], [(begin, Past { changes: 6, ..busy })], "nothing is no row");
    let refused = (later, Past { refused: 1, ..NOTHING });
    assert_eq!(read[&south], [(begin, Past { changes: 1, backlog: 3, ..NOTHING }), refused]);
    let both = Past { changes: 7, backlog: 43, ..busy };
    assert_eq!(read[&EVERYONE], [(begin, both), refused]);

    let late = kit.store.history(vec![south], later).await.unwrap();
    assert_eq!(late[&south], [refused]);
}

#[tokio::test]
async fn of_a_connector_the_worst_of_a_quarter_is_kept() {
    let mut kit = Kit::new().await;
    let dir = kit.register(directory()).await;
    let begin = Quarter::of(kit.now());
    let lag = Duration::from_secs(90);
    for past in [
        ConnectorPast { delivered: 3, lag, health: PastHealth::Trouble, ..CALM },
        ConnectorPast { delivered: 4, failed: 1, backlog: 9, health: PastHealth::Stopped, ..CALM },
    ] {
        let connectors = vec![(dir, past)];
        let note = Note { now: kit.now(), organizations: Vec::new(), connectors };
        kit.store.note(note).await.unwrap();
    }
    let read = kit.store.connector_history(begin).await.unwrap();
    let health = PastHealth::Trouble;
    let worst = ConnectorPast { delivered: 7, failed: 1, backlog: 9, lag, health };
    assert_eq!(read[&dir], [(begin, worst)]);

    kit.store.register(Vec::new()).await.unwrap();
    assert!(kit.store.forget(dir).await.unwrap());
    while kit.store.drop_forgotten().await.unwrap() {}
    assert_eq!(kit.query("SELECT count(*) FROM connector_history"), 0);
}

#[tokio::test]
async fn a_month_is_kept_and_no_more() {
    let mut kit = Kit::new().await;
    let dir = kit.register(directory()).await;
    for _ in 0..40 {
        let organizations = vec![(kit.north, Past { changes: 1, ..NOTHING })];
        let note = Note { now: kit.now(), organizations, connectors: vec![(dir, CALM)] };
        kit.store.note(note).await.unwrap();
        kit.pass(Duration::from_hours(24));
    }
    let before = Quarter::of(kit.now() - HISTORY);
    kit.store.forget_history(before).await.unwrap();
    let read = kit.store.history(vec![EVERYONE, kit.north], Quarter(0)).await.unwrap();
    assert_eq!((read[&EVERYONE].len(), read[&kit.north].len()), (32, 32));
    assert_eq!(kit.store.connector_history(Quarter(0)).await.unwrap()[&dir].len(), 32);
    assert_eq!(read[&kit.north][0].0, before);
}
