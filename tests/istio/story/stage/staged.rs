//! A switch that waits for its instant: when all have staged it, whoever sees to it, and what became of it.

#[path = "../../../fleet/history.rs"]
mod history;

use super::{Said, Stage, judged};
use crate::bed::deadline;
use cutover_checker::{Certificate, Verdict};
use cutover_harness::NotedFlip;
use cutover_history::{Color, Reader, Scope};
use history::answered_with;
pub(crate) use history::flip;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    fs::File,
    io::BufReader,
    time::{Duration, Instant},
};
use tokio::process::Child;

/// A flip that the tool is about.
#[derive(Debug)]
pub(crate) struct UnderWay {
    /// None once it has ended.
    tool: Option<Child>,
    pub(crate) generation: u64,
    color: Color,
    invoked: Instant,
}

impl Stage {
    /// Starts a flip, and returns once every gateway has staged it.
    pub(crate) async fn staging(&self, arguments: &[&str], color: Color) -> UnderWay {
        let (before, invoked) = (self.generation(), Instant::now());
        let mut tool = self.started(arguments);
        loop {
            let staged = self.gauges("staged").await;
            let generation = staged.first().copied().unwrap_or(0);
            if generation > before && staged.iter().all(|one| *one == generation) {
                return UnderWay {
                    tool: Some(tool),
                    generation,
                    color,
                    invoked,
                };
            }
            let has_ended = tool.try_wait().unwrap().is_some();
            if has_ended || invoked.elapsed() >= deadline() {
                let _ = tool.start_kill();
                let output = tool.wait_with_output().await.unwrap();
                panic!("{staged:?}, not after {before}: {output:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A gauge of the service at each gateway, 0 where it is not there yet.
    pub(crate) async fn gauges(&self, gauge: &str) -> Vec<u64> {
        let path = format!("/stats?filter=service.shop.{gauge}$");
        let said = self.asked(&path).await.into_iter();
        said.map(|said| {
            let value = said
                .trim()
                .rsplit(' ')
                .next()
                .and_then(|it| it.parse().ok());
            value.unwrap_or(0)
        })
        .collect()
    }

    /// Waits until every gateway answers with a flip that nobody has reported, and notes it.
    pub(crate) async fn activated(&mut self, flip: &UnderWay) {
        let generation = flip.generation;
        let shown = self.load().shown_by_all(generation, deadline()).await;
        shown.unwrap();
        let noted = NotedFlip {
            generation,
            color: flip.color,
            invoked: flip.invoked,
            acknowledged: None,
        };
        self.fleet().note(noted).await;
        self.load().linger().await;
    }

    /// Ends the load, which has seen one flip: no request was decided old after another had been decided new, and none
    /// failed.
    pub(crate) async fn holds(&mut self) {
        let run = self.judged().await;
        assert_eq!(run.verdict, Verdict::Holds, "{}", run.verdict);
        assert_eq!((flip(&run).mixed_ns, flip(&run).stale), (Some(0), 0));
    }

    /// Ends the load, of which no request may have failed: what the checker says of the fleet.
    pub(crate) async fn judged(&mut self) -> Certificate {
        let (summary, history) = self.close().await;
        assert_eq!(summary.never_came, Vec::<String>::new());
        let run = judged(&history, Scope::Fleet);
        let total = run.figures.total();
        assert_eq!(total.failed + total.timed_out, 0, "{total:?}");
        assert!(total.answered > 100, "{total:?}");
        run
    }

    /// Ends the load: no request got another color than this, and none failed.
    pub(crate) async fn saw_only(&mut self, color: Color) {
        let (_, history) = self.close().await;
        let reader = Reader::new(BufReader::new(File::open(history).unwrap())).unwrap();
        let answers = answered_with(color, reader).len();
        assert!(answers > 100, "{answers}");
    }

    /// What the journal says became of the last switch.
    pub(crate) async fn last_outcome(&self) -> Value {
        let history = self.cutover(&["history"]).await;
        history.exits_with(0);
        let switches = history.answer.get("switches").and_then(Value::as_array);
        let last = switches.and_then(|all| all.last()).unwrap();
        last.get("outcome").unwrap().clone()
    }

    /// What `status` says of the switch that waits for an instant, or has done so.
    pub(crate) async fn standing(&self) -> Value {
        let status = self.cutover(&["status"]).await;
        status.exits_with(0);
        let standing = status.answer.pointer("/staged/0");
        standing.cloned().unwrap_or_default()
    }
}

impl UnderWay {
    /// Sends the tool a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.tool.as_ref().unwrap().id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Kills the tool, which can do nothing about it.
    pub(crate) async fn kill(&mut self) {
        self.tool.take().unwrap().kill().await.unwrap();
    }

    /// What the tool says in the end.
    pub(crate) async fn ended(&mut self) -> Said {
        let tool = self.tool.take().unwrap();
        Said::of(&["flip"], &tool.wait_with_output().await.unwrap())
    }
}
