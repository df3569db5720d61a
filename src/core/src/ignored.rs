//! Which of the pushes that change nothing are counted: each one once a proxy, though it comes to
//! every VM of the proxy.

use crate::Generation;

/// What one VM has seen of a service's pushes. All VMs of a proxy see the same pushes in the same
/// order, but not at the same time.
#[derive(Debug, Default)]
pub struct Pushes {
    newest: Option<Generation>,
    ignored: u64,
}

impl Pushes {
    /// Notes a push that became the register, or was it already.
    pub fn ruled(&mut self, generation: Generation) {
        self.newest = self.newest.max(Some(generation));
    }

    /// Notes a push that was ignored, described by `what`. Returns the new value of what the proxy has
    /// counted, when it is this VM that has to count it; `counted` is the value so far, and `ruled` the
    /// generations that have [ruled](Ruled) in this proxy.
    ///
    /// - A VM that comes late to a push which ruled once (it has not seen a newer one) counts nothing.
    /// - Else the first VM to see one more ignored push than the proxy has counted counts it.
    /// - A VM that has seen nothing yet is one that the proxy tries a new configuration in: it counts.
    ///   Or it is a late one, or one of a worker that starts anew: then the generation has ruled, or was
    ///   counted before.
    ///
    /// After a change of the module or of the VM's environment all VMs count from 0 again, and replays
    /// are not counted until they have caught up.
    pub fn ignored(
        &mut self,
        counted: Option<&[u8]>,
        ruled: Option<&[u8]>,
        generation: Generation,
        what: &str,
    ) -> Option<Vec<u8>> {
        let (number, last) = parse(counted);
        let seen = match self.newest {
            Some(newest) if generation > newest => {
                self.newest = Some(generation);
                return None;
            }
            Some(_) => {
                self.ignored += 1;
                self.ignored
            }
            None if last == what || Ruled::contains(ruled, generation) => return None,
            None => number + 1,
        };
        (seen > number).then(|| format!("{seen} {what}").into_bytes())
    }
}

/// The last generations that were committed in a proxy, eight bytes each.
#[derive(Debug)]
pub struct Ruled;

impl Ruled {
    /// More than a worker can be late by.
    const KEPT: usize = 64;

    /// Appends a generation, and forgets the oldest beyond 64.
    pub fn append(ruled: Option<&[u8]>, generation: Generation) -> Vec<u8> {
        let ruled = ruled.unwrap_or_default();
        let kept = ruled.len().saturating_sub(8 * (Self::KEPT - 1));
        let mut ruled = ruled.get(kept..).unwrap_or_default().to_vec();
        ruled.extend(generation.get().to_le_bytes());
        ruled
    }

    fn contains(ruled: Option<&[u8]>, generation: Generation) -> bool {
        let wanted = generation.get().to_le_bytes();
        ruled
            .unwrap_or_default()
            .chunks_exact(8)
            .any(|chunk| chunk == wanted)
    }
}

fn parse(counted: Option<&[u8]>) -> (u64, &str) {
    counted
        .and_then(|bytes| std::str::from_utf8(bytes).ok()?.split_once(' '))
        .and_then(|(number, what)| Some((number.parse().ok()?, what)))
        .unwrap_or_default()
}
