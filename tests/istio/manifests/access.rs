//! The roles of `istio/access`, tried: what each lets through, and what not.

use super::tree::Tree;
use super::{
    ask::{Answer, answer, until, written},
    fresh_namespace,
};
use crate::bed::Bed;
use std::fmt::Write as _;
use tempfile::TempDir;

/// A namespace with a plugin called `cutover` and another one, the roles, a pod that nobody starts and a secret.
struct Stage {
    bed: Bed,
    namespace: String,
    folder: TempDir,
}

/// Who asks: a user of the bed, or a member of a group that no user of the bed is in.
#[derive(Clone, Copy)]
enum Who {
    /// In the group `cutover-users`: viewer, prober and flipper.
    Alice,
    /// In no group.
    Mallory,
    /// In the group `cutover-viewers`.
    Viewer,
}
use Who::{Alice, Mallory, Viewer};

impl Stage {
    fn new() -> Self {
        let bed = Bed::here();
        let namespace = fresh_namespace(&bed);
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree::new();
        for kind in ["wasmplugin", "trafficextension"] {
            let plugin = tree.in_namespace(&format!("base/{kind}"), &namespace);
            bed.kubectl_says(&["apply", "--server-side", "-k", &plugin]);
            let other = format!(
                "nameSuffix: -other\nnamespace: {namespace}\nresources: [../istio/base/{kind}]\n"
            );
            bed.kubectl_says(&["apply", "--server-side", "-k", &tree.with("other", &other)]);
        }
        let rest = "\
{apiVersion: v1, kind: Pod, metadata: {name: proxy}, spec: {containers: [{name: istio-proxy, image: none}]}}
---
{apiVersion: v1, kind: Secret, metadata: {name: key}}
---
{apiVersion: v1, kind: Service, metadata: {name: shop}, spec: {ports: [{port: 80}]}}
";
        let file = written(&folder, "rest.yaml", rest);
        bed.kubectl_says(&["apply", "--server-side", "-n", &namespace, "-f", &file]);
        let stage = Self {
            bed,
            namespace,
            folder,
        };
        until("alice may read", || {
            stage.ask(Alice, &["get", "wasmplugin", "cutover"]).is_ok()
        });
        stage
    }

    /// What somebody gets from kubectl in this namespace.
    fn ask(&self, who: Who, arguments: &[&str]) -> Answer {
        let mut all = vec!["-n", &self.namespace];
        all.extend(arguments);
        answer(&match who {
            Alice => self.bed.kubectl_as("alice", &all),
            Mallory => self.bed.kubectl_as("mallory", &all),
            Viewer => {
                all.extend(["--as=vera", "--as-group=cutover-viewers"]);
                self.bed.kubectl(&all)
            }
        })
    }

    /// The path of something in this namespace in the API.
    fn path(&self, group: &str, rest: &str) -> String {
        format!("{group}/namespaces/{}/{rest}", self.namespace)
    }

    /// Asks for the same in the name of several, of whom some are refused by RBAC and the others are not.
    #[track_caller]
    fn check(&self, arguments: &[&str], allowed: &[Who]) {
        for who in [Alice, Mallory, Viewer] {
            let answer = self.ask(who, arguments);
            let forbidden = matches!(&answer, Err(text) if text.contains("forbidden: User"));
            let expected = allowed.iter().any(|one| *one as u8 == who as u8);
            let name = ["alice", "mallory", "viewer"][who as usize];
            assert_eq!(
                !forbidden,
                expected,
                "{name}: kubectl {}: {answer:?}",
                arguments.join(" ")
            );
        }
    }
}

const PATCH: &str = r#"{"spec": {}}"#;
const EXTENSIONS: &str = "/apis/extensions.istio.io/v1alpha1";

#[test]
fn viewers_read_plugins_and_the_journal_and_nothing_else() {
    let stage = Stage::new();
    for kind in ["wasmplugins", "trafficextensions"] {
        stage.check(&["get", kind, "cutover"], &[Alice, Viewer]);
        stage.check(&["get", kind], &[Alice, Viewer]);
        let watch = stage.path(EXTENSIONS, &format!("{kind}?watch=true&timeoutSeconds=1"));
        stage.check(&["get", "--raw", &watch], &[Alice, Viewer]);
    }
    stage.check(
        &["get", "configmap", "cutover.cutover-journal"],
        &[Alice, Viewer],
    );
    stage.check(&["get", "configmap", "another"], &[]);
    stage.check(&["get", "configmaps"], &[]);
    stage.check(&["get", "secret", "key"], &[]);
}

#[test]
fn probers_find_proxies_and_reach_them() {
    let stage = Stage::new();
    stage.check(&["get", "pods"], &[Alice]);
    let watch = stage.path("/api/v1", "pods?watch=true&timeoutSeconds=1");
    stage.check(&["get", "--raw", &watch], &[Alice]);
    stage.check(&["get", "pod", "proxy"], &[]);
    stage.check(&["get", "service", "shop"], &[Alice]);
    stage.check(&["get", "services"], &[]);
    stage.check(&["get", "namespace", &stage.namespace], &[Alice]);
    stage.check(&["get", "namespace", "shop"], &[]);
    stage.check(&["get", "serviceentry", "shop"], &[Alice]);
    let forward = stage.path("/api/v1", "pods/proxy/portforward?ports=15000");
    stage.check(&["get", "--raw", &forward], &[Alice]);
    let nothing = written(&stage.folder, "nothing", "");
    stage.check(&["create", "--raw", &forward, "-f", &nothing], &[Alice]);
    let exec = stage.path("/api/v1", "pods/proxy/exec?command=sh");
    stage.check(&["create", "--raw", &exec, "-f", &nothing], &[]);
    stage.check(
        &["get", "--raw", &stage.path("/api/v1", "pods/proxy/log")],
        &[],
    );
    stage.check(&["delete", "pod", "proxy", "--dry-run=server"], &[]);
}

