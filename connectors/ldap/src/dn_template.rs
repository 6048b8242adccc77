//! The `dn` of a section: a name with holes, and the part of the tree below which it names entries.

use serde::{Deserialize, Deserializer, de};

use scim_relay_sdk::connector::{Escape, Template, View};

use crate::dn::{self, Dn};

/// A template whose values are escaped for names (RFC 4514), so that no value can reach out of
/// its place.
#[derive(Debug)]
pub(crate) struct DnTemplate {
    template: Template,
    /// What follows the first step with a hole; `None` where that has holes too.
    base: Option<Dn>,
}

impl DnTemplate {
    fn parse(source: &str) -> Result<Self, String> {
        let template = Template::parse_escaped(source, Escape::Strict(dn::escape))
            .map_err(|error| error.to_string())?;
        let steps = steps(source);
        let Some(first) = steps.iter().position(|step| has_hole(step)) else {
            return Err(format!(
                "`{source}` names one entry for everybody; write it like \
                 \"uid={{{{ userName }}}},ou=people,dc=example,dc=org\""
            ));
        };
        let rest = steps[first + 1..].join(",");
        let base = if has_hole(&rest) {
            None
        } else {
            Some(Dn::parse(&rest).map_err(|error| error.to_string())?)
        };
        Ok(Self { template, base })
    }

    /// The part of the tree that its entries are in, where the template says it.
    pub(crate) fn base(&self) -> Option<&Dn> {
        self.base.as_ref()
    }

    pub(crate) fn reads(&self, variable: &str) -> bool {
        self.template.reads(variable)
    }

    pub(crate) fn reads_groups(&self) -> bool {
        self.template.reads_groups()
    }

    /// The resource's name, or a sentence that says why it has none.
    pub(crate) fn render(&self, view: &View) -> Result<Dn, String> {
        let text = self.template.text(view).map_err(|error| error.to_string())?;
        Dn::parse(&text).map_err(|error| error.to_string())
    }
}

impl<'de> Deserialize<'de> for DnTemplate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let source = String::deserialize(deserializer)?;
        Self::parse(&source).map_err(de::Error::custom)
    }
}

fn has_hole(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// The steps of a name, split at the commas that are neither escaped nor inside a template.
fn steps(source: &str) -> Vec<&str> {
    let bytes = source.as_bytes();
    let (mut steps, mut start, mut at, mut inside) = (Vec::new(), 0, 0, false);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'{', b'{' | b'%' | b'#', ..] if !inside => inside = true,
            [b'}' | b'%' | b'#', b'}', ..] if inside => inside = false,
            [b'\\', _, ..] if !inside => at += 1,
            [b',', ..] if !inside => {
                steps.push(&source[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    steps.push(&source[start..]);
    steps
}

#[cfg(test)]
mod tests {
    use scim_relay_sdk::testing::ada;
    use serde_json::json;

    use super::*;

    fn base_of(source: &str) -> Option<String> {
        DnTemplate::parse(source).expect("a template").base().map(ToString::to_string)
    }

    #[test]
    fn the_base_is_what_follows_the_first_step_with_a_hole() {
        assert_eq!(base_of("uid={{ userName }},ou=people,dc=x").as_deref(), Some("ou=people,dc=x"));
        assert_eq!(
            base_of("cn={{ name.givenName ~ ', ' ~ id }}+sn=x,ou=a\\,b,dc=x").as_deref(),
            Some("ou=a\\,b,dc=x")
        );
        assert_eq!(base_of("uid={{ userName }},ou={{ building.buildingId }},dc=x"), None);
    }

    #[test]
    fn a_name_without_a_hole_or_with_a_broken_base_is_refused() {
        let error = DnTemplate::parse("uid=ada,dc=x").expect_err("one entry for everybody");
        assert!(error.contains("names one entry for everybody"), "{error}");
        let error = DnTemplate::parse("uid={{ userName }},people").expect_err("no base");
        assert_eq!(error, "`people` is not a distinguished name: `=` is missing after `people`");
    }

    #[test]
    fn a_value_cannot_reach_out_of_its_place() {
        let template = DnTemplate::parse("uid={{ userName }},ou=people,dc=x").expect("a template");
        let base = template.base().expect("a base").clone();
        for name in
            ["a,ou=admins", "a+uid=root", "#04024869", " a ", "\\", "a\0b", "\"<>;=\"", "ü\n"]
        {
            let mut resource = ada();
            resource.attributes.insert("userName".to_owned(), json!(name));
            let dn = template.render(&View::of(&resource)).expect("a name");
            assert_eq!(dn.parent(), base, "{name:?}");
            let values: Vec<_> =
                dn.rdn().expect("a step").values().map(|(_, value)| value.to_vec()).collect();
            assert_eq!(values, [name.as_bytes()]);
        }
    }

    #[test]
    fn a_missing_value_is_a_sentence() {
        let template = DnTemplate::parse("uid={{ nickName }},dc=x").expect("a template");
        let error = template.render(&View::of(&ada())).expect_err("nothing to name it by");
        assert_eq!(
            error,
            "`uid={{ nickName }},dc=x` needs nickName, which this resource does not have"
        );
    }
}
