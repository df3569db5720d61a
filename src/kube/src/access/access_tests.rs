use super::*;
use std::fs;

const CONFIG: &str = r"
apiVersion: v1
kind: Config
current-context: dev
contexts:
- {name: dev, context: {cluster: c, user: u, namespace: shop}}
- {name: prod, context: {cluster: c, user: u}}
- {name: no-cluster, context: {cluster: gone, user: u}}
- {name: no-user, context: {cluster: c, user: gone}}
- {name: no-server, context: {cluster: empty, user: u}}
- {name: no-file, context: {cluster: c, user: f}}
- {name: no-plugin, context: {cluster: c, user: e}}
- {name: proxied, context: {cluster: p, user: u}}
clusters:
- {name: c, cluster: {server: 'https://127.0.0.1:6443', insecure-skip-tls-verify: true}}
- {name: p, cluster: {server: 'https://127.0.0.1:6443', proxy-url: 'http://127.0.0.1:3128'}}
- {name: empty, cluster: {}}
users:
- {name: u, user: {token: secret}}
- {name: f, user: {client-certificate: missing.crt, client-key: missing.key}}
- {name: e, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: cutover-no-such-plugin, interactiveMode: Never}}}
";

async fn connect_with(text: &str, context: Option<&str>) -> Result<Cluster, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    fs::write(&path, text).unwrap();
    let access = Access {
        kubeconfig: Some(path),
        context: context.map(str::to_owned),
    };
    let here = folder.path().display().to_string();
    let connected = Cluster::connect(&access).await;
    connected.map_err(|error| error.to_string().replace(&here, "HERE"))
}

#[tokio::test]
async fn the_namespace_is_that_of_the_context() {
    let namespace = async |context| {
        let cluster = connect_with(CONFIG, context).await.unwrap();
        assert_eq!(cluster.server(), "https://127.0.0.1:6443");
        cluster.default_namespace().to_owned()
    };
    assert_eq!(namespace(None).await, "shop");
    assert_eq!(namespace(Some("prod")).await, "default");
    assert_eq!(namespace(Some("proxied")).await, "default");
}

#[track_caller]
fn says(result: Result<Cluster, String>, expected: &str) {
    match result {
        Ok(_) => panic!("it connects"),
        Err(error) => assert!(error.contains(expected), "{error}"),
    }
}

#[tokio::test]
async fn a_context_that_cannot_be_used_is_named_with_the_reason() {
    let connect = |context| connect_with(CONFIG, Some(context));
    says(
        connect("test").await,
        "the kubeconfig has no context `test`: it has dev, prod, no-cluster, ",
    );
    says(
        connect("no-cluster").await,
        "the context `no-cluster` cannot be used: the kubeconfig has no cluster `gone`",
    );
    says(
        connect("no-user").await,
        "the context `no-user` cannot be used: the kubeconfig has no user `gone`",
    );
    says(connect("no-server").await, "cluster `empty` has no server");
    says(connect("no-file").await, "HERE/missing.");
    says(
        connect("no-plugin").await,
        "the context `no-plugin` cannot be used: ",
    );
}

#[tokio::test]
async fn without_a_current_context_the_known_ones_are_named() {
    let config = CONFIG.replace("current-context: dev\n", "");
    says(
        connect_with(&config, None).await,
        "no current context: name one of dev, prod, ",
    );
    says(
        connect_with("", None).await,
        "no current context: name one of none",
    );
}
