//! Two gateways with a journal each behind one address.

use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;

use super::api_server::{ApiServer, PATIENCE, server};
use super::gateway::{Gateway, SECRET, exchange, signed, wait_until};
use super::scenarios::{listener, runs};

type Scenario = (&'static str, fn() -> Result<(), Failed>);

/// The tests of this file.
pub(crate) const ALL: [Scenario; 2] = [
    (
        "cluster::a_rolling_restart_of_a_pair_under_load_refuses_loses_and_doubles_nothing",
        rolling_restart,
    ),
    (
        "cluster::another_gateway_takes_over_what_one_does_for_all",
        takeover,
    ),
];

/// How often the balancer asks whether a gateway is ready, and how much later
/// it goes by the answer: as probes, endpoints and proxies together do.
const ASKS: Duration = Duration::from_millis(200);
const LAG: Duration = Duration::from_millis(800);

/// How long a gateway accepts after it has said that it is not ready.
const DELAY: &str = "2s";

const SENDERS: usize = 8;

/// One address for several gateways, as a Service is: a connection goes to one
/// that was ready a while ago.
struct Balancer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Ingress and probe of each gateway.
    gateways: Mutex<Vec<Option<(SocketAddr, SocketAddr)>>>,
    /// Where connections go.
    ready: Mutex<Vec<Option<SocketAddr>>>,
    next: AtomicUsize,
    stop: AtomicBool,
}

impl Balancer {
    fn start(gateways: usize) -> Result<Self, Failed> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        shared.gateways.lock()?.resize(gateways, None);
        shared.ready.lock()?.resize(gateways, None);
        for index in 0..gateways {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.follow(index));
        }
        let of_thread = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if of_thread.stop.load(Ordering::Acquire) {
                    return;
                }
                of_thread.carry(client);
            }
        });
        Ok(Self { address, shared })
    }

    fn set(&self, index: usize, gateway: Option<(SocketAddr, SocketAddr)>) -> Result<(), Failed> {
        self.shared.gateways.lock()?[index] = gateway;
        Ok(())
    }

    fn sends_to(&self, index: usize) -> Result<bool, Failed> {
        Ok(self.shared.ready.lock()?[index].is_some())
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    /// Goes by what a gateway says of itself, some time later.
    fn follow(&self, index: usize) {
        while !self.stop.load(Ordering::Acquire) {
            let gateway = self.gateways.lock().unwrap()[index];
            let ready = gateway.filter(|(_, probe)| {
                let asked = exchange(*probe, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n");
                asked.is_ok_and(|(status, _)| status == 200)
            });
            let ready = ready.map(|(ingress, _)| ingress);
            if self.ready.lock().unwrap()[index] != ready {
                std::thread::sleep(LAG);
                self.ready.lock().unwrap()[index] = ready;
            }
            std::thread::sleep(ASKS);
        }
    }

    /// Connects a client with the next gateway. Whoever cannot be connected is
    /// refused.
    fn carry(&self, client: TcpStream) {
        let ready: Vec<SocketAddr> = self
            .ready
            .lock()
            .unwrap()
            .iter()
            .copied()
            .flatten()
            .collect();
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let Some(gateway) = ready.get(turn % ready.len().max(1)) else {
            return;
        };
        let Ok(gateway) = TcpStream::connect(gateway) else {
            return;
        };
        for (from, to) in [(&client, &gateway), (&gateway, &client)] {
            let (Ok(mut from), Ok(mut to)) = (from.try_clone(), to.try_clone()) else {
                return;
            };
            let _ = from.set_nodelay(true);
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut to);
                let _ = to.shutdown(Shutdown::Write);
            });
        }
    }
}

/// What senders have seen.
#[derive(Default)]
struct Load {
    stop: AtomicBool,
    accepted: Mutex<HashSet<String>>,
    refused: Mutex<Vec<String>>,
    twice: AtomicUsize,
}

/// Sends events as long as there is load to make, on connections that it keeps
/// or on new ones. Every fifth is sent twice, the second time on a connection
/// of its own, so that it comes to the other gateway.
fn send(load: &Load, sender: usize, address: SocketAddr) -> Result<(), Failed> {
    let (mut kept, keeps) = (None, sender.is_multiple_of(2));
    for number in 0.. {
        if load.stop.load(Ordering::Acquire) {
            break;
        }
        let mark = format!("s{sender}n{number}");
        let sent = push(&mut kept, address, &mark);
        match sent {
            Ok(202) => drop(load.accepted.lock()?.insert(mark.clone())),
            other => load.refused.lock()?.push(format!("{mark}: {other:?}")),
        }
        if !keeps {
            kept = None;
        }
        if number % 5 == 0 {
            match push(&mut None, address, &mark) {
                Ok(202) => drop(load.twice.fetch_add(1, Ordering::Relaxed)),
                other => load
                    .refused
                    .lock()?
                    .push(format!("{mark} again: {other:?}")),
            }
        }
        std::thread::sleep(Duration::from_millis(40));
    }
    Ok(())
}

/// Posts a push on a connection, a new one where there is none, and keeps it
/// unless the answer ends it.
fn push(kept: &mut Option<TcpStream>, address: SocketAddr, mark: &str) -> Result<u16, String> {
    let mut stream = match kept.take() {
        Some(stream) => stream,
        None => TcpStream::connect(address).map_err(|error| error.to_string())?,
    };
    let _ = stream.set_nodelay(true);
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let request = signed("x", "/pairs/hook", mark, SECRET);
    let request = request.map_err(|_| "no request".to_owned())?;
    let written = stream.write_all(request.as_bytes());
    written.map_err(|error| format!("writing: {error}"))?;
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    let head = loop {
        let read = stream
            .read(&mut buffer)
            .map_err(|error| format!("reading: {error}"))?;
        if read == 0 {
            return Err(format!("closed after {} bytes of the answer", bytes.len()));
        }
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head.split("content-length: ").nth(1);
        let length = length.and_then(|rest| rest.lines().next()?.trim().parse::<usize>().ok());
        if length.is_some_and(|length| body.len() >= length) {
            break head.to_owned();
        }
    };
    if !head.contains("connection: close") {
        *kept = Some(stream);
    }
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    status.ok_or_else(|| format!("no answer: {head}"))
}

