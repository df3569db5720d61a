//! The reason of a decision in words.

use super::request::Told;
use cutover_control::InWords;
use cutover_core::{
    Answer, Color, Decision, Outcome, Override, Plan, Reason, Refusal, Service, decide, headers,
    token::Token,
};

/// One sentence, or a few.
pub(super) fn in_words(plan: &Plan, request: &Told, outcome: &Outcome<'_>) -> String {
    match outcome {
        Outcome::Unclaimed => {
            let host = request.get(":authority").map_or_else(
                || "no host was said (--host)".to_owned(),
                |host| {
                    format!(
                        "no service answers to host `{}`",
                        String::from_utf8_lossy(host)
                    )
                },
            );
            let hosts: Vec<_> = plan
                .services()
                .iter()
                .flat_map(|one| one.hosts())
                .map(String::as_str)
                .collect();
            format!("{host}; the services' hosts are {}", hosts.join(", "))
        }
        Outcome::Answer(Answer::Closed(service, color)) => {
            format!(
                "{} asks for {color}, which is closed",
                carrier(service, request, *color)
            )
        }
        Outcome::Answer(Answer::Forbidden(service, refusal)) => {
            let refused = refused(service, request, *refusal);
            format!("{refused}, and the service forbids such requests (`\"refused\": \"forbid\"`)")
        }
        Outcome::Answer(Answer::HeldOver(service)) => {
            let service = service.name();
            format!("as many requests of service {service} are held as may be (`max_held`)")
        }
        Outcome::Hold(held) => {
            let service = held.service.name();
            format!("service {service} switches at this moment, and no color can be told yet")
        }
        Outcome::Route(decision) => of_route(plan, request, decision),
    }
}

fn of_route(plan: &Plan, request: &Told, decision: &Decision<'_>) -> String {
    let (service, color) = (decision.service, decision.color);
    let serves = match decision.reason {
        Reason::Override => {
            return format!(
                "{} asks for {color}{}",
                carrier(service, request, color),
                proof(service, request)
            );
        }
        Reason::Active => match service.switch().activation {
            None => format!("{color} is active"),
            Some(due) if decision.is_staged => format!(
                "{color} is active; {} is staged, and becomes active at {} (hold {} ms)",
                service.switch().active,
                InWords(due.at()),
                due.hold()
            ),
            Some(due) => format!("{color} is active since {}", InWords(due.at())),
        },
        Reason::Closed => format!(
            "{} is active but closed, so that {color} serves",
            color.other()
        ),
    };
    let about = match (decision.refused, service.overrides()) {
        (Some(refusal), _) => Some(refused(service, request, refusal)),
        (None, Some(rule)) => ignored(plan, request, rule),
        (None, None) => None,
    };
    match about {
        Some(about) => format!("{about}; {serves}"),
        None => serves,
    }
}

/// What carries the override: the header, or the cookie.
fn carrier(service: &Service, request: &Told, color: Color) -> String {
    let Some(rule) = service.overrides() else {
        return "the request".to_owned();
    };
    let word = rule.value(color).unwrap_or_default().as_bytes();
    let asks = |value: &[u8]| {
        value == word
            || value
                .strip_prefix(word)
                .is_some_and(|rest| rest.starts_with(b"."))
    };
    match carried(rule, request)
        .into_iter()
        .find(|(_, value)| asks(value))
    {
        Some((carrier, _)) => carrier,
        None => "the request".to_owned(),
    }
}

/// What the request has where overrides may stand, the first of which counts first.
fn carried(rule: &Override, request: &Told) -> Vec<(String, Vec<u8>)> {
    let header = rule
        .header()
        .and_then(|name| Some((format!("header `{name}`"), request.get(name)?.to_vec())));
    let cookie = rule.cookie().and_then(|name| {
        let value = headers::cookie(request.get("cookie")?, name)?;
        Some((format!("cookie `{name}`"), value.to_vec()))
    });
    header.into_iter().chain(cookie).collect()
}

/// Who signed it, and until when; nothing where no proof is asked for.
fn proof(service: &Service, request: &Told) -> String {
    let rule = service.overrides().filter(|rule| rule.key_ids().is_some());
    let Some((id, expiry)) = rule.and_then(|rule| token(rule, request)) else {
        return ", and needs no token for that".to_owned();
    };
    format!(", signed by key `{id}` until {expiry}")
}

