//! What Envoy writes down of each request, and where.

use super::quoted;
use std::{fmt::Write as _, path::PathBuf};

/// Where the access log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// To standard output of Envoy.
    Stdout,
    /// To a file.
    File(PathBuf),
    /// Nowhere.
    Off,
}

impl AccessLog {
    /// The lines of a connection manager.
    pub(super) fn render(&self) -> String {
        let (name, message, path) = match self {
            Self::Off => return String::new(),
            Self::Stdout => ("stdout", "stream.v3.StdoutAccessLog", None),
            Self::File(path) => ("file", "file.v3.FileAccessLog", Some(path)),
        };
        let mut yaml = ACCESS_LOG
            .replace("@name@", name)
            .replace("@message@", message);
        if let Some(path) = path {
            let _ = writeln!(yaml, "                      path: {}", quoted(path));
        }
        yaml + ACCESS_LOG_FORMAT
    }
}

const ACCESS_LOG: &str = r#"                # decision=green;g=1763722800000;by=active;svc=default
                access_log:
                  - name: @name@
                    typed_config:
                      "@type": type.googleapis.com/envoy.extensions.access_loggers.@message@
"#;

const ACCESS_LOG_FORMAT: &str = r#"                      log_format:
                        text_format_source:
                          inline_string: "[%START_TIME%] %REQ(:METHOD)% %REQ(:AUTHORITY)%%REQ(:PATH)% %PROTOCOL% %RESPONSE_CODE% %RESPONSE_FLAGS% %DURATION%ms upstream=%UPSTREAM_HOST% decision=%REQ(X-CUTOVER-DECISION)%\n"
"#;
