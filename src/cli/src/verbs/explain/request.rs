//! A request as somebody tells it.

use cutover_core::{Activation, Clock, Merge, Ordered, Phase, Plan, Request, Service, merge};
use std::{collections::BTreeMap, time::SystemTime};

/// The head of a request: pseudo headers and headers, names in lower case, values as they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    headers: Vec<(String, Vec<u8>)>,
    /// HTTP/2 or newer.
    has_frames: bool,
    /// When it is asked, Unix ns.
    now: Option<i64>,
    /// What a proxy makes of the configuration, by key.
    registers: BTreeMap<String, Vec<u8>>,
}

impl Told {
    /// Reads the head of a request, as it is sent or as `curl -v` prints it; the error is the line
    /// that is none.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let lines: Vec<_> = bytes
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::trim_ascii_end)
            .collect();
        // Beside what it sends (`>`) curl prints what it does (`*`) and gets (`<`).
        let sent: Vec<_> = lines
            .iter()
            .filter_map(|line| line.strip_prefix(b">"))
            .collect();
        let sent: Vec<_> = if sent.is_empty() {
            lines
        } else {
            sent.into_iter().map(<[u8]>::trim_ascii_start).collect()
        };
        let mut told = Self::default();
        let mut lines = sent
            .into_iter()
            .skip_while(|line| line.is_empty())
            .peekable();
        if let Some(first) = lines.peek().copied()
            && told.add_request_line(first)
        {
            lines.next();
        }
        for line in lines.take_while(|line| !line.is_empty()) {
            told.add_line(line)?;
        }
        Ok(told)
    }

    /// `GET /path HTTP/1.1`; false when it is something else.
    fn add_request_line(&mut self, line: &[u8]) -> bool {
        let words: Vec<_> = line.split(|byte| *byte == b' ').collect();
        let [method, target, version] = words.as_slice() else {
            return false;
        };
        if !version.starts_with(b"HTTP/") || !method.iter().all(u8::is_ascii_uppercase) {
            return false;
        }
        self.has_frames = !version.starts_with(b"HTTP/1");
        self.set(":method", method);
        // The absolute form, as for a proxy, names the host too.
        let after_scheme = target
            .strip_prefix(b"http://")
            .or_else(|| target.strip_prefix(b"https://"));
        let Some(rest) = after_scheme else {
            self.set(":path", target);
            return true;
        };
        let slash = rest
            .iter()
            .position(|byte| *byte == b'/')
            .unwrap_or(rest.len());
        let (host, path) = rest.split_at(slash);
        self.set(":authority", host);
        self.set(":path", if path.is_empty() { b"/" } else { path });
        true
    }

    /// Adds `name: value`; the error is the line.
    pub(super) fn add_line(&mut self, line: &[u8]) -> Result<(), String> {
        let text = || String::from_utf8_lossy(line).into_owned();
        // The name of a pseudo header begins with a colon.
        let start = usize::from(line.starts_with(b":"));
        let colon = line
            .iter()
            .skip(start)
            .position(|byte| *byte == b':')
            .ok_or_else(text)?
            + start;
        let (name, value) = line.split_at(colon);
        let name = std::str::from_utf8(name.trim_ascii()).map_err(|_| text())?;
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(text());
        }
        let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
        match name.to_ascii_lowercase().as_str() {
            // A host that the request line names is the one that counts (RFC 9112, section 3.2.2).
            "host" if self.get(":authority").is_some() => {}
            "host" => self.set(":authority", value),
            // Cookies of HTTP/2 come in pieces that Envoy puts together (RFC 9113, section 8.2.3); of
            // HTTP/1.1 the filter reads the first header, as of any other.
            "cookie" if self.has_frames && self.get("cookie").is_some() => {
                let cookies = [self.get("cookie").unwrap_or_default(), b"; ", value].concat();
                self.set("cookie", &cookies);
            }
            name if name.starts_with(':') => self.set(name, value),
            name => self.headers.push((name.to_owned(), value.to_vec())),
        }
        Ok(())
    }

    /// Puts a value in the place of any there was.
    pub(super) fn set(&mut self, name: &str, value: &[u8]) {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_vec()));
    }

    /// It is asked now, of a proxy that takes the configuration now: a switch whose instant has not come is staged there.
    pub(super) fn arrive(&mut self, plan: &Plan) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.now = now.ok().and_then(|now| now.as_nanos().try_into().ok());
        for service in plan.services() {
            let switch = Ordered::of(service.switch());
            if let Some(Merge::Write { register, .. }) =
                switch.map(|switch| merge(None, &switch, self))
            {
                let key = service.register_key().to_owned();
                self.registers.insert(key, register.encode());
            }
        }
    }

    /// The same request once the service's staged switch rules, and the instant of that; none where nothing is staged.
    pub(super) fn once_it_rules(&self, service: &Service) -> Option<(Self, Activation)> {
        let due = service.switch().activation?;
        let left = match due.phase(self.now?) {
            Phase::After => return None,
            Phase::Before | Phase::Within(_) => due.remaining(self.now?),
        };
        let mut later = self.clone();
        later.now = self.now?.checked_add(left.as_nanos().try_into().ok()?);
        Some((later, due))
    }

    /// The first value of a header.
    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        let (_, value) = self.headers.iter().find(|(known, _)| known == name)?;
        Some(value)
    }
}

