use super::*;
use std::{collections::HashMap, fs};

const ONE: &str = r"
apiVersion: v1
kind: Config
current-context: one
contexts: [{name: one, context: {cluster: c, user: u, namespace: shop}}]
clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]
users: [{name: u, user: {token: first}}]
";
const TWO: &str = r"
current-context: two
contexts: [{name: two, context: {cluster: c2, user: u}}]
clusters: [{name: c2, cluster: {server: 'https://127.0.0.1:2'}}]
users: [{name: u, user: {token: second}}]
";

struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(folder)
    }

    fn read(&self, variables: &[(&str, &str)]) -> Result<Option<Kubeconfig>, String> {
        let here = self.0.path().display().to_string();
        let variables: HashMap<_, _> = variables
            .iter()
            .map(|(name, value)| (*name, OsString::from(value.replace("HERE", &here))))
            .collect();
        let read = read_with(None, &|name| variables.get(name).cloned());
        read.map_err(|error| error.to_string().replace(&here, "HERE"))
    }
}

#[track_caller]
fn context_of(read: Result<Option<Kubeconfig>, String>) -> String {
    read.unwrap().unwrap().current_context.unwrap()
}

#[test]
fn without_kubeconfig_the_file_of_the_home_folder_is_read() {
    let files = Files::new(&[(".kube/config", ONE)]);
    assert_eq!(context_of(files.read(&[("HOME", "HERE")])), "one");
}

#[test]
fn several_files_are_merged_and_the_first_one_wins() {
    let files = Files::new(&[("a", ONE), ("b", TWO), (".kube/config", TWO)]);
    let variables = [
        ("KUBECONFIG", "HERE/a::HERE/missing:HERE/b"),
        ("HOME", "HERE"),
    ];
    let merged = files.read(&variables).unwrap().unwrap();
    assert_eq!(merged.current_context.as_deref(), Some("one"));
    let names: Vec<_> = merged
        .contexts
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(names, ["one", "two"]);
    assert_eq!(merged.auth_infos.len(), 1);
}

#[test]
fn an_empty_current_context_does_not_hide_the_next_one() {
    let files = Files::new(&[("a", "current-context: ''\n"), ("b", TWO)]);
    assert_eq!(
        context_of(files.read(&[("KUBECONFIG", "HERE/a:HERE/b")])),
        "two"
    );
}

#[test]
fn in_a_pod_without_files_the_service_account_is_meant() {
    let files = Files::new(&[]);
    let pod = ("KUBERNETES_SERVICE_HOST", "10.0.0.1");
    assert!(files.read(&[pod, ("HOME", "HERE")]).unwrap().is_none());
    let files = Files::new(&[(".kube/config", ONE)]);
    assert_eq!(context_of(files.read(&[pod, ("HOME", "HERE")])), "one");
}

#[test]
fn without_any_file_it_is_said_where_was_looked() {
    let files = Files::new(&[]);
    let says = |variables: &[_]| files.read(variables).unwrap_err();
    assert_eq!(
        says(&[("HOME", "HERE")]),
        "there is no kubeconfig: HERE/.kube/config is not there"
    );
    assert_eq!(
        says(&[("KUBECONFIG", "HERE/a:HERE/b"), ("HOME", "HERE")]),
        "there is no kubeconfig: HERE/a is not there, HERE/b is not there"
    );
    assert_eq!(
        says(&[]),
        "there is no kubeconfig: neither KUBECONFIG nor HOME is set"
    );
}

#[test]
fn a_malformed_file_is_named_with_the_place() {
    let files = Files::new(&[("a", "contexts: [\n"), ("b", "contexts: 7\n")]);
    for name in ["a", "b"] {
        let error = files
            .read(&[("KUBECONFIG", &format!("HERE/{name}"))])
            .unwrap_err();
        let begins = format!("the kubeconfig HERE/{name} cannot be used: ");
        assert!(error.starts_with(&begins), "{error}");
        assert!(error.contains("line"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn a_file_that_is_given_must_be_there() {
    let error = read_with(Some(Path::new("/no/such/file")), &|_| None).unwrap_err();
    let expected =
        "the kubeconfig /no/such/file cannot be used: No such file or directory (os error 2)";
    assert_eq!(error.to_string(), expected);
}
