//! Where a directory is: a server's address, or a file.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, de};

/// Where the directory is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Url {
    Server { tls: bool, host: String, port: u16 },
    File(PathBuf),
}

impl Url {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("ldif:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() {
                Err("`ldif:` names no file; write it like \"ldif:///var/lib/demo/people.ldif\""
                    .to_owned())
            } else {
                Ok(Self::File(PathBuf::from(path)))
            };
        }
        let wrong = |why: &str| {
            format!(
                "`{text}` is not the address of a directory: {why}; write it like \"ldaps://dir.example.org\""
            )
        };
        let (tls, rest) = match text.split_once("://") {
            Some(("ldaps", rest)) => (true, rest),
            Some(("ldap", rest)) => (false, rest),
            _ => return Err(wrong("it begins with neither ldaps:// nor ldap:// nor ldif:")),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.strip_prefix('[') {
            Some(literal) => {
                let (host, port) =
                    literal.split_once(']').ok_or_else(|| wrong("`]` is missing"))?;
                host.parse::<std::net::Ipv6Addr>()
                    .map_err(|_| wrong("the IPv6 address is none"))?;
                (host, port.strip_prefix(':'))
            }
            None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
        };
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || "/?#@%".contains(c)) {
            return Err(wrong("only a host and a port belong here"));
        }
        let port = match port {
            Some(port) => port
                .parse()
                .ok()
                .filter(|&port| port != 0)
                .ok_or_else(|| wrong("the port is none"))?,
            None if tls => 636,
            None => 389,
        };
        Ok(Self::Server { tls, host: host.to_owned(), port })
    }
}

impl<'de> Deserialize<'de> for Url {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}
