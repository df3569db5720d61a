//! Which build of the module this is, as a proxy shows it.

use std::hint::black_box;

/// Where `scripts/pack-module` writes the build id: a mark to find it by, and eight bytes for it.
static STAMP: [u8; 24] = *b"cutover.build.id--------";

/// The gauges that tell one build from another: their names and values.
///
/// The version is `major * 1_000_000 + minor * 1_000 + patch`. The build is the first 48 bits of the
/// build id, which pass through every system that keeps numbers as floats.
pub fn identity() -> [(&'static str, u64); 2] {
    // Read at run time: the compiler knows the bytes that stood there before the module was packed.
    let bytes = black_box(&STAMP).iter().skip(16).take(6);
    let build = bytes.fold(0, |build, byte| build << 8 | u64::from(*byte));
    [("module_version", version()), ("module_build", build)]
}

fn version() -> u64 {
    let parts = [
        (env!("CARGO_PKG_VERSION_MAJOR"), 1_000_000),
        (env!("CARGO_PKG_VERSION_MINOR"), 1_000),
        (env!("CARGO_PKG_VERSION_PATCH"), 1),
    ];
    let number = |part: &str| part.parse::<u64>().unwrap_or_default();
    parts.iter().map(|(part, unit)| number(part) * unit).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_packed_shows_that() {
        let [(_, version), (_, build)] = identity();
        assert!((1_000..1_000_000_000).contains(&version));
        assert_eq!(build.to_be_bytes(), *b"\0\0------");
    }
}
