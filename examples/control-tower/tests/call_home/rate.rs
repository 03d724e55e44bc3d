//! What letting a host in costs beside the TLS handshake that it comes with.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::rig::{Host, Rig, Way, exchange};

/// Clients at once.
const CLIENTS: usize = 16;
/// Connections of each, one after the other.
const EACH: usize = 20;

/// Work that so many clients do at once; how long it took.
async fn timed<F: Future<Output = ()> + Send + 'static>(work: impl Fn(usize) -> F) -> Duration {
    let begun = Instant::now();
    for client in (0..CLIENTS).map(|client| tokio::spawn(work(client))).collect::<Vec<_>>() {
        client.await.unwrap();
    }
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: run it with --release"]
async fn admissions_against_raw_handshakes() {
    let rig = Arc::new(Rig::on_sqlite().await);
    let (pair, _) = rig.issue(json!({})).await;
    let client = rig.client(Some(&pair));
    let way = Way::with(&pair);
    let to = rig.call_home;
    for round in 0..5 {
        let bodies: Vec<Vec<String>> = (0..CLIENTS)
            .map(|client| (0..EACH).map(|n| Host::new(&format!("{round}-{client}-{n}")).body().to_string()).collect())
            .collect();
        let raw = timed(|_| {
            let client = Arc::clone(&client);
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
        .await;
        let admitted = timed(|number| {
            let (client, way, bodies) = (Arc::clone(&client), way.clone(), bodies[number].clone());
            async move {
                for body in bodies {
                    let answer = exchange(to, Arc::clone(&client), "POST", "/v1/call-home", &way, &body).await.unwrap();
                    assert_eq!(answer.status, 202);
                }
            }
        })
        .await;
        let rate = |took: Duration| (CLIENTS * EACH) as f64 / took.as_secs_f64();
        println!(
            "{:.0} handshakes/s, {:.0} admissions/s: {:.2}",
            rate(raw),
            rate(admitted),
            rate(admitted) / rate(raw)
        );
    }
}
