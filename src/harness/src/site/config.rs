//! The configuration file of a proxy, as it should be and as it should not.

use cutover_control::{Document, ResourceOptions, resource};
use cutover_core::{Generation, Switch};
use cutover_history::Color;
use serde_json::{Value, json};

use super::SERVICE;

/// Where the plugin configuration lies in the file, as a JSON pointer (RFC 6901).
const CONFIGURATION: &str = "/resources/0/typed_config/config/configuration";

/// A good configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Its generation.
    pub(crate) generation: u64,
    /// Its active color.
    pub(crate) active: Color,
    /// Its bytes. Kept, for a file that says the same in other words is another configuration.
    pub(crate) file: Vec<u8>,
}

/// How a configuration is spoiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A field that does not exist.
    UnknownField,
    /// An active color that does not exist.
    Purple,
}

impl State {
    /// The configuration that a proxy starts with: blue and green are clusters of these names.
    ///
    /// Overrides need no token here, and the decision is shown to clients, who compare it with what
    /// the upstream was told.
    pub(crate) fn install(module: &str, generation: u64, active: Color) -> Self {
        let configuration = json!({
            "active": core(active).as_str(),
            "generation": generation,
            "blue": "blue",
            "green": "green",
            "override": {
                "header": "x-cutover-override",
                "cookie": "cutover-override",
                "values": { "green": "green", "blue": "blue" },
                "unsigned": true,
            },
            "expose": { "response_header": true },
        });
        let options = ResourceOptions {
            module: module.into(),
            configuration,
            environment: Vec::new(),
        };
        Self {
            generation,
            active,
            file: resource::render(&options).into_bytes(),
        }
    }

    /// The file after a flip.
    pub(crate) fn flipped(generation: u64, active: Color, file: Vec<u8>) -> Self {
        Self {
            generation,
            active,
            file,
        }
    }

    /// The same file with another switch; none when it is no file of Cutover.
    pub(crate) fn switched(&self, generation: u64, active: Color) -> Option<Self> {
        let switch = Switch {
            generation: Some(Generation::new(generation).ok()?),
            active: core(active),
            previous: None,
            activation: None,
        };
        let document = Document::parse(&self.file)
            .ok()?
            .with_switch(SERVICE, &switch);
        Some(Self {
            generation,
            active,
            file: document.to_bytes(),
        })
    }

    /// The file, spoiled so that the filter must refuse it. `salt` makes each one new: Envoy takes
    /// a refused file that comes again for known, and says nothing.
    pub(crate) fn spoiled(&self, fault: Fault, salt: u64) -> Option<Vec<u8>> {
        let mut root: Value = serde_json::from_slice(&self.file).ok()?;
        let value = root.pointer_mut(CONFIGURATION)?.get_mut("value")?;
        let mut configuration: Value = serde_json::from_str(value.as_str()?).ok()?;
        let (key, wrong) = match fault {
            Fault::UnknownField => ("colour".to_owned(), json!(format!("green {salt}"))),
            Fault::Purple => ("active".to_owned(), json!(format!("purple {salt}"))),
        };
        configuration.as_object_mut()?.insert(key, wrong);
        *value = configuration.to_string().into();
        Some(root.to_string().into_bytes())
    }

    /// The first half of the file.
    pub(crate) fn torn(&self) -> Vec<u8> {
        self.file
            .iter()
            .copied()
            .take(self.file.len() / 2)
            .collect()
    }
}

/// The tool's word for a color of the history.
pub(crate) fn core(color: Color) -> cutover_core::Color {
    match color {
        Color::Blue => cutover_core::Color::Blue,
        Color::Green => cutover_core::Color::Green,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        State::install("/cutover.wasm", 7, Color::Blue)
    }

    #[test]
    fn installed_file_is_a_good_one() {
        let plan = Document::parse(&state().file).unwrap().plan().unwrap();
        let switch = plan.service(SERVICE).unwrap().switch();
        assert_eq!(switch.generation.map(Generation::get), Some(7));
        assert_eq!(switch.active, cutover_core::Color::Blue);
    }

    #[test]
    fn switched_file_differs_in_its_switch() {
        let switched = state().switched(9, Color::Green).unwrap();
        let plan = Document::parse(&switched.file).unwrap().plan().unwrap();
        assert_eq!(
            plan.service(SERVICE).unwrap().switch().active,
            cutover_core::Color::Green
        );
        assert_eq!(switched.switched(7, Color::Blue).unwrap().generation, 7);
    }

    #[test]
    fn spoiled_files_are_refused_by_the_filters_own_parser() {
        for fault in [Fault::UnknownField, Fault::Purple] {
            let file = state().spoiled(fault, 1).unwrap();
            Document::parse(&file).unwrap().plan().unwrap_err();
            assert_ne!(file, state().spoiled(fault, 2).unwrap());
        }
        Document::parse(&state().torn()).unwrap_err();
    }
}
