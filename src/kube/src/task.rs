//! Tasks that end with whoever started them.

use tokio::task::JoinHandle;

/// A task that is aborted when this is dropped.
#[derive(Debug)]
pub(crate) struct Tied(JoinHandle<()>);

impl Tied {
    /// Starts it.
    pub(crate) fn start(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }
}

impl Drop for Tied {
    fn drop(&mut self) {
        self.0.abort();
    }
}
