//! Who may use the servers, and how much may lie there.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::Failed;
use tripline::journal::jetstream::{Access, JetStreamJournal};

use super::promises::{Streams, runtime};
use super::server::{Release, Servers};
use crate::crash::gateway::{Gateway, PATIENCE, Start};
use crate::crash::load::{connect, read_answer};
use crate::crash::oracle::{Effects, Files};
use crate::crash::world::{self, Event};

const PASSWORD: &str = "canary-of-the-server";

/// Only over TLS whose certificate is known, and with the password; neither is
/// in what is said where it fails.
pub(super) fn over_tls_with_a_password(release: Release) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let (cert, key) = certificate(folder.path())?;
    let more = format!(
        "authorization {{ user: tripline, password: \"{PASSWORD}\" }}\n\
         tls {{ cert_file: \"{}\", key_file: \"{}\" }}\n",
        cert.display(),
        key.display()
    );
    let servers = Servers::one(release, &more)?;
    let host = servers.url().replace("nats://", "");
    let streams = Streams::new(&servers, "tripline", folder.path());
    let open = |url: String, ca: Option<&Path>| {
        let access = Access {
            servers: url,
            ca: ca.map(Path::to_owned),
            ..Access::default()
        };
        let settings = streams.settings.clone();
        let seal = folder.path().join("seal.key");
        async move { JetStreamJournal::open(&access, &settings, &seal).await }
    };
    let runtime = runtime()?;
    let known = format!("tls://tripline:{PASSWORD}@{host}");
    let opened = runtime.block_on(open(known.clone(), Some(&cert)))?;
    runtime.block_on(async { tripline::journal::Journal::close(&*opened).await })?;
    for (url, ca) in [
        (
            format!("tls://tripline:wrong-{PASSWORD}@{host}"),
            Some(&*cert),
        ),
        (known, None),
    ] {
        let Err(error) = runtime.block_on(open(url.clone(), ca)) else {
            return Err(format!("{url} opens").into());
        };
        let error = error.to_string();
        if error.contains(PASSWORD) {
            return Err(format!("the password is in `{error}`").into());
        }
        println!("{error}");
    }
    Ok(())
}

fn certificate(folder: &Path) -> Result<(std::path::PathBuf, std::path::PathBuf), Failed> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&cert, made.cert.pem())?;
    std::fs::write(&key, made.signing_key.serialize_pem())?;
    Ok((cert, key))
}

/// Where no more may lie there, new events are refused until there is room.
pub(super) fn refuses_what_does_not_fit(release: Release) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    world::prepare(folder.path(), "default")?;
    let servers = Servers::one(release, "")?;
    // Nothing can be made as long as there is a file in the way.
    std::fs::write(folder.path().join("out"), "in the way")?;
    let gateway = Start::at(folder.path())
        .set("TRIPLINE_JOURNAL", &servers.url())
        .set("TRIPLINE_NATS__MAX_BYTES", "64KiB")
        .start()?;
    let mut accepted = until(&gateway, 503, "filling")?;
    std::fs::remove_file(folder.path().join("out"))?;
    accepted.extend(until(&gateway, 202, "after")?);
    let mut files = Files::of(folder.path(), "default");
    let began = Instant::now();
    loop {
        let made: Vec<String> = files.made()?.into_iter().map(|made| made.mark).collect();
        if made.len() > accepted.len() {
            return Err("something was refused, and made".into());
        }
        if accepted.iter().all(|mark| made.contains(mark)) {
            println!("{} accepted, and made", accepted.len());
            return gateway.stop();
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("{} of {} made", made.len(), accepted.len()).into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Sends until the answer is `wanted`. Gives the marks that were accepted.
fn until(gateway: &Gateway, wanted: u16, name: &str) -> Result<Vec<String>, Failed> {
    let (began, mut accepted) = (Instant::now(), Vec::new());
    for number in 0.. {
        let event = Event {
            mark: format!("{name}-{number}"),
            is_for_one: true,
            flag: false,
            padding: 2_000,
        };
        let request = event.request("default").ok_or("no request")?;
        let mut stream = connect(gateway.address).ok_or("no connection")?;
        stream.write_all(request.as_bytes())?;
        let (status, _) = read_answer(&mut stream).ok_or("no answer")?;
        if status == 202 {
            accepted.push(event.mark);
        }
        if status == wanted {
            break;
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("{name}: {status}, and never {wanted}").into());
        }
    }
    Ok(accepted)
}
