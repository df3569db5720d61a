//! docs/configuration-reference.md: every field, from the JSON Schema.

#![expect(clippy::unwrap_used, reason = "a test that cannot be made has to stop")]

use serde_json::Value;
use std::fmt::Write as _;

const HEAD: &str = "\
# Configuration reference

Generated from [config.schema.json](config.schema.json), which is generated from the types that the filter parses
(`CUTOVER_UPDATE=1 cargo test --package cutover-tests`). [configuration.md](configuration.md) says what the fields are for, and
has examples. Each object refuses fields that are not listed. Where the schema allows `null`, it is the same as leaving the
field out.

A configuration is one of:

";

/// In the order in which a reader meets them.
const ORDER: [&str; 12] = [
    "Full",
    "Short",
    "Service",
    "Color",
    "Generation",
    "Previous",
    "Route",
    "Override",
    "Values",
    "Refused",
    "Expose",
    "Version",
];

#[test]
fn the_configuration_reference_is_that_of_the_schema() {
    let schema = serde_json::to_value(cutover_core::schema::json_schema()).unwrap();
    let definitions = schema["$defs"].as_object().unwrap();
    let mut page = HEAD.to_owned();
    for form in schema["anyOf"].as_array().unwrap() {
        writeln!(page, "- {}: {}", of_type(form), description(form)).unwrap();
    }
    assert_eq!(definitions.len(), ORDER.len(), "{:?}", definitions.keys());
    for name in ORDER {
        page += &section(name, &definitions[name], &schema);
    }
    cutover_tests::assert_generated("docs/configuration-reference.md", &page);
}

/// One type: a table of its fields, or what it can be.
fn section(name: &str, definition: &Value, schema: &Value) -> String {
    let mut section = format!("\n## {name}\n\n{}\n", description(definition));
    if let Some(fields) = definition["properties"].as_object() {
        let required = definition["required"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        section += "\n| field | type | required | meaning |\n| --- | --- | --- | --- |\n";
        for (field, is) in fields {
            let must = if required.contains(&field.as_str().into()) {
                "yes"
            } else {
                ""
            };
            let said = match description(is) {
                said if said.is_empty() => description(&definition_of(is, schema)),
                said => said,
            };
            let default = match &is["default"] {
                Value::Null => String::new(),
                default => format!(" Default: `{default}`."),
            };
            writeln!(
                section,
                "| `{field}` | {} | {must} | {said}{default} |",
                of_type(is)
            )
            .unwrap();
        }
    } else if let Some(forms) = definition["oneOf"].as_array() {
        section += "\nOne of:\n\n";
        for form in forms {
            let said = match description(form) {
                said if said.is_empty() => fields(form),
                said => format!(": {said}"),
            };
            writeln!(section, "- {}{said}", of_type(form)).unwrap();
        }
    } else {
        writeln!(section, "\nType: {}", of_type(definition)).unwrap();
    }
    section
}

/// The fields of an object that stands among other forms.
fn fields(form: &Value) -> String {
    let fields = form["properties"].as_object().unwrap();
    let said = fields
        .iter()
        .map(|(field, is)| format!(" with `{field}`, {}: {}", of_type(is), description(is)));
    said.collect()
}

/// What a field refers to, when it is one definition (or null).
fn definition_of(is: &Value, schema: &Value) -> Value {
    let first = is.pointer("/anyOf/0").unwrap_or(is);
    let name = first["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
    let definition = schema.pointer(&format!("/$defs/{name}"));
    definition.unwrap().clone()
}

/// On one line, as a table needs it.
fn description(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}

/// The type of a value in words. `null` beside another type is left out: HEAD says what it means.
fn of_type(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(forms) = schema["anyOf"].as_array() {
        let forms = forms
            .iter()
            .filter(|form| form["type"] != "null")
            .map(of_type);
        return forms.collect::<Vec<_>>().join(" or ");
    }
    if let Some(exact) = schema.get("const") {
        return format!("`{exact}`");
    }
    let names = match &schema["type"] {
        Value::Array(names) => names
            .iter()
            .filter_map(Value::as_str)
            .find(|name| *name != "null"),
        name => name.as_str(),
    };
    match names.unwrap() {
        "array" => format!("list of {}", of_type(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => {
            format!(
                "object: name → {}",
                of_type(&schema["additionalProperties"])
            )
        }
        "integer" => format!("integer, {} to {}", schema["minimum"], schema["maximum"]),
        "string" if schema["maxLength"].is_u64() => format!(
            "string, {} to {} characters of `{}`",
            schema["minLength"],
            schema["maxLength"],
            schema["pattern"].as_str().unwrap_or_default()
        ),
        name => name.to_owned(),
    }
}
