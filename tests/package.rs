//! `scripts/package-oci`: the same bytes from the same module, and what it says is in them.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot set its stage has to stop, also in functions beside the tests"
)]

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::TempDir;

/// Packages the module with the script of a checkout, under an environment.
fn package(checkout: &Path, to: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    Command::new(checkout.join("scripts/package-oci"))
        .arg("--to")
        .arg(to)
        .args(arguments)
        .current_dir("/")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

/// Packages the module under test into a folder, with what would differ between checkouts given.
fn packaged() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("oci");
    let module = cutover_tests::module();
    let said = package(
        &cutover_tests::root(),
        &to,
        &["--module", module.to_str().unwrap()],
        &[],
    );
    assert!(said.status.success(), "{}", text(&said.stderr));
    (folder, to)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// All files below a folder, by name.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = cutover_tests::files_below(folder).into_iter();
    files
        .map(|path| {
            let name = path.strip_prefix(folder).unwrap().to_owned();
            (name, fs::read(path).unwrap())
        })
        .collect()
}

/// A copy of the checkout in another folder, with the module in its place; not of its history.
fn copy() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    cutover_tests::copy_checkout(folder.path()).unwrap();
    fs::copy(cutover_tests::module(), folder.path().join("a.wasm")).unwrap();
    folder
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// What a descriptor of a layout describes; it has the digest and the size that it should have.
fn blob(layout: &Path, descriptor: &Value) -> Vec<u8> {
    let digest = descriptor["digest"].as_str().unwrap();
    let content = fs::read(layout.join("blobs").join(digest.replace(':', "/"))).unwrap();
    let mut found = "sha256:".to_owned();
    for byte in Sha256::digest(&content) {
        write!(found, "{byte:02x}").unwrap();
    }
    assert_eq!(found, digest);
    assert_eq!(descriptor["size"], content.len());
    content
}

#[test]
fn the_same_module_gives_the_same_bytes_in_another_folder_at_another_place() {
    let copy = copy();
    let outside = tempfile::tempdir().unwrap();
    let here = outside.path().join("here");
    let there = copy.path().join("a/folder/further down");
    let given = ["--revision", "c0ffee", "--source", "https://example.org/c"];
    // It is run through a shell, which sets the mask of modes.
    let run = |checkout: &Path, to: &Path, module: &Path, mask: &str, environment: &[_]| {
        let said = Command::new("sh")
            .args(["-c", &format!("umask {mask}; exec \"$@\""), "sh"])
            .arg(checkout.join("scripts/package-oci"))
            .args(["--to", to.to_str().unwrap()])
            .args(["--module", module.to_str().unwrap()])
            .args(given)
            .envs::<_, &str, &str>(environment.iter().copied())
            .output()
            .unwrap();
        assert!(said.status.success(), "{}", text(&said.stderr));
    };
    let (root, module) = (cutover_tests::root(), cutover_tests::module());
    let tokyo = [
        ("TZ", "Asia/Tokyo"),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("PYTHONHASHSEED", "1"),
    ];
    run(&root, &here, &module, "077", &tokyo);
    let lima = [
        ("TZ", "America/Lima"),
        ("LC_ALL", "C"),
        ("PYTHONHASHSEED", "2"),
    ];
    run(
        copy.path(),
        &there,
        &copy.path().join("a.wasm"),
        "000",
        &lima,
    );
    let (here, there) = (files(&here), files(&there));
    assert!(here.len() > 15, "{:?}", here.keys());
    assert_eq!(
        here.keys().collect::<Vec<_>>(),
        there.keys().collect::<Vec<_>>()
    );
    for (name, content) in &here {
        assert!(*content == there[name], "{} differs", name.display());
    }
}

#[test]
fn another_module_gives_another_digest() {
    let (_folder, to) = packaged();
    let outside = tempfile::tempdir().unwrap();
    let other = outside.path().join("oci");
    let module = cutover_tests::broken_module("per-worker");
    let said = package(
        &cutover_tests::root(),
        &other,
        &["--module", module.to_str().unwrap()],
        &[],
    );
    assert!(said.status.success(), "{}", text(&said.stderr));
    let digest = |folder: &Path| fs::read_to_string(folder.join("digest")).unwrap();
    assert_ne!(digest(&to), digest(&other));
}

