//! The journal's disk is full, or cannot be written, while senders send.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;

use super::gateway::PATIENCE;
use super::load::{connect, read_answer};
use super::oracle::{Effects, Files};
use super::world::{Event, prepare};

/// Bytes of the disk that the journal is on.
const DISK: u64 = 48 * 1024 * 1024;

/// Size of what is written to fill it.
const BLOCK: usize = 64 * 1024;

/// A small disk of its own. It is gone when it is dropped.
struct Disk(PathBuf);

impl Disk {
    /// Nothing where this process may not mount.
    fn mount(at: PathBuf) -> Result<Option<Self>, Failed> {
        std::fs::create_dir(&at)?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={DISK}"), "tmpfs"])
            .arg(&at)
            .stderr(Stdio::null())
            .status()?;
        Ok(mounted.success().then_some(Self(at)))
    }

    fn free(&self) -> Result<u64, Failed> {
        let disk = rustix::fs::statvfs(&self.0)?;
        Ok(disk.f_bavail * disk.f_frsize)
    }

    /// Fills it until no more than `free` bytes are left.
    fn fill(&self, free: u64) -> Result<(), Failed> {
        let path = self.0.join("ballast");
        let mut file = std::fs::File::options()
            .create(true)
            .append(true)
            .open(path)?;
        while self.free()? > free {
            if file.write_all(&[0; BLOCK]).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn make_room(&self) -> Result<(), Failed> {
        Ok(std::fs::remove_file(self.0.join("ballast"))?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open keeps it from nobody.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A gateway whose journal is elsewhere than its objects.
struct Gateway {
    child: Child,
    ingress: SocketAddr,
    probe: SocketAddr,
}

impl Gateway {
    fn start(folder: &Path, data: &Path, settings: &[(&str, &str)]) -> Result<Self, Failed> {
        // A limit on the size of files must be an error, not the end.
        let mut child = Command::new("env")
            .args(["--ignore-signal=XFSZ", env!("CARGO_BIN_EXE_tripline")])
            .args(["serve", "-t", "triggers", "--log-level", "error"])
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--probe", "127.0.0.1:0", "--data"])
            .arg(data)
            .envs(settings.iter().copied())
            .env("TRIPLINE_DRAIN__DELAY", "0s")
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().ok_or("no standard error")?;
        let mut lines = BufReader::new(stderr).lines();
        let line = loop {
            let line = lines.next().ok_or("the gateway does not listen")??;
            if line.starts_with("listening on ") {
                break line;
            }
        };
        std::thread::spawn(move || lines.for_each(drop));
        let mut addresses = line.split("http://").skip(1).map(|rest| {
            let address = rest.split([' ', ',']).next().unwrap_or_default();
            address.parse()
        });
        let mut next = || addresses.next().ok_or("an address is missing");
        let (ingress, _, probe) = (next()??, next()??, next()??);
        Ok(Self {
            child,
            ingress,
            probe,
        })
    }

    /// Status of the answer to a push.
    fn push(&self, mark: &str) -> Result<u16, Failed> {
        let mut stream = connect(self.ingress).ok_or("no connection")?;
        let event = Event {
            mark: mark.to_owned(),
            is_for_one: true,
            flag: false,
            padding: 0,
        };
        let request = event.request("default").ok_or("no request")?;
        stream.write_all(request.as_bytes())?;
        let (status, _) = read_answer(&mut stream).ok_or("no answer")?;
        Ok(status)
    }

    /// Pushes until the answer is `status`. Gives the marks that were accepted.
    fn push_until(&self, status: u16, name: &str) -> Result<Vec<String>, Failed> {
        let (began, mut accepted) = (Instant::now(), Vec::new());
        for number in 0.. {
            let mark = format!("{name}-{number}");
            let answer = self.push(&mark)?;
            if answer == 202 {
                accepted.push(mark);
            }
            if answer == status {
                break;
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("{name}: {answer}, and never {status}").into());
            }
            // Senders wait before they come again.
            if answer != 202 {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(accepted)
    }

    fn readiness(&self) -> Result<String, Failed> {
        let mut stream = TcpStream::connect(self.probe)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Waits until `/readyz` says something.
    fn wait_for(&self, what: &str) -> Result<(), Failed> {
        let began = Instant::now();
        loop {
            let answer = self.readiness()?;
            if answer.contains(what) {
                return Ok(());
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("no `{what}` in {answer}").into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Each event that was answered 202 has become one object, and no other has.
fn check(folder: &Path, accepted: &[String]) -> Result<(), Failed> {
    let wanted: BTreeSet<&String> = accepted.iter().collect();
    let began = Instant::now();
    loop {
        let made = Files::of(folder, "default").made()?;
        let made: Vec<String> = made.into_iter().map(|made| made.mark).collect();
        let found: BTreeSet<&String> = made.iter().collect();
        if made.len() > found.len() {
            return Err("an event has become two objects".into());
        }
        if let Some(mark) = found.difference(&wanted).next() {
            return Err(format!("{mark} was refused, and performed").into());
        }
        if found == wanted {
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            let lost = wanted.difference(&found).count();
            return Err(format!("{lost} of {} events are lost", wanted.len()).into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// While little is free new events are refused; what was accepted before is
/// performed and written down with what is left.
pub(crate) fn refused_before_it_is_full() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    prepare(folder.path(), "default")?;
    let Some(disk) = Disk::mount(folder.path().join("disk"))? else {
        println!("this process may not mount a disk");
        return Ok(());
    };
    let gateway = Gateway::start(folder.path(), &disk.0.join("data"), &[])?;
    let mut accepted = gateway.push_until(202, "before")?;
    // An eighth of the disk is kept.
    disk.fill(DISK / 8 - 1024 * 1024)?;
    accepted.extend(gateway.push_until(503, "filling")?);
    gateway.wait_for("limits.journalFree")?;
    check(folder.path(), &accepted)?;
    disk.make_room()?;
    gateway.wait_for("\"ready\":true")?;
    accepted.extend(gateway.push_until(202, "after")?);
    check(folder.path(), &accepted)
}

/// Where nothing is kept free, or somebody else takes it, the last byte is
/// met; nothing that was accepted is lost, and nothing is accepted that cannot
/// be written down.
pub(crate) fn full_to_the_last_byte() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    prepare(folder.path(), "default")?;
    let Some(disk) = Disk::mount(folder.path().join("disk"))? else {
        println!("this process may not mount a disk");
        return Ok(());
    };
    let all = [("TRIPLINE_LIMITS__JOURNAL_FREE", "0")];
    let gateway = Gateway::start(folder.path(), &disk.0.join("data"), &all)?;
    let mut accepted = gateway.push_until(202, "before")?;
    disk.fill(0)?;
    accepted.extend(gateway.push_until(503, "filling")?);
    gateway.wait_for("\"ready\":false")?;
    disk.make_room()?;
    accepted.extend(gateway.push_until(202, "after")?);
    gateway.wait_for("\"ready\":true")?;
    check(folder.path(), &accepted)
}

/// A disk that takes no writes: here because files may not grow any more.
pub(crate) fn unwritable() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    prepare(folder.path(), "default")?;
    let gateway = Gateway::start(folder.path(), &folder.path().join("data"), &[])?;
    let mut accepted = gateway.push_until(202, "before")?;
    check(folder.path(), &accepted)?;
    let limit = |bytes: &str| -> Result<(), Failed> {
        let pid = format!("--pid={}", gateway.child.id());
        let set = Command::new("prlimit")
            .args([&pid, &format!("--fsize={bytes}:")])
            .status()?;
        set.success()
            .then_some(())
            .ok_or_else(|| "prlimit failed".into())
    };
    limit("4096")?;
    accepted.extend(gateway.push_until(503, "unwritable")?);
    gateway.wait_for("\"problem\":\"the journal could not be written")?;
    limit("unlimited")?;
    gateway.wait_for("\"ready\":true")?;
    accepted.extend(gateway.push_until(202, "after")?);
    check(folder.path(), &accepted)
}
