//! The beginning of a JSON text that is itself JSON.

/// At most about `limit` bytes of `text`: whole values as far as they reach, and what was open is
/// closed. None where not even the first value has begun.
pub(super) fn shorten(text: &str, limit: usize) -> Option<String> {
    let start = &text[..text.floor_char_boundary(limit)];
    let mut open = Vec::new();
    // Where the last whole value ends.
    let mut good = None;
    let mut in_string = false;
    let mut escaped = false;
    for (at, byte) in start.bytes().enumerate() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                open.push(if byte == b'{' { '}' } else { ']' });
                good = Some(at + 1);
            }
            b'}' | b']' => {
                open.pop();
                good = Some(at + 1);
            }
            b',' => good = Some(at),
            _ => {}
        }
    }
    if start.len() == text.len() {
        return Some(text.to_owned());
    }
    // Between the last whole value and the end nothing was opened or closed.
    let mut mended = start[..good?].to_owned();
    mended.extend(open.into_iter().rev());
    Some(mended)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::shorten;

    #[test]
    fn what_is_cut_is_whole_values_and_closed() {
        let text = r#"{"a":[1,{"b":"x,}\"]y"},3],"c":true}"#;
        for (limit, expected) in [
            (0, None),
            (1, Some("{}")),
            (5, Some("{}")),
            (6, Some(r#"{"a":[]}"#)),
            (7, Some(r#"{"a":[]}"#)),
            (8, Some(r#"{"a":[1]}"#)),
            (20, Some(r#"{"a":[1,{}]}"#)),
            (23, Some(r#"{"a":[1,{"b":"x,}\"]y"}]}"#)),
            (26, Some(r#"{"a":[1,{"b":"x,}\"]y"},3]}"#)),
            (text.len() - 1, Some(r#"{"a":[1,{"b":"x,}\"]y"},3]}"#)),
            (text.len(), Some(text)),
            (usize::MAX, Some(text)),
        ] {
            assert_eq!(shorten(text, limit).as_deref(), expected, "{limit}");
        }
        assert_eq!(shorten("\"æøå\"", 2), None);
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_beginning_of_json_is_mended_into_json(value in json(), limit in 0_usize..400) {
            let text = value.to_string();
            if let Some(short) = shorten(&text, limit) {
                prop_assert!(serde_json::from_str::<Value>(&short).is_ok(), "{short}");
            }
        }
    }
}
