//! Looks again and again, until it is so, time is over, or somebody stops it.

use super::{Look, Seen, changes::Told, next, view};
use crate::{
    failure::{Exit, Failure},
    output::{Events, Format, Report},
    screen::Screen,
    signals,
};
use cutover_control::{Fleet, Missing, Target};
use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};
use tokio::time::{MissedTickBehavior, interval, sleep_until};

/// How a watch ended.
enum End {
    Met,
    Deadline,
    Stopped,
}

/// What is being watched, and what is known of it.
struct Watch<'w> {
    look: &'w Look,
    events: &'w Events,
    target: Target,
    fleet: Fleet,
    /// The last look, and why a later one failed.
    seen: Option<Seen>,
    trouble: Option<String>,
    missing: Vec<Missing>,
    told: Told,
    screen: Option<Screen>,
    begun: Instant,
}

pub(super) async fn run(look: &Look, events: &Events) -> Result<Report, Failure> {
    if look.until.is_none() && matches!(events.format, Format::Json | Format::Yaml) {
        return Err(Failure::usage("a watch without an end has no one result")
            .hint("-o jsonl prints a line for each change; with --until WHAT a watch comes to one result"));
    }
    let target = look.target.open().await?;
    let fleet = look.envoys.fleet(&look.target, &target).await;
    let mut watch = Watch {
        look,
        events,
        target,
        fleet: fleet.or_else(is_starting)?,
        seen: None,
        trouble: None,
        missing: vec![],
        told: Told::default(),
        screen: events.screen(),
        begun: Instant::now(),
    };
    let end = watch.on().await?;
    watch.screen = None;
    watch.ended(&end)
}

/// An Envoy that is about to start is no reason not to watch.
fn is_starting(failure: Failure) -> Result<Fleet, Failure> {
    match failure.kind {
        Exit::Environment => Ok(Fleet::default()),
        _ => Err(failure),
    }
}

impl Watch<'_> {
    async fn on(&mut self) -> Result<End, Failure> {
        let interrupt = signals::interrupt()?;
        let mut ticks = interval(self.look.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Without a deadline it is far away.
        let far = Duration::from_hours(24 * 365);
        let deadline = sleep_until((self.begun + self.look.deadline.unwrap_or(far)).into());
        tokio::pin!(deadline);
        loop {
            // Whatever the deadline, there is one look: else it could not say what is missing.
            let has_looked = self.seen.is_some();
            let next = async {
                ticks.tick().await;
                self.once().await
            };
            let met = tokio::select! {
                biased;
                () = interrupt.raised() => return Ok(End::Stopped),
                met = next => met?,
                () = &mut deadline, if has_looked => return Ok(End::Deadline),
            };
            if met {
                return Ok(End::Met);
            }
            if self.events.reader_is_gone() {
                return Ok(End::Stopped);
            }
        }
    }

    /// Looks once and shows it; true when it is as was waited for. Only the first look may fail.
    async fn once(&mut self) -> Result<bool, Failure> {
        // The Envoy of a state folder comes and goes, with another port each time. Without one the last
        // is asked, so that it shows as silent.
        if self.target.file().is_some()
            && let Ok(now) = self
                .look
                .envoys
                .fleet(&self.look.target, &self.target)
                .await
            && !now.is_empty()
        {
            self.fleet = now;
        }
        match self.look.look(&self.target, &self.fleet).await {
            Ok(seen) => {
                let services = self.look.services(&seen.status.plan);
                if let Some(until) = self.look.until {
                    until.can_be_seen(&services).map_err(|why| {
                        Failure::usage(why).hint("ask the applications, or their own metrics")
                    })?;
                }
                self.missing = match self.look.until {
                    Some(until) => until.missing(&seen.status, &services),
                    None => vec![],
                };
                if self.screen.is_none() {
                    self.told.tell(&seen.status, &services, self.events);
                }
                drop(services);
                (self.seen, self.trouble) = (Some(seen), None);
            }
            Err(failure) if self.seen.is_none() => return Err(failure),
            Err(failure) => {
                if self.screen.is_none() {
                    self.told.tell_trouble(&failure.message, self.events);
                }
                self.trouble = Some(failure.message);
            }
        }
        self.draw();
        Ok(self.look.until.is_some() && self.trouble.is_none() && self.missing.is_empty())
    }

    fn draw(&mut self) {
        let (Some(seen), Some(screen)) = (&self.seen, &mut self.screen) else {
            return;
        };
        let mut text = view::text(
            seen,
            &self.look.services(&seen.status.plan),
            self.events.columns(),
        );
        if seen.status.proxies.is_empty() {
            text += "\nno Envoy can be asked\n";
        }
        if let Some(trouble) = &self.trouble {
            let _ = writeln!(text, "\n{trouble}");
        }
        let now = jiff::Timestamp::now().strftime("%H:%M:%SZ");
        let until = match (&self.look.until, self.missing.len()) {
            (None, _) => String::new(),
            (Some(until), 0) => format!("until {until}: now; "),
            (Some(until), missing) => format!("until {until}: {missing} missing; "),
        };
        let _ = write!(text, "\n{now}  {until}Ctrl-C ends the watch");
        if screen.draw(&text).is_err() {
            self.events.reader_left();
        }
    }

    fn ended(self, end: &End) -> Result<Report, Failure> {
        let waited = self.begun.elapsed();
        let (mut json, step) = match &self.seen {
            None => (json!({}), None),
            Some(seen) => {
                let services = self.look.services(&seen.status.plan);
                let special = self.look.until.and_then(|until| match end {
                    End::Met => next::met(until, &services),
                    End::Deadline | End::Stopped if seen.status.proxies.is_empty() => None,
                    End::Deadline | End::Stopped => next::unmet(until, &seen.status, &services),
                });
                let step = match special {
                    Some(step) => step,
                    None => self.look.next(&seen.status, &services)?,
                };
                (view::json(seen, &services), Some(step))
            }
        };
        let whys: Vec<_> = self.missing.iter().map(|one| one.why.clone()).collect();
        let whys = match (&self.trouble, &self.seen) {
            (Some(trouble), _) => vec![trouble.clone()],
            (None, None) => vec!["no look came to its end".to_owned()],
            _ => whys,
        };
        if let Value::Object(json) = &mut json {
            let milliseconds = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
            json.insert("waited_ms".to_owned(), milliseconds.into());
            if let Some(until) = self.look.until {
                json.insert("until".to_owned(), until.to_string().into());
                json.insert("met".to_owned(), matches!(end, End::Met).into());
                json.insert("missing".to_owned(), whys.clone().into());
            }
        }
        let Some(until) = self.look.until else {
            let report = Report::good("", json);
            return Ok(Report {
                next: step,
                ..report
            });
        };
        let seconds = waited.as_secs_f64();
        let (first, more) = (whys.first(), whys.len().saturating_sub(1));
        let more = if more > 0 {
            format!("; and {more} more")
        } else {
            String::new()
        };
        let not = format!("{}{more}", first.map_or("", String::as_str));
        let hint = step.unwrap_or_default();
        match end {
            End::Met => {
                let report = Report::good(format!("{until} after {seconds:.1} s"), json);
                Ok(Report {
                    next: Some(hint),
                    ..report
                })
            }
            End::Deadline => {
                let message = format!("not {until} after {seconds:.1} s: {not}");
                Err(Failure::new(Exit::Failed, message).hint(hint).details(json))
            }
            End::Stopped => {
                let message = format!("interrupted, not {until} yet: {not}");
                Err(Failure::environment(message).hint(hint).details(json))
            }
        }
    }
}
