//! One person's or group's whole story: who it is, what its provider sent, what changed, and where each
//! connector stands with it. Reads only, and no more of anything than a page shows.

use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use scim_relay_sdk::connector::{Permit, Resource, Semantics, Verb};
use scim_relay_sdk::scim::{
    Attributes, Membership, Projection, Relation, ResourceId, ResourceKey, ResourceKind, Schemas,
    user_name,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::facts::{Difference, Fact, differences, facts};
use super::people::called;
use super::preview::imagined;
use super::standing::advice;
use super::status::{StateOf, state_of};
use super::{Actor, Operator, OperatorError, Result, Runtime};
use crate::delivery::{self, LaneSettings, Try};
use crate::store::{
    AuditRow, Claim, ConnectorRow, Known, LinkRow, LogRow, Move, OnceKey, OrgId, RequestRow, RowId,
    Scribe, Standing, Stored, Waiting,
};

/// Changes and requests on a page, at most.
pub const MOST: usize = 50;
/// Groups of a person, at most.
const MOST_GROUPS: usize = 20;

/// Whose story.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TraceQuery {
    pub kind: ResourceKind,
    /// userName, displayName or id.
    pub name: String,
}

/// What came of the look.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Traced {
    Story(Box<Trace>),
    /// Several match: each can be looked at by its id.
    Several(Vec<Traceable>),
}

/// One of several that match.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Traceable {
    pub id: ResourceId,
    pub name: String,
    pub created: Timestamp,
    pub deleted: Option<Timestamp>,
}

/// The page.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Trace {
    pub organization: String,
    pub kind: ResourceKind,
    pub id: ResourceId,
    /// userName or a group's displayName, as it is or last was.
    pub name: String,
    pub display_name: Option<String>,
    /// As people say it.
    pub called: String,
    /// As the provider has it, in words.
    pub facts: Vec<Fact>,
    pub external_id: Option<String>,
    pub active: Option<bool>,
    pub created: Timestamp,
    pub modified: Timestamp,
    pub deleted: Option<Timestamp>,
    /// The groups a person is in, indirect ones too.
    pub groups: Vec<GroupOf>,
    /// How many more of them there are.
    pub more_groups: usize,
    /// Of a group.
    pub members: Option<usize>,
    /// Earlier ones of that name.
    pub namesakes: Vec<Traceable>,
    /// What the provider sent, oldest first, as far as it is kept.
    pub requests: Vec<TracedRequest>,
    /// There are earlier ones.
    pub more_requests: bool,
    /// What changed, oldest first.
    pub changes: Vec<Change>,
    pub more_changes: bool,
    /// Which groups a person came into and left, newest first.
    pub moves: Vec<Move>,
    /// What people did about it, or looked at, newest first.
    pub acts: Vec<AuditRow>,
    pub connectors: Vec<Stand>,
}

/// A change, and what it made of the attributes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Change {
    #[serde(flatten)]
    pub row: LogRow,
    /// Of an update, as far as the log goes back.
    pub differences: Vec<Difference>,
}

/// A group that a person is in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GroupOf {
    pub id: ResourceId,
    pub name: Option<String>,
    /// Not through another one.
    pub direct: bool,
}

/// A request, without its bodies: `requests ORG ID` has those.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TracedRequest {
    pub id: i64,
    pub at: Timestamp,
    pub method: String,
    pub path: String,
    pub status: u16,
    pub token: String,
    pub reason: Option<String>,
}

/// Where one connector stands with it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stand {
    pub connector: String,
    pub kind: String,
    /// As `status` has it.
    pub state: String,
    /// Told of each change, and not only of the result.
    pub every_event: bool,
    pub concern: Concern,
    pub link: Option<LinkRow>,
    pub waits: Option<Waiting>,
    /// A password waits to be passed on.
    pub password: bool,
    /// What was sent once only.
    pub mails: Vec<MailSent>,
    /// What a person can do, where something waits.
    pub advice: Vec<String>,
}

