//! What letting a host in costs beside the TLS handshake that it comes with: the same clients with the same certificate do both,
//! each on a connection of its own, in turns.

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

/// Work that so many clients do at once; how many connections a second that is.
async fn rate<F: Future<Output = ()> + Send + 'static>(work: impl Fn(usize) -> F) -> f64 {
    let begun = Instant::now();
    for client in (0..CLIENTS).map(|client| tokio::spawn(work(client))).collect::<Vec<_>>() {
        client.await.unwrap();
    }
    (CLIENTS * EACH) as f64 / begun.elapsed().as_secs_f64()
}

/// TLS handshakes with the call-home listener, both ends showing certificates, and nothing else.
async fn handshakes(rig: &Arc<Rig>, client: &Arc<ClientConfig>) -> f64 {
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
async fn admissions(rig: &Arc<Rig>, client: &Arc<ClientConfig>, way: &Way, hosts: Vec<Host>, status: u16) -> f64 {
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
    let mut rates: Vec<(Vec<f64>, Vec<f64>)> = vec![Default::default(); cases.len()];
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
                "{raw:5.0} handshakes/s, {admitted:5.0} admissions/s: {:.2}; {commits} commits, {syncs} syncs; {}",
                admitted / raw,
                cases[case]
            );
            rates.0.push(raw);
            rates.1.push(admitted);
            // Room for the next round.
            for host in rig.waiting().await {
                if case == 0 {
                    rig.post(&format!("{}/{host}/release", crate::rig::HOSTS), json!({})).await.ok();
                }
            }
        }
    }
    for (case, (raw, admitted)) in cases.iter().zip(rates) {
        let (raw, admitted) = (middle(raw), middle(admitted));
        println!("{raw:.0} handshakes/s, {admitted:.0} admissions/s: {:.2} for hosts that {case}", admitted / raw);
    }
}
