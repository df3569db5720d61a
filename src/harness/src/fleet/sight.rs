//! What one proxy has answered so far, for whoever waits for it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use cutover_history::{Color, Operation, Outcome};

/// What a proxy has answered so far. All its clients tell of it.
#[derive(Debug, Default)]
pub(crate) struct Sight(Mutex<Answered>);

/// The newest answers of a proxy, by the run's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Answered {
    /// When it began to be asked for good; none before.
    pub(crate) came: Option<u64>,
    /// The newest generation that it has answered with, overrides left out.
    pub(crate) generation: Option<u64>,
    /// The color that served last.
    pub(crate) color: Option<Color>,
    /// When the first of the last answers in a row that had this color was in.
    pub(crate) since: u64,
    /// When the last answer was in.
    pub(crate) last: u64,
}

impl Sight {
    /// Begins at this instant.
    pub(crate) fn come(&self, at: u64) {
        self.locked().came.get_or_insert(at);
    }

    pub(crate) fn now(&self) -> Answered {
        *self.locked()
    }

    /// Takes in what came of a request.
    pub(crate) fn saw(&self, operation: &Operation) {
        let Operation::Request(request) = operation else {
            return;
        };
        let Outcome::Answered { served, decision } = &request.outcome else {
            return;
        };
        let mut answered = self.locked();
        let active = decision.filter(|decision| !decision.overridden);
        let generation = active.map(|decision| decision.generation);
        answered.generation = answered.generation.max(generation);
        if answered.color != Some(*served) {
            answered.color = Some(*served);
            answered.since = request.end;
        }
        answered.last = answered.last.max(request.end);
    }

    fn locked(&self) -> MutexGuard<'_, Answered> {
        // Whoever panicked did so outside: what is in there is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use cutover_history::{Decision, Kind, Request};

    use super::*;

    fn answer(end: u64, served: Color, generation: u64, overridden: bool) -> Operation {
        Operation::Request(Request {
            client: 0,
            proxy: 0,
            kind: Kind::H1,
            intended: end,
            start: end,
            end,
            outcome: Outcome::Answered {
                served,
                decision: Some(Decision {
                    generation,
                    color: served,
                    overridden,
                }),
            },
            contrary: Vec::new(),
        })
    }

    #[test]
    fn color_counts_from_its_first_answer_in_a_row() {
        let sight = Sight::default();
        for (end, color, generation) in [
            (1, Color::Blue, 1),
            (2, Color::Green, 2),
            (3, Color::Blue, 1),
            (4, Color::Green, 2),
            (5, Color::Green, 2),
        ] {
            sight.saw(&answer(end, color, generation, false));
        }
        let now = sight.now();
        assert_eq!((now.color, now.since, now.last), (Some(Color::Green), 4, 5));
        assert_eq!(now.generation, Some(2));
        // An override says nothing of the active generation.
        sight.saw(&answer(6, Color::Green, 9, true));
        assert_eq!(sight.now().generation, Some(2));
    }
}
