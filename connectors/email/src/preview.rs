//! A mail as a person reads it: its headers decoded, and both parts.

use std::fmt::Write as _;

use jiff::tz::TimeZone;

use crate::compose::{AUTOMATIC, Mail};

/// The mail's headers and parts as text.
pub(crate) fn text(mail: &Mail) -> String {
    let date = jiff::fmt::rfc2822::to_string(&mail.date.to_zoned(TimeZone::UTC));
    let mut headers = vec![
        ("Message-ID", format!("<{}>", mail.message_id)),
        ("Date", date.unwrap_or_else(|_| mail.date.to_string())),
        ("From", mail.from.to_string()),
        ("To", mail.to.to_string()),
        ("Subject", mail.texts.subject.clone()),
    ];
    headers.extend(mail.reply_to.iter().map(|reply_to| ("Reply-To", reply_to.to_string())));
    headers.extend(AUTOMATIC.map(|(name, value)| (name, value.to_owned())));

    let mut text = String::new();
    for (name, value) in headers {
        writeln!(text, "{name}: {value}").expect("a string takes every text");
    }
    let parts = [("text", Some(&mail.texts.text)), ("html", mail.texts.html.as_ref())];
    for (name, part) in parts {
        if let Some(part) = part {
            write!(text, "\n--- {name} ---\n{}\n", part.trim_end())
                .expect("a string takes every text");
        }
    }
    text
}
