//! Which of the languages that a mail exists in a person gets.

use fluent_langneg::{LanguageIdentifier, NegotiationStrategy, negotiate_languages};
use scim_relay_sdk::connector::Resource;

/// Chooses for this person: their `preferredLanguage`, their `locale`, the organization's, the
/// connector's default, English, and when nothing fits the first there is.
pub(crate) fn choose<'a>(
    person: &Resource,
    default_locale: &LanguageIdentifier,
    available: &'a [LanguageIdentifier],
) -> Option<&'a LanguageIdentifier> {
    let text = |name: &str| person.attributes.get(name).and_then(serde_json::Value::as_str);
    let mut wanted = accepted(text("preferredLanguage").unwrap_or_default());
    wanted.extend(text("locale").and_then(tag));
    wanted.extend(person.organization.locale.as_deref().and_then(tag));
    wanted.push(default_locale.clone());
    wanted.extend(tag("en"));
    let wanted: Vec<LanguageIdentifier> = wanted.iter().flat_map(with_relatives).collect();
    negotiate_languages(&wanted, available, None, NegotiationStrategy::Lookup)
        .first()
        .copied()
        .or(available.first())
}

/// A language tag; providers also write `nb_NO`.
pub(crate) fn tag(text: &str) -> Option<LanguageIdentifier> {
    text.trim().replace('_', "-").parse().ok()
}

/// The tags of an Accept-Language list, best first. That is the form of `preferredLanguage`
/// (RFC 7643 section 4.1.1); the quality is that of RFC 9110 section 12.4.2, where 0 means "not
/// this". The negotiation crate reads such a list too, but leaves it in the order it was written.
fn accepted(list: &str) -> Vec<LanguageIdentifier> {
    let mut tags: Vec<(LanguageIdentifier, f32)> = list
        .split(',')
        .filter_map(|item| {
            let mut parts = item.split(';');
            let tag = tag(parts.next()?)?;
            let quality = parts
                .filter_map(|part| part.trim().strip_prefix("q="))
                .find_map(|value| value.trim().parse::<f32>().ok())
                .unwrap_or(1.0);
            (quality > 0.0).then_some((tag, quality))
        })
        .collect();
    tags.sort_by(|(_, left), (_, right)| right.total_cmp(left));
    tags.into_iter().map(|(tag, _)| tag).collect()
}

/// The language and those its readers read as well: `no` is the Norwegian macrolanguage, and most
/// providers send it for bokmål.
fn with_relatives(wanted: &LanguageIdentifier) -> Vec<LanguageIdentifier> {
    let relatives: &[&str] = match wanted.language.as_str() {
        "no" => &["nb", "nn"],
        "nb" => &["no", "nn"],
        "nn" => &["no", "nb"],
        _ => &[],
    };
    let mut all = vec![wanted.clone()];
    all.extend(relatives.iter().filter_map(|relative| tag(relative)));
    all
}

#[cfg(test)]
mod tests {
    use scim_relay_sdk::connector::OrganizationInfo;
    use scim_relay_sdk::testing::ada;

    use super::*;

    #[track_caller]
    fn check(preferred: &str, available: &str, expected: &str) {
        let mut person = ada();
        person.attributes.insert("preferredLanguage".to_owned(), preferred.into());
        let organization = OrganizationInfo { locale: None, ..(*person.organization).clone() };
        person.organization = organization.into();
        check_person(&person, available, expected);
    }

    #[track_caller]
    fn check_person(person: &Resource, available: &str, expected: &str) {
        let available: Vec<_> = available.split(' ').filter_map(tag).collect();
        let chosen = choose(person, &tag("en").unwrap(), &available);
        assert_eq!(chosen.map(ToString::to_string).as_deref(), Some(expected));
    }

    const ALL: &str = "da de en fr nb nn sv";

    #[test]
    fn a_region_we_do_not_have_gets_the_language() {
        check("de-AT", ALL, "de");
        check("en_GB", ALL, "en");
        check("nb-NO", ALL, "nb");
    }

    #[test]
    fn a_list_is_taken_by_quality_and_not_by_order() {
        check("da, en-gb;q=0.8, en;q=0.7", ALL, "da");
        check("en;q=0.2, sv;q=0.9", ALL, "sv");
        check("fr;q=0, de", ALL, "de");
        check("fi, sv;q=0.5", ALL, "sv");
    }

    #[test]
    fn norwegian_is_norwegian() {
        check("no", ALL, "nb");
        check("no-NO", ALL, "nb");
        check("nn, en;q=0.9", "en nb", "nb");
        check("nb", "en nn", "nn");
        check("nn", "en no", "no");
        check("nn", ALL, "nn");
    }

    #[test]
    fn a_script_is_kept_apart() {
        check("zh-TW", "en zh-Hant zh-Hans", "zh-Hant");
    }

    #[test]
    fn nonsense_falls_back() {
        check("", ALL, "en");
        check("klingon-speaker, ;;q=x", ALL, "en");
        check("fi", "pl", "pl");
    }

    #[test]
    fn the_person_then_the_organization_then_the_default() {
        let mut person = ada();
        person.attributes.remove("preferredLanguage");
        check_person(&person, ALL, "nb");
        person.attributes.insert("locale".to_owned(), "fr-CH".into());
        check_person(&person, ALL, "fr");
    }
}
