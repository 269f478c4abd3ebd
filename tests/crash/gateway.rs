//! The real binary in a folder of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use rustix::process::{Pid, Signal, kill_process};

/// Longest wait for something that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The binary that these tests were built with. It has failpoints.
pub(crate) const OWN_BINARY: &str = env!("CARGO_BIN_EXE_tripline");

/// How a gateway is started.
pub(crate) struct Start<'a> {
    folder: &'a Path,
    binary: String,
    before: Vec<String>,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
}

/// A running gateway. It is killed when it is dropped.
pub(crate) struct Gateway {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl<'a> Start<'a> {
    /// In a folder with its triggers.
    pub(crate) fn at(folder: &'a Path) -> Self {
        Self {
            folder,
            binary: OWN_BINARY.to_owned(),
            before: Vec::new(),
            arguments: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// Another binary, where somebody has given one.
    pub(crate) fn any_binary(mut self) -> Self {
        if let Ok(binary) = std::env::var("CRASH_BINARY") {
            self.binary = binary;
        }
        self
    }

    /// With something in front of its command line.
    pub(crate) fn behind(mut self, before: &[&str]) -> Self {
        self.before = before.iter().copied().map(str::to_owned).collect();
        self
    }

    /// With more arguments.
    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments
            .extend(arguments.iter().copied().map(str::to_owned));
        self
    }

    /// With a variable in its environment.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Armed with a failpoint: `POINT:N`.
    pub(crate) fn crash_at(self, place: &str) -> Self {
        self.set("CRASH_AT", place)
    }

    fn spawn(&self) -> Result<Child, Failed> {
        let line = [&self.before[..], std::slice::from_ref(&self.binary)].concat();
        let child = Command::new(&line[0])
            .args(&line[1..])
            .args(["serve", "-t", "triggers", "--log-level", "error"])
            .args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"])
            .args(["--probe", "127.0.0.1:0"])
            .args(&self.arguments)
            .env("TRIPLINE_DRAIN__DELAY", "0s")
            .envs(self.variables.iter().cloned())
            .current_dir(self.folder)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        Ok(child)
    }

    /// Starts it and waits until it listens.
    pub(crate) fn start(&self) -> Result<Gateway, Failed> {
        let mut child = self.spawn()?;
        let stderr = child
            .stderr
            .take()
            .ok_or("the gateway has no standard error")?;
        let mut lines = BufReader::new(stderr).lines();
        let mut said = String::new();
        let address = loop {
            let Some(line) = lines.next() else {
                child.wait()?;
                return Err(format!("the gateway ended before it listened: {said}").into());
            };
            let line = line?;
            if let Some((_, rest)) = line.split_once("listening on http://") {
                break rest.split(' ').next().unwrap_or_default().parse()?;
            }
            said.push_str(&line);
            said.push('\n');
        };
        let echo = std::env::var_os("CRASH_LOG").is_some();
        // Whatever it says afterwards must not fill the pipe.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok).filter(|_| echo) {
                eprintln!("{line}");
            }
        });
        Ok(Gateway { child, address })
    }

    /// Starts one that is killed before it listens, or soon after.
    pub(crate) fn dies(&self) -> Result<(), Failed> {
        let mut child = self.spawn()?;
        let stderr = child.stderr.take().ok_or("no standard error")?;
        std::thread::spawn(move || BufReader::new(stderr).lines().for_each(drop));
        let status = ended(&mut child)?;
        killed(status)
    }
}

impl Gateway {
    /// Starts the binary of this build, with no more than its triggers.
    pub(crate) fn start(folder: &Path) -> Result<Self, Failed> {
        Start::at(folder).start()
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as out-of-memory killers do.
    pub(crate) fn kill(mut self) -> Result<(), Failed> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Waits until it has been killed at its failpoint.
    pub(crate) fn dies(mut self) -> Result<(), Failed> {
        let status = ended(&mut self.child)?;
        killed(status)
    }

    /// Tells it to stop and waits until it has.
    pub(crate) fn stop(mut self) -> Result<(), Failed> {
        self.signal(Signal::TERM)?;
        ended(&mut self.child).map(drop)
    }

    /// Holds it for a while, as an overloaded or suspended machine does.
    pub(crate) fn hold(&self, time: Duration) -> Result<(), Failed> {
        self.signal(Signal::STOP)?;
        std::thread::sleep(time);
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), Failed> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ended(child: &mut Child) -> Result<ExitStatus, Failed> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if began.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            return Err("the gateway does not end".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn killed(status: ExitStatus) -> Result<(), Failed> {
    match status.signal() {
        Some(9) => Ok(()),
        _ => Err(format!("the gateway was not killed: {status}").into()),
    }
}
