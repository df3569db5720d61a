//! A verdict that anyone can check again.

use std::io::BufRead;

use cutover_history::{Contents, Header, Inferred, InvalidHistory, Reader, Scope};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::judge::judge;
use crate::verdict::{Figures, Judgement, Verdict};

/// The version of the format that [`Certificate::cutover_certificate`] carries.
pub const CERTIFICATE: u32 = 1;

/// A verdict, all that it rests on, and the digest of the history that it is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The version of the format: 1.
    pub cutover_certificate: u32,
    /// The verdict.
    pub verdict: Verdict,
    /// What a verdict that holds claims, in words.
    pub claims: Vec<String>,
    /// The history that was judged.
    pub history: HistoryFile,
    /// The history's header: seed, versions, digest of the module, scope, window.
    pub header: Header,
    /// The figures.
    pub figures: Figures,
}

/// A history, as a certificate names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryFile {
    /// Its file name, without a folder; the file may be renamed.
    pub file: String,
    /// What it holds.
    pub contents: Contents,
}

/// Says why a text is not a certificate.
#[derive(Debug, thiserror::Error)]
pub enum InvalidCertificate {
    /// No `cutover_certificate` in it.
    #[error("this is not a certificate: it has no number `cutover_certificate`")]
    NotOne,
    /// A version of the format that is not known here.
    #[error(
        "the certificate says format version {0}, and only version {CERTIFICATE} is known here"
    )]
    UnknownVersion(u64),
    /// Not what the format allows.
    #[error("the certificate is not what the format allows: {0}")]
    Malformed(#[from] serde_json::Error),
}

/// Says why a certificate does not stand.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The history cannot be read.
    #[error(transparent)]
    History(#[from] InvalidHistory),
    /// The history is not the one that was judged.
    #[error(
        "this is not the history that was judged: its SHA-256 is {history}, and the certificate \
         says {certificate}"
    )]
    OtherHistory {
        /// Digest in the certificate.
        certificate: String,
        /// Digest of the history.
        history: String,
    },
    /// The history says something else than the certificate.
    #[error("the certificate says {path} is {certificate}, and the history gives {history}")]
    Differs {
        /// Path into the certificate's JSON.
        path: String,
        /// The certificate's value there, as JSON.
        certificate: String,
        /// The recomputed value, as JSON.
        history: String,
    },
}

impl Certificate {
    /// Certifies a judgement.
    pub fn new(header: Header, judgement: Judgement, history: HistoryFile) -> Self {
        Self {
            cutover_certificate: CERTIFICATE,
            verdict: judgement.verdict,
            claims: claims(&header),
            history,
            header,
            figures: judgement.figures,
        }
    }

    /// Reads and judges a history, and certifies what it finds.
    ///
    /// # Errors
    /// A history that cannot be read to its end.
    pub fn of<R: BufRead>(file: &str, mut reader: Reader<R>) -> Result<Self, InvalidHistory> {
        let header = reader.header().clone();
        let judgement = judge(&header, &mut reader)?;
        // A reader that ended without an error knows its contents.
        let contents = reader.contents().unwrap_or_default();
        Ok(Self::new(
            header,
            judgement,
            HistoryFile {
                file: file.to_owned(),
                contents,
            },
        ))
    }

    /// Reads a certificate.
    ///
    /// # Errors
    /// A text that is not a certificate, one of an unknown version, an unknown field.
    pub fn parse(text: &[u8]) -> Result<Self, InvalidCertificate> {
        /// Only the version, so that a later format is refused as what it is.
        #[derive(Deserialize)]
        struct Version {
            cutover_certificate: u64,
        }
        let version: Version =
            serde_json::from_slice(text).map_err(|_| InvalidCertificate::NotOne)?;
        if version.cutover_certificate != u64::from(CERTIFICATE) {
            return Err(InvalidCertificate::UnknownVersion(
                version.cutover_certificate,
            ));
        }
        Ok(serde_json::from_slice(text)?)
    }

    /// Judges the history again and compares everything.
    ///
    /// # Errors
    /// Any difference, named; a history that cannot be read. The file's name may differ.
    pub fn check<R: BufRead>(&self, reader: Reader<R>) -> Result<(), Refused> {
        let again = Self::of(&self.history.file, reader)?;
        self.compare(&again)
    }

    /// Compares it with what the history gave when it was judged again.
    ///
    /// # Errors
    /// Any difference, named. The file's name may differ.
    pub fn compare(&self, again: &Self) -> Result<(), Refused> {
        let again = Self {
            history: HistoryFile {
                file: self.history.file.clone(),
                ..again.history.clone()
            },
            ..again.clone()
        };
        let (certificate, history) = (
            &self.history.contents.sha256,
            &again.history.contents.sha256,
        );
        if certificate != history {
            return Err(Refused::OtherHistory {
                certificate: certificate.clone(),
                history: history.clone(),
            });
        }
        if *self == again {
            return Ok(());
        }
        let (path, certificate, history) = difference(&value(self), &value(&again), String::new());
        Err(Refused::Differs {
            path,
            certificate,
            history,
        })
    }
}

fn value(certificate: &Certificate) -> Value {
    // Only a map with keys that are no strings cannot become JSON, and there is none.
    serde_json::to_value(certificate).unwrap_or_default()
}

/// The path to the first difference, and what is there on either side.
fn difference(one: &Value, other: &Value, path: String) -> (String, String, String) {
    let step = match (one, other) {
        (Value::Object(ones), Value::Object(others)) => {
            let keys = ones.keys().chain(others.keys());
            keys.map(|key| (one.get(key), other.get(key), format!(".{key}")))
                .find(|(one, other, _)| one != other)
        }
        (Value::Array(ones), Value::Array(others)) => {
            let indices = 0..ones.len().max(others.len());
            indices
                .map(|index| (one.get(index), other.get(index), format!("[{index}]")))
                .find(|(one, other, _)| one != other)
        }
        _ => None,
    };
    match step {
        Some((Some(one), Some(other), step)) => difference(one, other, path + &step),
        Some((one, other, step)) => (trim(&(path + &step)), text(one), text(other)),
        None => (trim(&path), text(Some(one)), text(Some(other))),
    }
}

fn trim(path: &str) -> String {
    path.trim_start_matches('.').to_owned()
}

fn text(value: Option<&Value>) -> String {
    value.map_or_else(|| "missing".to_owned(), Value::to_string)
}

/// What a verdict that holds claims.
fn claims(header: &Header) -> Vec<String> {
    let over = match header.scope {
        Scope::Proxy => "on each proxy for itself",
        Scope::Fleet => "over all proxies together",
    };
    let served = if header.inferred.contains(&Inferred::Served) {
        "Answers did not show who served them: nothing is claimed of that."
    } else {
        "Every answer came from the color that was decided, once."
    };
    let mut claims = vec![
        format!(
            "One order of generations explains all that was seen {over}: no request was decided by \
             a generation before it was pushed, nor by an older one than was seen or acknowledged \
             before it could begin."
        ),
        "Every generation decided the one color that it was first pushed with.".to_owned(),
        served.to_owned(),
        "No request failed or timed out, except while its proxy was being killed.".to_owned(),
        "Around every flip, reads began at each proxy often enough to see a window of the size \
         claimed."
            .to_owned(),
    ];
    if header.inferred.contains(&Inferred::Generation) {
        claims.push(
            "Answers showed colors alone: each was taken for the newest flip to its color that had \
             been pushed when it was in."
                .to_owned(),
        );
    }
    claims
}
