//! What a client still sends of a request that is decided already. A connection that is closed before it was read is reset, and
//! with it goes the answer that the client has not read yet. So the rest is read, within limits, and forgotten.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

/// The most bytes that are read for nothing …
const MOST: u64 = 4 << 20;
/// … and the longest time.
const PATIENCE: Duration = Duration::from_secs(5);

/// A body that a handler reads, and whose rest is read after it.
pub(super) struct Shared(Arc<Mutex<Incoming>>);

/// The other end of a [`Shared`].
pub(super) struct Rest {
    body: Arc<Mutex<Incoming>>,
    /// The client waits to be told to send.
    waits: bool,
}

/// Both ends of a body. `waits`: the client sends it once it is asked to (RFC 9110 §10.1.1).
pub(super) fn share(body: Incoming, waits: bool) -> (Shared, Rest) {
    let body = Arc::new(Mutex::new(body));
    (Shared(Arc::clone(&body)), Rest { body, waits })
}

impl Body for Shared {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        poll(&self.0, context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}

fn poll(body: &Mutex<Incoming>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
    Pin::new(&mut *body.lock().unwrap_or_else(PoisonError::into_inner)).poll_frame(context)
}

impl Rest {
    /// Reads what is left, unless that is too much or the client has not been asked for it.
    pub(super) async fn forget(self) {
        let (ended, left) = {
            let body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
            (body.is_end_stream(), body.size_hint().lower())
        };
        if ended || self.waits || left > MOST {
            return;
        }
        let read = async {
            let mut forgotten = 0;
            while let Some(Ok(frame)) = poll_fn(|context| poll(&self.body, context)).await {
                forgotten += frame.data_ref().map_or(0, |data| data.len() as u64);
                if forgotten > MOST {
                    return;
                }
            }
        };
        // Whoever is slower does not get to read the answer.
        let _ = tokio::time::timeout(PATIENCE, read).await;
    }
}
