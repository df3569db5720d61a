//! Which build of the module a file holds, or an Envoy runs.

use std::fmt;

/// The custom section that `scripts/pack-module` writes: `{"version": "0.1.0", "build": "16 hex digits"}`.
const SECTION: &str = "cutover.build";

/// Version and build of a module. Two modules with one id are the same, byte by byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleId {
    /// `major * 1_000_000 + minor * 1_000 + patch`.
    version: u64,
    /// The first 48 bits of the build id.
    build: u64,
}

impl ModuleId {
    /// As an Envoy's gauges have it; none where the module is too old to show it.
    pub fn of_gauges(version: u64, build: u64) -> Option<Self> {
        (version != 0 && build != 0).then_some(Self { version, build })
    }

    /// As the module's own bytes have it; none where they are no module, or none of Cutover's.
    pub fn of_wasm(module: &[u8]) -> Option<Self> {
        let content = section(module.strip_prefix(b"\0asm\x01\0\0\0")?, SECTION)?;
        let content: serde_json::Value = serde_json::from_slice(content).ok()?;
        let text = |member: &str| content.get(member)?.as_str();
        let build = u64::from_str_radix(text("build")?, 16).ok()? >> 16;
        Self::of_gauges(number(text("version")?)?, build)
    }
}

impl fmt::Display for ModuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, build } = self;
        let (major, minor) = (version / 1_000_000, version / 1_000 % 1_000);
        write!(f, "{major}.{minor}.{} ({build:012x})", version % 1_000)
    }
}

impl serde::Serialize for ModuleId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `1.2.3`, with or without what follows a `-` or `+`, as one number.
fn number(version: &str) -> Option<u64> {
    let mut parts = version.split(['-', '+']).next()?.split('.');
    let mut part = || {
        parts
            .next()?
            .parse::<u64>()
            .ok()
            .filter(|part| *part < 1_000)
    };
    Some(part()? * 1_000_000 + part()? * 1_000 + part()?)
}

/// The content of the custom section with this name.
fn section<'a>(mut sections: &'a [u8], wanted: &str) -> Option<&'a [u8]> {
    while let Some((id, rest)) = sections.split_first() {
        let (length, rest) = leb128(rest)?;
        let (content, rest) = rest.split_at_checked(length)?;
        if *id == 0 {
            let (length, content) = leb128(content)?;
            let (name, content) = content.split_at_checked(length)?;
            if name == wanted.as_bytes() {
                return Some(content);
            }
        }
        sections = rest;
    }
    None
}

/// A number of up to 32 bits in front of the rest, as WebAssembly writes it.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0;
    for (at, byte) in bytes.iter().enumerate().take(5) {
        number |= usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((number, bytes.get(at + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(section: &[u8]) -> Vec<u8> {
        // Before it stands a section that is not custom, of 200 bytes.
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        module.extend([1, 0xc8, 0x01]);
        module.extend([0; 200]);
        module.extend(section);
        module
    }

    fn named(name: &str, content: &str) -> Vec<u8> {
        let mut section = vec![0, u8::try_from(1 + name.len() + content.len()).unwrap()];
        section.push(u8::try_from(name.len()).unwrap());
        section.extend(name.bytes().chain(content.bytes()));
        section
    }

    #[test]
    fn a_module_tells_its_version_and_build() {
        let content = r#"{"version": "1.22.333-rc.1", "build": "0123456789abcdef"}"#;
        let id = ModuleId::of_wasm(&module(&named("cutover.build", content))).unwrap();
        assert_eq!(id.to_string(), "1.22.333 (0123456789ab)");
        assert_eq!(ModuleId::of_gauges(1_022_333, 0x0123_4567_89ab), Some(id));
        assert_ne!(ModuleId::of_gauges(1_022_333, 0x0123_4567_89ac), Some(id));
    }

    #[test]
    fn what_is_no_module_of_cutover_has_no_id() {
        let good = r#"{"version": "1.2.3", "build": "0123456789abcdef"}"#;
        let whole = module(&named("cutover.build", good));
        assert!(ModuleId::of_wasm(&whole).is_some());
        for length in 0..whole.len() {
            assert_eq!(ModuleId::of_wasm(&whole[..length]), None, "{length} bytes");
        }
        assert_eq!(ModuleId::of_wasm(&module(&named("producers", good))), None);
        assert_eq!(
            ModuleId::of_wasm(&module(&named("cutover.build", "{}"))),
            None
        );
        assert_eq!(ModuleId::of_wasm(&module(&[0xff; 9])), None);
    }

    #[test]
    fn gauges_that_are_not_there_are_no_id() {
        assert_eq!(ModuleId::of_gauges(0, 0), None);
    }
}
