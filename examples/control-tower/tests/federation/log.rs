//! What the log says of federation, and how often.

use std::{
    io,
    sync::{Arc, Mutex},
};

use tracing::Level;

use super::*;

/// The lines of the log of this thread.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    fn catch(&self) -> tracing::subscriber::DefaultGuard {
        let lines = self.clone();
        let log = tracing_subscriber::fmt().with_ansi(false).with_max_level(Level::WARN);
        tracing::subscriber::set_default(log.with_writer(move || lines.clone()).finish())
    }

    fn with(&self, text: &str) -> usize {
        let lines = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        lines.lines().filter(|line| line.contains(text)).count()
    }
}

#[tokio::test]
async fn a_refused_bundle_and_a_revocation_are_one_line_each() {
    let lines = Lines::default();
    let _guard = lines.catch();
    let issuer = Issuer::new("k1");
    let source = Source::start(Answer::Json(bundle(&[&issuer], 7).to_string())).await;
    let (tower, _) = tower(&source, json!({})).await;
    tower.pass(Duration::SECOND).await;
    for sequence in [6, 6, 5, 6] {
        publish(&source, &[&issuer], sequence);
        tower.pass(Duration::minutes(5)).await;
    }
    assert_eq!(lines.with("is older than bundle 7"), 2);
    assert_eq!(lines.with("delete and create `federation/peer.example`"), 2);
    // A key set of another kind, and an empty one.
    source.answer(Answer::Json(Issuer::jwks(&[&issuer]).to_string()));
    for _ in 0..3 {
        tower.pass(Duration::minutes(5)).await;
    }
    let problem = "none of its 1 keys is one of a SPIFFE bundle; is the URL that of a bundle endpoint?";
    assert_eq!((lines.with(problem), lines.with("has no usable key")), (1, 1));
    publish(&source, &[], 8);
    for _ in 0..3 {
        tower.pass(Duration::minutes(5)).await;
    }
    assert_eq!((lines.with("it is empty"), lines.with("has no usable key")), (1, 2));
}
