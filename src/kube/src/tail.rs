//! A list that is kept current: list, watch from there, and again when that breaks.

use crate::{Cluster, ClusterError, call::Failed};
use futures_util::{Stream, StreamExt as _};
use hyper::Request;
use kube::core::WatchEvent;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use std::{pin::Pin, time::Duration};

/// How many items come with one answer.
const PAGE: usize = 500;
/// How long the API server keeps a watch: what breaks without a word is noticed after that.
const WATCH_SECONDS: u64 = 60;
/// How much longer than that is waited.
const WATCH_GRACE: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// What can be listed and watched.
pub(crate) trait Item: DeserializeOwned + Clone + Send + 'static {
    /// Its `metadata.resourceVersion`.
    fn version(&self) -> &str;
}

impl Item for Value {
    fn version(&self) -> &str {
        let version = self.pointer("/metadata/resourceVersion");
        version.and_then(Self::as_str).unwrap_or_default()
    }
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Change<T> {
    /// This is all that there is.
    All(Vec<T>),
    /// It was made or changed.
    Put(T),
    /// It is gone.
    Gone(T),
    /// Nothing is seen for now.
    Broken(ClusterError),
    /// It is seen again, and nothing was missed.
    Back,
}

type Events<T> = Pin<Box<dyn Stream<Item = Result<WatchEvent<T>, kube::Error>> + Send>>;

/// A list that is kept current.
pub(crate) struct Tail<T: Item> {
    cluster: Cluster,
    path: String,
    query: String,
    version: Option<String>,
    events: Option<Events<T>>,
    broken: bool,
    was_broken: bool,
    pause: Duration,
}

#[derive(Deserialize)]
struct Listed<T> {
    metadata: ListedMetadata,
    #[serde(default = "Vec::new")]
    items: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedMetadata {
    #[serde(default)]
    resource_version: String,
    #[serde(default, rename = "continue")]
    next: String,
}

impl<T: Item> Tail<T> {
    /// Lists at a path, with a query that is encoded already, such as `labelSelector=app%3Dweb`.
    pub(crate) async fn start(
        cluster: Cluster,
        path: String,
        query: String,
    ) -> Result<(Vec<T>, Self), ClusterError> {
        let mut tail = Self::since(cluster, path, query, None);
        let items = tail.list().await?;
        Ok((items, tail))
    }

    /// What comes behind a resource version; without one, all first.
    pub(crate) fn since(
        cluster: Cluster,
        path: String,
        query: String,
        version: Option<String>,
    ) -> Self {
        Self {
            cluster,
            path,
            query,
            version,
            events: None,
            broken: false,
            was_broken: false,
            pause: FIRST_PAUSE,
        }
    }

    /// Waits for what happens next.
    pub(crate) async fn next(&mut self) -> Change<T> {
        loop {
            if self.broken {
                tokio::time::sleep(self.pause).await;
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            }
            if self.version.is_none() {
                match self.list().await {
                    Ok(items) => {
                        self.mended();
                        return Change::All(items);
                    }
                    Err(failed) => return self.break_with(failed.into()),
                }
            }
            if self.events.is_none() {
                match self.watch().await {
                    Ok(events) => self.events = Some(events),
                    Err(failed) if failed.code() == 410 => {
                        self.version = None;
                        continue;
                    }
                    Err(failed) => return self.break_with(failed.into()),
                }
                if self.mended() {
                    return Change::Back;
                }
            }
            if let Some(change) = self.event().await {
                return change;
            }
        }
    }

    /// The next event; none where the watch ended, to be opened again.
    async fn event(&mut self) -> Option<Change<T>> {
        let events = self.events.as_mut()?;
        let patience = Duration::from_secs(WATCH_SECONDS) + WATCH_GRACE;
        let event = tokio::time::timeout(patience, events.next()).await;
        let Ok(Some(event)) = event else {
            self.events = None;
            return None;
        };
        match event {
            Ok(WatchEvent::Added(item) | WatchEvent::Modified(item)) => {
                self.version = Some(item.version().to_owned());
                Some(Change::Put(item))
            }
            Ok(WatchEvent::Deleted(item)) => {
                self.version = Some(item.version().to_owned());
                Some(Change::Gone(item))
            }
            Ok(WatchEvent::Bookmark(bookmark)) => {
                self.version = Some(bookmark.metadata.resource_version);
                None
            }
            // 410: what happened since is not kept any more.
            Ok(WatchEvent::Error(status)) => Some(self.ended_with(kube::Error::Api(status))?),
            Err(error) => Some(self.ended_with(error)?),
        }
    }

    fn ended_with(&mut self, error: kube::Error) -> Option<Change<T>> {
        self.events = None;
        let failed = self.cluster.failed(error);
        if failed.code() == 410 {
            self.version = None;
            return None;
        }
        Some(self.break_with(failed.into()))
    }

    fn break_with(&mut self, error: ClusterError) -> Change<T> {
        self.broken = true;
        Change::Broken(error)
    }

    /// Whether the last list came after a time in which nothing was seen.
    pub(crate) fn was_broken(&self) -> bool {
        self.was_broken
    }

    /// Whether it was broken before.
    fn mended(&mut self) -> bool {
        self.pause = FIRST_PAUSE;
        self.was_broken = std::mem::take(&mut self.broken);
        self.was_broken
    }

    /// All items, page by page. When a page is gone before it was asked for, from the start.
    async fn list(&mut self) -> Result<Vec<T>, Failed> {
        let mut items = Vec::new();
        let mut next = String::new();
        loop {
            let path = format!("{}?{}&limit={PAGE}&continue={next}", self.path, self.query);
            match self.cluster.get::<Listed<T>>(&path).await {
                Ok(page) => {
                    items.extend(page.items);
                    if page.metadata.next.is_empty() {
                        self.version = Some(page.metadata.resource_version);
                        return Ok(items);
                    }
                    next = encoded(&page.metadata.next);
                }
                Err(failed) if failed.code() == 410 && !next.is_empty() => {
                    items.clear();
                    next.clear();
                }
                Err(failed) => return Err(failed),
            }
        }
    }

    async fn watch(&mut self) -> Result<Events<T>, Failed> {
        let version = self.version.as_deref().unwrap_or_default();
        let path = format!(
            "{}?{}&watch=true&allowWatchBookmarks=true&timeoutSeconds={WATCH_SECONDS}&resourceVersion={}",
            self.path,
            self.query,
            encoded(version)
        );
        let request = Request::get(path).header("accept", "application/json");
        let request = request
            .body(Vec::new())
            .map_err(|error| self.cluster.failed(kube::Error::HttpError(error)))?;
        let client = self.cluster.client();
        let answer = async {
            let events = client.request_events::<T>(request).await;
            events.map_err(|error| self.cluster.failed(error))
        };
        Ok(self.cluster.bounded(answer).await?.boxed())
    }
}

/// A value of a query, percent-encoded.
pub(crate) fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut all, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                all.push(char::from(byte));
            }
            // Writing to a string cannot fail.
            byte => drop(write!(all, "%{byte:02X}")),
        }
        all
    })
}
