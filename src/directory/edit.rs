//! Writes: evaluated here, committed by the store by compare-and-set on the version.

use scim_relay_sdk::scim::{
    self, Attributes, MemberOp, PatchRequest, Patched, Projection, Quirk, Quirks, ResourceId,
    ResourceKind, ScimType, keep, normalize,
};
use secrecy::SecretString;
use serde_json::Value;

use super::serve::etag;
use super::{Directory, DirectoryError, Precondition, Result, Served, content, precondition};
use crate::ids;
use crate::store::{Content, Deletion, Origin, Stored, TokenId, Update, Written};

/// How often a PATCH without `If-Match` is evaluated anew when others write in between.
const ATTEMPTS: usize = 20;

/// A directory that may be written to.
pub struct Editor<'a> {
    directory: &'a Directory,
    token: Option<TokenId>,
}

/// What a write makes of a resource.
struct Next {
    /// None: the attributes stay as they are.
    content: Option<Content>,
    members: Vec<MemberOp>,
    quirks: Quirks,
}

impl<'a> Editor<'a> {
    pub(super) fn new(directory: &'a Directory, token: Option<TokenId>) -> Self {
        Self { directory, token }
    }

    fn origin(&self) -> Origin {
        Origin { token: self.token, now: self.directory.clock.now() }
    }

    /// Makes a resource (RFC 7644 section 3.3).
    pub async fn create(
        &self,
        kind: ResourceKind,
        body: Value,
        projection: &Projection,
    ) -> Result<Served> {
        let directory = self.directory;
        let ty = directory.resource_type(kind);
        let given = normalize(body, ty)?;
        directory.permit(&given.quirks)?;
        let origin = self.origin();
        let id = ids::resource_id(origin.now);
        let password = directory.sealed(kind, id, given.password.as_ref());
        let content =
            content::content(kind, id, &given.attributes, None, ty).with_password(password);
        let members = given.members.unwrap_or_default().into_iter().map(|one| one.value).collect();
        let written = directory
            .store
            .create(directory.organization, kind, id, content, members, origin)
            .await?;
        self.answer(written, &id.to_string(), projection, &given.quirks).await
    }

    /// Replaces a resource (RFC 7644 section 3.5.1): what is left out is cleared, a group's members
    /// too unless the organization has it otherwise.
    pub async fn replace(
        &self,
        kind: ResourceKind,
        id: &str,
        body: Value,
        precondition: &Precondition,
        projection: &Projection,
    ) -> Result<Served> {
        let directory = self.directory;
        let ty = directory.resource_type(kind);
        let given = normalize(body, ty)?;
        let members = match (kind, &given.members) {
            (ResourceKind::User, _) => Vec::new(),
            (ResourceKind::Group, None) if directory.rules.keep_members => Vec::new(),
            (ResourceKind::Group, given) => {
                vec![MemberOp::Replace(given.clone().unwrap_or_default())]
            }
        };
        let evaluate = |stored: &Stored, before: &Attributes| {
            let after = keep(before, given.attributes.clone(), ty)?;
            let content = self.content(stored, before, &after, given.password.as_ref());
            Ok(Next { content, members: members.clone(), quirks: given.quirks.clone() })
        };
        let changed = self.change(kind, id, precondition, projection, evaluate).await;
        changed.map_err(|error| error.met(&given.quirks))
    }

    /// Changes a resource (RFC 7644 section 3.5.2), all operations or none.
    pub async fn patch(
        &self,
        kind: ResourceKind,
        id: &str,
        body: Value,
        precondition: &Precondition,
        projection: &Projection,
    ) -> Result<Served> {
        let directory = self.directory;
        let ty = directory.resource_type(kind);
        let request = PatchRequest::parse(body)?;
        let evaluate = |stored: &Stored, before: &Attributes| {
            let mut patched = request.apply(before, ty)?;
            leave_out_strangers(&mut patched);
            let after = &patched.attributes;
            let content = self.content(stored, before, after, patched.password.as_ref());
            Ok(Next { content, members: patched.member_ops, quirks: patched.quirks })
        };
        let changed = self.change(kind, id, precondition, projection, evaluate).await;
        changed.map_err(|error| error.met(request.quirks()))
    }

