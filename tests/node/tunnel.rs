//! The way to the admin interface of a pod's Envoy, through the API server and the kubelet.

use crate::bed::{Bed, deadline};
use cutover_kube::{Access, Cluster, Fleet, Phase, PodProxy, TunnelFault};
use serde_json::json;
use std::{
    path::PathBuf,
    process,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// How long a pod with a sidecar may take to start, on a machine that has much else to do.
const START: Duration = Duration::from_mins(5);

/// A namespace with injection, in which one pod runs; it is deleted when this is dropped.
struct Stage {
    bed: Bed,
    namespace: String,
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.bed
            .kubectl(&["delete", "namespace", &self.namespace, "--wait=false"]);
    }
}

impl Stage {
    fn new() -> Self {
        let bed = Bed::here();
        let namespace = format!("tunnel-{}", process::id());
        let labels = json!({"istio-injection": "enabled"});
        bed.apply(
            &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}),
            &[],
        );
        let app = json!({"app": "web"});
        let container = json!({
            "name": "app", "image": "cutover.local/app:bed", "imagePullPolicy": "Never",
            "args": ["serve", "--listen=:8080", "--color=blue", "--build=v1"],
        });
        bed.apply(
            &json!({
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": "web", "namespace": namespace},
                "spec": {"selector": {"matchLabels": app}, "template": {
                    "metadata": {"labels": app},
                    "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]},
                }},
            }),
            &[],
        );
        // It reaches the pod, and changes nothing there: no traffic goes to that port.
        bed.apply(
            &json!({
                "apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugin",
                "metadata": {"name": "cutover", "namespace": namespace},
                "spec": {
                    "selector": {"matchLabels": app}, "url": "file:///none.wasm", "failStrategy": "FAIL_OPEN",
                    "match": [{"mode": "CLIENT", "ports": [{"number": 9}]}],
                    "pluginConfig": {"active": "blue", "blue": {"header": "blue"}, "green": {"header": "green"}},
                },
            }),
            &[],
        );
        Self { bed, namespace }
    }

    async fn connect(&self, kubeconfig: &str) -> Cluster {
        let access = Access {
            kubeconfig: Some(PathBuf::from(self.bed.text(kubeconfig))),
            context: None,
        };
        Cluster::connect(&access).await.unwrap()
    }

    async fn fleet(&self, cluster: &Cluster) -> Fleet {
        let name = format!("{}/cutover", self.namespace).parse().unwrap();
        let plugin = cluster.find(&name).await.unwrap();
        cluster.proxies(&plugin).await.unwrap()
    }
}

/// Waits until one pod runs, another one than that.
async fn running(fleet: &mut Fleet, but: &str) -> PodProxy {
    let wait = async {
        loop {
            let pods = fleet.now().into_iter();
            let mut pods = pods.filter(|pod| pod.phase == Phase::Running && pod.uid != but);
            if let Some(pod) = pods.next() {
                return pod;
            }
            fleet.changed().await;
        }
    };
    tokio::time::timeout(START, wait).await.unwrap()
}

/// One connection, one request; what comes back first. None when the connection breaks.
async fn ask(pod: &PodProxy, path: &str) -> Option<String> {
    let ask = async {
        let mut stream = TcpStream::connect(pod.address).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = vec![0; 4096];
        let length = stream.read(&mut answer).await.ok()?;
        let answer = String::from_utf8_lossy(answer.get(..length)?).into_owned();
        (length > 0).then_some(answer)
    };
    tokio::time::timeout(deadline(), ask).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_admin_interface_of_a_pod_is_reached_until_the_pod_goes() {
    let stage = Stage::new();
    let cluster = stage.connect("/kubeconfig").await;
    let mut fleet = stage.fleet(&cluster).await;
    let pod = running(&mut fleet, "").await;
    // Its container runs a moment before Envoy listens: until then it is said why there is no answer.
    let started = Instant::now() + START;
    loop {
        let answer = ask(&pod, "/server_info").await.unwrap();
        if answer.starts_with("HTTP/1.1 200 OK") {
            break;
        }
        assert!(
            matches!(pod.fault(), Some(TunnelFault::Silent(_))),
            "{answer}"
        );
        assert!(Instant::now() < started, "{answer}");
    }
    assert_eq!(pod.fault(), None);

    // Whoever may read pods, and not forward ports, learns that.
    let namespace = ["--namespace", stage.namespace.as_str()];
    let reader = ["reader", "--verb=get,list,watch"];
    let resources = "--resource=pods,wasmplugins.extensions.istio.io";
    stage
        .bed
        .kubectl_says(&[&namespace[..], &["create", "role"], &reader, &[resources]].concat());
    let binding = [
        "create",
        "rolebinding",
        "reader",
        "--role=reader",
        "--user=mallory",
    ];
    stage.bed.kubectl_says(&[&namespace[..], &binding].concat());
    let mallory = stage.connect("/users/mallory").await;
    let name = format!("{}/cutover", stage.namespace).parse().unwrap();
    let deadline = Instant::now() + deadline();
    while mallory.find(&name).await.is_err() {
        assert!(Instant::now() < deadline, "mallory may not read");
    }
    let readers = stage.fleet(&mallory).await;
    let same = readers
        .now()
        .into_iter()
        .find(|one| one.uid == pod.uid)
        .unwrap();
    let answer = ask(&same, "/ready").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 502 Bad Gateway"), "{answer}");
    assert!(
        matches!(same.fault(), Some(TunnelFault::NotAllowed(_))),
        "{:?}",
        same.fault()
    );

    // A connection that is open when the pod goes is closed, and the port with it; the next pod has another.
    let mut open = TcpStream::connect(pod.address).await.unwrap();
    open.write_all(b"GET /ready HTTP/1.1\r\nhost: admin\r\n\r\n")
        .await
        .unwrap();
    let mut buffer = vec![0; 4096];
    assert!(open.read(&mut buffer).await.unwrap() > 0);
    stage
        .bed
        .kubectl_says(&[&namespace[..], &["delete", "pod", &pod.name]].concat());
    let closed = async { while matches!(open.read(&mut buffer).await, Ok(1..)) {} };
    tokio::time::timeout(Duration::from_mins(1), closed)
        .await
        .unwrap();
    let next = running(&mut fleet, &pod.uid).await;
    assert_ne!(next.address, pod.address);
    let answer = ask(&next, "/ready").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    let wait = async {
        while fleet.now().iter().any(|one| one.uid == pod.uid) {
            fleet.changed().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), wait)
        .await
        .unwrap();
    assert!(TcpStream::connect(pod.address).await.is_err());

    // With the fleet all of them go.
    drop(fleet);
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(next.address).await.is_ok() {
        assert!(Instant::now() < deadline, "the port is still open");
    }
}
