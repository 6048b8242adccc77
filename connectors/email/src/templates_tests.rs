//! Every built-in mail, and what an administrator's folder does to them.

use scim_relay_sdk::testing::ada;

use super::*;

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, source) in files {
        fs::write(folder.path().join(name), source).unwrap();
    }
    folder
}

fn render(templates: &Templates, event: Event, language: &str) -> Result<Rendered, String> {
    templates.render(event, &language::tag(language).unwrap(), View::of(&ada()))
}

#[track_caller]
fn mistake(files: &[(&str, &str)], expected: &str) {
    let folder = folder(files);
    let found = Templates::load(Some(folder.path())).and_then(|templates| {
        templates.try_out(Event::Created, &View::of(&ada())).map(|()| templates)
    });
    match found {
        Ok(_) => panic!("no mistake was found: {expected}"),
        Err(problem) => assert_eq!(problem.message, expected),
    }
}

#[test]
fn every_built_in_mail_can_be_filled_in() {
    let templates = Templates::load(None).unwrap();
    let languages = templates.languages(Event::Created);
    let tags: Vec<String> = languages.iter().map(ToString::to_string).collect();
    assert_eq!(tags, ["da", "de", "en", "fr", "nb", "nn", "sv"]);
    for tag in tags {
        let mail = render(&templates, Event::Created, &tag).unwrap();
        let html = mail.html.unwrap();
        assert!(mail.subject.contains("Lillevik kommune"), "{tag}");
        for part in [&mail.text, &html] {
            assert!(part.contains("Ada,") && part.contains("ada@lillevik.example"), "{tag}");
            assert!(!part.contains("{{") && !part.contains("Subject:"), "{tag}");
        }
        assert!(html.contains(&format!("<html lang=\"{tag}\">")), "{tag}");
    }
}

#[test]
fn every_template_of_the_folder_is_compiled_in() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/templates"));
    let files = read(folder).unwrap();
    assert_eq!(
        files.keys().map(String::as_str).collect::<Vec<_>>(),
        BUILT_IN.iter().map(|(name, _)| *name).collect::<Vec<_>>()
    );
}

#[test]
fn no_mail_has_a_password_in_it() {
    let found = "`welcome.en.txt` reads `password`, which no mail ever gets";
    mistake(&[("welcome.en.txt", "Subject: Hello\n\nIt is {{ password }}")], found);
    mistake(&[("welcome.en.txt", "Subject: {{ password }}\n\nHello")], found);
    let part = [
        ("welcome.en.txt", "Subject: Hello\n\n{% include 'part.txt' %}"),
        ("part.txt", "{% if password.x %}{% endif %}"),
    ];
    mistake(&part, "`part.txt` reads `password`, which no mail ever gets");
}

#[test]
fn values_are_escaped_in_html_and_nowhere_else() {
    let mut person = ada();
    let name = serde_json::json!({ "givenName": "<img onerror=x> & {{ 7 * 7 }}" });
    person.attributes.insert("name".to_owned(), name);
    let templates = Templates::load(None).unwrap();
    let english = language::tag("en").unwrap();
    let mail = templates.render(Event::Created, &english, View::of(&person)).unwrap();
    assert!(mail.text.contains("Hello <img onerror=x> & {{ 7 * 7 }},"), "{}", mail.text);
    let html = mail.html.unwrap();
    assert!(html.contains("Hello &lt;img onerror=x&gt; &amp; {{ 7 * 7 }},"), "{html}");
}

#[test]
fn a_file_of_the_same_name_replaces_a_built_in_one() {
    let folder = folder(&[
        ("welcome.en.txt", "Subject: Hi {{ userName }}\n\nText for {{ recipient }}\n"),
        ("welcome.en.html", "<p>{{ subject }}</p>"),
        ("README.md", "not a template"),
    ]);
    let templates = Templates::load(Some(folder.path())).unwrap();
    let view = View::of(&ada()).with("recipient", "a@b.example");
    let mail = templates.render(Event::Created, &language::tag("en").unwrap(), view).unwrap();
    assert_eq!(mail.subject, "Hi ada@lillevik.example");
    assert_eq!(mail.text, "Text for a@b.example");
    assert_eq!(mail.html.as_deref(), Some("<p>Hi ada@lillevik.example</p>"));
    assert!(render(&templates, Event::Created, "nb").unwrap().text.starts_with("Hei Ada,"));
}

#[test]
fn an_own_text_is_not_sent_with_the_built_in_html() {
    let folder = folder(&[("welcome.nb.txt", "Subject: Hei\n\nHei!")]);
    let templates = Templates::load(Some(folder.path())).unwrap();
    assert_eq!(render(&templates, Event::Created, "nb").unwrap().html, None);
}

#[test]
fn an_own_layout_frames_the_built_in_mails() {
    let folder = folder(&[("layout.html", "<b>Lillevik</b>{% block body %}{% endblock %}")]);
    let templates = Templates::load(Some(folder.path())).unwrap();
    let html = render(&templates, Event::Created, "sv").unwrap().html.unwrap();
    assert!(html.starts_with("<b>Lillevik</b>\n<p>Hej Ada,</p>"), "{html}");
}

#[test]
fn other_events_exist_in_the_languages_they_are_written_in() {
    let folder = folder(&[("deactivated.zh-Hant.txt", "Subject: x\n\ny")]);
    let templates = Templates::load(Some(folder.path())).unwrap();
    assert_eq!(templates.languages(Event::Deactivated), [language::tag("zh-Hant").unwrap()]);
    assert_eq!(templates.languages(Event::Updated), []);
}

#[test]
fn groups_are_asked_for_only_if_a_text_names_them() {
    assert!(!Templates::load(None).unwrap().reads_groups());
    let folder = folder(&[("welcome.en.txt", "Subject: x\n\n{{ groups | join(', ') }}")]);
    assert!(Templates::load(Some(folder.path())).unwrap().reads_groups());
}

#[test]
fn a_mistake_names_the_file_and_the_line() {
    mistake(&[("welcome.en.txt", "Hello\n")], "`welcome.en.txt` has no subject");
    mistake(&[("welcome.en.txt", "Subject:\n\nHello\n")], "`welcome.en.txt` has no subject");
    mistake(
        &[("updated.en.html", "<p>")],
        "`updated.en.html` has no `updated.en.txt` beside it, so it has no subject",
    );
    mistake(&[("welcome.en_.txt", "Subject: x")], "`welcome.en_.txt`: `en_` is not a language tag");
    mistake(
        &[("welcome.en.txt", "Subject: x\n\n{{ userName | shout }}\n")],
        "`welcome.en.txt` cannot be used: filter shout is unknown (line 3)",
    );
    mistake(
        &[("welcome.en.txt", "Subject: x\n\n{% include 'footer.txt' %}\n")],
        "`welcome.en.txt` cannot be used: tried to include non-existing template 'footer.txt' (line 3)",
    );
}

#[test]
fn a_text_that_never_ends_is_stopped() {
    for (body, expected) in [
        (
            "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
            "it runs too long",
        ),
        (
            "{% set long = 'x' * 99999 %}{% for a in range(9999) %}{{ long }}{% endfor %}",
            "it yields more than 1048576 bytes",
        ),
    ] {
        let folder = folder(&[("welcome.en.txt", &*format!("Subject: x\n\n{body}"))]);
        let templates = Templates::load(Some(folder.path())).unwrap();
        let error = render(&templates, Event::Created, "en").unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}
