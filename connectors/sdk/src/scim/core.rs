//! The schemas every organization has: User and Group (RFC 7643 section 4), the enterprise
//! extension (section 4.3), and the relay's own extension for the building.

use std::sync::LazyLock;

use super::schema::{Attribute, AttributeType, Mutability, Returned, Schema, Uniqueness};

pub const USER_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub const GROUP_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub const ENTERPRISE_URN: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// Where a user works. No core attribute says so, and some targets ask for it.
pub const BUILDING_URN: &str = "urn:scim-relay:params:scim:schemas:extension:building:2.0:User";

fn text(name: &str, description: &str) -> Attribute {
    Attribute::new(name, AttributeType::String, description)
}

fn reference(name: &str, description: &str, types: &[&str]) -> Attribute {
    Attribute::new(name, AttributeType::Reference, description).reference_types(types)
}

fn complex(name: &str, description: &str, subs: Vec<Attribute>) -> Attribute {
    Attribute::new(name, AttributeType::Complex, description).sub_attributes(subs)
}

fn primary() -> Attribute {
    Attribute::new("primary", AttributeType::Boolean, "Marks the preferred one; at most one is.")
}

/// The usual multi-valued attribute (RFC 7643 section 2.4): value, display, type, primary.
fn plural(name: &str, description: &str, value: Attribute, types: &[&str]) -> Attribute {
    let subs = vec![
        value,
        text("display", "The value as a person would read it."),
        text("type", "What the value is for.").canonical_values(types),
        primary(),
    ];
    complex(name, description, subs).multi_valued()
}

/// The attributes of every resource (RFC 7643 section 3.1). No schema lists them.
pub(super) fn common() -> &'static [Attribute] {
    static COMMON: LazyLock<Vec<Attribute>> = LazyLock::new(|| {
        let date = |name, description| {
            Attribute::new(name, AttributeType::DateTime, description)
                .mutability(Mutability::ReadOnly)
        };
        let meta = vec![
            text("resourceType", "The name of the resource type.")
                .case_exact()
                .mutability(Mutability::ReadOnly),
            date("created", "When the resource came into being."),
            date("lastModified", "When the resource last changed."),
            reference("location", "The address of the resource.", &["uri"])
                .mutability(Mutability::ReadOnly),
            text("version", "The entity tag.").case_exact().mutability(Mutability::ReadOnly),
        ];
        vec![
            reference("schemas", "The URNs of the schemas in use.", &["uri"])
                .multi_valued()
                .required()
                .returned(Returned::Always),
            text("id", "The identifier that the relay gave the resource.")
                .case_exact()
                .mutability(Mutability::ReadOnly)
                .returned(Returned::Always)
                .uniqueness(Uniqueness::Server),
            text("externalId", "The identifier that the identity provider uses.").case_exact(),
            complex("meta", "What the relay knows about the resource.", meta)
                .mutability(Mutability::ReadOnly),
        ]
    });
    &COMMON
}

