//! A server that answers by a script.

use cutover_kube::{Access, Cluster};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::BoxBody};
use hyper::{
    Method, Request, Response,
    body::{Bytes, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::{convert::Infallible, fs, io, sync::Arc};
use tokio::{net::TcpListener, task::JoinHandle};

/// What is answered.
pub(crate) enum Reply {
    /// An object.
    Json(Value),
    /// A status.
    Refuse(Value),
    /// Events, and then the end.
    Stream(Vec<Value>),
    /// 200 and this.
    Text(&'static str),
    /// 404 as for a path that is not served.
    NotFound,
    /// The connection is closed.
    HangUp,
    /// Nothing, ever.
    Silence,
}

/// A server that runs until it is dropped.
pub(crate) struct Play {
    address: String,
    serving: JoinHandle<()>,
}

impl Drop for Play {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

type Script = Arc<dyn Fn(&Method, &str) -> Reply + Send + Sync>;

impl Play {
    pub(crate) async fn start(
        script: impl Fn(&Method, &str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let script: Script = Arc::new(script);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let script = Arc::clone(&script);
                let service = service_fn(move |request| answer(Arc::clone(&script), request));
                tokio::spawn(async move {
                    let _ = http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self { address, serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) async fn cluster(&self) -> Cluster {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let config = format!(
            "current-context: c\ncontexts: [{{name: c, context: {{cluster: c}}}}]\nclusters: [{{name: c, cluster: {{server: '{}'}}}}]\n",
            self.url()
        );
        fs::write(&path, config).unwrap();
        let access = Access {
            kubeconfig: Some(path),
            context: None,
        };
        Cluster::connect(&access).await.unwrap()
    }
}

/// A status as the API server writes it.
pub(crate) fn refusal(code: u16, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message, "reason": ""})
}

type Body = BoxBody<Bytes, Infallible>;

async fn answer(script: Script, request: Request<Incoming>) -> Result<Response<Body>, io::Error> {
    let path = request.uri().to_string();
    let method = request.method().clone();
    let _ = request.into_body().collect().await;
    let full = |code: u16, text: String| {
        let body = Full::new(Bytes::from(text)).boxed();
        let response = Response::builder().status(code).body(body);
        response.map_err(io::Error::other)
    };
    match script(&method, &path) {
        Reply::Json(object) => full(200, object.to_string()),
        Reply::Refuse(status) => {
            let code = status["code"]
                .as_u64()
                .and_then(|code| code.try_into().ok());
            full(code.unwrap_or(500), status.to_string())
        }
        Reply::Text(text) => full(200, text.to_owned()),
        Reply::NotFound => full(404, "404 page not found\n".to_owned()),
        Reply::Stream(events) => {
            let lines = events
                .into_iter()
                .map(|event| Ok(Frame::data(Bytes::from(format!("{event}\n")))));
            let body = StreamBody::new(futures_util::stream::iter(lines));
            Ok(Response::new(BoxBody::new(body)))
        }
        Reply::HangUp => Err(io::Error::other("hung up")),
        Reply::Silence => std::future::pending().await,
    }
}