/// Whether it is a connector's business.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Concern {
    InScope,
    /// Why not, in words.
    OutOfScope(String),
    /// Deleted at the provider.
    Deleted,
    /// It serves other organizations.
    Elsewhere,
    /// It does not run, so it is not known.
    NotRunning,
}

/// A mail, or whatever else happens once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MailSent {
    pub at: Timestamp,
    /// For which change.
    pub seq: i64,
    /// `false`: begun, and cut off.
    pub sent: bool,
}

impl Operator {
    /// The look is written down.
    pub async fn trace(
        &self,
        actor: &Actor,
        organization: &str,
        query: &TraceQuery,
    ) -> Result<Traced> {
        let id = self.organization(organization)?;
        let mut found = self.store.named(id, query.kind, &query.name).await?;
        let living = found.iter().filter(|known| known.deleted.is_none()).count();
        if found.is_empty() {
            return Err(OperatorError::NotFound(format!(
                "{organization} has no {} `{}`, and none that was deleted lately",
                query.kind.word(),
                query.name
            )));
        }
        if living > 1 || (living == 0 && found.len() > 1) {
            let subject = format!("{} {}, of which there are several", query.kind, query.name);
            self.note(actor, "trace.read", Some(organization), subject, None).await?;
            return Ok(Traced::Several(found.iter().map(traceable).collect()));
        }
        let known = found.remove(0);
        let subject = format!("{}/{}", query.kind, known.stored.id);
        let namesakes = found.iter().map(traceable).collect();
        let story = self.story(organization, id, known, namesakes).await?;
        // Behind the story, which does not tell of itself.
        self.note(actor, "trace.read", Some(organization), subject, None).await?;
        Ok(Traced::Story(Box::new(story)))
    }

    async fn story(
        &self,
        organization: &str,
        of: OrgId,
        known: Known,
        namesakes: Vec<Traceable>,
    ) -> Result<Trace> {
        let Known { stored, deleted } = known;
        let attributes: Attributes = serde_json::from_str(&stored.body).unwrap_or_default();
        let text = |name: &str| attributes.get(name).and_then(Value::as_str).map(str::to_owned);
        let name = user_name(&attributes).map(str::to_owned).or_else(|| text("displayName"));
        let name = name.unwrap_or_default();
        let (groups, members) = if deleted.is_none() {
            self.memberships(of, stored.kind, stored.id).await?
        } else {
            (Vec::new(), None)
        };
        let about = self.store.requests_about(of, stored.kind, stored.id, &name, MOST + 1).await?;
        let (requests, more_requests) = last(about);
        let mut log = self.store.log(of, stored.row, MOST + 1).await?;
        log.reverse();
        let types = self.types(organization, stored.kind);
        let before = log.first().filter(|_| log.len() > MOST).map(|row| row.body.clone());
        let (changes, more_changes) = last(log);
        let moves = match stored.kind {
            ResourceKind::User => self.store.moves(stored.row, MOST).await?,
            ResourceKind::Group => Vec::new(),
        };
        let acts = self.store.acts_about(organization, stored.id, MOST).await?;
        let as_it_is =
            deleted.is_none().then(|| (with_meta(attributes.clone(), &stored), &*groups));
        let connectors = self.stands(organization, of, &stored, as_it_is, &changes).await?;
        let more_groups = groups.len().saturating_sub(MOST_GROUPS);
        let groups = groups.into_iter().take(MOST_GROUPS).map(|group| GroupOf {
            id: group.id,
            direct: group.relation == Relation::DirectGroup,
            name: group.display,
        });
        Ok(Trace {
            organization: organization.to_owned(),
            kind: stored.kind,
            id: stored.id,
            name,
            display_name: text("displayName"),
            called: called(&attributes),
            facts: facts(&shown(&stored.body, types.as_ref())),
            external_id: text("externalId"),
            active: attributes.get("active").and_then(Value::as_bool),
            created: stored.created,
            modified: stored.modified,
            deleted,
            groups: groups.collect(),
            more_groups,
            members,
            namesakes,
            requests: requests.into_iter().map(traced).collect(),
            more_requests,
            changes: told(changes, before.as_deref(), types.as_ref()),
            more_changes,
            moves,
            acts,
            connectors,
        })
    }