/// As Istio's agent reads it, but with the tar and gzip of the machine.
#[test]
fn the_image_is_one_layer_that_holds_the_module() {
    let (_folder, to) = packaged();
    for layout in ["layout", "image"].map(|name| to.join(name)) {
        assert_eq!(
            json(&layout.join("oci-layout"))["imageLayoutVersion"],
            "1.0.0"
        );
        let index = json(&layout.join("index.json"));
        let described = &index["manifests"][0];
        assert_eq!(
            text(&fs::read(to.join("digest")).unwrap()).trim_end(),
            described["digest"]
        );
        let image: Value = serde_json::from_slice(&blob(&layout, described)).unwrap();
        let config: Value = serde_json::from_slice(&blob(&layout, &image["config"])).unwrap();
        let [layer] = image["layers"].as_array().unwrap().as_slice() else {
            unreachable!("{image:#}");
        };
        assert_eq!(
            layer["mediaType"],
            "application/vnd.oci.image.layer.v1.tar+gzip"
        );
        let gzipped = outside(&blob(&layout, layer));
        let unpacked = |command: &str| {
            let mut shell = Command::new("sh");
            shell.args(["-c", command, "sh"]).arg(gzipped.path());
            let output = shell.output().unwrap();
            assert!(output.status.success(), "{}", text(&output.stderr));
            output.stdout
        };
        assert!(
            unpacked("tar -xzOf \"$1\" plugin.wasm") == fs::read(cutover_tests::module()).unwrap()
        );
        let listed = text(&unpacked("TZ=UTC tar -tvzf \"$1\" --numeric-owner"));
        assert!(listed.starts_with("-rw-r--r-- 0/0 "), "{listed}");
        assert!(
            listed.ends_with(" 1970-01-01 00:00 plugin.wasm\n"),
            "{listed}"
        );
        let tar = unpacked("gzip -dc <\"$1\"");
        let mut diff = "sha256:".to_owned();
        for byte in Sha256::digest(&tar) {
            write!(diff, "{byte:02x}").unwrap();
        }
        assert_eq!(config["rootfs"]["diff_ids"], serde_json::json!([diff]));
    }
}

/// A file with some content.
fn outside(content: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), content).unwrap();
    file
}

#[test]
fn the_bill_of_materials_is_attached_to_the_image() {
    let (_folder, to) = packaged();
    let layout = to.join("layout");
    let index = json(&layout.join("index.json"));
    let [image, attached] = index["manifests"].as_array().unwrap().as_slice() else {
        unreachable!("{index:#}");
    };
    let artifact: Value = serde_json::from_slice(&blob(&layout, attached)).unwrap();
    assert_eq!(artifact["artifactType"], "application/vnd.cyclonedx+json");
    for field in ["digest", "size", "mediaType"] {
        assert_eq!(artifact["subject"][field], image[field]);
    }
    assert_eq!(blob(&layout, &artifact["config"]), b"{}");
    let bill = blob(&layout, &artifact["layers"][0]);
    assert_eq!(bill, fs::read(to.join("cutover.cdx.json")).unwrap());
    // What is pushed by itself is the same.
    let alone = json(&to.join("sbom/index.json"));
    assert_eq!(alone["manifests"], serde_json::json!([attached]));
}

/// The crates that the module itself tells of: where it panics there is a path of a source.
fn told_by_the_module() -> BTreeSet<String> {
    let module = fs::read(cutover_tests::module()).unwrap();
    let paths = module.split(|byte| !(b'!'..=b'~').contains(byte)).map(text);
    let crates = paths.filter_map(|path| {
        let folder = path.split("/crates/").nth(1)?.split('/').nth(1)?.to_owned();
        let (name, version) = folder.rsplit_once('-')?;
        Some(format!("{name}@{version}"))
    });
    crates.collect()
}

