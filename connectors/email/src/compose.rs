//! From a person and an event to a mail: recipient, language, texts, headers.

use std::fmt;
use std::time::SystemTime;

use fluent_langneg::LanguageIdentifier;
use jiff::Timestamp;
use lettre::Message;
use lettre::address::Envelope;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use scim_relay_sdk::connector::{DeliveryError, Resource, Template, View, Work};
use scim_relay_sdk::scim;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::address::{header_text, parse};
use crate::event::Event;
use crate::language;
use crate::templates::{Rendered, Templates};

/// What all mails of a connector have in common.
pub(crate) struct Composer {
    /// The connector's name.
    pub(crate) name: String,
    pub(crate) from: Mailbox,
    pub(crate) reply_to: Option<Mailbox>,
    /// Whom to write to, if not to the person's `email`.
    pub(crate) to: Option<Template>,
    pub(crate) templates: Templates,
    pub(crate) default_locale: LanguageIdentifier,
}

/// One mail to one recipient.
#[derive(Debug)]
pub(crate) struct Mail {
    /// Without its angle brackets. The same for every attempt, so that whoever gets two copies,
    /// or looks through a server's log, can tell that they are one mail.
    pub(crate) message_id: String,
    pub(crate) from: Mailbox,
    pub(crate) reply_to: Option<Mailbox>,
    pub(crate) to: Mailbox,
    pub(crate) date: Timestamp,
    pub(crate) texts: Rendered,
}

/// Headers that say that no person wrote this, so that no vacation notice answers it: RFC 3834
/// section 5, and the one that Exchange goes by.
pub(crate) const AUTOMATIC: [(&str, &str); 2] =
    [("Auto-Submitted", "auto-generated"), ("X-Auto-Response-Suppress", "All")];

impl Composer {
    /// Writes the mail that this event asks for.
    pub(crate) fn compose(&self, event: Event, work: &Work) -> Result<Mail, DeliveryError> {
        let person = work.wanted.resource();
        let to = self.recipient(person).map_err(DeliveryError::refused)?;
        let available = self.templates.languages(event);
        let language = language::choose(person, &self.default_locale, &available)
            .ok_or_else(|| DeliveryError::refused(format!("{} has no template", event.word())))?;
        let view = View::of(person).with("recipient", to.email.to_string());
        let texts = self.templates.render(event, language, view).map_err(DeliveryError::refused)?;
        header_text("the subject", &texts.subject).map_err(DeliveryError::refused)?;
        Ok(Mail {
            message_id: self.message_id(&work.key.organization, &event.once_key(work)),
            from: self.from.clone(),
            reply_to: self.reply_to.clone(),
            to,
            date: work.now,
            texts,
        })
    }

    /// Where this person's mail goes: one address, or none at all.
    pub(crate) fn recipient(&self, person: &Resource) -> Result<Mailbox, String> {
        let Some(template) = &self.to else {
            let address = scim::email(&person.attributes)
                .ok_or("this person has no mail address: `emails` is empty")?;
            let name = person
                .attributes
                .get("displayName")
                .and_then(Value::as_str)
                .map(str::trim)
                .filter(|name| !name.is_empty());
            let name = name.map(|name| header_text("displayName", name)).transpose()?;
            return Ok(Mailbox::new(name.map(str::to_owned), parse(address)?));
        };
        let source = template.source();
        let value = template
            .value(&View::of(person))
            .map_err(|error| format!("`to` cannot be filled in: {error}"))?;
        let address = match &value {
            Value::String(address) => address.as_str(),
            Value::Array(addresses) => match addresses.as_slice() {
                [Value::String(address)] => address,
                _ => {
                    return Err(format!(
                        "`to` yields {} values and a mail goes to one address; let `{source}` \
                         choose one",
                        addresses.len()
                    ));
                }
            },
            _ => return Err(format!("`to` yields no mail address for this person: `{source}`")),
        };
        // Whose address that is, a guardian's perhaps, is not known here; so it stands alone.
        Ok(Mailbox::new(None, parse(address)?))
    }

    /// One id for one mail, whatever the attempt. The parts are told apart by a byte that none of
    /// them can hold.
    pub(crate) fn message_id(&self, organization: &str, key: &str) -> String {
        let digest = Sha256::digest(format!("{}\0{organization}\0{key}", self.name));
        let first: [u8; 16] = digest[..16].try_into().expect("the digest has 32 bytes");
        let id = u128::from_be_bytes(first);
        format!("{id:032x}@{}", self.from.email.domain())
    }
}

impl Mail {
    /// The mail as it goes over the wire.
    pub(crate) fn formatted(&self) -> Vec<u8> {
        let mut builder = Message::builder()
            .message_id(Some(format!("<{}>", self.message_id)))
            .date(SystemTime::from(self.date))
            .from(self.from.clone())
            .to(self.to.clone())
            .subject(self.texts.subject.clone());
        if let Some(reply_to) = &self.reply_to {
            builder = builder.reply_to(reply_to.clone());
        }
        for (name, value) in AUTOMATIC {
            let name = HeaderName::new_from_ascii_str(name);
            builder = builder.raw_header(HeaderValue::new(name, value.to_owned()));
        }
        let to = vec![self.to.email.clone()];
        let envelope = Envelope::new(Some(self.from.email.clone()), to);
        let builder = builder.envelope(envelope.expect("there is one recipient"));
        let text = part(ContentType::TEXT_PLAIN, &self.texts.text);
        let message = match &self.texts.html {
            None => builder.singlepart(text),
            Some(html) => {
                // Made from the id, so that a repeat is the same mail byte for byte; and `=_`
                // cannot stand in a quoted-printable text (RFC 2045 section 6.7).
                let boundary = format!("=_{}", self.message_id.split('@').next().unwrap_or("mail"));
                builder.multipart(
                    MultiPart::alternative()
                        .boundary(boundary)
                        .singlepart(text)
                        .singlepart(part(ContentType::TEXT_HTML, html)),
                )
            }
        };
        message.expect("sender, recipient and date are set").formatted()
    }
}

/// Always quoted-printable: no line is too long for SMTP, no byte is outside ASCII, and no line
/// break stands alone, which servers have been made to take for the end of a mail.
fn part(kind: ContentType, text: &str) -> SinglePart {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    SinglePart::builder().header(kind).header(ContentTransferEncoding::QuotedPrintable).body(text)
}

impl fmt::Display for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the mail to {} (Message-ID <{}>)", self.to.email, self.message_id)
    }
}
