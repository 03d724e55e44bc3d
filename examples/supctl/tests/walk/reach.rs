//! Which towers are trusted, and what is said when there is no answer: exit 3, what failed, and the remedy.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa};

use crate::mock::{Asked, Authority, Mock, Reply, json, text};
use crate::operator::Operator;

fn fine(_: &Asked) -> Reply {
    json(200, "[]")
}

const SHOW: [&str; 2] = ["show", "strongbox/policies"];

/// Something that listens, takes the first bytes, and does with the connection what it likes.
fn listen(mut with: impl FnMut(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            // What is left unread would turn the end of the connection into a reset.
            let _ = stream.read(&mut [0; 65536]);
            with(stream);
        }
    });
    address
}

#[track_caller]
fn unreachable(operator: &Operator, url: &str, what: &str, remedy: &str) {
    let mut args = vec!["--tower", url];
    args.extend(SHOW);
    let error = operator.run(&args).failed(3);
    assert!(error.starts_with(&format!("error: no answer from {url}: {what}")), "{error}");
    assert!(error.contains(&format!("  remedy: {remedy}")), "{error}");
}

#[test]
fn the_given_ca_is_trusted() {
    let ca = Authority::new();
    let tower = Mock::https(&ca, "localhost", fine);
    let operator = Operator::new().with("KEYWARD_TOWER", &tower.url);
    let file = ca.file(operator.home());
    operator.run(&["--ca", file.to_str().unwrap(), "show", "strongbox/policies"]).data();
    // The environment may hold the text itself.
    operator.with("KEYWARD_CA", ca.pem()).run(&SHOW).data();
}

#[test]
fn an_unknown_ca_is_not_trusted_and_the_remedy_is_named() {
    let tower = Mock::https(&Authority::new(), "localhost", fine);
    unreachable(
        &Operator::new(),
        &tower.url,
        "TLS: its certificate is signed by a CA that this machine does not trust",
        "pass the CA of this tower, for example --ca tower-data/ca.pem",
    );
    assert!(tower.asked().is_empty());
}

#[test]
fn another_ca_is_not_trusted() {
    let tower = Mock::https(&Authority::new(), "localhost", fine);
    let operator = Operator::new().with("KEYWARD_CA", Authority::new().pem());
    let what = "TLS: its certificate is not signed by the given CA";
    unreachable(&operator, &tower.url, what, "pass the CA of this tower, for example --ca tower-data/ca.pem");
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let ca = Authority::new();
    let tower = Mock::https(&ca, "tower.example.com", fine);
    let operator = Operator::new().with("KEYWARD_CA", ca.pem());
    unreachable(
        &operator,
        &tower.url,
        "TLS: its certificate is not for `localhost:",
        "use a name that the certificate has",
    );
}

/// What people make with openssl, and what becomes of certificates.
#[test]
fn a_certificate_that_no_server_should_show_is_refused_in_words() {
    let ca = Authority::new();
    let named = || CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let mut authority = named();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut for_clients = named();
    for_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let (mut expired, mut early) = (named(), named());
    expired.not_after = rcgen::date_time_ymd(2020, 1, 1);
    early.not_before = rcgen::date_time_ymd(4000, 1, 1);
    let replace = "give the tower a --tls-cert that is made for servers, with CA:FALSE and its name as subjectAltName";
    for (certificate, what, remedy) in [
        (authority, "is an authority's own (CA:TRUE), and none for a server", replace),
        (for_clients, "is not one for servers (its extended key usage lacks serverAuth)", replace),
        (CertificateParams::new(vec![]).unwrap(), "has no name of a server (no subjectAltName)", replace),
        (expired, "expired", "check the clocks of both machines, or give the tower a new certificate"),
        (early, "is not valid yet", "check the clocks of both machines"),
    ] {
        let tower = Mock::showing(&ca, certificate, fine);
        let operator = Operator::new().with("KEYWARD_CA", ca.pem());
        unreachable(&operator, &tower.url, &format!("TLS: its certificate {what}\n"), remedy);
        assert!(tower.asked().is_empty());
    }
}

#[test]
fn https_to_a_server_without_it() {
    let plain = listen(|mut stream| stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap());
    let remedy = "check host and port in --tower";
    unreachable(&Operator::new(), &format!("https://{plain}"), "TLS: the other side does not speak it", remedy);
    let silent = listen(drop);
    let remedy = "check that the tower runs";
    unreachable(&Operator::new(), &format!("https://{silent}"), "TLS: the other side closed the connection", remedy);
}

#[test]
fn nothing_listens() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}");
    unreachable(
        &Operator::new(),
        &url,
        "connection refused",
        "check that the tower runs, and --tower or KEYWARD_TOWER",
    );
}

#[test]
fn a_connection_that_breaks() {
    let url = format!("http://{}", listen(drop));
    unreachable(&Operator::new(), &url, "the connection broke", "check that --tower is the URL of a control tower");
}

#[test]
fn an_answer_that_breaks_off() {
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{";
    let url = format!("http://{}", listen(|mut stream| stream.write_all(cut).unwrap()));
    unreachable(&Operator::new(), &url, "the answer broke off", "what was asked for may have been done");
}

#[test]
fn what_answers_is_no_tower() {
    let remedy = "check that --tower is the URL of a control tower";
    let broken = Mock::http(|_| json(200, "<html>"));
    unreachable(&Operator::new(), &broken.url, "the answer is broken JSON", remedy);
    // A redirect is not followed: the next request could carry a token elsewhere.
    let redirect = Mock::http(|_| text(302, "text/html", "").with("location", "http://localhost:1/"));
    unreachable(&Operator::new(), &redirect.url, "it answered 302 Found, which no tower does", remedy);
    assert_eq!(redirect.asked().len(), 1);
}

#[test]
fn addresses_that_are_refused_before_anything_is_sent() {
    let operator = Operator::new();
    let error = operator.run(&["--tower", "http://tower.example.com", "show", "x"]).failed(2);
    assert!(error.contains("plain HTTP would show passwords and tokens to the network"), "{error}");
    let error = operator.run(&["--ca", "nonexistent.pem", "show", "x"]).failed(2);
    assert!(error.contains("cannot read `nonexistent.pem`"), "{error}");
    operator.file("empty.pem", "");
    let error = operator.run(&["--ca", "/dev/zero", "show", "x"]).failed(2);
    assert!(error.contains("cannot read `/dev/zero`: it is longer than 1 MiB"), "{error}");
    let error = operator.run(&["create", "x/y", "-f", "/dev/zero"]).failed(2);
    assert!(error.contains("cannot read `/dev/zero`: it is longer than 64 MiB"), "{error}");
    let error = operator.run(&["--ca", "empty.pem", "show", "x"]).failed(2);
    assert!(error.contains("CA `empty.pem` holds no PEM certificate"), "{error}");
}
