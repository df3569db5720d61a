//! Being told to stop.

use tokio_util::sync::CancellationToken;

/// Tells work that is under way to stop and to say what is true. All clones are the same one.
///
/// Who stops may still have something to put right, and wait for that. Told again, it waits no longer.
#[derive(Clone, Debug, Default)]
pub struct Interrupt {
    told: CancellationToken,
    insisted: CancellationToken,
}

impl Interrupt {
    /// Tells it, or tells it again.
    pub fn raise(&self) {
        if self.told.is_cancelled() {
            self.insisted.cancel();
        }
        self.told.cancel();
    }

    /// Whether it was told.
    pub fn is_raised(&self) -> bool {
        self.told.is_cancelled()
    }

    /// Waits until it is told; for ever, if nobody does.
    pub async fn raised(&self) {
        self.told.cancelled().await;
    }

    /// Whether it was told again.
    pub fn is_insisted(&self) -> bool {
        self.insisted.is_cancelled()
    }

    /// Waits until it is told again; for ever, if nobody does.
    pub async fn insisted(&self) {
        self.insisted.cancelled().await;
    }
}