/// A gateway that drains as one in a pod does.
fn start(server: &ApiServer, folder: &Path) -> Result<Gateway, Failed> {
    Gateway::spawn(
        Gateway::command(server, folder)
            .env("TRIPLINE_DRAIN__DELAY", DELAY)
            .env("TRIPLINE_DRAIN__GRACE", "20s"),
    )
}

fn rolling_restart() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let folders = [tempfile::tempdir()?, tempfile::tempdir()?];
    server.namespace("pairs")?;
    server.apply(&listener("pairs"))?;
    let balancer = Balancer::start(folders.len())?;
    let mut gateways = Vec::new();
    for (index, folder) in folders.iter().enumerate() {
        let gateway = start(server, folder.path())?;
        gateway.push_until("/pairs/hook", &format!("first-{index}"), "matched")?;
        balancer.set(index, Some(gateway.addresses()))?;
        wait_until("the balancer sends to it", || balancer.sends_to(index))?;
        gateways.push(Some(gateway));
    }
    let load = Arc::new(Load::default());
    let address = balancer.address;
    let senders: Vec<JoinHandle<_>> = (0..SENDERS)
        .map(|sender| {
            let load = Arc::clone(&load);
            std::thread::spawn(move || send(&load, sender, address).is_ok())
        })
        .collect();
    let began = Instant::now();
    let rolled = folders.iter().enumerate().try_for_each(|(index, folder)| {
        std::thread::sleep(Duration::from_secs(1));
        let old = gateways[index].take().ok_or("no gateway")?;
        let status = old.terminate()?;
        ensure!(
            status.code() == Some(0),
            "gateway {index} ended with {status}"
        );
        let new = start(server, folder.path())?;
        balancer.set(index, Some(new.addresses()))?;
        // As a controller waits for a pod before it goes on with the next.
        wait_until("the balancer sends to it", || balancer.sends_to(index))?;
        gateways[index] = Some(new);
        Ok::<_, Failed>(())
    });
    std::thread::sleep(Duration::from_secs(1));
    let took = began.elapsed();
    load.stop.store(true, Ordering::Release);
    for sender in senders {
        ensure!(sender.join().is_ok_and(|sent| sent), "a sender failed");
    }
    rolled?;
    let refused = load.refused.lock()?;
    ensure!(refused.is_empty(), "{} refused: {refused:?}", refused.len());
    let accepted = load.accepted.lock()?;
    let twice = load.twice.load(Ordering::Relaxed);
    ensure!(
        accepted.len() > 200 && twice > 40,
        "only {} events",
        accepted.len()
    );
    // `first-0` and `first-1` are two more.
    let runs = runs(server, "pairs", accepted.len() + 2)?;
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for run in &runs {
        let mark = run["spec"]["params"][0]["value"]
            .as_str()
            .unwrap_or_default();
        *counts.entry(mark).or_default() += 1;
    }
    let once = |mark: &&String| counts.get(mark.as_str()) != Some(&1);
    let wrong: Vec<&String> = accepted.iter().filter(once).collect();
    ensure!(wrong.is_empty(), "not exactly one object: {wrong:?}");
    println!(
        "two gateways restarted in {took:.1?}: {} events, {twice} of them sent to both, none refused, lost or doubled",
        accepted.len()
    );
    Ok(())
}

/// Who holds the lease.
fn holder(server: &ApiServer) -> Result<Option<String>, Failed> {
    let leases = server.list("leases", "tripline")?;
    let lease = leases
        .iter()
        .find(|lease| lease["metadata"]["name"] == "tripline");
    let holder = lease.and_then(|lease| lease["spec"]["holderIdentity"].as_str());
    Ok(holder
        .filter(|holder| !holder.is_empty())
        .map(str::to_owned))
}

fn takeover() -> Result<(), Failed> {
    let server = server()?;
    let server = server.as_ref().ok_or("no server")?;
    let folders = [
        tempfile::tempdir()?,
        tempfile::tempdir()?,
        tempfile::tempdir()?,
    ];
    // One that an earlier test has left must run out.
    let left = holder(server)?;
    let first = Gateway::start(server, folders[0].path())?;
    wait_until("one holds the lease", || {
        let now = holder(server)?;
        Ok(now.is_some() && now != left)
    })?;
    let before = holder(server)?;
    let second = Gateway::start(server, folders[1].path())?;
    first.kill()?;
    let killed = Instant::now();
    wait_until("another one holds it", || {
        let now = holder(server)?;
        Ok(now.is_some() && now != before)
    })?;
    let after_kill = killed.elapsed();
    let before = holder(server)?;
    let _third = Gateway::start(server, folders[2].path())?;
    second.stop()?;
    let stopped = Instant::now();
    wait_until("a third one holds it", || {
        let now = holder(server)?;
        Ok(now.is_some() && now != before)
    })?;
    let after_stop = stopped.elapsed();
    // One that stops gives it back, and nobody waits until it has run out.
    ensure!(after_stop < Duration::from_secs(10), "{after_stop:?}");
    println!("taken over {after_kill:.1?} after kill -9, {after_stop:.1?} after a stop");
    Ok(())
}
