//! Formats the fields of JSON objects for people, and compares the fields of two objects.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::Value;

/// A field that has changed. Nested fields are named with dots: `account_manager.phone`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The name of the field.
    pub name: String,
    /// The formatted value before the change.
    pub before: String,
    /// The formatted value after the change.
    pub after: String,
}

/// Formats a value in one line: `-` for null, a list as its items, an object with a name as its name.
pub(crate) fn text(value: &Value) -> String {
    let listed = |texts: Vec<String>| match texts.is_empty() {
        true => "-".to_owned(),
        false => texts.join(", "),
    };
    match value {
        Value::Null => "-".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => listed(items.iter().map(text).collect()),
        Value::Object(fields) => match (fields.get("name"), fields.get("assigned")) {
            (Some(Value::String(name)), Some(Value::Bool(false))) => {
                format!("{name} (not assigned)")
            }
            (Some(Value::String(name)), _) => name.clone(),
            _ => {
                let fields = fields.iter().filter(|(_, value)| !value.is_null());
                listed(
                    fields
                        .map(|(name, value)| format!("{name}={}", text(value)))
                        .collect(),
                )
            }
        },
    }
}

/// The fields that differ between two objects.
pub(crate) fn differences(
    before: &impl Serialize,
    after: &impl Serialize,
) -> serde_json::Result<Vec<Difference>> {
    let mut fields: IndexMap<String, [String; 2]> = IndexMap::new();
    for (side, value) in [serde_json::to_value(before)?, serde_json::to_value(after)?]
        .iter()
        .enumerate()
    {
        add(String::new(), value, &mut |name, text| {
            let none = || [self::text(&Value::Null), self::text(&Value::Null)];
            fields.entry(name).or_insert_with(none)[side] = text;
        });
    }
    let differ = fields
        .into_iter()
        .filter(|(_, [before, after])| before != after);
    Ok(differ
        .map(|(name, [before, after])| Difference {
            name,
            before,
            after,
        })
        .collect())
}

fn add(name: String, value: &Value, receive: &mut impl FnMut(String, String)) {
    let Value::Object(fields) = value else {
        return receive(name, text(value));
    };
    for (key, value) in fields {
        let name = match name.as_str() {
            "" => key.clone(),
            name => format!("{name}.{key}"),
        };
        add(name, value, receive);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_formatted_in_one_line() {
        for (value, expected) in [
            (json!(null), "-"),
            (json!(true), "yes"),
            (json!(7), "7"),
            (json!("a b"), "a b"),
            (json!([]), "-"),
            (
                json!([{"name": "sell", "assigned": true}, {"name": "buy", "assigned": false}]),
                "sell, buy (not assigned)",
            ),
            (
                json!({"first_name": "Mia", "phone": null}),
                "first_name=Mia",
            ),
            (json!({}), "-"),
        ] {
            assert_eq!(text(&value), expected, "{value}");
        }
    }

    #[test]
    fn fields_that_only_one_object_has_differ_from_null() {
        let before = json!({"a": 1, "same": null, "manager": null, "gone": {"x": "y"}});
        let after =
            json!({"a": 2, "same": null, "manager": {"phone": "1", "email": null}, "gone": null});
        let found = differences(&before, &after).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|it| (it.name.as_str(), it.before.as_str(), it.after.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("a", "1", "2"),
                ("gone.x", "y", "-"),
                ("manager.phone", "-", "1")
            ]
        );
    }
}
