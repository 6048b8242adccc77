//! From what a mail server does to what becomes of the mail: one table.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use lettre::transport::smtp;
use scim_relay_sdk::connector::{BoxError, DeliveryError};

/// How far a conversation had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Connecting,
    Encrypting,
    Greeting,
    SigningIn,
    /// MAIL, which speaks of the sender alone.
    Sender,
    /// RCPT and DATA, which speak of this mail.
    Recipient,
    /// The text, and the final dot.
    Content,
}

/// What went wrong.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The server said no. Its words are on one line and of bounded length.
    Reply { code: u16, words: String },
    /// STARTTLS is not to be had.
    Plaintext,
    /// The certificate is not to be trusted.
    Certificate(io::Error),
    /// No way of signing in that we know.
    NoMechanism,
    /// The connection failed, or what came was no answer.
    Io(io::Error),
    /// No answer in time.
    Silence,
}

/// One that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) stage: Stage,
    pub(crate) trouble: Trouble,
}

/// How long a server that answered "later" is left alone with this mail: greylisting counts from
/// the first try, and one that comes back at once starts again. RFC 5321 section 4.5.4.1 would
/// have half an hour; most greylists are content with five minutes.
const LATER: Duration = Duration::from_mins(5);

impl Failure {
    /// Whether a connection that was kept open turns out to be closed, so that nothing was said.
    pub(crate) fn is_stale_connection(&self) -> bool {
        self.stage == Stage::Sender
            && matches!(self.trouble, Trouble::Io(_) | Trouble::Reply { code: 421, .. })
    }

    /// Whether the server refused this mail and awaits the next.
    pub(crate) fn leaves_connection_usable(&self) -> bool {
        matches!(self.trouble, Trouble::Reply { code, .. } if code != 421)
            && self.stage >= Stage::Sender
    }

    /// The table. `server` is the address it was reached at, `mail` says which mail.
    pub(crate) fn into_delivery_error(self, server: &str, mail: &str) -> DeliveryError {
        use Stage::{Connecting, Content, Encrypting, Greeting, Recipient, Sender, SigningIn};
        match (self.stage, self.trouble) {
            (_, Trouble::Certificate(source)) => DeliveryError::Credentials {
                what: format!(
                    "the certificate of {server} is not trusted; set `ca` to the file of the \
                     authority that signed it, and `url` to the name it is made for"
                ),
                source: Some(source.into()),
            },
            (_, Trouble::Plaintext) => DeliveryError::credentials(format!(
                "{server} offers no STARTTLS, so the mails and the password would cross the \
                 network in clear text; set `allow_plaintext = true` only if nobody can listen there"
            )),
            (_, Trouble::NoMechanism) => DeliveryError::credentials(format!(
                "{server} offers no sign-in by PLAIN or LOGIN; leave out `username` and \
                 `password` if it takes mails without"
            )),
            // 530, 534, 535 and 538 are about signing in wherever they come (RFC 4954 section 6).
            (_, Trouble::Reply { code: code @ (530 | 534 | 535 | 538), words }) => {
                DeliveryError::credentials(format!(
                    "{server} does not accept the sign-in: {code} {words}; check `username` and \
                     `password`"
                ))
            }
            (SigningIn, Trouble::Reply { code: code @ 500.., words }) => {
                DeliveryError::credentials(format!(
                    "{server} refuses the sign-in: {code} {words}; check `username` and `password`"
                ))
            }
            // Only the configuration decides what MAIL says, so everyone's mail would be refused.
            (Sender, Trouble::Reply { code: code @ 500.., words }) => DeliveryError::credentials(
                format!("{server} refuses the sender: {code} {words}; check `from`"),
            ),
            (Connecting | Encrypting | Greeting | SigningIn, trouble) => {
                DeliveryError::Unreachable {
                    what: match (self.stage, &trouble) {
                        (_, Trouble::Reply { code, words }) => {
                            format!("{server} turned us away: {code} {words}")
                        }
                        (Encrypting, _) => format!("no encrypted connection to {server}"),
                        (Connecting, _) => format!("{server} cannot be reached"),
                        _ => format!("{server} does not answer as a mail server does"),
                    },
                    source: trouble.source(),
                }
            }
            (Recipient | Content, Trouble::Reply { code: code @ 500.., words }) => {
                DeliveryError::refused(format!("{server} refuses {mail}: {code} {words}"))
            }
            (Sender | Recipient | Content, Trouble::Reply { code, words }) => {
                DeliveryError::Later {
                    what: format!("{server} does not take {mail} now: {code} {words}"),
                    // 421 is about the connection (RFC 5321 section 3.8), not about the mail.
                    retry_after: (code != 421).then_some(LATER),
                    in_doubt: false,
                    source: None,
                }
            }
            (Sender | Recipient, trouble) => DeliveryError::Later {
                what: format!("the connection to {server} failed before {mail} was sent"),
                retry_after: None,
                in_doubt: false,
                source: trouble.source(),
            },
            (Content, trouble) => DeliveryError::Later {
                what: format!("{mail} was sent to {server}, which never acknowledged it"),
                retry_after: None,
                in_doubt: true,
                source: trouble.source(),
            },
        }
    }
}

