//! The page: everything in one file, and a policy that lets it ask for nothing.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use cutover_checker::{Certificate, Verdict};
use cutover_history::Scope;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::marks::Share;
use crate::scene::Drawn;
use crate::words::{cut, grouped, many, sentence};
use crate::{picture, tables};

const LIBRARY: &str = include_str!("../assets/uPlot.iife.min.js");
const LIBRARY_STYLE: &str = include_str!("../assets/uPlot.min.css");
const LIBRARY_LICENSE: &str = include_str!("../assets/uPlot.LICENSE");
const STYLE: &str = include_str!("../page/report.css");
const FIRST: &str = include_str!("../page/first.js");
const FRAME: &str = include_str!("../page/report.html");

/// The page's own scripts, in the order in which they need each other.
const SCRIPTS: [&str; 8] = [
    include_str!("../page/look.js"),
    include_str!("../page/chart.js"),
    include_str!("../page/run.js"),
    include_str!("../page/proxies.js"),
    include_str!("../page/window.js"),
    include_str!("../page/flips.js"),
    include_str!("../page/laid.js"),
    include_str!("../page/start.js"),
];

/// Puts the page together.
pub(crate) fn page(certificate: &Certificate, drawn: &Drawn) -> String {
    let style = format!("{LIBRARY_STYLE}\n{STYLE}");
    let script = format!(
        "{FIRST}\n{LIBRARY}\n(() => {{\n\"use strict\";\n{}\n}})();\n",
        SCRIPTS.concat()
    );
    let policy = format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; img-src data:; base-uri 'none'; form-action 'none'",
        digest(&script),
        digest(&style)
    );
    let (word, rest) = sentence(certificate);
    let header = &certificate.header;
    fill(
        FRAME,
        &[
            ("policy", &policy),
            ("style", &style),
            ("script", &script),
            ("license", &LIBRARY_LICENSE.replace("--", "- -")),
            ("data", &as_script(drawn)),
            ("word", word),
            ("class", &word.to_lowercase()),
            ("sign", sign(&certificate.verdict)),
            ("sentence", &escape(&cut(&rest, 600))),
            ("reasons", &reasons(&certificate.verdict)),
            ("witness", &witness(&certificate.verdict)),
            ("service", &escape(&cut(&header.service, 100))),
            ("started", &escape(&started(&header.started_at))),
            ("facts", &facts(certificate)),
            ("shown", &shown(certificate, drawn)),
            ("figures", &tables::figures(certificate)),
            ("requests", &tables::requests(certificate)),
            ("flips", &tables::flips(certificate)),
            ("file", &escape(&cut(&certificate.history.file, 100))),
            ("sha256", &certificate.history.contents.sha256),
        ],
    )
}

/// Puts values into the places `{{name}}`, in one pass: a value that looks like a place stays what it is.
fn fill(frame: &str, values: &[(&str, &str)]) -> String {
    let length: usize = values.iter().map(|(_, value)| value.len()).sum();
    let mut filled = String::with_capacity(frame.len() + length);
    let mut rest = frame;
    while let Some((text, after)) = rest.split_once("{{") {
        filled.push_str(text);
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        let value = values.iter().find(|(key, _)| *key == name);
        filled.push_str(value.map_or("", |(_, value)| value));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// A source for a content security policy.
fn digest(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(text)))
}

/// JSON that no HTML parser takes for the end of its script.
fn as_script(value: &impl Serialize) -> String {
    // Only a map with keys that are no strings cannot become JSON, and there is none.
    let json = serde_json::to_string(value).unwrap_or_default();
    json.replace('<', "\\u003c")
}

/// A text as HTML, between tags and within quotes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// A wall-clock instant of RFC 3339, to the second.
fn started(at: &str) -> String {
    match (at.get(..10), at.get(10..11), at.get(11..19)) {
        (Some(day), Some("T"), Some(time)) if at.ends_with('Z') => format!("{day} {time} UTC"),
        _ => cut(at, 40),
    }
}

fn sign(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "✓",
        Verdict::Violated(_) => "✕",
        Verdict::Inconclusive(_) => "?",
    }
}