    /// What resources of a kind may hold; none, where the organization is gone.
    fn types(&self, organization: &str, kind: ResourceKind) -> Option<Types> {
        let runtime = self.runtime.load();
        let known = runtime.config.organizations.get(organization)?;
        Some(Types { schemas: Arc::clone(&known.info.schemas), kind })
    }

    /// The groups of a person, or how many members a group has.
    async fn memberships(
        &self,
        organization: OrgId,
        kind: ResourceKind,
        id: ResourceId,
    ) -> Result<(Vec<Membership>, Option<usize>)> {
        let told: Arc<Mutex<(usize, Vec<Membership>)>> = Arc::default();
        let tell = Arc::clone(&told);
        let scribe: Scribe = Box::new(move |_, memberships| {
            let mut told = tell.lock().unwrap_or_else(PoisonError::into_inner);
            told.0 = memberships.count()?;
            if kind == ResourceKind::User {
                memberships.each(&mut |group| told.1.push(group))?;
            }
            Ok(String::new())
        });
        self.store.write_out(organization, kind, id, scribe).await?;
        let (count, groups) = mem::take(&mut *told.lock().unwrap_or_else(PoisonError::into_inner));
        Ok((groups, (kind == ResourceKind::Group).then_some(count)))
    }

    async fn stands(
        &self,
        organization: &str,
        of: OrgId,
        stored: &Stored,
        as_it_is: Option<(Attributes, &[Membership])>,
        changes: &[LogRow],
    ) -> Result<Vec<Stand>> {
        let runtime = self.runtime.load_full();
        let mut standings = self.store.standings(stored.row).await?;
        let mut stands = Vec::new();
        for row in self.store.connectors().await? {
            let index = standings.iter().position(|standing| standing.connector == row.id);
            let Some(standing) = index.map(|index| standings.swap_remove(index)) else { continue };
            let lane = runtime.engine.settings(&row.name);
            let concern = concern(lane, organization, stored, as_it_is.as_ref());
            let mails = self.mails(lane, organization, of, stored.row, changes).await?;
            stands.push(stand(&runtime, row, standing, concern, mails));
        }
        Ok(stands)
    }

    /// What went out once for these changes, by the ledger. That keeps no names, so each change is
    /// asked under which key it would be there.
    async fn mails(
        &self,
        lane: Option<&LaneSettings>,
        organization: &str,
        of: OrgId,
        resource: RowId,
        changes: &[LogRow],
    ) -> Result<Vec<MailSent>> {
        let mut mails: Vec<MailSent> = Vec::new();
        let Some(lane) = lane else { return Ok(mails) };
        let Some(info) = lane.organizations.get(organization) else { return Ok(mails) };
        if lane.connector.semantics() != Semantics::EveryEvent {
            return Ok(mails);
        }
        let mut met = Vec::new();
        for change in changes {
            let now = self.clock.now();
            let claim = imagined(lane.id, of, resource, now);
            let claim = Claim { since: change.seq, entire: false, ..claim };
            let Some(case) = self.store.case(&claim).await? else { continue };
            let as_it_was = delivery::resource(&case, info);
            let this = Try { in_doubt: true, permit: Permit::ALL, number: 1, now };
            let connector = lane.connector.as_ref();
            let work = delivery::judge(case, as_it_was, connector, &lane.scope, this);
            let Some(key) = work.and_then(|work| connector.once_key(&work)) else { continue };
            if met.contains(&key) {
                continue;
            }
            met.push(key.clone());
            let (connector, organization) = (Arc::clone(&lane.name), organization.into());
            let once = OnceKey { connector, organization, key };
            if let Some((at, sent)) = self.store.once_look(&once).await? {
                mails.push(MailSent { at, seq: change.seq, sent });
            }
        }
        Ok(mails)
    }
}

/// What a kind of an organization's resources may hold.
struct Types {
    schemas: Arc<Schemas>,
    kind: ResourceKind,
}

