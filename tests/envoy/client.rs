//! Requests, byte by byte over HTTP/1.1, or over HTTP/2.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::header::{HeaderName, HeaderValue};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::stage::{DEADLINE, Stage};

/// A GET request.
#[derive(Clone)]
pub(crate) struct Get {
    host: Vec<u8>,
    path: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Of the response, names in lower case.
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Get {
    pub(crate) fn new() -> Self {
        Self {
            host: b"shop.example.com".to_vec(),
            path: b"/".to_vec(),
            headers: Vec::new(),
        }
    }

    pub(crate) fn host(mut self, host: impl AsRef<[u8]>) -> Self {
        self.host = host.as_ref().to_vec();
        self
    }

    pub(crate) fn path(mut self, path: impl AsRef<[u8]>) -> Self {
        self.path = path.as_ref().to_vec();
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers
            .push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Asks over HTTP/1.1, on a connection of its own.
    pub(crate) async fn ask(&self, stage: &Stage) -> Answer {
        self.ask_at(stage.envoy.listeners()[0]).await
    }

    pub(crate) async fn ask_at(&self, address: SocketAddr) -> Answer {
        let mut request = [
            b"GET ",
            self.path.as_slice(),
            b" HTTP/1.1\r\nHost: ",
            &self.host,
        ]
        .concat();
        for (name, value) in &self.headers {
            request.extend_from_slice(&[b"\r\n", name.as_bytes(), b": ", value].concat());
        }
        request.extend_from_slice(b"\r\nConnection: close\r\n\r\n");
        let talk = async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // Envoy may answer a request that it does not like, and hang up, before it is complete.
            drop(stream.write_all(&request).await);
            // Envoy keeps a connection that it means to close open for a second: its end says nothing.
            let mut answer = Vec::new();
            while !is_complete(&answer) && stream.read_buf(&mut answer).await.unwrap() > 0 {}
            answer
        };
        let answer = tokio::time::timeout(DEADLINE, talk).await.unwrap();
        Answer::parse(&answer)
    }

    /// Asks over HTTP/2, on a connection of its own.
    pub(crate) async fn ask_h2(&self, stage: &Stage) -> Answer {
        let stream = TcpStream::connect(stage.envoy.listeners()[0])
            .await
            .unwrap();
        let shake =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
        let (mut sender, connection) = shake.await.unwrap();
        tokio::spawn(connection);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let uri = format!("http://{}{}", text(&self.host), text(&self.path));
        let mut request = hyper::Request::get(uri)
            .body(Empty::<Bytes>::new())
            .unwrap();
        for (name, value) in &self.headers {
            // Names are lower case in HTTP/2, whatever the application says.
            let name = HeaderName::from_bytes(name.to_lowercase().as_bytes()).unwrap();
            request
                .headers_mut()
                .append(name, HeaderValue::from_bytes(value).unwrap());
        }
        let talk = async {
            let (head, body) = sender.send_request(request).await.unwrap().into_parts();
            (head, body.collect().await.unwrap().to_bytes())
        };
        let (head, body) = tokio::time::timeout(DEADLINE, talk).await.unwrap();
        let headers = head.headers.iter().map(|(name, value)| {
            (
                name.to_string(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        });
        Answer {
            status: head.status.as_u16(),
            headers: headers.collect(),
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let parts = text.split_once("\r\n\r\n");
        assert!(parts.is_some(), "no HTTP response: {text:?}");
        let (head, body) = parts.unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        Self {
            status: status.parse().unwrap(),
            headers: lines.filter_map(field).collect(),
            body: body.to_owned(),
        }
    }

    /// Who answered: `blue` or `green`; else the status.
    pub(crate) fn by(&self) -> String {
        match self.status {
            200 => self.body.lines().next().unwrap_or_default().to_owned(),
            status => status.to_string(),
        }
    }

    /// All values of a response header, with a comma between them.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        values(self.headers.iter().cloned(), name)
    }

    /// All values of a request header as the upstream got it, with a comma between them.
    pub(crate) fn told(&self, name: &str) -> Option<String> {
        values(self.body.lines().skip(1).filter_map(field), name)
    }
}

/// Whether a response has as many bytes as its `content-length` says.
fn is_complete(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, _)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = values(head.lines().filter_map(field), "content-length");
    let length = length.and_then(|length| length.parse::<usize>().ok());
    length.is_some_and(|length| bytes.len() >= head.len() + 4 + length)
}

fn field(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(": ")?;
    Some((name.to_lowercase(), value.to_owned()))
}

fn values(fields: impl Iterator<Item = (String, String)>, name: &str) -> Option<String> {
    let values: Vec<_> = fields
        .filter(|(of, _)| of == name)
        .map(|(_, value)| value)
        .collect();
    (!values.is_empty()).then(|| values.join(","))
}

/// Who answers a plain request.
pub(crate) async fn served_by(stage: &Stage) -> String {
    Get::new().ask(stage).await.by()
}
