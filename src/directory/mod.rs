//! The rules between resources: every write of a provider goes through here.
//!
//! Knows SCIM and the store's words, and nothing of HTTP, SQL or connectors.

mod content;
mod edit;
mod precondition;
mod serve;

use std::sync::{Arc, OnceLock};

use scim_relay_sdk::connector::OrganizationInfo;
use scim_relay_sdk::scim::{
    self, ListQuery, Projection, Quirk, Quirks, ResourceId, ResourceKey, ResourceKind,
    ResourceType, ScimType,
};
use secrecy::SecretString;

use self::serve::{Form, Written};
use crate::clock::SharedClock;
use crate::store::{
    ListRequest, Listing, OrgId, Scribe, Store, StoreError, Stored, TokenId, Wanted,
};
use crate::vault::{Sealed, Vault};

pub use edit::Editor;
pub use precondition::Precondition;

/// What an organization asks of its provider.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Whether a request that leaves the RFCs is refused, however well it is understood.
    pub strict: bool,
    /// Whether a PUT of a group that says nothing of its members leaves them alone.
    pub keep_members: bool,
}

/// One organization's resources, for reading. What it is not handed is out of its reach.
#[derive(Clone)]
pub struct Directory {
    store: Arc<dyn Store>,
    clock: SharedClock,
    organization: OrgId,
    info: Arc<OrganizationInfo>,
    rules: Rules,
    /// `https://host/scim/{organization}/v2`, without a slash at its end.
    base: Arc<str>,
    /// Where a connector asks for passwords and there is a key to seal them with.
    vault: Option<Arc<Vault>>,
}

/// A resource as the provider gets it.
#[derive(Clone, Debug)]
pub struct Served {
    pub kind: ResourceKind,
    pub id: ResourceId,
    /// JSON text.
    pub body: String,
    /// `W/"3"`.
    pub etag: String,
    pub location: String,
    /// What was tolerated on the way.
    pub quirks: Vec<Quirk>,
    /// Whether a write wrote anything.
    pub changed: bool,
}

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The provider must change something.
    #[error(transparent)]
    Scim(#[from] scim::Error),
    /// We must.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl DirectoryError {
    /// The same error, of a request that had `quirks`.
    fn met(self, quirks: &Quirks) -> Self {
        match self {
            Self::Scim(error) => Self::Scim(error.met(quirks)),
            Self::Store(error) => Self::Store(error),
        }
    }
}

pub type Result<T> = std::result::Result<T, DirectoryError>;

impl Directory {
    pub fn new(
        store: Arc<dyn Store>,
        clock: SharedClock,
        organization: OrgId,
        info: Arc<OrganizationInfo>,
        rules: Rules,
        public_url: &str,
    ) -> Self {
        let base = format!("{}/scim/{}/v2", public_url.trim_end_matches('/'), info.key).into();
        Self { store, clock, organization, info, rules, base, vault: None }
    }

    /// Keeps passwords for the connectors that ask for them, sealed in this vault; without one they
    /// are accepted and dropped.
    #[must_use]
    pub fn passing_passwords(self, vault: Option<Arc<Vault>>) -> Self {
        Self { vault, ..self }
    }

    /// Whether a password that a provider sends reaches anybody.
    pub fn passes_passwords(&self) -> bool {
        self.vault.is_some()
    }