fn reasons(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Inconclusive(reasons) => {
            let items = reasons
                .iter()
                .map(|reason| format!("<li>{}</li>", escape(&cut(reason, 600))));
            format!("<ul class=\"reasons\">{}</ul>", items.collect::<String>())
        }
        _ => String::new(),
    }
}

fn witness(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Violated(witness) => picture::witness(witness),
        _ => String::new(),
    }
}

/// What ran, in one line.
fn facts(certificate: &Certificate) -> String {
    let header = &certificate.header;
    let proxies = u64::try_from(header.proxies.len()).unwrap_or(u64::MAX);
    let proxies = match proxies {
        1 => "1 proxy".to_owned(),
        more => format!("{} proxies", grouped(more)),
    };
    let scope = match header.scope {
        Scope::Proxy => "on each proxy for itself",
        Scope::Fleet => "over all proxies together",
    };
    format!(
        "Envoy {}, {proxies}; one order of generations is claimed {scope}. Cutover {}, module \
         <code>{}</code>, seed {}.<br><code>{}</code>",
        escape(&cut(&header.versions.envoy, 40)),
        escape(&cut(&header.versions.cutover, 40)),
        escape(&cut(&header.module_sha256, 13)),
        header.seed,
        escape(&cut(&header.command, 400)),
    )
}

/// What of the history is drawn, exactly.
fn shown(certificate: &Certificate, drawn: &Drawn) -> String {
    let total = certificate.figures.total();
    let requests = total.answered + total.failed + total.timed_out;
    let share = |share: Share, what: &str| match share {
        Share { all: 0, .. } => String::new(),
        Share { drawn, all } if drawn == all => {
            format!(
                "<li>All {} {what} are drawn one by one.</li>\n",
                grouped(all)
            )
        }
        Share { drawn, all } => format!(
            "<li>{} of {} {what} are drawn one by one, evenly chosen; all are counted in the columns.</li>\n",
            grouped(drawn),
            grouped(all)
        ),
    };
    let windows = &drawn.windows;
    let (kept, flips) = (windows.kept(), windows.flips);
    let flips = match (kept, flips) {
        (_, 0) => String::new(),
        (kept, flips) if kept == flips => {
            "<li>Every flip can be magnified; each says how many of its requests are drawn.</li>\n"
                .to_owned()
        }
        (kept, flips) => format!(
            "<li>The worst {kept} of {flips} flips can be magnified; the figures are of all.</li>\n"
        ),
    };
    format!(
        "<ul>\n<li>Columns of time count {}, each in the column in which it began.</li>\n{}{}{}{flips}\
         <li>Latency counts from when a request was wanted; uploads are left out. Quantiles of a column are at \
         most 1/32 too high, its least and most are exact.</li>\n</ul>",
        many(requests, "request"),
        share(drawn.marks.stale, "stale answers"),
        share(drawn.marks.failed, "requests without an answer"),
        share(drawn.marks.other, "other violations"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    #[test]
    fn no_text_can_end_what_it_is_in() {
        assert_eq!(
            escape("<b title=\"x\" id='y'>&"),
            "&lt;b title=&quot;x&quot; id=&#39;y&#39;&gt;&amp;"
        );
        assert_eq!(as_script(&"</script><!--"), "\"\\u003c/script>\\u003c!--\"");
    }

    #[test]
    fn a_value_that_looks_like_a_place_stays_what_it_is() {
        let values = [("a", "{{b}}"), ("b", "no")];
        assert_eq!(fill("<{{a}}|{{b}}|{{c}}>", &values), "<{{b}}|no|>");
    }

    #[test]
    fn the_library_is_the_one_that_the_readme_names() {
        let readme = include_str!("../assets/README.md");
        for file in [LIBRARY, LIBRARY_STYLE, LIBRARY_LICENSE] {
            let mut digest = String::new();
            for byte in Sha256::digest(file) {
                write!(digest, "{byte:02x}").unwrap();
            }
            assert!(
                readme.contains(&digest),
                "{digest} is not in assets/README.md"
            );
        }
        let version = LIBRARY.split_once("(v").unwrap().1;
        let version = version.split_once(')').unwrap().0;
        assert!(readme.contains(&format!("uPlot) {version},")), "{version}");
    }
}