    /// What is to be written, if that is anything new.
    fn content(
        &self,
        stored: &Stored,
        before: &Attributes,
        after: &Attributes,
        password: Option<&SecretString>,
    ) -> Option<Content> {
        let Stored { kind, id, .. } = *stored;
        let password = self.directory.sealed(kind, id, password);
        let ty = self.directory.resource_type(kind);
        (after != before || password.is_some())
            .then(|| content::content(kind, id, after, Some(before), ty).with_password(password))
    }

    /// Reads, evaluates, and writes if nobody wrote in between; else again, unless that is no
    /// version that the client wants to change.
    async fn change(
        &self,
        kind: ResourceKind,
        id: &str,
        precondition: &Precondition,
        projection: &Projection,
        evaluate: impl Fn(&Stored, &Attributes) -> std::result::Result<Next, scim::Error>,
    ) -> Result<Served> {
        for _ in 0..ATTEMPTS {
            let stored = self.directory.stored(kind, id).await?;
            precondition.check(stored.version)?;
            let next = evaluate(&stored, &content::attributes(&stored.body)?)?;
            self.directory.permit(&next.quirks)?;
            if next.content.is_none() && next.members.is_empty() {
                return self.directory.serve(stored, projection, &next.quirks, false).await;
            }
            // Two changes of members alone never collide.
            let exact = next.content.is_some() || precondition.is_given();
            match self.update(&stored, exact, next.content, next.members).await? {
                Written::Conflict(version) => precondition.check(version)?,
                written => return self.answer(written, id, projection, &next.quirks).await,
            }
        }
        Err(contended(id))
    }

    /// Deletes a resource (RFC 7644 section 3.6), and says which one it was.
    pub async fn delete(
        &self,
        kind: ResourceKind,
        id: &str,
        precondition: &Precondition,
    ) -> Result<ResourceId> {
        let directory = self.directory;
        let stored = directory.stored(kind, id).await?;
        precondition.check(stored.version)?;
        let expected = precondition.is_given().then_some(stored.version);
        let deletion = directory
            .store
            .delete(directory.organization, kind, stored.id, expected, self.origin())
            .await?;
        match deletion {
            Deletion::Done => Ok(stored.id),
            Deletion::NotFound => Err(scim::Error::not_found(id).into()),
            Deletion::Conflict(version) => Err(precondition::failed(&etag(version)).into()),
        }
    }

    /// `exact`: only if the version is still the one that was read.
    async fn update(
        &self,
        stored: &Stored,
        exact: bool,
        content: Option<Content>,
        members: Vec<MemberOp>,
    ) -> Result<Written> {
        let update = Update {
            kind: stored.kind,
            id: stored.id,
            expected: exact.then_some(stored.version),
            content,
            members,
        };
        let directory = self.directory;
        Ok(directory.store.update(directory.organization, update, self.origin()).await?)
    }

    async fn answer(
        &self,
        written: Written,
        id: &str,
        projection: &Projection,
        quirks: &Quirks,
    ) -> Result<Served> {
        let refused = |error: scim::Error| Err(error.met(quirks).into());
        match written {
            Written::Done { stored, changed } => {
                self.directory.serve(stored, projection, quirks, changed).await
            }
            Written::NotFound => refused(scim::Error::not_found(id)),
            Written::Conflict(version) => refused(precondition::failed(&etag(version))),
            Written::UserNameTaken => refused(scim::Error::new(
                409,
                Some(ScimType::Uniqueness),
                "another user has this userName",
            )),
            Written::UnknownMember(value) => refused(scim::Error::invalid_value(format!(
                "members: there is no user or group with the id `{value}`"
            ))),
            Written::MemberOfItself => {
                refused(scim::Error::invalid_value("members: a group cannot be a member of itself"))
            }
        }
    }
}

/// What is added to a group and is not even an id of ours names nobody here, and never will: it is
/// left out, so that the others get in. An id that might have been somebody's is refused later; and
/// in a `replace` everything unknown is, since those who are not listed have to leave.
fn leave_out_strangers(patched: &mut Patched) {
    for operation in &mut patched.member_ops {
        let MemberOp::Add(members) = operation else { continue };
        let given = members.len();
        members.retain(|member| ResourceId::parse(&member.value).is_some());
        if members.len() < given {
            patched.quirks.note(Quirk::UnknownMember, "members");
        }
    }
}

/// Twenty others were quicker, each time: the client may well try again.
fn contended(id: &str) -> DirectoryError {
    scim::Error::new(409, None, format!("resource {id} is being changed by others; try again"))
        .into()
}
