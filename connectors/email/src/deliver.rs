//! The connector itself: which work becomes a mail, and what is remembered of it.

use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;
use scim_relay_sdk::connector::{
    Action, Connector, Delivered, DeliveryError, Health, Link, Preview, Rate, Reads, Semantics,
    Stage, Template, Wanted, Work,
};
use scim_relay_sdk::scim::ResourceKind;

use crate::client::Smtp;
use crate::compose::Composer;
use crate::event::Event;
use crate::folder::Folder;
use crate::preview;

/// A way to send mails.
pub(crate) struct Email {
    pub(crate) composer: Composer,
    pub(crate) triggers: Vec<Event>,
    pub(crate) transport: Transport,
    pub(crate) max_per_hour: Option<NonZeroU32>,
}

pub(crate) enum Transport {
    Smtp(Box<Smtp>),
    Folder(Folder),
}

impl Email {
    /// What this work is to be written about, if anything.
    fn triggered(&self, work: &Work) -> Option<Event> {
        Event::of(work).filter(|event| self.triggers.contains(event))
    }

    /// A person's link says that they were seen in scope, whether a mail went out or not: a later
    /// departure is told by it.
    fn link(&self, work: &Work) -> Option<Link> {
        match &work.wanted {
            Wanted::Present(person) if work.key.kind == ResourceKind::User => Some(Link {
                target_id: work.key.id.to_string(),
                address: self
                    .composer
                    .recipient(person)
                    .map(|recipient| recipient.email.to_string())
                    .unwrap_or_default(),
                hash: None,
                stage: Stage::Active,
                since: work.link.as_ref().map_or(work.now, |link| link.since),
            }),
            Wanted::Present(_) | Wanted::Gone { .. } => None,
        }
    }
}

#[async_trait]
impl Connector for Email {
    fn semantics(&self) -> Semantics {
        Semantics::EveryEvent
    }

    /// A new mail connector must not welcome those who have been there for years.
    fn backfills(&self) -> bool {
        false
    }

    fn reads(&self) -> Reads {
        let to = self.composer.to.as_ref().is_some_and(Template::reads_groups);
        Reads { groups: to || self.composer.templates.reads_groups() }
    }

    fn rate(&self) -> Option<Rate> {
        let count = self.max_per_hour?.get();
        Some(Rate { count, per: Duration::from_hours(1) })
    }

    fn once_key(&self, work: &Work) -> Option<String> {
        Some(self.triggered(work)?.once_key(work))
    }

    fn reaches(&self, work: &Work) -> bool {
        self.triggered(work).is_some()
    }

    async fn deliver(&self, work: &Work) -> Result<Delivered, DeliveryError> {
        let action = match self.triggered(work) {
            None => Action::Ignored,
            Some(event) => {
                let mail = self.composer.compose(event, work)?;
                match &self.transport {
                    Transport::Folder(folder) => folder.put(&mail).await?,
                    Transport::Smtp(_) if work.in_doubt => {
                        return Err(DeliveryError::refused(format!(
                            "may have been sent already: an earlier attempt to send the mail to {} \
                             was cut off; look for Message-ID <{}> in the mail server's log, and \
                             skip if it is there, retry if it is not",
                            mail.to.email, mail.message_id
                        )));
                    }
                    Transport::Smtp(smtp) => {
                        smtp.send(&mail, work.now).await?;
                        Action::Sent
                    }
                }
            }
        };
        Ok(Delivered { link: self.link(work), revisit: None, action })
    }

    async fn preview(&self, work: &Work) -> Result<Preview, DeliveryError> {
        let event = match &work.change {
            Some(_) => self.triggered(work),
            // Somebody asks what this person's mail looks like, and nothing has happened.
            None if work.key.kind == ResourceKind::User => self.triggers.first().copied(),
            None => None,
        };
        let text = match event {
            Some(event) => preview::text(&self.composer.compose(event, work)?),
            None => "no mail is sent for this\n".to_owned(),
        };
        Ok(Preview { text })
    }

    async fn probe(&self) -> Result<Health, DeliveryError> {
        let summary = match &self.transport {
            Transport::Smtp(smtp) => smtp.visit().await?,
            Transport::Folder(folder) => folder.visit().await?,
        };
        Ok(Health { summary })
    }
}
