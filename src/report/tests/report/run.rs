//! Made-up runs, and what is on their pages.

use cutover_checker::Certificate;
use cutover_history::{
    Color, Decision, Header, Kind, Operation, Outcome, Proxy, Push, PushKind, Reader, Request,
    Scope, Versions, Weather, WeatherKind, Writer,
};
use cutover_report::Judged;
use serde_json::Value;

pub(crate) const MS: u64 = 1_000_000;

/// A run: every proxy is flipped at the same times, and gets the same requests.
pub(crate) struct Run {
    pub(crate) service: String,
    pub(crate) scope: Scope,
    pub(crate) proxies: Vec<String>,
    pub(crate) flips: u64,
    /// From one flip to the next, ns.
    pub(crate) pause: u64,
    /// Requests of each proxy between two flips.
    pub(crate) requests: u64,
    /// Of these, how many of the first are answered by the generation before, though the new one was acknowledged.
    pub(crate) stale: u64,
    /// Of these, how many of the last fail.
    pub(crate) failed: u64,
    /// Of those in the middle, how many are served by the wrong color.
    pub(crate) misrouted: u64,
    /// Each proxy is down for so long just before the second flip, and one request of it fails then.
    pub(crate) killed: bool,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            service: "shop".to_owned(),
            scope: Scope::Proxy,
            proxies: vec!["envoy-0".to_owned(), "envoy-1".to_owned()],
            flips: 4,
            pause: 1_000 * MS,
            requests: 500,
            stale: 0,
            failed: 0,
            misrouted: 0,
            killed: false,
        }
    }
}

fn color(generation: u64) -> Color {
    if generation.is_multiple_of(2) {
        Color::Green
    } else {
        Color::Blue
    }
}

fn push(kind: PushKind, proxy: u32, generation: u64, invoked: u64) -> Operation {
    Operation::Push(Push {
        flip: u32::try_from(generation).ok(),
        kind,
        proxy,
        generation,
        color: color(generation),
        invoked,
        acknowledged: Some(invoked + MS / 2),
    })
}

impl Run {
    fn header(&self) -> Header {
        let proxy = |name: &String| Proxy {
            name: name.clone(),
            workers: 2,
            listeners: 1,
        };
        Header {
            cutover_history: 1,
            seed: 7,
            started_at: "2025-11-21T10:00:00.123456Z".to_owned(),
            versions: Versions {
                cutover: "0.1.0".to_owned(),
                envoy: "1.40.0".to_owned(),
            },
            module_sha256: "ab".repeat(32),
            service: self.service.clone(),
            scope: self.scope,
            window_ns: 20 * MS,
            flips: None,
            inferred: Vec::new(),
            proxies: self.proxies.iter().map(proxy).collect(),
            command: "cutover verify".to_owned(),
        }
    }

    fn request(&self, proxy: u32, flip: u64, index: u64) -> Request {
        let generation = flip + 1;
        let start = flip * self.pause + MS + index * ((self.pause - 4 * MS) / self.requests);
        let stale = flip > 0 && index < self.stale;
        let decided = if stale { generation - 1 } else { generation };
        let middle = self.requests / 2;
        let misrouted = (middle..middle + self.misrouted).contains(&index);
        let outcome = if index + self.failed >= self.requests {
            if index.is_multiple_of(2) {
                Outcome::TimedOut
            } else {
                Outcome::Failed {
                    status: Some(503),
                    error: "upstream reset".to_owned(),
                }
            }
        } else {
            Outcome::Answered {
                served: color(decided + u64::from(misrouted)),
                decision: Some(Decision {
                    generation: decided,
                    color: color(decided),
                    overridden: false,
                }),
            }
        };
        Request {
            client: 1,
            proxy,
            kind: if index.is_multiple_of(2) {
                Kind::H1
            } else {
                Kind::H2
            },
            intended: start - 1_000,
            start,
            end: start + 300_000 + (index * 791_900) % 900_000,
            outcome,
            contrary: Vec::new(),
        }
    }

    /// The history, as it would be in a file.
    pub(crate) fn history(&self) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), self.header()).unwrap();
        let proxies = 0..u32::try_from(self.proxies.len()).unwrap();
        for flip in 0..=self.flips {
            for proxy in proxies.clone() {
                let kind = if flip == 0 {
                    PushKind::Install
                } else {
                    PushKind::Flip
                };
                let operation = push(kind, proxy, flip + 1, flip * self.pause);
                writer.write(&operation).unwrap();
                for index in 0..self.requests {
                    let request = self.request(proxy, flip, index);
                    writer.write(&Operation::Request(request)).unwrap();
                }
            }
        }
        for proxy in proxies.filter(|_| self.killed) {
            let from = 2 * self.pause - 300 * MS;
            let mut request = self.request(proxy, 1, self.requests / 2);
            (request.intended, request.start, request.end) = (from, from + MS, from + 2 * MS);
            request.outcome = Outcome::TimedOut;
            writer.write(&Operation::Request(request)).unwrap();
            let weather = Weather {
                kind: WeatherKind::Killed,
                proxy,
                from,
                until: from + 10 * MS,
            };
            writer.write(&Operation::Weather(weather)).unwrap();
        }
        writer.finish().unwrap().1
    }

    /// The page, its data, and the certificate that it is of.
    pub(crate) fn drawn(&self) -> (String, Value, Certificate) {
        let history = self.history();
        let judged = Judged::of("history.jsonl", Reader::new(history.as_slice()).unwrap()).unwrap();
        let page = judged
            .draw(Reader::new(history.as_slice()).unwrap())
            .unwrap();
        let data = data(&page);
        (page, data, judged.certificate)
    }
}

/// The data that the page's scripts get.
pub(crate) fn data(page: &str) -> Value {
    let (_, after) = page
        .split_once("<script type=\"application/json\" id=\"data\">")
        .unwrap();
    serde_json::from_str(after.split_once("</script>").unwrap().0).unwrap()
}

/// The sum of a list of counts.
pub(crate) fn sum(list: &Value) -> u64 {
    let counts = list.as_array().unwrap().iter();
    counts.map(|count| count.as_u64().unwrap()).sum()
}