pub(super) fn user() -> Schema {
    let name = vec![
        text("formatted", "The whole name, ready to be shown."),
        text("familyName", "The family name."),
        text("givenName", "The given name."),
        text("middleName", "The middle names."),
        text("honorificPrefix", "A title before the name, such as Dr."),
        text("honorificSuffix", "What follows the name, such as III."),
    ];
    let address = vec![
        text("formatted", "The whole address, ready for a label."),
        text("streetAddress", "Street, house number, post office box."),
        text("locality", "The city or village."),
        text("region", "The state or region."),
        text("postalCode", "The postal code."),
        text("country", "The country, by its ISO 3166-1 alpha-2 code."),
        text("type", "What the address is for.").canonical_values(&["work", "home", "other"]),
        primary(),
    ];
    let computed = |name, description| text(name, description).mutability(Mutability::ReadOnly);
    let groups = vec![
        computed("value", "The id of the group.").case_exact(),
        reference("$ref", "The address of the group.", &["Group"]).mutability(Mutability::ReadOnly),
        computed("display", "The group's name."),
        computed("type", "Whether the person is in the group itself, or in a group that is.")
            .canonical_values(&["direct", "indirect"]),
    ];
    let value = || text("value", "The value itself.");
    let certificate =
        Attribute::new("value", AttributeType::Binary, "The DER certificate in base64.");
    Schema {
        id: USER_URN.to_owned(),
        name: "User".to_owned(),
        description: "A person's account".to_owned(),
        attributes: vec![
            text("userName", "The name a person signs in with.")
                .required()
                .uniqueness(Uniqueness::Server),
            complex("name", "The parts of the person's name.", name),
            text("displayName", "The name that is shown."),
            text("nickName", "What the person is called."),
            reference("profileUrl", "The person's own page.", &["external"]),
            text("title", "The job title."),
            text("userType", "The relation to the organization, such as student or employee."),
            text("preferredLanguage", "The languages the person reads, as in Accept-Language."),
            text("locale", "The locale for dates, numbers and currency."),
            text("timezone", "The time zone, by its IANA name."),
            Attribute::new("active", AttributeType::Boolean, "Whether the account may be used."),
            text("password", "Relayed to targets that ask for it; never returned.")
                .case_exact()
                .mutability(Mutability::WriteOnly)
                .returned(Returned::Never),
            plural("emails", "E-mail addresses.", value(), &["work", "home", "other"]),
            plural(
                "phoneNumbers",
                "Telephone numbers.",
                value(),
                &["work", "home", "mobile", "fax", "pager", "other"],
            ),
            plural("ims", "Instant messaging addresses.", value(), &[]),
            plural(
                "photos",
                "Addresses of pictures.",
                reference("value", "The address of the picture.", &["external"]),
                &["photo", "thumbnail"],
            ),
            complex("addresses", "Postal addresses.", address).multi_valued(),
            complex("groups", "The groups that list the person, computed.", groups)
                .multi_valued()
                .mutability(Mutability::ReadOnly),
            plural("entitlements", "What the person is entitled to.", value(), &[]),
            plural("roles", "The roles the person has.", value(), &[]),
            plural("x509Certificates", "The person's certificates.", certificate, &[]),
        ],
    }
}

pub(super) fn group() -> Schema {
    let members = vec![
        text("value", "The id of the member.").case_exact().mutability(Mutability::Immutable),
        reference("$ref", "The address of the member.", &["User", "Group"])
            .mutability(Mutability::Immutable),
        text("display", "The member's name, computed.").mutability(Mutability::ReadOnly),
        text("type", "What the member is.")
            .canonical_values(&["User", "Group"])
            .mutability(Mutability::Immutable),
    ];
    Schema {
        id: GROUP_URN.to_owned(),
        name: "Group".to_owned(),
        description: "A set of users and groups".to_owned(),
        attributes: vec![
            // The prose of RFC 7643 section 4.2 says REQUIRED, the table of section 8.7.1 does
            // not; a group without a name is of no use to any target.
            text("displayName", "The name of the group.").required(),
            complex("members", "Who is in the group.", members).multi_valued(),
        ],
    }
}

pub(super) fn enterprise() -> Schema {
    let manager = vec![
        text("value", "The id of the manager.").case_exact(),
        reference("$ref", "The address of the manager.", &["User"]),
        text("displayName", "The manager's name, computed.").mutability(Mutability::ReadOnly),
    ];
    Schema {
        id: ENTERPRISE_URN.to_owned(),
        name: "EnterpriseUser".to_owned(),
        description: "What an employer knows about a user".to_owned(),
        attributes: vec![
            text("employeeNumber", "The number the employer gave the person."),
            text("costCenter", "The cost center."),
            text("organization", "The organization."),
            text("division", "The division."),
            text("department", "The department."),
            complex("manager", "The person's manager.", manager),
        ],
    }
}

pub(super) fn building() -> Schema {
    Schema {
        id: BUILDING_URN.to_owned(),
        name: "Building".to_owned(),
        description: "Where a user works".to_owned(),
        attributes: vec![text("buildingId", "The building, by the id that the targets use.")],
    }
}