/// The attributes in a body, without what its schemas never return.
fn shown(body: &str, types: Option<&Types>) -> Attributes {
    let mut attributes: Attributes = serde_json::from_str(body).unwrap_or_default();
    match types {
        Some(types) => Projection::default().apply(&mut attributes, types.schemas.of(types.kind)),
        // What nobody knows any more may have been secret.
        None => attributes.clear(),
    }
    attributes
}

/// Changes with what each made of the one before.
fn told(changes: Vec<LogRow>, before: Option<&str>, types: Option<&Types>) -> Vec<Change> {
    let mut before = before.map(|body| facts(&shown(body, types)));
    let mut told = Vec::with_capacity(changes.len());
    for row in changes {
        let after = facts(&shown(&row.body, types));
        let differences = match (&before, row.verb) {
            (Some(before), Verb::Updated) => differences(before, &after),
            _ => Vec::new(),
        };
        told.push(Change { row, differences });
        before = Some(after);
    }
    told
}

/// Whether it is a connector's business; `as_it_is`, if it was not deleted.
fn concern(
    lane: Option<&LaneSettings>,
    organization: &str,
    stored: &Stored,
    as_it_is: Option<&(Attributes, &[Membership])>,
) -> Concern {
    let Some(lane) = lane else { return Concern::NotRunning };
    let Some(info) = lane.organizations.get(organization) else { return Concern::Elsewhere };
    let Some((attributes, groups)) = as_it_is else { return Concern::Deleted };
    let key = ResourceKey { organization: organization.into(), kind: stored.kind, id: stored.id };
    let resource = Resource {
        key,
        organization: Arc::clone(info),
        attributes: attributes.clone(),
        groups: groups.to_vec(),
    };
    lane.scope.explain(&resource).map_or(Concern::InScope, Concern::OutOfScope)
}

/// As filters read it.
fn with_meta(mut attributes: Attributes, stored: &Stored) -> Attributes {
    let meta = json!({
        "resourceType": stored.kind.name(),
        "created": stored.created.to_string(),
        "lastModified": stored.modified.to_string(),
        "version": format!("W/\"{}\"", stored.version),
    });
    attributes.insert("meta".to_owned(), meta);
    attributes
}

fn stand(
    runtime: &Runtime,
    row: ConnectorRow,
    standing: Standing,
    concern: Concern,
    mails: Vec<MailSent>,
) -> Stand {
    let StateOf { word, .. } = state_of(runtime, &row);
    let every_event = runtime.is_every_event(&row.name);
    let waits = standing.waits;
    let advice = waits.as_ref().map_or_else(Vec::new, |waits| advice(waits, word, every_event));
    Stand {
        state: word.to_owned(),
        every_event,
        concern,
        link: standing.link,
        waits,
        password: standing.password,
        mails,
        advice,
        connector: row.name,
        kind: row.kind,
    }
}

fn traceable(known: &Known) -> Traceable {
    let attributes: Attributes = serde_json::from_str(&known.stored.body).unwrap_or_default();
    let name =
        ["userName", "displayName"].into_iter().find_map(|name| attributes.get(name)?.as_str());
    Traceable {
        id: known.stored.id,
        name: name.unwrap_or_default().to_owned(),
        created: known.stored.created,
        deleted: known.deleted,
    }
}

/// The newest that a page has room for, of rows that are oldest first; and whether there were more.
fn last<T>(mut rows: Vec<T>) -> (Vec<T>, bool) {
    let more = rows.len() > MOST;
    let rest = rows.split_off(rows.len().saturating_sub(MOST));
    (rest, more)
}

fn traced(row: RequestRow) -> TracedRequest {
    let reason = match (row.scim_type, row.detail) {
        (Some(scim_type), Some(detail)) => Some(format!("{scim_type}: {detail}")),
        (scim_type, detail) => scim_type.or(detail),
    };
    TracedRequest {
        id: row.id,
        at: row.at,
        method: row.method,
        path: row.path,
        status: row.status,
        token: row.token_name,
        reason,
    }
}