#[test]
fn flippers_patch_the_plugin_by_its_name_and_do_no_more_to_it() {
    let stage = Stage::new();
    for (kind, file) in [
        ("wasmplugin", "WasmPlugin"),
        ("trafficextension", "TrafficExtension"),
    ] {
        stage.check(
            &["patch", kind, "cutover", "--type=merge", "-p", PATCH],
            &[Alice],
        );
        stage.check(
            &["patch", kind, "cutover-other", "--type=merge", "-p", PATCH],
            &[],
        );
        stage.check(&["delete", kind, "cutover", "--dry-run=server"], &[]);
        let plugin = stage
            .ask(Alice, &["get", kind, "cutover", "-o", "json"])
            .unwrap();
        let same = written(&stage.folder, file, &plugin);
        stage.check(&["replace", "-f", &same], &[]);
        let path = stage.path(EXTENSIONS, &format!("{kind}s"));
        stage.check(&["create", "--raw", &path, "-f", &same], &[]);
        stage.check(&["delete", "--raw", &path], &[]);
    }
}

#[test]
fn flippers_leave_an_event_and_a_line_in_the_journal() {
    let stage = Stage::new();
    let event = format!(
        "{{apiVersion: events.k8s.io/v1, kind: Event, metadata: {{name: flip, namespace: {0}}}, \
         eventTime: '2026-11-21T12:00:00.000000Z', type: Normal, reason: Flipped, note: to green, action: Flip, \
         reportingController: cutover, reportingInstance: laptop, \
         regarding: {{apiVersion: extensions.istio.io/v1alpha1, kind: WasmPlugin, name: cutover, namespace: {0}}}}}",
        stage.namespace
    );
    let event = written(&stage.folder, "event.yaml", &event);
    stage.check(&["create", "--dry-run=server", "-f", &event], &[Alice]);
    stage.check(&["get", "events.events.k8s.io"], &[]);

    let journal = ["configmap", "cutover.cutover-journal"];
    let line = r#"{"data": {"journal": "{}\n"}}"#;
    stage.check(
        &["patch", journal[0], journal[1], "--type=merge", "-p", line],
        &[Alice],
    );
    let all = stage
        .ask(Alice, &["get", journal[0], journal[1], "-o", "json"])
        .unwrap();
    let same = written(&stage.folder, "journal.json", &all);
    stage.check(&["replace", "-f", &same], &[Alice]);
    stage.check(&["delete", journal[0], journal[1], "--dry-run=server"], &[]);
    stage.check(&["create", "configmap", "another", "--dry-run=server"], &[]);
    stage.check(
        &["patch", "configmap", "another", "--type=merge", "-p", line],
        &[],
    );
}

#[test]
fn a_journal_that_was_written_outlives_the_next_apply_of_the_manifests() {
    let stage = Stage::new();
    let line = r#"{"data": {"journal": "{}\n"}}"#;
    stage
        .ask(
            Alice,
            &[
                "patch",
                "configmap",
                "cutover.cutover-journal",
                "--type=merge",
                "-p",
                line,
            ],
        )
        .unwrap();
    let tree = Tree::new();
    let access = tree.in_namespace("access", &stage.namespace);
    for server_side in ["--server-side=true", "--server-side=false"] {
        stage
            .bed
            .kubectl_says(&["apply", server_side, "-k", &access]);
        let journal = [
            "get",
            "configmap",
            "cutover.cutover-journal",
            "-o",
            "jsonpath={.data.journal}",
        ];
        assert_eq!(stage.ask(Alice, &journal).unwrap(), "{}");
    }
}

#[test]
fn every_rule_of_the_roles_is_one_that_these_tests_try() {
    let mut all = String::new();
    let roles = ["viewer", "prober", "flipper"];
    for role in roles {
        let path = cutover_tests::root().join(format!("istio/access/{role}.yaml"));
        let text = std::fs::read_to_string(path).unwrap();
        for rule in super::tree::objects(&text)[0]["rules"].as_array().unwrap() {
            let list = |field: &str| {
                let words = rule[field].as_array().into_iter().flatten();
                words
                    .map(|word| word.as_str().unwrap())
                    .collect::<Vec<_>>()
                    .join(" ")
            };
            let (of, names, may) = (list("resources"), list("resourceNames"), list("verbs"));
            let names = if names.is_empty() {
                String::new()
            } else {
                format!(" {names}")
            };
            writeln!(all, "{role}: {of}{names}: {may}").unwrap();
        }
    }
    insta::assert_snapshot!(all, @r"
    viewer: wasmplugins trafficextensions: get list watch
    viewer: configmaps cutover.cutover-journal: get
    prober: pods: list watch
    prober: pods/portforward: get create
    prober: services namespaces: get
    prober: serviceentries: get
    flipper: wasmplugins trafficextensions cutover: get patch
    flipper: events: create
    flipper: configmaps cutover.cutover-journal: get update patch
    ");
}
