//! Changes in JSON text that leave every other byte as it is.

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::{fmt, ops::Range};

/// The members of an object, in the order of the text.
#[derive(Debug)]
pub(crate) struct Object<'t>(Vec<(String, &'t RawValue)>);

impl<'t> Object<'t> {
    /// Reads an object; a key that comes twice is an error.
    pub(crate) fn parse(text: &'t str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The text of a member's value.
    pub(crate) fn get(&self, key: &str) -> Option<&'t str> {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.get())
    }
}

impl<'de: 't, 't> Deserialize<'de> for Object<'t> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members: Vec<(String, &RawValue)> = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, _>()? {
                    if members.iter().any(|(name, _)| *name == key) {
                        return Err(A::Error::custom(format!("the key `{key}` comes twice")));
                    }
                    members.push((key, value));
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// Where `part`, a piece of `text` itself, lies in it.
pub(crate) fn span(text: &str, part: &str) -> Range<usize> {
    let start = part.as_ptr().addr().saturating_sub(text.as_ptr().addr());
    start..start + part.len()
}

/// Replaces pieces of a text that do not overlap; an empty piece inserts.
pub(crate) fn splice(text: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(range, _)| range.start);
    let mut result = String::with_capacity(text.len() + 64);
    let mut copied = 0;
    for (range, replacement) in edits {
        result += text.get(copied..range.start).unwrap_or_default();
        result += &replacement;
        copied = range.end;
    }
    result + text.get(copied..).unwrap_or_default()
}

/// Sets members of the object in `text`, or removes those whose new value is none. One that is
/// missing is put behind the one that comes before it in `changes`, laid out alike; the first of
/// them must be there.
pub(crate) fn set_members(
    text: &str,
    changes: &[(&str, Option<String>)],
) -> Result<String, serde_json::Error> {
    let object = Object::parse(text)?;
    let spans: Vec<_> = object
        .0
        .iter()
        .map(|(key, value)| (key.as_str(), span(text, value.get())))
        .collect();
    let mut edits = Vec::new();
    let open = text.find('{').map_or(0, |brace| brace + 1);
    let mut behind = open;
    let mut layout = (String::new(), ": ".to_owned());
    for (key, new) in changes {
        let at = spans.iter().position(|(name, _)| name == key);
        let found = at.and_then(|at| spans.get(at));
        let before = at
            .and_then(|at| at.checked_sub(1))
            .and_then(|at| spans.get(at));
        match (found, new) {
            (Some((_, value)), Some(new)) => {
                layout = layout_of(text, before.map(|(_, value)| value.end), value.start);
                behind = value.end;
                edits.push((value.clone(), new.clone()));
            }
            (Some((_, value)), None) => {
                let range = match before {
                    Some((_, before)) => before.end..value.end,
                    None => open..with_comma(text, value.end),
                };
                edits.push((range, String::new()));
            }
            (None, Some(new)) => {
                let (space, colon) = &layout;
                edits.push((behind..behind, format!(",{space}\"{key}\"{colon}{new}")));
            }
            (None, None) => {}
        }
    }
    Ok(splice(text, edits))
}

/// The end of a member, with the comma behind it if there is one.
fn with_comma(text: &str, end: usize) -> usize {
    let rest = text.get(end..).unwrap_or_default();
    let comma = rest
        .trim_start()
        .starts_with(',')
        .then(|| rest.find(','))
        .flatten();
    comma.map_or(end, |comma| end + comma + 1)
}

/// The space in front of a member's key, and what stands between key and value. `before` is where
/// the value of the member before it ends.
fn layout_of(text: &str, before: Option<usize>, value: usize) -> (String, String) {
    let head = text.get(..value).unwrap_or_default();
    let from = before.or_else(|| head.find('{')).unwrap_or_default();
    let gap = head.get(from..).unwrap_or_default();
    let gap = gap
        .split_once(if before.is_some() { ',' } else { '{' })
        .map_or("", |(_, gap)| gap);
    let space = gap.chars().take_while(|c| c.is_whitespace()).collect();
    let colon = head
        .rfind(':')
        .and_then(|colon| head.get(colon..))
        .unwrap_or(": ");
    (space, colon.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let changes = [
            ("active", Some("2".to_owned())),
            ("generation", Some("7".to_owned())),
            ("previous", Some("{}".to_owned())),
        ];
        assert_eq!(set_members(text, &changes).unwrap(), expected);
    }

    #[test]
    fn what_is_not_meant_keeps_every_byte() {
        check(
            r#"{ "z" :1.0,  "active":1,"previous" : [ ],"generation":  3 , "é": "\u00e9" }"#,
            r#"{ "z" :1.0,  "active":2,"previous" : {},"generation":  7 , "é": "\u00e9" }"#,
        );
    }

    #[test]
    fn what_is_missing_is_laid_out_like_its_neighbor() {
        check(
            r#"{"active":1,"z":1}"#,
            r#"{"active":2,"generation":7,"previous":{},"z":1}"#,
        );
        check(
            "{\n  \"active\": 1\n}",
            "{\n  \"active\": 2,\n  \"generation\": 7,\n  \"previous\": {}\n}",
        );
        check(
            r#"{"z": 1, "active": 1}"#,
            r#"{"z": 1, "active": 2, "generation": 7, "previous": {}}"#,
        );
        check(
            r#"{"z": 1, "active": 1, "generation": 0}"#,
            r#"{"z": 1, "active": 2, "generation": 7, "previous": {}}"#,
        );
    }

    #[test]
    fn a_member_is_removed_with_its_comma() {
        let wanted = [("active", Some("2".to_owned())), ("previous", None)];
        let changed = set_members(r#"{"active": 1, "previous": {"a": 1}, "z": 1}"#, &wanted);
        assert_eq!(changed.unwrap(), r#"{"active": 2, "z": 1}"#);
        let changed = set_members(r#"{"active": 1, "previous": {}}"#, &wanted);
        assert_eq!(changed.unwrap(), r#"{"active": 2}"#);
        let wanted = [("a", None), ("b", Some("2".to_owned()))];
        let changed = set_members(r#"{"a": {} , "b": 1}"#, &wanted);
        assert_eq!(changed.unwrap(), r#"{ "b": 2}"#);
    }

    #[test]
    fn a_key_that_comes_twice_is_an_error() {
        assert!(Object::parse(r#"{"a": 1, "a": 1}"#).is_err());
    }
}