#[test]
fn the_bill_of_materials_has_the_crates_that_are_in_the_module_and_no_others() {
    let (_folder, to) = packaged();
    let bill = json(&to.join("cutover.cdx.json"));
    assert_eq!(bill["bomFormat"], "CycloneDX");
    let components = bill["components"].as_array().unwrap();
    let references: BTreeSet<_> = components
        .iter()
        .map(|component| component["bom-ref"].as_str().unwrap().to_owned())
        .collect();
    let told = told_by_the_module();
    assert!(told.len() >= 5, "{told:?}");
    for name in &told {
        assert!(
            references.contains(name),
            "{name} is in the module: {references:?}"
        );
    }
    let names: BTreeSet<_> = components
        .iter()
        .map(|component| component["name"].as_str().unwrap())
        .collect();
    for name in [
        "cutover-filter",
        "cutover-core",
        "cutover-abi",
        "rust-std",
        "hmac",
    ] {
        assert!(names.contains(name), "{name} is missing");
    }
    // Of the tool, of the schema, and of the compiler.
    for name in [
        "tokio",
        "clap",
        "schemars",
        "serde_derive",
        "thiserror-impl",
        "syn",
        "wasm-bindgen",
    ] {
        assert!(!names.contains(name), "{name} is not in the module");
    }
    for component in components {
        let ours = component["name"].as_str().unwrap().starts_with("cutover-");
        let standard = component["name"] == "rust-std";
        assert_eq!(component.get("purl").is_none(), ours, "{component:#}");
        assert_eq!(
            component.get("hashes").is_none(),
            ours || standard,
            "{component:#}"
        );
        assert!(
            component["licenses"][0]["expression"].is_string(),
            "{component:#}"
        );
    }
    // Every edge is between two that are there.
    for edge in bill["dependencies"].as_array().unwrap() {
        let below = edge["dependsOn"].as_array().unwrap();
        for name in below.iter().chain([&edge["ref"]]) {
            let name = name.as_str().unwrap();
            assert!(name == "plugin.wasm" || references.contains(name), "{name}");
        }
    }
}

#[test]
fn the_module_names_no_folder_of_the_machine_that_built_it() {
    let module = fs::read(cutover_tests::module()).unwrap();
    let has = |words: &str| {
        let words = words.as_bytes();
        module.windows(words.len()).any(|bytes| bytes == words)
    };
    // It does name sources.
    assert!(has("/crates/"));
    let checkout = cutover_tests::root().canonicalize().unwrap();
    assert!(!has(checkout.to_str().unwrap()));
    for folder in [".cargo", "home", "root"] {
        assert!(!has(&format!("/{folder}/")), "{folder}");
    }
}

/// The annotations of the image, and those of the bill of materials.
fn annotations(to: &Path) -> [Value; 2] {
    let layout = to.join("layout");
    let index = json(&layout.join("index.json"));
    [0, 1].map(|nth| {
        let manifest = blob(&layout, &index["manifests"][nth]);
        serde_json::from_slice::<Value>(&manifest).unwrap()["annotations"].take()
    })
}

