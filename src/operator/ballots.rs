//! What somebody is about to decide, as it was shown to them: an approval is for this and nothing
//! else, however many they are and however long the person thinks.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use uuid::Uuid;

use super::held::Obstacle;
use super::{
    Actor, Decision, DecisionTaken, HeldQuery, Operator, OperatorError, PAGE, Picked, Result,
};
use crate::store::{Decided, Held, Reach};

/// Rows of one ballot; more are decided in several.
const MOST: usize = 5_000;
/// Ballots that wait for their person; a later one takes the oldest one's place.
const OPEN: usize = 20;

/// Which of what a connector holds.
#[derive(Clone, Debug)]
pub enum Choice {
    /// These, as they were listed.
    Some(Vec<Picked>),
    /// All that waits at this moment.
    All,
}

/// What is shown before it is decided.
#[derive(Clone, Debug, Serialize)]
pub struct Ballot {
    pub connector: String,
    /// As they are, and as they will be approved.
    pub held: Vec<Held>,
    /// How many were picked that are not what was listed any more.
    pub changed: usize,
    /// There are more than fit into one.
    pub more: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    pub done: usize,
    /// Who changed while the person thought, and waits on.
    pub changed: Vec<String>,
    /// What needed no decision any more.
    pub over: usize,
    pub obstacle: Option<Obstacle>,
}

#[derive(Default)]
pub(super) struct Ballots(Mutex<VecDeque<Open>>);

struct Open {
    id: Uuid,
    of: Actor,
    ballot: Arc<Ballot>,
}

impl Ballots {
    fn keep(&self, of: &Actor, ballot: Arc<Ballot>) -> Uuid {
        let id = Uuid::new_v4();
        let mut all = self.all();
        if all.len() >= OPEN {
            all.pop_front();
        }
        all.push_back(Open { id, of: of.clone(), ballot });
        id
    }

    fn find(&self, of: &Actor, id: Uuid) -> Option<Arc<Ballot>> {
        let all = self.all();
        let open = all.iter().find(|open| open.id == id && open.of.name() == of.name());
        open.map(|open| Arc::clone(&open.ballot))
    }

    /// Each is for one decision.
    fn take(&self, of: &Actor, id: Uuid) -> Option<Arc<Ballot>> {
        let mut all = self.all();
        let place = all.iter().position(|open| open.id == id && open.of.name() == of.name())?;
        all.remove(place).map(|open| open.ballot)
    }

    fn all(&self) -> MutexGuard<'_, VecDeque<Open>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Operator {
    /// Writes down what somebody is about to decide, and gives it a name.
    pub async fn make_ballot(
        &self,
        actor: &Actor,
        reach: &Reach,
        query: &HeldQuery,
        choice: &Choice,
    ) -> Result<Uuid> {
        let connector = query.connector.clone().unwrap_or_default();
        let page = self.held_up_to(reach, query, MOST).await?;
        let more = page.next.is_some() && matches!(choice, Choice::All);
        let (held, changed) = match choice {
            Choice::All => (page.held, 0),
            Choice::Some(picks) => picked(page.held, picks),
        };
        let ballot = Ballot { connector, held, changed, more };
        Ok(self.ballots.keep(actor, Arc::new(ballot)))
    }

    /// Only for the one who made it.
    pub fn ballot(&self, actor: &Actor, id: Uuid) -> Option<Arc<Ballot>> {
        self.ballots.find(actor, id)
    }

    /// Approves or rejects all that is on it, in pieces, whether or not somebody waits for the end; who
    /// changed meanwhile waits on.
    pub async fn decide_ballot(
        &self,
        actor: &Actor,
        reach: &Reach,
        id: Uuid,
        approve: bool,
        why: &str,
    ) -> Result<Counted> {
        let ballot = self.ballots.take(actor, id).ok_or_else(|| {
            OperatorError::NotFound("that was decided already, or is too old".to_owned())
        })?;
        let (operator, actor, reach) = (self.clone(), actor.clone(), reach.clone());
        let why = why.to_owned();
        let deciding = async move { operator.count(&actor, &reach, &ballot, approve, &why).await };
        let deciding = self.runtime.load().engine.beside(deciding);
        deciding.await.ok().flatten().unwrap_or_else(|| {
            Err(OperatorError::Invalid(
                "the service stops or reloads: what was not decided yet waits on".to_owned(),
            ))
        })
    }

    async fn count(
        &self,
        actor: &Actor,
        reach: &Reach,
        ballot: &Ballot,
        approve: bool,
        why: &str,
    ) -> Result<Counted> {
        let mut counted = Counted::default();
        for held in ballot.held.chunks(PAGE) {
            let decision = Decision {
                connector: ballot.connector.clone(),
                picks: held.iter().map(Picked::seen).collect(),
            };
            let DecisionTaken { decided, obstacle } = if approve {
                self.approve(actor, reach, &decision, Some(why)).await?
            } else {
                self.reject(actor, reach, &decision, why).await?
            };
            counted.obstacle = obstacle;
            for (held, decided) in held.iter().zip(decided) {
                match decided {
                    Decided::Done => counted.done += 1,
                    Decided::Changed => counted.changed.push(held.name.clone()),
                    Decided::NotHeld => counted.over += 1,
                }
            }
        }
        Ok(counted)
    }
}

/// Those that are as they were listed, and how many are not.
fn picked(held: Vec<Held>, picks: &[Picked]) -> (Vec<Held>, usize) {
    let key = |held: &Held| (held.organization.clone(), format!("{}/{}", held.kind, held.id));
    let wanted: HashMap<(String, String), Option<i64>> = picks
        .iter()
        .map(|pick| {
            ((pick.organization.clone().unwrap_or_default(), pick.resource.clone()), pick.mark)
        })
        .collect();
    let as_listed = |held: &Held| {
        wanted.get(&key(held)).is_some_and(|mark| mark.is_none_or(|mark| mark == held.mark))
    };
    let same: Vec<Held> = held.into_iter().filter(as_listed).collect();
    let found: HashSet<_> = same.iter().map(key).collect();
    let changed = wanted.keys().filter(|key| !found.contains(*key)).count();
    (same, changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ballot() -> Arc<Ballot> {
        let connector = "directory".to_owned();
        Arc::new(Ballot { connector, held: Vec::new(), changed: 0, more: false })
    }

    #[test]
    fn a_ballot_is_its_makers_alone_and_for_one_decision() {
        let (ballots, kari, ola) = (Ballots::default(), Actor::relay("kari"), Actor::relay("ola"));
        let id = ballots.keep(&kari, ballot());
        assert!(ballots.find(&ola, id).is_none() && ballots.take(&ola, id).is_none());
        assert!(ballots.find(&kari, id).is_some(), "to look at it decides nothing");
        assert!(ballots.take(&kari, id).is_some());
        assert!(ballots.take(&kari, id).is_none());
    }

    #[test]
    fn only_so_many_are_kept() {
        let (ballots, kari) = (Ballots::default(), Actor::relay("kari"));
        let first = ballots.keep(&kari, ballot());
        let rest: Vec<Uuid> = (0..OPEN).map(|_| ballots.keep(&kari, ballot())).collect();
        assert!(ballots.find(&kari, first).is_none());
        assert!(rest.iter().all(|id| ballots.find(&kari, *id).is_some()));
    }
}
