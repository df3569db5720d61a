//! Being told to stop.

use tokio_util::sync::CancellationToken;

/// Tells work that is under way to stop and to say what is true. All clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(CancellationToken);

impl Interrupt {
    /// Tells it.
    pub fn raise(&self) {
        self.0.cancel();
    }

    /// Whether it was told.
    pub fn is_raised(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until it is told; for ever, if nobody does.
    pub async fn raised(&self) {
        self.0.cancelled().await;
    }
}
