//! What can go wrong with a directory, and what each of it means for a delivery: one table from
//! the protocol's result codes (RFC 4511 appendix A) and the transport's failures.

use std::fmt;

use scim_relay_sdk::connector::DeliveryError;

/// Result codes that the connector's own logic looks at.
pub(crate) mod code {
    pub(crate) const SIZE_LIMIT_EXCEEDED: u32 = 4;
    pub(crate) const REFERRAL: u32 = 10;
    pub(crate) const NO_SUCH_ATTRIBUTE: u32 = 16;
    pub(crate) const ATTRIBUTE_OR_VALUE_EXISTS: u32 = 20;
    pub(crate) const NO_SUCH_OBJECT: u32 = 32;
    pub(crate) const OBJECT_CLASS_VIOLATION: u32 = 65;
    pub(crate) const ENTRY_ALREADY_EXISTS: u32 = 68;
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why an operation did not succeed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The server answered, with another code than success.
    Refusal(Refusal),
    /// No connection could be made.
    Unreachable { what: String, source: Cause },
    /// A connection could be made, but not one that may be used: a wrong certificate, a refused
    /// bind.
    Setup { what: String },
    /// The connection broke before the operation was sent.
    NotSent { source: Cause },
    /// The operation was sent, and no answer came: it may still be carried out. `closed` tells a
    /// connection that ended from a server that is silent.
    Lost { source: Cause, closed: bool },
}

/// A result other than success, as the server worded it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: u32,
    pub(crate) text: String,
    /// The part of a missing name that does exist.
    pub(crate) matched: String,
    pub(crate) referrals: Vec<String>,
}

/// Whether the operation that failed could have changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
}

impl Fault {
    pub(crate) fn refusal(code: u32, text: impl Into<String>) -> Self {
        let (matched, referrals) = (String::new(), Vec::new());
        Self::Refusal(Refusal { code, text: text.into(), matched, referrals })
    }

    /// The server's result code, if it answered.
    pub(crate) fn code(&self) -> Option<u32> {
        match self {
            Self::Refusal(refusal) => Some(refusal.code),
            _ => None,
        }
    }

    /// What the failure of `action` ("adding uid=ada") means for the delivery.
    pub(crate) fn into_error(self, kind: Kind, action: &str) -> DeliveryError {
        match self {
            Self::Refusal(refusal) => refusal.into_error(action),
            Self::Unreachable { what, source } => {
                DeliveryError::Unreachable { what, source: Some(source) }
            }
            Self::Setup { what } => DeliveryError::credentials(what),
            Self::NotSent { source } => DeliveryError::Later {
                what: format!("the connection closed before {action} was sent"),
                retry_after: None,
                in_doubt: false,
                source: Some(source),
            },
            Self::Lost { source, .. } => DeliveryError::Later {
                what: format!("{action} was not answered"),
                retry_after: None,
                in_doubt: kind == Kind::Write,
                source: Some(source),
            },
        }
    }
}

impl Refusal {
    fn into_error(self, action: &str) -> DeliveryError {
        let said = format!("{action}: the server answered {self}");
        match self.code {
            // The connection's rights or its protection, so everybody's work would fail alike.
            7 | 8 | 13 | 14 | 48 | 49 => DeliveryError::credentials(said),
            // What an account that must change its password first is told (password policy).
            50 if self.text.contains("restricted to bind") => DeliveryError::credentials(said),
            50 => DeliveryError::refused(format!(
                "{said}; give the bind DN the right to do that, then retry"
            )),
            code::REFERRAL => DeliveryError::refused(format!(
                "{said}; referrals are not followed: configure the server that holds the entry{}",
                list(&self.referrals)
            )),
            code::NO_SUCH_OBJECT => DeliveryError::later(format!(
                "{said}; the entry vanished meanwhile and will be looked up again"
            )),
            code::NO_SUCH_ATTRIBUTE | code::ATTRIBUTE_OR_VALUE_EXISTS => DeliveryError::later(
                format!("{said}; the entry changed meanwhile and will be read again"),
            ),
            code::ENTRY_ALREADY_EXISTS => DeliveryError::later(format!(
                "{said}; another entry has that name, which may be about to change"
            )),
            // The entry as it should be breaks a rule of the directory.
            2 | 12 | 17..=19 | 21 | 33 | 34 | 36 | 53 | 54 | 64..=67 | 69 | 71 => {
                DeliveryError::refused(said)
            }
            // Busy, unavailable, out of time or of resources, and whatever has no number here.
            _ => DeliveryError::later(said),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", name(self.code), self.code)?;
        if !self.text.is_empty() {
            write!(f, ", \"{}\"", self.text.trim())?;
        }
        if !self.matched.is_empty() {
            write!(f, ", of the name there is only `{}`", self.matched)?;
        }
        Ok(())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refusal(refusal) => write!(f, "the server answered {refusal}"),
            Self::Unreachable { what, source } => write!(f, "{what}: {source}"),
            Self::Setup { what } => f.write_str(what),
            Self::NotSent { source } | Self::Lost { source, .. } => {
                write!(f, "the connection was lost: {source}")
            }
        }
    }
}