fn refused(service: &Service, request: &Told, refusal: Refusal) -> String {
    let token = service.overrides().and_then(|rule| token(rule, request));
    let more = match (refusal, token) {
        (Refusal::Expired, Some((_, expiry))) => format!(" ({expiry})"),
        (Refusal::UnknownKey | Refusal::Forged, Some((id, _))) => format!(" (key `{id}`)"),
        _ => String::new(),
    };
    if refusal == Refusal::Unsigned && has_part_of_a_token(service, request) {
        let whole = "a whole one is VALUE.KEY_ID.EXPIRY.MAC, as `cutover preview` prints it";
        return format!("the override is refused: what was given is no preview token ({whole})");
    }
    format!("the override is refused: {refusal}{more}")
}

/// True when more than the bare word was given, but no token of the right form.
fn has_part_of_a_token(service: &Service, request: &Told) -> bool {
    let Some(rule) = service.overrides() else {
        return false;
    };
    let has_dot = |(_, value): &(String, Vec<u8>)| value.contains(&b'.');
    carried(rule, request).first().is_some_and(has_dot)
}

/// Key id and expiry of the first token that the request has.
fn token(rule: &Override, request: &Told) -> Option<(String, String)> {
    carried(rule, request).into_iter().find_map(|(_, value)| {
        let text = std::str::from_utf8(&value).ok()?;
        let token = Token::parse(text)?;
        let seconds: i64 = text.rsplit('.').nth(1)?.parse().ok()?;
        let expiry = jiff::Timestamp::from_second(seconds);
        let expiry = expiry.map_or_else(|_| "the end of time".to_owned(), |time| time.to_string());
        Some((token.key_id.to_owned(), expiry))
    })
}

/// Why what stands in the place of an override is none. Nothing where nothing stands there.
fn ignored(plan: &Plan, request: &Told, rule: &Override) -> Option<String> {
    let (carrier, value) = carried(rule, request).into_iter().next()?;
    // Asked again as if for a path that overrides reach: does it make a difference?
    let elsewhere = rule.paths().first().is_some_and(|path| {
        let mut there = request.clone();
        there.set(":path", path.as_bytes());
        match decide(plan, &there) {
            Outcome::Route(decision) => {
                decision.reason == Reason::Override || decision.refused.is_some()
            }
            Outcome::Answer(_) | Outcome::Hold(_) => true,
            Outcome::Unclaimed => false,
        }
    });
    if elsewhere {
        let paths = rule.paths().join(", ");
        return Some(format!(
            "{carrier} counts only for paths that begin with {paths}"
        ));
    }
    let words: Vec<_> = Color::ALL
        .iter()
        .filter_map(|color| rule.value(*color))
        .collect();
    let value = String::from_utf8_lossy(&value).into_owned();
    Some(format!(
        "`{value}` in {carrier} asks for no color: {} would",
        words.join(" or ")
    ))
}

/// The key without which it cannot be told: the request has a token of it.
pub(super) fn needs_key(
    outcome: &Outcome<'_>,
    request: &Told,
    absent: &[String],
) -> Option<String> {
    let (service, refusal) = match outcome {
        Outcome::Route(decision) => (decision.service, decision.refused?),
        Outcome::Answer(Answer::Forbidden(service, refusal)) => (*service, *refusal),
        _ => return None,
    };
    let (id, _) = token(service.overrides()?, request)?;
    (refusal == Refusal::Forged && absent.contains(&id)).then_some(id)
}

pub(super) fn mend_host(plan: &Plan) -> String {
    match plan
        .services()
        .first()
        .and_then(|service| service.hosts().first())
    {
        Some(host) => format!("say --host {host}, or add the host to a service's `hosts`"),
        None => "add a service".to_owned(),
    }
}

pub(super) fn mend_answer(answer: &Answer<'_>) -> String {
    match answer {
        Answer::Closed(_, color) => {
            format!("take {color} out of `closed`, or ask for the other color")
        }
        Answer::Forbidden(service, _) => {
            let color = service.switch().active.other();
            format!(
                "`cutover preview {color} --service {}` makes a good token",
                service.name()
            )
        }
        Answer::HeldOver(_) => "give the configuration a greater `max_held`".to_owned(),
    }
}
