//! The icons, as paths in a box of 16 by 16, drawn with a stroke. Each state has a shape of its own,
//! so that no meaning hangs on a colour.

/// The whole element, which says nothing to a screen reader: a word stands beside it.
pub(super) fn svg(name: &str) -> Option<String> {
    let (_, path) = ICONS.iter().find(|(known, _)| *known == name)?;
    Some(format!(
        r#"<svg class="i" viewBox="0 0 16 16" aria-hidden="true"><path d="{path}"/></svg>"#
    ))
}

const ICONS: &[(&str, &str)] = &[
    // The frame.
    ("find", "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM10.8 10.8 14 14"),
    ("menu", "M2 4.5h12M2 8h12M2 11.5h12"),
    ("down", "m4.5 6.5 3.5 3.5 3.5-3.5"),
    ("system", "M2 3h12v8H2zM5.5 14h5M8 11v3"),
    (
        "light",
        "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M3.4 12.6l.7-.7M11.9 4.1l.7-.7",
    ),
    ("dark", "M13.5 9.5A5.8 5.8 0 0 1 6.5 2.5 5.8 5.8 0 1 0 13.5 9.5z"),
    // The sections.
    ("overview", "M2.5 7.5 8 3l5.5 4.5V13a.5.5 0 0 1-.5.5H3a.5.5 0 0 1-.5-.5zM6.5 13.5v-4h3v4"),
    ("integrations", "M6 2v3M10 2v3M4 5h8v2.5a4 4 0 0 1-8 0zM8 11.5V14"),
    (
        "people",
        "M6 7.5a2.25 2.25 0 1 0 0-4.5 2.25 2.25 0 0 0 0 4.5zM2 13c.3-2.2 1.9-3.5 4-3.5s3.7 1.3 4 3.5M10.5 3.2a2.2 2.2 0 0 1 0 4.1M12 9.8c1.2.5 1.9 1.6 2.1 3.2",
    ),
    ("connectors", "M2.5 8H7M7 8c3 0 2-4.5 6-4.5M7 8h6M7 8c3 0 2 4.5 6 4.5"),
    ("queue", "M2.5 4h11M2.5 8h11M2.5 12h7"),
    ("requests", "M3 2.5h7l3 3v8H3zM10 2.5v3h3M5.5 8.5h5M5.5 11h3"),
    ("activity", "M1.5 8.5h3l2-5.5 3 10 2-4.5h3"),
    (
        "settings",
        "M2.5 4.5h6M11.5 4.5h2M10 6a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3zM2.5 11.5h2M7.5 11.5h6M6 13a1.5 1.5 0 1 0 0-3 1.5 1.5 0 0 0 0 3z",
    ),
    // States.
    ("ok", "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM5.5 8.2l1.8 1.8 3.2-3.8"),
    ("pending", "M8 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z"),
    ("retry", "M13 3v3.2H9.8M12.7 6.2A5.2 5.2 0 1 0 13 9.5"),
    ("clock", "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 4.8V8l2.2 1.5"),
    ("pause", "M5.5 3.5v9M10.5 3.5v9"),
    ("play", "M5 3.5v9l7-4.5z"),
    ("parked", "M5.5 2.2h5l3.3 3.3v5l-3.3 3.3h-5l-3.3-3.3v-5zM8 5v3.6M8 11v.1"),
    ("trouble", "M8 2.5 14.2 13H1.8zM8 6.5v3M8 11.2v.1"),
    ("held", "M6 5v6M10 5v6M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12z"),
    ("info", "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 7.5v3.3M8 5.2v.1"),
    ("cross", "m4 4 8 8M12 4l-8 8"),
    ("tick", "m3.5 8.5 3 3 6-7"),
    ("key", "M5.5 13a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM7.7 7.8 13 2.5M10.5 5l2 2"),
    ("undo", "M3 6.5h6.5a3.5 3.5 0 0 1 0 7H6M3 6.5l3-3M3 6.5l3 3"),
    ("copy", "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3"),
    // Kinds of systems.
    ("ldap", "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5v.1M5 11v.1"),
    ("webhook", "M4 14V2.5h8V14M2.5 14h11M9.7 8.2v.1"),
    ("email", "M2 4h12v8.5H2zM2.3 4.3 8 9l5.7-4.7"),
    ("scim", "M2.5 2.5h4.5V7H2.5zM9 2.5h4.5V7H9zM2.5 9h4.5v4.5H2.5zM9 9h4.5v4.5H9z"),
    ("process", "M2.5 3h11v10h-11zM5 6.5l2 1.5-2 1.5M8.5 10h2.5"),
    (
        "leaver",
        "M6 7.5a2.25 2.25 0 1 0 0-4.5 2.25 2.25 0 0 0 0 4.5zM2 13c.3-2.2 1.9-3.5 4-3.5 1 0 2 .3 2.7.9M10.5 12h4",
    ),
];