fn list(referrals: &[String]) -> String {
    if referrals.is_empty() { String::new() } else { format!(" ({})", referrals.join(", ")) }
}

/// The names of RFC 4511 section 4.1.9.
fn name(code: u32) -> &'static str {
    match code {
        1 => "operationsError",
        2 => "protocolError",
        3 => "timeLimitExceeded",
        4 => "sizeLimitExceeded",
        7 => "authMethodNotSupported",
        8 => "strongerAuthRequired",
        10 => "referral",
        11 => "adminLimitExceeded",
        12 => "unavailableCriticalExtension",
        13 => "confidentialityRequired",
        16 => "noSuchAttribute",
        17 => "undefinedAttributeType",
        18 => "inappropriateMatching",
        19 => "constraintViolation",
        20 => "attributeOrValueExists",
        21 => "invalidAttributeSyntax",
        32 => "noSuchObject",
        34 => "invalidDNSyntax",
        48 => "inappropriateAuthentication",
        49 => "invalidCredentials",
        50 => "insufficientAccessRights",
        51 => "busy",
        52 => "unavailable",
        53 => "unwillingToPerform",
        54 => "loopDetect",
        64 => "namingViolation",
        65 => "objectClassViolation",
        66 => "notAllowedOnNonLeaf",
        67 => "notAllowedOnRDN",
        68 => "entryAlreadyExists",
        69 => "objectClassModsProhibited",
        71 => "affectsMultipleDSAs",
        80 => "other",
        _ => "an unknown result",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decided(code: u32, text: &str) -> &'static str {
        match Fault::refusal(code, text).into_error(Kind::Write, "modifying uid=ada") {
            DeliveryError::Later { in_doubt: false, .. } => "later",
            DeliveryError::Refused { .. } => "refused",
            DeliveryError::Credentials { .. } => "credentials",
            _ => "something else",
        }
    }

    #[test]
    fn each_result_code_has_its_consequence() {
        let check = |expected: &str, codes: &[u32]| {
            for &code in codes {
                assert_eq!(decided(code, ""), expected, "{code}");
            }
        };
        check("later", &[1, 3, 11, 16, 20, 32, 51, 52, 68, 80, 4711]);
        check("refused", &[2, 10, 17, 18, 19, 21, 34, 50, 53, 64, 65, 66, 67, 69, 71]);
        check("credentials", &[7, 8, 13, 48, 49]);
    }

    #[test]
    fn an_account_that_must_change_its_password_stops_the_target() {
        let text = "Operations are restricted to bind/unbind/abandon/StartTLS/modify password";
        assert_eq!(decided(50, text), "credentials");
    }

    #[test]
    fn only_a_write_without_an_answer_is_in_doubt() {
        let lost = || Fault::Lost { source: "timeout".into(), closed: false };
        assert!(lost().into_error(Kind::Write, "adding uid=ada").is_in_doubt());
        assert!(!lost().into_error(Kind::Read, "searching").is_in_doubt());
        let not_sent = Fault::NotSent { source: "closed".into() };
        assert!(!not_sent.into_error(Kind::Write, "adding uid=ada").is_in_doubt());
    }

    #[test]
    fn the_server_s_own_words_reach_the_administrator() {
        let fault = Fault::refusal(19, "Password fails quality checking policy");
        assert_eq!(
            fault.into_error(Kind::Write, "adding uid=ada").to_string(),
            "adding uid=ada: the server answered constraintViolation (19), \"Password fails \
             quality checking policy\""
        );
    }

    #[test]
    fn a_referral_is_named_and_not_followed() {
        let refusal = Refusal {
            code: code::REFERRAL,
            text: String::new(),
            matched: String::new(),
            referrals: vec!["ldap://master.example".to_owned()],
        };
        let error = Fault::Refusal(refusal).into_error(Kind::Write, "adding uid=ada").to_string();
        assert!(
            error.ends_with("the server that holds the entry (ldap://master.example)"),
            "{error}"
        );
    }
}
