//! The bed that is measured.

use std::error::Error;
use std::path::{Path, PathBuf};

use crate::istio::IstioBed;

/// A bed that is up.
pub(crate) struct Bed {
    /// Its control plane.
    pub(crate) istio: IstioBed,
    module: PathBuf,
}

impl Bed {
    pub(crate) fn read(folder: &Path, module: &Path) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            istio: IstioBed::read(folder)?,
            module: module.canonicalize()?,
        })
    }

    /// Where the proxies take requests, by name.
    pub(crate) fn proxies(&self) -> Vec<(String, String)> {
        let names = self.istio.each("name");
        names.into_iter().zip(self.istio.each("http")).collect()
    }

    /// The module that gateways load, by its absolute path.
    pub(crate) fn module(&self) -> &Path {
        &self.module
    }
}
