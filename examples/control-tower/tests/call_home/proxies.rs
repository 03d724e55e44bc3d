//! PROXY headers: required or forbidden, and never guessed.

use serde_json::json;
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::rig::{HOSTS, Host, MOST, Rig, Way};

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0x82f6_3b78 } else { sum >> 1 })
    })
}

/// A header for a client, with a checksum that is right unless it shall not be.
fn header(command: u8, source: [u8; 4], is_right: bool) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([command, 0x11, 0, 19]);
    header.extend(source);
    header.extend([127, 0, 0, 1, 0x30, 0x39, 0x12, 0x29]);
    header.extend([3, 0, 4, 0, 0, 0, 0]);
    let sum = crc32c(&header).wrapping_add(u32::from(!is_right));
    let at = header.len() - 4;
    header[at..].copy_from_slice(&sum.to_be_bytes());
    header
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_header_is_required_from_the_balancer_or_forbidden_to_everybody() {
    let rig = Rig::start().await;
    let (pair, _) = rig.issue(json!({})).await;
    let way = |before: Vec<u8>| Way { pair: Some(pair.clone()), before, ..Way::default() };
    // Of who is refused before TLS there is a record a minute for each reason.
    let reason = async || {
        let audit = rig.audit().await;
        audit.iter().rfind(|record| record["event"] == "call-home").map(|record| record["detail"]["reason"].clone())
    };
    let good = || header(0x21, [198, 51, 100, 7], true);
    // Nothing was said, so none may come.
    assert!(rig.knock(&Host::new("h1"), &way(good())).await.is_err());
    assert_eq!(reason().await, Some(json!("proxy-forbidden")));
    assert_eq!(rig.knock(&Host::new("h1"), &way(Vec::new())).await.unwrap().status, 202);

    let settings = |from: &str| json!({"client-certificate": {"proxy-protocol": "required", "lb-addresses": [from]}});
    rig.settings(settings("192.0.2.0/24")).await;
    assert!(rig.knock(&Host::new("h2"), &way(good())).await.is_err());
    assert_eq!(reason().await, Some(json!("proxy-from-stranger")));
    rig.settings(settings("127.0.0.1")).await;
    for (before, code) in [
        (Vec::new(), "proxy-missing"),
        (header(0x21, [198, 51, 100, 7], false), "proxy-checksum"),
        (header(0x22, [198, 51, 100, 7], true), "proxy-malformed"),
        ([b"\r\n\r\n\0\r\nQUIT\n".as_slice(), &[0x21, 0x11, 0xff, 0xff]].concat(), "proxy-too-long"),
    ] {
        assert!(rig.knock(&Host::new("h2"), &way(before)).await.is_err(), "{code}");
        assert_eq!(reason().await, Some(json!(code)));
    }
    assert!(rig.app.clock.advance(time::Duration::minutes(2)));
    assert!(rig.knock(&Host::new("h2"), &way(b"PROXY TCP4 198.51.100.7 127.0.0.1 1 2\r\n".to_vec())).await.is_err());
    assert_eq!(reason().await, Some(json!("proxy-missing")));
    // What it says is whose connection it is; a header of HTTP says nothing then.
    let mut passed = way(good());
    passed.headers.push(("x-forwarded-for".to_owned(), "203.0.113.9".to_owned()));
    let host = Host::new("h3");
    assert_eq!(rig.knock(&host, &passed).await.unwrap().status, 202);
    assert_eq!(rig.get(&format!("{HOSTS}/{}", host.hash())).await["address"], "198.51.100.7");
    // A health check of the balancer's own.
    let check = Way { before: header(0x20, [0; 4], true), ..Way::default() };
    assert_eq!(rig.send(rig.call_home, "GET", "/live", &check, None).await.unwrap().status, 200);
    assert_eq!(rig.waiting().await.len(), 2);
}

/// Whoever is refused because they have too many connections is seen: in the log once a minute, and counted each time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_too_many_is_counted_and_recorded() {
    let rig = Rig::start().await;
    rig.settings(json!({"client-certificate": {"proxy-protocol": "required", "lb-addresses": ["127.0.0.1"]}})).await;
    let way = Way { before: header(0x21, [198, 51, 100, 7], true), ..Way::default() };
    let mut held = Vec::new();
    // Each that is held has its place as soon as its header was read.
    while held.len() < MOST || rig.send(rig.call_home, "GET", "/live", &way, None).await.is_ok() {
        let mut stream = TcpStream::connect(rig.call_home).await.unwrap();
        stream.write_all(&way.before).await.unwrap();
        held.push(stream);
    }
    let seen = rig.audit().await;
    let seen = seen.iter().rfind(|record| record["event"] == "call-home").unwrap();
    assert_eq!((&seen["source"], &seen["detail"]["reason"]), (&json!("198.51.100.7"), &json!("too-many-connections")));
    assert!(seen["detail"]["why"].as_str().unwrap().contains("`--connections-per-address`"), "{seen}");
    let metrics = rig.call("GET", "/metrics", None).await.text();
    assert!(metrics.contains(r#"keyward_rate_limited_total{what="connections"} "#), "{metrics}");
    let others = Way { before: header(0x21, [198, 51, 100, 8], true), ..Way::default() };
    assert_eq!(rig.send(rig.call_home, "GET", "/live", &others, None).await.unwrap().status, 200);
}
