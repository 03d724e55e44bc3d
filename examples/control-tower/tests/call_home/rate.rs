//! What letting a host in costs beside the TLS handshake that it comes with: the same clients with the same certificate do both,
//! each on a connection of its own, in turns. By the clock on the wall, and by the processor time of both ends, on which it makes no
//! difference what else runs on the machine.

use std::{sync::Arc, time::Instant};

use rustls::ClientConfig;
use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::rig::{Host, Rig, Way, exchange};

/// Clients at once.
const CLIENTS: usize = 64;
/// Connections of each in a round, one after the other; few where the build is for tests, which measures nothing.
const EACH: usize = if cfg!(debug_assertions) { 1 } else { 15 };
/// Rounds, of which the one in the middle counts.
const ROUNDS: usize = if cfg!(debug_assertions) { 1 } else { 7 };

/// How many connections there were in a second, and in a second of processor time.
#[derive(Clone, Copy)]
struct Rate {
    wall: f64,
    processor: f64,
}

/// The processor time of this process so far, in seconds.
fn processor_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // Of the program and of the system for it, in hundredths.
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap() / 100.0).sum()
}

/// Work that so many clients do at once.
async fn rate<F: Future<Output = ()> + Send + 'static>(work: impl Fn(usize) -> F) -> Rate {
    let (begun, before) = (Instant::now(), processor_time());
    for client in (0..CLIENTS).map(|client| tokio::spawn(work(client))).collect::<Vec<_>>() {
        client.await.unwrap();
    }
    let connections = (CLIENTS * EACH) as f64;
    Rate {
        wall: connections / begun.elapsed().as_secs_f64(),
        processor: connections / (processor_time() - before).max(0.01),
    }
}

/// TLS handshakes with the call-home listener, both ends showing certificates, and nothing else.
async fn handshakes(rig: &Arc<Rig>, client: &Arc<ClientConfig>) -> Rate {
    rate(|_| {
        let (client, to) = (Arc::clone(client), rig.call_home);
        async move {
            for _ in 0..EACH {
                let stream = TcpStream::connect(to).await.unwrap();
                let connector = tokio_rustls::TlsConnector::from(Arc::clone(&client));
                let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
                // The client's certificate goes with its last flight: the server has it when it closes.
                let _ = stream.shutdown().await;
                let mut rest = Vec::new();
                let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut rest).await;
            }
        }
    })
    .await
}

/// Hosts that nobody knows call home and are answered with `status`.
async fn admissions(rig: &Arc<Rig>, client: &Arc<ClientConfig>, way: &Way, hosts: Vec<Host>, status: u16) -> Rate {
    let bodies: Vec<Vec<String>> =
        hosts.chunks(EACH).map(|hosts| hosts.iter().map(|host| host.body().to_string()).collect()).collect();
    rate(|number| {
        let (client, way, bodies, to) = (Arc::clone(client), way.clone(), bodies[number].clone(), rig.call_home);
        async move {
            for body in bodies {
                let answer = exchange(to, Arc::clone(&client), "POST", "/v1/call-home", &way, &body).await.unwrap();
                assert_eq!(answer.status, status, "{}", answer.text());
            }
        }
    })
    .await
}

fn hosts(name: &str) -> Vec<Host> {
    (0..CLIENTS * EACH).map(|number| Host::new(&format!("{name}-{number}"))).collect()
}

fn middle(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: run it with --release"]
async fn admissions_against_raw_handshakes() {
    let rig = Arc::new(Rig::on_sqlite().await);
    let (pair, _) = rig.issue(json!({})).await;
    let (client, way) = (rig.client(Some(&pair)), Way::with(&pair));
    let cases = ["wait, and there is room", "wait, and others make room", "are listed, and get their identity"];
    let mut rates: Vec<Vec<[Rate; 2]>> = vec![Vec::new(); cases.len()];
    for round in 0..ROUNDS {
        for (case, rates) in rates.iter_mut().enumerate() {
            let hosts = hosts(&format!("{case}-{round}"));
            match case {
                0 => rig.settings(json!({"max-unclaimed": 1000})).await,
                1 => rig.settings(json!({"max-unclaimed": 20})).await,
                _ => {
                    let ids: Vec<&str> = hosts.iter().map(|host| host.id.as_str()).collect();
                    rig.site(&format!("site-{round}"), &ids).await;
                }
            }
            let (revision, syncs) = (rig.store.revision(), rig.store.syncs());
            let raw = handshakes(&rig, &client).await;
            let admitted = admissions(&rig, &client, &way, hosts, if case == 2 { 200 } else { 202 }).await;
            let (commits, syncs) = (rig.store.revision() - revision, rig.store.syncs() - syncs);
            println!(
                "{:5.0} handshakes/s, {:5.0} admissions/s: {:.2}, by processor time {:.2}; {commits} commits, {syncs} syncs; {}",
                raw.wall,
                admitted.wall,
                admitted.wall / raw.wall,
                admitted.processor / raw.processor,
                cases[case]
            );
            rates.push([raw, admitted]);
            // Room for the next round.
            for host in rig.waiting().await {
                if case == 0 {
                    rig.post(&format!("{}/{host}/release", crate::rig::HOSTS), json!({})).await.ok();
                }
            }
        }
    }
    for (case, rates) in cases.iter().zip(rates) {
        // What is compared is of the same moment.
        let ratio = |of: fn(&Rate) -> f64| middle(rates.iter().map(|[raw, admitted]| of(admitted) / of(raw)).collect());
        let (wall, processor) = (ratio(|rate| rate.wall), ratio(|rate| rate.processor));
        println!("{wall:.2}, by processor time {processor:.2}, for hosts that {case}");
    }
}
