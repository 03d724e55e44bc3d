//! Two processes of ours, and each with a foreign peer.

use keyward_keys::{Algorithm, KeySigner, KeyType, PrivateKey};
use keyward_svid::x509::authority::{Authority, AuthorityRequest, LeafRequest, Subject};
use keyward_svid::x509::chain_to_pem;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use time::{Duration, OffsetDateTime};

/// An authority, and a directory with SVIDs of its trust domain that goes with the test.
struct Domain {
    name: &'static str,
    authority: Authority<KeySigner>,
    directory: PathBuf,
}

impl Domain {
    fn new(name: &'static str, test: &str) -> Self {
        let signer = KeySigner::new(PrivateKey::generate(KeyType::EcdsaP256).unwrap(), Algorithm::Es256, None).unwrap();
        let (key, now) = (signer.public_key().clone(), OffsetDateTime::now_utc());
        let request = AuthorityRequest::new(name.parse().unwrap(), Subject::default(), now + Duration::days(30));
        let authority = Authority::self_signed(signer, &key, &request, &mut rand::rng(), now).unwrap();
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test).join(name);
        Self { name, authority, directory }
    }

    fn issue(&self, workload: &str) -> PathBuf {
        let key = PrivateKey::generate(KeyType::EcdsaP256).unwrap();
        let id = format!("spiffe://{}/{workload}", self.name).parse().unwrap();
        let request = LeafRequest::new(id, key.public_key(), Duration::HOUR).unwrap();
        let svid = self.authority.issue(&request, &mut rand::rng(), OffsetDateTime::now_utc()).unwrap();
        let directory = self.directory.join(workload);
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("svid.pem"), svid.chain_pem()).unwrap();
        std::fs::write(directory.join("key.pem"), key.to_pkcs8_pem().unwrap().as_bytes()).unwrap();
        std::fs::write(directory.join("bundle.pem"), chain_to_pem([self.authority.certificate()])).unwrap();
        directory
    }
}

/// A server of ours; it ends with the test.
struct Server {
    process: Child,
    output: BufReader<ChildStdout>,
    address: String,
}

impl Server {
    fn start(directory: &Path, pattern: &str) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_mtls-pair"))
            .args(["server", "127.0.0.1:0"])
            .arg(directory)
            .arg(pattern)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut server = Self { process, output, address: String::new() };
        server.address = server.line();
        server
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn port(&self) -> &str {
        self.address.rsplit_once(':').unwrap().1
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn client(address: &str, directory: &Path, pattern: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mtls-pair"))
        .args(["client", address])
        .arg(directory)
        .arg(pattern)
        .output()
        .unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn two_processes_meet_by_pattern() {
    let domain = Domain::new("example.org", "meet");
    let (db, web, cron) = (domain.issue("db"), domain.issue("web"), domain.issue("cron"));
    let mut server = Server::start(&db, "spiffe://example.org/web");

    let met = client(&server.address, &web, "spiffe://example.org/*");
    assert!(met.status.success(), "{}", text(&met));
    assert_eq!(text(&met), "spiffe://example.org/db: hello, spiffe://example.org/web\n");

    // Who is not named does not come in, and learns nothing.
    let refused = client(&server.address, &cron, "spiffe://example.org/*");
    assert!(!refused.status.success() && !text(&refused).contains("hello"), "{}", text(&refused));
    assert!(server.line().starts_with("refused: "));
    // A server that is not the one expected hears nothing.
    let refused = client(&server.address, &web, "spiffe://example.org/mail");
    assert!(!refused.status.success() && !text(&refused).contains("hello"), "{}", text(&refused));
    assert!(server.line().starts_with("refused: "));
    // The same name in another trust domain, or of another authority, is somebody else.
    for other in [Domain::new("example.com", "meet"), Domain::new("example.org", "meet-other")] {
        let refused = client(&server.address, &other.issue("web"), &format!("spiffe://{}/*", other.name));
        assert!(!refused.status.success() && !text(&refused).contains("hello"), "{}", text(&refused));
        assert!(server.line().starts_with("refused: "));
    }
}

/// A client of Python's `ssl`; says what the server said.
const PYTHON: &str = r#"
import socket, ssl, sys
port, directory = int(sys.argv[1]), sys.argv[2]
context = ssl.create_default_context(cafile=directory + "/bundle.pem")
context.check_hostname = False
context.load_cert_chain(directory + "/svid.pem", directory + "/key.pem")
with context.wrap_socket(socket.create_connection(("127.0.0.1", port))) as tls:
    print(tls.makefile().read(), [name for name in tls.getpeercert()["subjectAltName"]])
"#;

#[test]
#[ignore = "needs openssl and Python's ssl"]
fn foreign_clients_meet_our_server() {
    let domain = Domain::new("example.org", "foreign-clients");
    let (db, web, cron) = (domain.issue("db"), domain.issue("web"), domain.issue("cron"));
    let mut server = Server::start(&db, "spiffe://example.org/web");
    let python = |server: &Server, directory: &Path| {
        Command::new("python3").args(["-c", PYTHON, server.port()]).arg(directory).output().unwrap()
    };
    let met = python(&server, &web);
    assert_eq!(text(&met), "hello, spiffe://example.org/web\n [('URI', 'spiffe://example.org/db')]\n");
    let refused = python(&server, &cron);
    assert!(!refused.status.success() && !text(&refused).contains("hello"), "{}", text(&refused));
    assert!(server.line().starts_with("refused: "));

    let openssl = |server: &Server, directory: &Path| {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-verify_return_error", "-connect", &server.address]);
        for (flag, file) in [("-cert", "svid.pem"), ("-key", "key.pem"), ("-CAfile", "bundle.pem")] {
            command.arg(flag).arg(directory.join(file));
        }
        command.stdin(Stdio::null()).output().unwrap()
    };
    let met = openssl(&server, &web);
    assert!(text(&met).contains("Verify return code: 0 (ok)"), "{}", text(&met));
    let refused = openssl(&server, &cron);
    assert!(!text(&refused).contains("hello"), "{}", text(&refused));
    assert!(server.line().starts_with("refused: "));
}

/// A server of Python's `ssl` that greets who comes, one after the other.
const PYTHON_SERVER: &str = r#"
import socket, ssl
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile="bundle.pem")
context.verify_mode = ssl.CERT_REQUIRED
context.load_cert_chain("svid.pem", "key.pem")
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    try:
        with context.wrap_socket(listener.accept()[0], server_side=True) as tls:
            tls.sendall(b"hello, %s\n" % tls.getpeercert()["subjectAltName"][0][1].encode())
            tls.unwrap()
    except OSError:
        pass
"#;

#[test]
#[ignore = "needs Python's ssl"]
fn our_client_meets_a_foreign_server() {
    let domain = Domain::new("example.org", "foreign-server");
    let (db, web) = (domain.issue("db"), domain.issue("web"));
    let mut python = Command::new("python3");
    let mut process = python.args(["-c", PYTHON_SERVER]).current_dir(&db).stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(process.stdout.take().unwrap());
    let mut server = Server { process, output, address: String::new() };
    server.address = format!("127.0.0.1:{}", server.line());

    let met = client(&server.address, &web, "spiffe://example.org/db");
    assert_eq!(text(&met), "spiffe://example.org/db: hello, spiffe://example.org/web\n");
    let refused = client(&server.address, &web, "spiffe://example.org/mail");
    assert!(text(&refused).contains("NotAllowed") && !text(&refused).contains("hello"), "{}", text(&refused));
}