impl Request for Told {
    fn header(&self, name: &str) -> Option<Vec<u8>> {
        let value = self.get(name);
        match name {
            ":path" => Some(value.unwrap_or(b"/").to_vec()),
            _ => value.map(<[u8]>::to_vec),
        }
    }

    fn shared(&self, key: &str) -> Option<Vec<u8>> {
        self.registers.get(key).cloned()
    }
}

impl Clock for Told {
    fn wall(&self) -> Option<i64> {
        self.now
    }

    fn monotonic(&self) -> Option<i64> {
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &[u8], expect: &[(&str, &[u8])]) {
        let told = Told::parse(text).unwrap();
        let headers: Vec<_> = told
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
            .collect();
        assert_eq!(headers, expect);
    }

    #[test]
    fn a_head_is_read_as_it_is_sent() {
        check(
            b"GET /cart?x=1 HTTP/1.1\r\nHost: shop\r\nX-Color:  green \r\nx-a: b:c\r\n\r\nbody: not\r\n",
            &[
                (":method", b"GET"),
                (":path", b"/cart?x=1"),
                (":authority", b"shop"),
                ("x-color", b"green"),
                ("x-a", b"b:c"),
            ],
        );
        check(
            b"\nhost: a\nx: \xff\xfe",
            &[(":authority", b"a"), ("x", b"\xff\xfe")],
        );
        check(b"", &[]);
    }

    #[test]
    fn of_what_curl_prints_only_what_it_sends_is_read() {
        check(
            b"* Connected to x\n> GET / HTTP/2\n> Host: shop\n> x-color: green\n>\n< HTTP/2 200\n< x-no: no\n",
            &[(":method", b"GET"), (":path", b"/"), (":authority", b"shop"), ("x-color", b"green")],
        );
    }

    #[test]
    fn pseudo_headers_and_the_absolute_form_name_host_and_path() {
        check(
            b":authority: a\n:path: /b",
            &[(":authority", b"a"), (":path", b"/b")],
        );
        check(
            b"GET http://a:1/b HTTP/1.1\nHost: c",
            &[
                (":method", b"GET"),
                (":authority", b"a:1"),
                (":path", b"/b"),
            ],
        );
    }

    #[test]
    fn pieces_of_a_cookie_are_put_together_in_http2() {
        let get = |version: &str| {
            let head = format!("GET / {version}\ncookie: a=1\ncookie: b=2");
            let told = Told::parse(head.as_bytes()).unwrap();
            told.get("cookie").unwrap().to_vec()
        };
        assert_eq!(get("HTTP/2"), b"a=1; b=2");
        assert_eq!(get("HTTP/1.1"), b"a=1");
    }

    #[test]
    fn a_line_that_is_none_is_told() {
        for line in ["GET /", "nonsense", ": x", "a b: c", "get / HTTP/1.1"] {
            assert_eq!(Told::parse(line.as_bytes()).unwrap_err(), line);
        }
    }
}
