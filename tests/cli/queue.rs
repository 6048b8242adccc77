//! Many entries of the queue at once.

use crate::relay::{DIRECTORY, Relay, at_a_terminal, person};

#[test]
fn a_filter_says_what_is_retried_or_given_up_and_each_is_written_down() {
    let mut relay = Relay::start(&[("directory", DIRECTORY)]);
    let token = relay.token();
    for name in ["ola", "siri"] {
        assert_eq!(relay.push(&token, "POST", "/Users", &person(name, None)), 201);
    }
    relay.has(0, "parked", 2);
    let of = |error: &str| {
        relay.json(&["queue", "list", "--state", "parked", "--error", error, "--json"])
    };
    assert_eq!(of("EXTERNALID").as_array().map(Vec::len), Some(2), "in whatever case");
    assert_eq!(of("timed out").as_array().map(Vec::len), Some(0));
    let retry = relay.run(&["queue", "retry", "--connector", "directory", "--error", "timed out"]);
    assert_eq!(retry.code, 1);
    assert!(retry.err.contains("nothing in the queue matches"), "{}", retry.err);
    let retry = relay.run(&["queue", "retry", "--all", "--state", "parked"]);
    assert_eq!((retry.code, retry.err.as_str()), (0, "2 entries are due now\n"));
    relay.has(0, "parked", 2);

    let skip = ["queue", "skip", "--connector", "directory", "--reason", "long gone"];
    let unasked = relay.run(&skip);
    assert_eq!(unasked.code, 2);
    assert!(unasked.err.contains("`--yes`"), "{}", unasked.err);
    let no = at_a_terminal(&relay, "queue skip --connector directory --reason gone", "n\n");
    assert!(no.code == 1 && no.out.contains("Give up 2 entries for good? [y/N]"), "{}", no.out);
    relay.has(0, "parked", 2);
    let none = relay.run(&[&skip[..], &["--error", "timed out"]].concat());
    assert_eq!(none.code, 1);
    assert!(none.err.contains("nothing in the queue matches"), "{}", none.err);
    let all = relay.run(&[&skip[..], &["--error", "externalid", "--yes"]].concat());
    assert_eq!((all.code, all.err.as_str()), (0, "2 entries are given up\n"));
    relay.has(0, "parked", 0);

    let audited = relay.audited("queue.skip");
    assert_eq!(audited.len(), 2, "{audited:?}");
    let told = |detail: &Option<String>| detail.as_ref().is_some_and(|it| it.contains("long gone"));
    assert!(audited.iter().all(|(_, detail)| told(detail)), "{audited:?}");
}
