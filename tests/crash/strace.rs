//! System calls, as strace writes them down.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;

use super::gateway::PATIENCE;

/// Calls that change files or answer somebody.
const CALLS: &str = "trace=openat,pwrite64,write,writev,sendto,sendmsg,ftruncate,fdatasync,fsync,\
                     rename,link,linkat,unlink,unlinkat,mkdir";

/// Bytes of one call that are shown: more than any has that matters here.
const SHOWN: &str = "100000";

/// A call that has returned.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    /// The lines in which it begins and has returned: the order of things.
    pub(crate) began: usize,
    pub(crate) ended: usize,
    /// Its arguments, without what is quoted in them.
    text: String,
    /// The bytes that it gives or names.
    pub(crate) bytes: Vec<Vec<u8>>,
    pub(crate) result: i64,
}

/// What goes in front of a command line to have its calls in `trace`. The
/// tracer is detached, so that signals reach the gateway and not it.
pub(crate) fn before(trace: &str) -> [&str; 11] {
    [
        "strace", "-D", "-f", "-y", "-xx", "-s", SHOWN, "-e", CALLS, "-o", trace,
    ]
}

impl Call {
    /// The path that it names, as the `nth` one.
    pub(crate) fn named(&self, nth: usize) -> Option<PathBuf> {
        let bytes = self.bytes.get(nth)?.clone();
        Some(PathBuf::from(String::from_utf8(bytes).ok()?))
    }

    /// The file that its descriptor stands for.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        let path = self.text.split('<').nth(1)?.split('>').next()?;
        Some(PathBuf::from(String::from_utf8(unescape(path)).ok()?))
    }

    /// The file that it has opened.
    pub(crate) fn file_opened(&self) -> Option<PathBuf> {
        let opens = self.name == "openat" && self.result >= 0;
        self.named(0).filter(|_| opens)
    }

    /// The last number among its arguments.
    pub(crate) fn last_number(&self) -> Option<usize> {
        self.text.rsplit(", ").next()?.parse().ok()
    }

    /// Whether it is a sync of a file or folder that went well.
    pub(crate) fn syncs(&self, path: &Path) -> bool {
        self.is_sync() && self.file().as_deref() == Some(path)
    }

    pub(crate) fn is_sync(&self) -> bool {
        matches!(self.name.as_str(), "fsync" | "fdatasync") && self.result == 0
    }

    /// Whether its arguments have a flag.
    pub(crate) fn has(&self, flag: &str) -> bool {
        self.text.contains(flag)
    }

    /// The id of the event that it answers 202.
    pub(crate) fn accepts(&self) -> Option<String> {
        if !matches!(
            self.name.as_str(),
            "write" | "writev" | "sendto" | "sendmsg"
        ) {
            return None;
        }
        let bytes = self.bytes.concat();
        if !bytes.starts_with(b"HTTP/1.1 202") {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        let (_, body) = text.split_once("\r\n\r\n")?;
        let answer: serde_json::Value = serde_json::from_str(body).ok()?;
        Some(answer["eventID"].as_str()?.to_owned())
    }
}

/// All calls of process `id`, by when they returned, once it has ended.
pub(crate) fn read(trace: &Path, id: u32) -> Result<Vec<Call>, Failed> {
    let text = whole(trace, id)?;
    let mut calls = Vec::new();
    let mut unfinished: Vec<(&str, usize, &str, &str)> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else {
            continue;
        };
        let rest = rest.trim_start();
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let found = unfinished.iter().position(|(one, ..)| *one == thread);
            let (Some(found), Some((_, end))) = (found, resumed.split_once(" resumed>")) else {
                continue;
            };
            let (_, began, name, start) = unfinished.swap_remove(found);
            calls.extend(call(name, &format!("{start}{end}"), began, at));
            continue;
        }
        let Some((name, rest)) = rest.split_once('(') else {
            continue;
        };
        match rest.strip_suffix(" <unfinished ...>") {
            Some(start) => unfinished.push((thread, at, name, start)),
            None => calls.extend(call(name, rest, at, at)),
        }
    }
    Ok(calls)
}

fn call(name: &str, rest: &str, began: usize, ended: usize) -> Option<Call> {
    let (text, result) = rest.rsplit_once(" = ")?;
    let result = result.split([' ', '<']).next()?.parse().ok()?;
    let arguments = text.trim_end().strip_suffix(')')?;
    let parts = || arguments.split('"');
    Some(Call {
        name: name.to_owned(),
        began,
        ended,
        text: parts().step_by(2).collect(),
        bytes: parts().skip(1).step_by(2).map(unescape).collect(),
        result,
    })
}

/// The trace, once the process `id` has ended.
fn whole(trace: &Path, id: u32) -> Result<String, Failed> {
    let began = Instant::now();
    while !is_whole(trace, id)? {
        if began.elapsed() > PATIENCE {
            return Err("the tracer does not end".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(std::fs::read_to_string(trace)?)
}

/// Whether the last line tells the end of the main thread, which ends last.
fn is_whole(trace: &Path, id: u32) -> Result<bool, Failed> {
    let mut file = File::open(trace)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(200)))?;
    let mut end = Vec::new();
    file.read_to_end(&mut end)?;
    let end = String::from_utf8_lossy(&end);
    let last = end.lines().last().unwrap_or_default();
    Ok(last.starts_with(&format!("{id} ")) && last.contains("+++ exited with"))
}

/// The bytes of `\x41\x42`.
fn unescape(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .as_bytes()
        .chunks_exact(4)
        .flat_map(|escaped| [escaped[2], escaped[3]])
        .collect();
    let decoded = data_encoding::HEXLOWER.decode(&digits);
    decoded.unwrap_or_else(|_| text.as_bytes().to_vec())
}
