//! A login in the browser: the tower's page asks there, and what it answers comes back to a port of this machine.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::client::{Client, Payload};
use crate::command::Context;
use crate::error::Error;
use crate::path::Target;
use crate::tower::TowerUrl;
use crate::value::Object;

/// How long a person has.
const PATIENCE: Duration = Duration::from_secs(300);
/// The longest request of a browser that is read.
const LONGEST: u64 = 16 << 10;

#[derive(Serialize)]
struct Exchange<'a> {
    code: &'a str,
    verifier: &'a str,
}

/// What the browser brought back.
struct Answered {
    code: Zeroizing<String>,
}

/// Opens the browser, or says what to open, and waits for what comes back.
pub(super) fn token(context: &Context<'_>, client: &Client, tower: &TowerUrl, open: bool) -> Result<Object, Error> {
    let failed = || Error::file("listen on", "127.0.0.1");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed())?;
    let port = listener.local_addr().map_err(failed())?.port();
    let (verifier, state) = (random()?, random()?);
    let challenge = base16ct::lower::encode_string(&Sha256::digest(verifier.as_bytes()));
    let path = format!("/cli?port={port}&challenge={challenge}&state={}&host={}", *state, host());
    let url = tower.join(&path)?;
    context.screen.note(&format!("log in here, and allow it: {url}"));
    if open && !opened(url.as_str()) {
        context.screen.note("no browser could be opened on this machine; open the address in one here");
    }
    let answered = wait(listener, state)?;
    let body = Exchange { code: &answered.code, verifier: &verifier };
    let body = Zeroizing::new(serde_json::to_vec(&body).map_err(|error| Error::Output(error.into()))?);
    let answer = client.post(&Target::fixed("/v1/login/cli"), Payload::SecretJson(body))?;
    Ok(answer.content.as_json().and_then(crate::value::Value::as_object).cloned().unwrap_or_default())
}

/// 256 bits from the system, as text for URLs.
fn random() -> Result<Zeroizing<String>, Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    let filled = std::fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut *bytes));
    filled.map_err(Error::file("read", "/dev/urandom"))?;
    Ok(Zeroizing::new(base16ct::lower::encode_string(&*bytes)))
}

/// What this machine calls itself, for the person who is asked; nobody believes it.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().chars().filter(|c| c.is_ascii_alphanumeric() || "-.".contains(*c)).take(64).collect()
}

fn opened(url: &str) -> bool {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(program);
    let silent = command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    silent.spawn().is_ok()
}

/// Waits for the browser with this state. Others are answered, and not listened to.
fn wait(listener: TcpListener, state: Zeroizing<String>) -> Result<Answered, Error> {
    let (found, waiting) = mpsc::channel();
    // It ends with the program, or with the first answer.
    std::thread::spawn(move || {
        let answered = listener.incoming().flatten().find_map(|stream| answer(stream, &state));
        drop(answered.map(|answered| found.send(answered)));
    });
    let nobody = |_| Error::usage("nobody allowed the login in five minutes", "try again, or use --username");
    waiting.recv_timeout(PATIENCE).map_err(nobody)
}

/// Reads one request (RFC 9112 §3) and answers it; what it brought, if it is the one.
fn answer(stream: TcpStream, state: &str) -> Option<Answered> {
    stream.set_nonblocking(false).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut lines = BufReader::new(stream.try_clone().ok()?.take(LONGEST)).lines();
    let first = Zeroizing::new(lines.next()?.ok()?);
    for line in lines {
        if line.ok()?.is_empty() {
            break;
        }
    }
    let target = first.strip_prefix("GET /?")?.split(' ').next()?;
    let field = |name: &str| target.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let found = match (field("code"), field("state")) {
        (Some(code), Some(presented)) if same(presented, state) => {
            Some(Answered { code: Zeroizing::new(code.to_owned()) })
        }
        _ => None,
    };
    let (status, text) = match &found {
        Some(_) => ("200 OK", "You are logged in on the command line. You can close this page."),
        None => ("400 Bad Request", "This is not the answer that the command line waits for."),
    };
    // It stands alone: no style is fetched, and the browser's own follows the scheme and the width.
    let page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>supctl</title>\
         <meta name=viewport content=\"width=device-width, initial-scale=1\"><meta name=color-scheme content=\"light dark\">\
         <main><h1>supctl</h1><p>{text}</p></main>"
    );
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
         referrer-policy: no-referrer\r\nconnection: close\r\n\r\n",
        page.len()
    );
    let mut stream = stream;
    // A browser that has gone has still brought it.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(page.as_bytes()));
    found
}

/// In a time that does not depend on where they differ.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}