#[test]
fn annotations_say_which_commit_and_module_it_is_and_without_git_no_commit() {
    let copy = copy();
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(["-c", "user.name=a", "-c", "user.email=a@example.org", "-C"])
            .arg(copy.path())
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).trim_end().to_owned()
    };
    let to = copy.path().join("target/oci");
    let module = copy.path().join("a.wasm");
    let make = || {
        let said = package(
            copy.path(),
            &to,
            &["--module", module.to_str().unwrap()],
            &[],
        );
        assert!(said.status.success(), "{}", text(&said.stderr));
        annotations(&to)
    };
    let (revision, source) = (
        "org.opencontainers.image.revision",
        "org.opencontainers.image.source",
    );
    for annotations in make() {
        assert_eq!(
            annotations["org.opencontainers.image.licenses"],
            "Apache-2.0"
        );
        assert_eq!(
            annotations["org.opencontainers.image.version"],
            env!("CARGO_PKG_VERSION")
        );
        assert!(
            annotations.get(revision).is_none() && annotations.get(source).is_none(),
            "{annotations:#}"
        );
    }
    let [image, _] = make();
    let lint = image["cutover.module.build"].as_str().unwrap();
    assert!(
        lint.len() == 16 && lint.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{lint}"
    );
    assert_eq!(image["cutover.module.sha256"].as_str().unwrap().len(), 64);

    git(&["init", "--quiet"]);
    git(&["add", "--all"]);
    git(&["commit", "--quiet", "--message", "all"]);
    git(&[
        "remote",
        "add",
        "origin",
        "https://me:secret@example.org/us/cutover.git",
    ]);
    let commit = git(&["rev-parse", "HEAD"]);
    for annotations in make() {
        assert_eq!(annotations[revision], commit.as_str());
        assert_eq!(annotations[source], "https://example.org/us/cutover");
    }
    fs::write(copy.path().join("Cargo.toml.orig"), "not known to git").unwrap();
    assert_eq!(make()[0][revision], commit.as_str());
    fs::write(copy.path().join("LICENSE"), "another").unwrap();
    assert_eq!(make()[0][revision], format!("{commit}-dirty"));
    // A remote on this machine is nobody's page.
    git(&["remote", "set-url", "origin", "/srv/git/cutover.git"]);
    assert!(make()[0].get(source).is_none());
}

#[track_caller]
fn check_refused(arguments: &[&str], expect: &str) {
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("oci");
    let said = package(&cutover_tests::root(), &to, arguments, &[]);
    assert!(!said.status.success() && said.stdout.is_empty(), "{said:?}");
    assert_eq!(text(&said.stderr).trim_end(), expect);
    assert!(!to.exists());
}

#[test]
fn what_is_no_module_of_ours_is_not_packaged() {
    let module = cutover_tests::module();
    let module = module.to_str().unwrap();
    let file = outside(b"\0asm\x01\0\0\0");
    let path = file.path().to_str().unwrap();
    let said = |path: &str, why: &str| format!("package-oci: {path}: {why}");
    check_refused(
        &["--module", path],
        &said(
            path,
            "it has no build id: scripts/build makes modules that have one",
        ),
    );
    fs::write(path, "no module").unwrap();
    check_refused(
        &["--module", path],
        &said(path, "it is no WebAssembly module"),
    );
    fs::write(path, b"\0asm\x01\0\0\0\0\xff\xff").unwrap();
    check_refused(
        &["--module", path],
        &said(path, "its sections cannot be read"),
    );
    check_refused(
        &["--module", "/nonexistent.wasm"],
        &said(
            "/nonexistent.wasm",
            "it cannot be read: No such file or directory",
        ),
    );
    check_refused(
        &["--module", module, "--tag", "a b"],
        &said(
            module,
            "a b cannot be a tag: letters, digits, and . _ - after the first",
        ),
    );
    for repository in [
        "ghcr.io/UPPER/case",
        "ghcr.io",
        "ghcr.io/a//b",
        "ghcr.io/-a",
    ] {
        let why = format!(
            "{repository} cannot be a repository: HOST/PATH, the path of lower-case letters, digits, and . _ - between them"
        );
        check_refused(
            &["--module", module, "--repository", repository],
            &said(module, &why),
        );
    }
}

#[test]
fn a_folder_that_is_something_else_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("precious"), "mine").unwrap();
    let module = cutover_tests::module();
    let arguments = ["--module", module.to_str().unwrap()];
    let said = package(&cutover_tests::root(), folder.path(), &arguments, &[]);
    assert!(!said.status.success());
    assert!(
        text(&said.stderr).contains("is there already, and no image that this has made"),
        "{said:?}"
    );
    assert_eq!(files(folder.path()).len(), 1);
    // Nor is a file taken for a folder, and one sentence says so.
    let below = folder.path().join("precious/oci");
    let said = package(&cutover_tests::root(), &below, &arguments, &[]);
    assert!(!said.status.success());
    let said = text(&said.stderr);
    assert!(said.ends_with("cannot be written: File exists\n"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    // One of its own is replaced.
    let (_keep, to) = packaged();
    assert!(
        package(&cutover_tests::root(), &to, &arguments, &[])
            .status
            .success()
    );
}
