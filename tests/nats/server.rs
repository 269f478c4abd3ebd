//! NATS servers: alone, or three that hold everything together.

use std::fmt::Write;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Failed;

/// Longest wait for a server.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which program it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// The one on the path.
    Packaged,
    /// The one that `assets/build` makes.
    Current,
}

impl Release {
    fn program(self) -> PathBuf {
        match self {
            Self::Packaged => "nats-server".into(),
            Self::Current => super::current().unwrap_or_default().join("nats-server"),
        }
    }
}

/// A server. It is killed when it is dropped.
pub(crate) struct Server {
    release: Release,
    config: PathBuf,
    log: PathBuf,
    port: u16,
    child: Option<Child>,
}

/// Servers in a folder of their own.
pub(crate) struct Servers {
    pub(crate) servers: Vec<Server>,
    _folder: tempfile::TempDir,
}

impl Servers {
    /// Starts one server, with more lines for its configuration.
    pub(crate) fn one(release: Release, more: &str) -> Result<Self, Failed> {
        Self::start(release, 1, more)
    }

    /// Starts three that form a cluster.
    pub(crate) fn three(release: Release) -> Result<Self, Failed> {
        Self::start(release, 3, "")
    }

    fn start(release: Release, count: usize, more: &str) -> Result<Self, Failed> {
        let folder = tempfile::tempdir()?;
        let ports = free_ports(2 * count)?;
        let (clients, routes) = ports.split_at(count);
        let routes_text = routes.iter().fold(String::new(), |mut text, port| {
            let _ = write!(text, "\"nats://127.0.0.1:{port}\", ");
            text
        });
        let mut servers = Vec::new();
        for number in 0..count {
            let own = folder.path().join(format!("server-{number}"));
            std::fs::create_dir(&own)?;
            let config = own.join("server.conf");
            let mut text = format!(
                "server_name: s{number}\nhost: 127.0.0.1\nport: {}\n\
                 jetstream {{ store_dir: \"{}\" }}\n{more}\n",
                clients[number],
                own.join("data").display(),
            );
            if count > 1 {
                let _ = writeln!(
                    text,
                    "cluster {{ name: c, host: 127.0.0.1, port: {}, routes: [{routes_text}] }}",
                    routes[number]
                );
            }
            std::fs::write(&config, text)?;
            servers.push(Server {
                release,
                config,
                log: own.join("log"),
                port: clients[number],
                child: None,
            });
        }
        for server in &mut servers {
            server.begin()?;
        }
        for server in &servers {
            server.wait()?;
        }
        Ok(Self {
            servers,
            _folder: folder,
        })
    }

    /// Where they are, for the flag `--journal`.
    pub(crate) fn url(&self) -> String {
        let urls = self.servers.iter();
        let urls: Vec<String> = urls
            .map(|server| format!("nats://127.0.0.1:{}", server.port))
            .collect();
        urls.join(",")
    }
}

impl Server {
    fn begin(&mut self) -> Result<(), Failed> {
        let child = Command::new(self.release.program())
            .arg("-c")
            .arg(&self.config)
            .arg("-l")
            .arg(&self.log)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    fn wait(&self) -> Result<(), Failed> {
        let began = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if began.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(&self.log).unwrap_or_default();
                return Err(format!("nats-server does not listen: {log}").into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) -> Result<(), Failed> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Starts it again with what it had.
    pub(crate) fn start_again(&mut self) -> Result<(), Failed> {
        self.begin()?;
        self.wait()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Ports that nobody uses: all are held until all are known.
fn free_ports(count: usize) -> Result<Vec<u16>, Failed> {
    let held: Result<Vec<TcpListener>, _> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0"))
        .collect();
    let ports = held?
        .iter()
        .map(|listener| listener.local_addr().map(|address| address.port()))
        .collect::<Result<_, _>>()?;
    Ok(ports)
}
