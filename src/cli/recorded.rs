//! Recorded requests: raw HTTP/1.1 text, with LF or CRLF line ends.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;

use crate::model::event::{BodyRule, RawEvent};
use crate::model::headers::Headers;

/// Most header fields of a recorded request.
const HEADERS: usize = 256;

/// Reads a recorded request. Its URL is the whole request target.
pub(super) fn read(path: &Path) -> Result<RawEvent> {
    let shown = path.display();
    let bytes = std::fs::read(path).with_context(|| format!("{shown}"))?;
    parse(&bytes).with_context(|| format!("{shown}"))
}

/// Parses a recorded request.
pub(super) fn parse(bytes: &[u8]) -> Result<RawEvent> {
    let mut fields = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut fields);
    let parsed = request
        .parse(bytes)
        .context("this is no HTTP/1.1 request: a line such as `POST / HTTP/1.1`, header lines, an empty line, the body")?;
    let httparse::Status::Complete(length) = parsed else {
        bail!("the request ends before the empty line that ends its headers");
    };
    let mut headers = Headers::new();
    for field in request.headers.iter() {
        if !field.name.eq_ignore_ascii_case("host") {
            headers.append(field.name, String::from_utf8_lossy(field.value));
        }
    }
    let body = body(&bytes[length..], &headers)?;
    Ok(RawEvent {
        method: request.method.unwrap_or_default().to_owned(),
        url: request.path.unwrap_or_default().to_owned(),
        headers,
        body: Bytes::copy_from_slice(body),
        rule: BodyRule::default(),
    })
}

/// The body: as long as `Content-Length` says, since editors add a line break.
fn body<'a>(rest: &'a [u8], headers: &Headers) -> Result<&'a [u8]> {
    let Some(announced) = headers.get("Content-Length") else {
        return Ok(rest);
    };
    let length: usize = announced
        .parse()
        .with_context(|| format!("Content-Length `{announced}` is no number"))?;
    ensure!(
        length <= rest.len(),
        "the body has {} bytes, and Content-Length says {length}; correct it or leave it out",
        rest.len()
    );
    let extra = &rest[length..];
    ensure!(
        extra.iter().all(u8::is_ascii_whitespace),
        "the body has {} bytes, and Content-Length says {length}; correct it or leave it out",
        rest.len()
    );
    Ok(&rest[..length])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn line_ends_of_both_kinds_are_read() {
        for text in [
            "POST /a/b?c HTTP/1.1\r\nHost: x\r\nX-GitHub-Event: push\r\nContent-Length: 2\r\n\r\n{}\n",
            "POST /a/b?c HTTP/1.1\nHost: x\nX-GitHub-Event: push\nContent-Length: 2\n\n{}\n",
        ] {
            let request = parse(text.as_bytes()).unwrap();
            assert_eq!(request.method, "POST");
            assert_eq!(request.url, "/a/b?c");
            assert_eq!(request.headers.get("x-github-event"), Some("push"));
            assert_eq!(request.headers.get("host"), None);
            assert_eq!(&request.body[..], b"{}");
        }
    }

    #[test]
    fn without_a_length_the_body_is_the_rest() {
        let request = parse(b"POST / HTTP/1.1\n\n{}\n").unwrap();
        assert_eq!(&request.body[..], b"{}\n");
    }

    #[test]
    fn a_broken_file_says_what_is_wrong() {
        for (text, expected) in [
            ("POST / HTTP/9\n\n", "no HTTP/1.1 request"),
            ("POST / HTTP/1.1\nA: b\n", "empty line"),
            (
                "POST / HTTP/1.1\nContent-Length: 9\n\n{}",
                "Content-Length says 9",
            ),
            (
                "POST / HTTP/1.1\nContent-Length: 1\n\n{}",
                "Content-Length says 1",
            ),
            ("POST / HTTP/1.1\nContent-Length: x\n\n{}", "no number"),
        ] {
            let error = format!("{:#}", parse(text.as_bytes()).unwrap_err());
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_file_breaks_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let head = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n";
            let _ = parse(&bytes);
            let _ = parse(&[&head[..], &bytes].concat());
        }
    }
}
