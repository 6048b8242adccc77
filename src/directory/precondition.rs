//! `If-Match` and `If-None-Match` (RFC 9110 section 13, as RFC 7644 section 3.14 uses them).

use scim_relay_sdk::scim;

use super::serve::etag;

/// What a client says the version must be, or must not be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Precondition {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Tags {
    /// `*`: whatever exists.
    Any,
    /// One of these; what stands in the quotes. Of a header that cannot be read there are none.
    Of(Vec<String>),
}

impl Precondition {
    /// Reads the headers, each as one list.
    pub fn new(if_match: Option<&str>, if_none_match: Option<&str>) -> Self {
        Self { if_match: if_match.map(Tags::parse), if_none_match: if_none_match.map(Tags::parse) }
    }

    /// Whether a reader has just this already, so that it need not be sent again.
    pub fn spares(&self, etag: &str) -> bool {
        self.if_none_match.as_ref().is_some_and(|tags| tags.name(opaque(etag)))
    }

    /// `If-Match`, which holds for reads as well.
    pub fn admits(&self, etag: &str) -> Result<(), scim::Error> {
        match &self.if_match {
            Some(tags) if !tags.name_version(version(opaque(etag))) => Err(failed(etag)),
            _ => Ok(()),
        }
    }

    /// Whether a write may go on.
    pub(super) fn check(&self, version: i64) -> Result<(), scim::Error> {
        let etag = etag(version);
        if self.if_none_match.as_ref().is_some_and(|tags| tags.name_version(opaque(&etag))) {
            return Err(failed(&etag));
        }
        self.admits(&etag)
    }

    /// Whether one version would pass and another would not.
    pub(super) fn is_given(&self) -> bool {
        matches!(self.if_match, Some(Tags::Of(_))) || self.if_none_match.is_some()
    }
}

pub(super) fn failed(etag: &str) -> scim::Error {
    scim::Error::new(412, None, format!("the resource is at version {etag} by now; read it again"))
}

impl Tags {
    fn parse(header: &str) -> Self {
        match header.trim() {
            "*" => Self::Any,
            list => Self::Of(tags(list).unwrap_or_default()),
        }
    }

    /// Our tags are weak, and SCIM compares them weakly in `If-Match` too: a version is a version.
    fn name(&self, wanted: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Of(tags) => tags.iter().any(|tag| tag == wanted),
        }
    }

    /// The same for writers, who change the resource and not what is read beside it.
    fn name_version(&self, wanted: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Of(tags) => tags.iter().any(|tag| version(tag) == wanted),
        }
    }
}

/// What stands in the quotes.
fn opaque(etag: &str) -> &str {
    etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"')
}

/// Without what stands for the memberships read beside it.
fn version(opaque: &str) -> &str {
    opaque.split_once('-').map_or(opaque, |(version, _)| version)
}

/// The tags of a list, weak or strong (RFC 9110 section 8.8.3); none if there is anything else in
/// it.
fn tags(list: &str) -> Option<Vec<String>> {
    let mut tags = Vec::new();
    let mut rest = list;
    loop {
        let tag = rest.trim_start();
        let tag = tag.strip_prefix("W/").unwrap_or(tag).strip_prefix('"')?;
        let (tag, after) = tag.split_once('"')?;
        tags.push(tag.to_owned());
        match after.trim_start() {
            "" => return Some(tags),
            after => rest = after.strip_prefix(',')?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a write to version 3 goes on.
    #[track_caller]
    fn check(if_match: Option<&str>, if_none_match: Option<&str>, expected: bool) {
        let checked = Precondition::new(if_match, if_none_match).check(3);
        let status = checked.map_err(|error| error.status);
        let expected = if expected { Ok(()) } else { Err(412) };
        assert_eq!(status, expected, "{if_match:?} {if_none_match:?}");
    }

    #[test]
    fn if_match_wants_the_version_there_is() {
        for good in
            ["W/\"3\"", "\"3\"", "*", " * ", "W/\"2\", \"3\"", "\"2\",W/\"3\" ", "\"a,b\",\"3\""]
        {
            check(Some(good), None, true);
        }
        for stale in ["W/\"2\"", "\"4\", W/\"5\"", "\"03\"", "\"+3\"", "\"\""] {
            check(Some(stale), None, false);
        }
    }

    #[test]
    fn nonsense_matches_no_version() {
        for nonsense in [
            "",
            "3",
            "W/3",
            "w/\"3\"",
            "\"3",
            "3\"",
            "abc, W/\"3\"",
            "\"3\" \"4\"",
            "\"3\",",
            "*, \"3\"",
            "\"x,\"3\",y\"",
        ] {
            check(Some(nonsense), None, false);
            check(None, Some(nonsense), true);
        }
    }

    #[test]
    fn if_none_match_wants_any_other_version() {
        check(None, Some("W/\"2\""), true);
        for known in ["W/\"3\"", "\"3\"", "*", "\"2\", \"3\""] {
            check(None, Some(known), false);
        }
    }

    #[test]
    fn both_must_hold() {
        check(Some("\"3\""), Some("\"2\""), true);
        check(Some("\"3\""), Some("\"3\""), false);
        check(Some("\"2\""), Some("\"2\""), false);
    }

    #[test]
    fn a_reader_is_spared_the_version_that_it_has() {
        let spares = |header| Precondition::new(None, Some(header)).spares("W/\"3\"");
        assert!(spares("\"3\"") && spares("*"));
        assert!(!spares("W/\"2\"") && !Precondition::default().spares("W/\"3\""));
    }

    #[test]
    fn what_is_read_beside_a_resource_matters_to_readers_alone() {
        let spares = |header, etag| Precondition::new(None, Some(header)).spares(etag);
        assert!(spares("W/\"3-a1\"", "W/\"3-a1\""));
        assert!(!spares("W/\"3-a1\"", "W/\"3-b2\"") && !spares("\"3\"", "W/\"3-a1\""));
        assert!(!spares("W/\"3-a1\"", "W/\"3\""));
        check(Some("W/\"3-a1\""), None, true);
        check(Some("W/\"2-a1\""), None, false);
        check(None, Some("W/\"3-a1\""), false);
        let admits = |header| Precondition::new(Some(header), None).admits("W/\"3-b2\"").is_ok();
        assert!(admits("W/\"3-a1\"") && admits("\"3\"") && !admits("\"2\""));
    }
}
