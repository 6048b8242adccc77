//! The address of an SMTP server: `smtp://mail.example:587`, `smtps://mail.example:465`.

use std::fmt;

use rustls::pki_types::ServerName;
use serde::{Deserialize, Deserializer, de};

/// Where to connect, and when TLS begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerUrl {
    /// Without the brackets of an IPv6 address.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The name that the certificate must be for.
    pub(crate) name: ServerName<'static>,
    /// TLS from the first byte (RFC 8314 section 3.3), and not by STARTTLS (RFC 3207).
    pub(crate) implicit_tls: bool,
}

impl ServerUrl {
    fn parse(text: &str) -> Result<Self, String> {
        let form = "write it like `smtp://mail.example.org:587`, or `smtps://mail.example.org:465`";
        // The text itself is not repeated: it may hold a password.
        let (implicit_tls, rest) = if let Some(rest) = text.strip_prefix("smtp://") {
            (false, rest)
        } else if let Some(rest) = text.strip_prefix("smtps://") {
            (true, rest)
        } else {
            return Err(format!("this is not the address of an SMTP server; {form}"));
        };
        if rest.contains('@') {
            return Err("a server's address holds no user and no password; \
                 use the keys `username` and `password`"
                .to_owned());
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some(parts) => parts,
            None => rest.split_at(rest.find(':').unwrap_or(rest.len())),
        };
        let port = match (port, implicit_tls) {
            ("", true) => Some(465),
            ("", false) => Some(587),
            (port, _) => port.strip_prefix(':').and_then(|port| port.parse().ok()),
        };
        let port = port
            .filter(|&port| port > 0)
            .ok_or_else(|| format!("the port is a number from 1 to 65535; {form}"))?;
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| format!("`{}` is not a host name; {form}", host.escape_debug()))?;
        Ok(Self { host: host.to_owned(), port, name, implicit_tls })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl<'de> Deserialize<'de> for ServerUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str, implicit_tls: bool) {
        let url = ServerUrl::parse(text).unwrap();
        assert_eq!((url.to_string().as_str(), url.implicit_tls), (expected, implicit_tls));
    }

    #[test]
    fn the_scheme_gives_the_port_and_the_kind_of_tls() {
        check("smtp://mail.example:25", "mail.example:25", false);
        check("smtp://mail.example", "mail.example:587", false);
        check("smtps://mail.example/", "mail.example:465", true);
        check("smtps://[::1]:4650", "[::1]:4650", true);
        check("smtp://127.0.0.1:2525", "127.0.0.1:2525", false);
    }

    #[test]
    fn what_cannot_be_connected_to_is_refused() {
        for text in [
            "mail.example:587",
            "http://mail.example",
            "smtp://",
            "smtp://mail.example:0",
            "smtp://mail.example:port",
            "smtp://mail example",
            "smtp://mail.example/path",
            "smtp://[::1]587",
        ] {
            assert!(ServerUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_password_in_the_address_is_refused_and_not_repeated() {
        let error = ServerUrl::parse("smtp://relay:geheim@mail.example").unwrap_err();
        assert!(error.contains("`username` and `password`") && !error.contains("geheim"));
    }
}