impl Trouble {
    fn source(self) -> Option<BoxError> {
        match self {
            Self::Io(error) | Self::Certificate(error) => Some(error.into()),
            Self::Silence => Some("no answer in time".into()),
            Self::Reply { .. } | Self::Plaintext | Self::NoMechanism => None,
        }
    }

    /// A server's answer that is not the one hoped for.
    pub(crate) fn reply(code: u16, words: &str) -> Self {
        Self::Reply { code, words: one_line(words) }
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        let certificate = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
            .is_some_and(|inner| matches!(inner, rustls::Error::InvalidCertificate(_)));
        if certificate { Self::Certificate(error) } else { Self::Io(error) }
    }
}

impl From<smtp::Error> for Trouble {
    fn from(error: smtp::Error) -> Self {
        if let Some(code) = error.status() {
            let words = error.source().map(ToString::to_string).unwrap_or_default();
            return Self::reply(u16::from(code), &words);
        }
        Self::Io(io::Error::other(error))
    }
}

/// A server's words in our log: on one line, and no more than a line.
fn one_line(words: &str) -> String {
    let words: String =
        words.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(300) {
        Some((end, _)) => format!("{}...", &words[..end]),
        None => words,
    }
}

#[cfg(test)]
mod tests {
    use scim_relay_sdk::connector::Decision;

    use super::*;

    #[track_caller]
    fn check(stage: Stage, trouble: Trouble, expected: &Decision, in_doubt: bool) {
        let error = Failure { stage, trouble }.into_delivery_error("mail.example:587", "the mail");
        assert_eq!((&error.decision(), error.is_in_doubt()), (expected, in_doubt), "{error}");
    }

    const AT_ONCE: Decision = Decision::Retry { at_least: Duration::ZERO };
    const IN_FIVE_MINUTES: Decision = Decision::Retry { at_least: LATER };

    fn said(code: u16) -> Trouble {
        Trouble::reply(code, "as asked")
    }

    #[test]
    fn a_refused_recipient_is_that_persons_affair() {
        check(Stage::Recipient, said(550), &Decision::Park, false);
        check(Stage::Content, said(554), &Decision::Park, false);
    }

    #[test]
    fn a_busy_server_gets_time() {
        check(Stage::Recipient, said(450), &IN_FIVE_MINUTES, false);
        check(Stage::Content, said(451), &IN_FIVE_MINUTES, false);
        check(Stage::Recipient, said(421), &AT_ONCE, false);
    }

    #[test]
    fn what_concerns_everyone_pauses_the_target() {
        check(Stage::Greeting, said(554), &Decision::PauseTarget, false);
        check(Stage::Greeting, said(421), &Decision::PauseTarget, false);
        check(Stage::SigningIn, said(535), &Decision::PauseTarget, false);
        check(Stage::SigningIn, said(454), &Decision::PauseTarget, false);
        check(Stage::Sender, said(550), &Decision::PauseTarget, false);
        check(Stage::Recipient, said(530), &Decision::PauseTarget, false);
        check(Stage::Encrypting, Trouble::Plaintext, &Decision::PauseTarget, false);
        check(Stage::Connecting, Trouble::Silence, &Decision::PauseTarget, false);
    }

    #[test]
    fn silence_is_in_doubt_only_once_the_text_is_out() {
        check(Stage::Sender, Trouble::Silence, &AT_ONCE, false);
        check(Stage::Recipient, Trouble::Silence, &AT_ONCE, false);
        check(Stage::Content, Trouble::Silence, &AT_ONCE, true);
        check(Stage::Content, Trouble::Io(io::ErrorKind::ConnectionReset.into()), &AT_ONCE, true);
    }

    #[test]
    fn a_servers_words_are_one_bounded_line() {
        assert_eq!(one_line("no\r\nsuch\u{1b}[31m user"), "no such [31m user");
        assert_eq!(one_line(&"x".repeat(5_000)).len(), 303);
    }
}
