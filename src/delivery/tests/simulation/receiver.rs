//! A target that is told of events.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use scim_relay_sdk::connector::{
    Action, Connector, Delivered, DeliveryError, Health, Link, Preview, Semantics, Stage, Wanted,
    Work,
};
use scim_relay_sdk::scim::ResourceId;

use super::mood::End;
use super::target::Desk;

pub(super) struct Receiver {
    pub(super) desk: Desk,
    heard: Mutex<Heard>,
}

#[derive(Default)]
struct Heard {
    /// Numbers of the changes that arrived, in order.
    of: BTreeMap<ResourceId, Vec<i64>>,
    /// Those that came to their end, and are not to come again.
    over: BTreeSet<(ResourceId, i64)>,
}

impl Receiver {
    pub(super) fn new(desk: Desk) -> Self {
        Self { desk, heard: Mutex::default() }
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap()
    }

    /// What it heard of a resource, repeats left out.
    pub(super) fn events(&self, of: ResourceId) -> Vec<i64> {
        let mut events = self.heard().of.get(&of).cloned().unwrap_or_default();
        events.dedup();
        events
    }

    /// A change may be told again from here on: that it was told may have been lost, or somebody
    /// asked for it.
    pub(super) fn may_repeat(&self, of: ResourceId, from: i64) {
        self.heard().over.retain(|(other, seq)| *other != of || *seq < from);
    }
}

#[async_trait]
impl Connector for Receiver {
    fn semantics(&self) -> Semantics {
        Semantics::EveryEvent
    }

    async fn deliver(&self, work: &Work) -> Result<Delivered, DeliveryError> {
        let id = work.key.id;
        let seq = work.change.as_ref().expect("it is told of changes").seq;
        let visit = self.desk.begin(work, seq);
        if self.heard().over.contains(&(id, seq)) {
            self.desk.record.wrong(format!("{}: {seq} was told already", self.desk.name));
        }
        tokio::time::sleep(visit.plan.before).await;
        if visit.plan.acts {
            self.heard().of.entry(id).or_default().push(seq);
        }
        if let Some(error) = visit.end().await {
            return Err(error);
        }
        if visit.plan.end == End::Partly {
            return Err(DeliveryError::in_doubt("half of it"));
        }
        self.heard().over.insert((id, seq));
        let link = matches!(work.wanted, Wanted::Present(_)).then(|| Link {
            target_id: id.to_string(),
            address: String::new(),
            hash: None,
            stage: Stage::Active,
            since: work.now,
        });
        Ok(Delivered { link, revisit: None, action: Action::Sent })
    }

    async fn preview(&self, _: &Work) -> Result<Preview, DeliveryError> {
        Ok(Preview { text: String::new() })
    }

    async fn probe(&self) -> Result<Health, DeliveryError> {
        self.desk.probe().await
    }
}
