//! `If-Match` and `If-None-Match` (RFC 7232, as RFC 7644 section 3.14 uses them).

use scim_relay_sdk::scim;

/// What a client says the version must be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    #[default]
    None,
    /// One of these versions. Something that is no version of ours matches nothing.
    Match(Vec<i64>),
}

impl Precondition {
    /// Reads an `If-Match` header; `*` holds for whatever exists.
    pub fn if_match(header: Option<&str>) -> Self {
        match header.map(str::trim) {
            None | Some("*") => Self::None,
            Some(list) => Self::Match(versions(list)),
        }
    }

    /// Whether an `If-None-Match` header names this version: then nothing new is to be sent.
    pub fn names(header: &str, etag: &str) -> bool {
        let header = header.trim();
        header == "*" || versions(header).iter().any(|version| format!("W/\"{version}\"") == etag)
    }

    pub(super) fn check(&self, version: i64) -> Result<(), scim::Error> {
        match self {
            Self::None => Ok(()),
            Self::Match(versions) if versions.contains(&version) => Ok(()),
            Self::Match(_) => Err(failed(version)),
        }
    }

    pub(super) fn is_given(&self) -> bool {
        *self != Self::None
    }
}

pub(super) fn failed(version: i64) -> scim::Error {
    scim::Error::new(
        412,
        None,
        format!("the resource is at version W/\"{version}\" by now; read it again"),
    )
}

fn versions(list: &str) -> Vec<i64> {
    list.split(',')
        .filter_map(|tag| {
            let tag = tag.trim();
            let tag = tag.strip_prefix("W/").unwrap_or(tag);
            tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_and_strong_tags_of_ours_are_versions() {
        assert_eq!(Precondition::if_match(Some("W/\"3\", \"4\"")), Precondition::Match(vec![3, 4]));
    }

    #[test]
    fn a_star_holds_for_whatever_exists() {
        assert_eq!(Precondition::if_match(Some("*")), Precondition::None);
    }

    #[test]
    fn nonsense_matches_no_version() {
        let nonsense = Precondition::if_match(Some("abc, W/\"x\""));
        assert_eq!(nonsense, Precondition::Match(Vec::new()));
        assert_eq!(nonsense.check(1).map_err(|error| error.status), Err(412));
    }

    #[test]
    fn if_none_match_names_the_version_there_is() {
        assert!(Precondition::names("W/\"2\"", "W/\"2\""));
        assert!(!Precondition::names("W/\"1\"", "W/\"2\""));
        assert!(Precondition::names("*", "W/\"2\""));
    }
}
