//! Which of the pushes that change nothing are counted: each one once a proxy, though it comes to
//! every VM of the proxy.

use crate::Generation;

/// What one VM has seen of a service's pushes. All VMs of a proxy see the same pushes in the same
/// order, but not at the same time.
#[derive(Debug, Default)]
pub struct Pushes {
    newest: Option<Generation>,
    ignored: Option<u64>,
}

impl Pushes {
    /// Notes a push that became the register, or was it already. A VM counts on from what the proxy
    /// had counted when the VM began: `counted`.
    pub fn ruled(&mut self, counted: Option<&[u8]>, generation: Generation) {
        self.newest = self.newest.max(Some(generation));
        self.ignored.get_or_insert_with(|| parse(counted).0);
    }

    /// Notes a push that was ignored, described by `what`. Returns the new value of what the proxy has
    /// counted, when it is this VM that has to count it; `counted` is the value so far.
    ///
    /// - A VM that comes late to a push which ruled once (it has not seen a newer one) counts nothing.
    /// - The first VM to see one more ignored push than the proxy has counted counts it.
    /// - A VM that has seen nothing else is one that the proxy tries a new configuration in, and counts;
    ///   or one of a worker that starts with a configuration which was counted before.
    pub fn ignored(
        &mut self,
        counted: Option<&[u8]>,
        generation: Generation,
        what: &str,
    ) -> Option<Vec<u8>> {
        let (number, last) = parse(counted);
        let seen = self.ignored.get_or_insert(number);
        match self.newest {
            Some(newest) if generation > newest => {
                self.newest = Some(generation);
                return None;
            }
            None if last == what => return None,
            _ => {}
        }
        *seen += 1;
        (*seen > number).then(|| format!("{seen} {what}").into_bytes())
    }
}

fn parse(counted: Option<&[u8]>) -> (u64, &str) {
    counted
        .and_then(|bytes| std::str::from_utf8(bytes).ok()?.split_once(' '))
        .and_then(|(number, what)| Some((number.parse().ok()?, what)))
        .unwrap_or_default()
}
