//! What all VMs of one proxy see of the world outside of them.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::{shared::Shared, stats::Stats};
use crate::clock::Reading;

/// One proxy process, as its VMs see it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outside {
    /// What all VMs share.
    pub(crate) shared: Rc<RefCell<Shared>>,
    /// What the admin interface shows.
    pub(crate) stats: Rc<RefCell<Stats>>,
    /// What the machine's clocks show now.
    pub(crate) clocks: Rc<Cell<Reading>>,
    /// The VM's environment: variable, value.
    pub(crate) environment: Rc<[(String, String)]>,
    /// Where the plugin's name comes from.
    pub(crate) plugin: Rc<str>,
}