    /// The right to write, for a token that has it.
    pub fn editor(&self, token: Option<TokenId>) -> Editor<'_> {
        Editor::new(self, token)
    }

    pub fn info(&self) -> &Arc<OrganizationInfo> {
        &self.info
    }

    pub fn organization(&self) -> OrgId {
        self.organization
    }

    pub fn base(&self) -> &str {
        &self.base
    }

    pub fn resource_type(&self, kind: ResourceKind) -> &ResourceType {
        self.info.schemas.of(kind)
    }

    /// Refuses what deviates from the RFCs where the organization is strict. Every request that is
    /// understood passes here before it is carried out.
    fn permit(&self, quirks: &Quirks) -> Result<()> {
        match quirks.refusal().filter(|_| self.rules.strict) {
            Some(refusal) => Err(refusal.into()),
            None => Ok(()),
        }
    }

    /// One resource (RFC 7644 section 3.4.1).
    pub async fn get(
        &self,
        kind: ResourceKind,
        id: &str,
        projection: &Projection,
    ) -> Result<Served> {
        let form = self.form(kind, projection);
        let known = match ResourceId::parse(id) {
            Some(id) => self.written_out(kind, id, &form).await?,
            None => None,
        };
        let (stored, written) = known.ok_or_else(|| scim::Error::not_found(id))?;
        Ok(self.served(&stored, written, &Quirks::default(), false))
    }

    /// Whether this is a group of more members than `than`, told without reading them.
    pub async fn has_more_members(&self, id: &str, than: usize) -> Result<bool> {
        let Some(group) = ResourceId::parse(id) else { return Ok(false) };
        Ok(self.store.has_more_members(self.organization, group, than).await?)
    }

    /// A page of those that match (RFC 7644 section 3.4.2), as a ListResponse.
    pub async fn list(&self, query: &ListQuery) -> Result<String> {
        self.permit(&query.quirks)?;
        let forms: Vec<_> =
            query.projections().map(|(kind, shown)| (kind, self.form(kind, shown))).collect();
        let wanted = |(kind, form): &(ResourceKind, Form)| Wanted {
            kind: *kind,
            memberships: form.wants_memberships(),
        };
        let request = ListRequest {
            base: Arc::clone(&self.base),
            kinds: forms.iter().map(wanted).collect(),
            filter: query.filter.clone(),
            sort: query.sort.clone(),
            start: query.start.clone(),
            count: query.count,
        };
        let scribe: Scribe = Box::new(move |stored, memberships| {
            match forms.iter().find(|(kind, _)| *kind == stored.kind) {
                Some((_, form)) => Ok(form.write(stored, memberships)?.text),
                None => Err(StoreError::Broken(format!("a {} was not asked for", stored.kind))),
            }
        });
        let listing = self.store.list(self.organization, &self.info.schemas, request, scribe);
        let page = match listing.await? {
            Listing::Page(page) => page,
            Listing::InvalidCursor => return Err(invalid_cursor().into()),
            Listing::ExpiredCursor => return Err(expired_cursor().into()),
            Listing::TooMany => return Err(too_many().into()),
        };
        let head = serve::list_head(&page, &query.start);
        let others = page.resources.iter().skip(1).map(|text| text.len() + 1).sum::<usize>();
        let mut texts = page.resources.into_iter();
        // The first grows into the answer: a single group of many members is not there twice.
        let mut body = texts.next().unwrap_or_default();
        body.reserve(head.len() + others + 2);
        body.insert_str(0, &head);
        for text in texts {
            body.push(',');
            body.push_str(&text);
        }
        body.push_str("]}");
        Ok(body)
    }

    fn sealed(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        password: Option<&SecretString>,
    ) -> Option<Sealed> {
        let key = ResourceKey { organization: Arc::clone(&self.info.key), kind, id };
        Some(self.vault.as_ref()?.seal(&key, password?))
    }

    async fn stored(&self, kind: ResourceKind, id: &str) -> Result<Stored> {
        let known = match ResourceId::parse(id) {
            Some(parsed) => self.store.get(self.organization, kind, parsed).await?,
            None => None,
        };
        known.ok_or_else(|| scim::Error::not_found(id).into())
    }

    fn form(&self, kind: ResourceKind, projection: &Projection) -> Form {
        Form::new(&self.base, &self.info, kind, projection)
    }

    /// A resource and its text, of one moment.
    async fn written_out(
        &self,
        kind: ResourceKind,
        id: ResourceId,
        form: &Form,
    ) -> Result<Option<(Stored, Written)>> {
        if form.wants_memberships() {
            let (form, etag) = (form.clone(), Arc::new(OnceLock::new()));
            let told = Arc::clone(&etag);
            let scribe: Scribe = Box::new(move |stored, memberships| {
                let Written { text, etag } = form.write(stored, memberships)?;
                told.get_or_init(|| etag);
                Ok(text)
            });
            let known = self.store.write_out(self.organization, kind, id, scribe).await?;
            return Ok(known.map(|(stored, text)| {
                let etag = etag.get().cloned().unwrap_or_else(|| serve::etag(stored.version));
                (stored, Written { text, etag })
            }));
        }
        let Some(stored) = self.store.get(self.organization, kind, id).await? else {
            return Ok(None);
        };
        let written = form.write(&stored, &mut Vec::new())?;
        Ok(Some((stored, written)))
    }

    /// What a write made of a resource; with its memberships it is read again, as it is by now.
    async fn serve(
        &self,
        stored: Stored,
        projection: &Projection,
        quirks: &Quirks,
        changed: bool,
    ) -> Result<Served> {
        let form = self.form(stored.kind, projection);
        if form.wants_memberships()
            && let Some((stored, written)) = self.written_out(stored.kind, stored.id, &form).await?
        {
            return Ok(self.served(&stored, written, quirks, changed));
        }
        let written = form.write(&stored, &mut Vec::new())?;
        Ok(self.served(&stored, written, quirks, changed))
    }

    fn served(&self, stored: &Stored, written: Written, quirks: &Quirks, changed: bool) -> Served {
        Served {
            body: written.text,
            etag: written.etag,
            location: serve::location(&self.base, stored.kind, stored.id),
            kind: stored.kind,
            id: stored.id,
            quirks: quirks.kinds(),
            changed,
        }
    }
}

fn invalid_cursor() -> scim::Error {
    scim::Error::bad_request(
        ScimType::InvalidCursor,
        "this is no cursor of this list; leave it empty for the first page, and repeat the other \
         parameters as they were for the next ones",
    )
}

/// RFC 7644 section 3.12 has a word of its own for it. A 503 would have the client ask the same again.
fn too_many() -> scim::Error {
    scim::Error::bad_request(
        ScimType::TooMany,
        "this list takes too long to work out; ask for one resource by `id` or `userName`, or for \
         pages without a filter and an order",
    )
}

fn expired_cursor() -> scim::Error {
    scim::Error::bad_request(
        ScimType::ExpiredCursor,
        "the list has changed where the cursor pointed; begin again with an empty one",
    )
}
