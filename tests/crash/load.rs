//! Senders, and what they know of their events.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;

use super::gateway::PATIENCE;
use super::random::Random;
use super::world::Event;

/// Events of its own that a sender may send again.
const REMEMBERED: usize = 200;

/// What senders know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    /// Every event that was sent, whatever came of it.
    pub(crate) offered: HashMap<String, Event>,
    /// Those that were answered 202, with the event's id.
    pub(crate) accepted: HashMap<String, String>,
    /// How often one was sent that had been sent before.
    pub(crate) repeated: u64,
}

/// Several senders at once.
pub(crate) struct Load {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    namespace: String,
    addresses: Mutex<Vec<SocketAddr>>,
    stop: AtomicBool,
    /// Events that may still be drawn.
    left: AtomicU64,
    next: AtomicU64,
    /// The longest pause of a sender between two events, in milliseconds.
    pause_ms: u64,
    ledger: Mutex<Ledger>,
}

impl Load {
    /// Begins to send, at most `events` different ones, to whatever gateway
    /// there is.
    pub(crate) fn start(namespace: &str, seed: u64, senders: u64, events: u64) -> Self {
        Self::paced(namespace, seed, senders, events, 3)
    }

    /// The same with pauses of up to so many milliseconds.
    pub(crate) fn paced(
        namespace: &str,
        seed: u64,
        senders: u64,
        events: u64,
        pause_ms: u64,
    ) -> Self {
        let shared = Arc::new(Shared {
            namespace: namespace.to_owned(),
            addresses: Mutex::default(),
            stop: AtomicBool::new(false),
            left: AtomicU64::new(events),
            next: AtomicU64::new(0),
            pause_ms,
            ledger: Mutex::default(),
        });
        let threads = (0..senders).map(|sender| {
            let shared = Arc::clone(&shared);
            let random = Random::of_part(seed, sender + 1);
            std::thread::spawn(move || Sender { shared, random }.run())
        });
        let threads = threads.collect();
        Self { shared, threads }
    }

    /// Where the gateway is now.
    pub(crate) fn turn_to(&self, address: SocketAddr) {
        self.spread_over(&[address]);
    }

    /// Where several gateways are now.
    pub(crate) fn spread_over(&self, addresses: &[SocketAddr]) {
        *self.shared.addresses.lock().unwrap() = addresses.to_vec();
    }

    /// How many events were answered 202.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.ledger.lock().unwrap().accepted.len()
    }

    /// Waits until so many events were answered 202.
    pub(crate) fn wait_for(&self, events: usize) -> Result<(), Failed> {
        let began = Instant::now();
        while self.accepted() < events {
            if began.elapsed() > PATIENCE {
                return Err(format!("only {} events were accepted", self.accepted()).into());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(())
    }

    /// Waits until every event was sent that may be.
    pub(crate) fn wait_for_end(self) -> Result<Ledger, Failed> {
        let began = Instant::now();
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            if began.elapsed() > PATIENCE {
                return Err("the senders do not come to an end".into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.stop()
    }

    /// Sends no more.
    pub(crate) fn stop(mut self) -> Result<Ledger, Failed> {
        self.shared.stop.store(true, Ordering::Release);
        for sender in self.threads.drain(..) {
            sender.join().map_err(|_| "a sender panicked")?;
        }
        Ok(self.shared.ledger.lock().unwrap().clone())
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
    }
}

struct Sender {
    shared: Arc<Shared>,
    random: Random,
}

impl Sender {
    fn run(mut self) {
        let mut stream = None;
        let mut sent: Vec<Event> = Vec::new();
        // What was sent and not answered, where it is sent again.
        let mut pending: Option<Event> = None;
        while !self.shared.stop.load(Ordering::Acquire) {
            let Some(mut connected) = stream.take().or_else(|| self.connect()) else {
                std::thread::sleep(Duration::from_millis(2));
                continue;
            };
            let Some(event) = pending.take().or_else(|| self.choose(&sent)) else {
                return;
            };
            match self.send(&mut connected, &event) {
                Some((202, _)) => {
                    sent.push(event);
                    let forgotten = sent.len().saturating_sub(REMEMBERED);
                    sent.drain(..forgotten);
                }
                // It was not accepted, or nobody knows. Some senders try
                // again, and some do not.
                _ if self.random.percent(50) => {
                    pending = Some(event);
                    continue;
                }
                _ => continue,
            }
            stream = Some(connected);
            let pause = self.random.between(0, self.shared.pause_ms);
            std::thread::sleep(Duration::from_millis(pause));
        }
    }

    /// A new event, or one that was sent before.
    fn choose(&mut self, sent: &[Event]) -> Option<Event> {
        if self.random.percent(12) && !sent.is_empty() {
            let at = self.random.between(0, sent.len() as u64);
            let event = sent[usize::try_from(at).ok()?].clone();
            self.shared.ledger.lock().unwrap().repeated += 1;
            return Some(event);
        }
        let left = &self.shared.left;
        let take = |left: u64| left.checked_sub(1);
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .ok()?;
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let event = Event::draw(format!("mark-{number}-end"), &mut self.random);
        let mut ledger = self.shared.ledger.lock().unwrap();
        ledger.offered.insert(event.mark.clone(), event.clone());
        Some(event)
    }

    fn connect(&mut self) -> Option<TcpStream> {
        let addresses = self.shared.addresses.lock().unwrap().clone();
        let any = self.random.between(0, addresses.len().max(1) as u64);
        connect(*addresses.get(usize::try_from(any).ok()?)?)
    }

    fn send(&self, stream: &mut TcpStream, event: &Event) -> Option<(u16, String)> {
        let request = event.request(&self.shared.namespace)?;
        stream.write_all(request.as_bytes()).ok()?;
        let (status, id) = read_answer(stream)?;
        if status == 202 {
            let mut ledger = self.shared.ledger.lock().unwrap();
            ledger.accepted.insert(event.mark.clone(), id.clone());
        }
        Some((status, id))
    }
}

/// Status and event id of an answer, where there is one.
pub(crate) fn read_answer(stream: &mut TcpStream) -> Option<(u16, String)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 2048];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && body.ends_with('\n')
        {
            let status = head.split(' ').nth(1)?.parse().ok()?;
            let answer: serde_json::Value = serde_json::from_str(body).ok()?;
            return Some((status, answer["eventID"].as_str()?.to_owned()));
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}

/// A connection with timeouts.
pub(crate) fn connect(address: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_nodelay(true).ok()?;
    Some(stream)
}
