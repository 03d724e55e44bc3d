//! Logging in and out.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::mpsc;

use serde_json::json as value;

use crate::mock::{Asked, Authority, Mock, Reply, json};
use crate::operator::Operator;

const GRANTED: &str = r#"{"token":"tok-3cr3t","accessor":"acc","expires-in":3600,"expires":"2026-11-02T10:00:00Z","creation-time":"2026-11-02T09:00:00Z","policies":["administrator"]}"#;

fn granting(_: &Asked) -> Reply {
    json(200, GRANTED)
}

#[test]
fn a_piped_password_is_sent_and_the_token_saved() {
    let tower = Mock::http(granting);
    let operator = Operator::new();
    let args = ["--tower", &tower.url, "login", "--tenant", "acme", "--username", "ops@example.com"];
    let outcome = operator.run_with(&args, "hunter2 \n");
    assert!(!outcome.err.contains("tok-3cr3t"));
    assert_eq!(
        outcome.data(),
        format!(
            "tower       {}\ntenant      acme\nusername    ops@example.com\nexpires     2026-11-02T10:00:00Z\nexpires-in  3600\npolicies    administrator\n",
            tower.url
        )
    );
    let asked = tower.only();
    assert_eq!(asked.line(), "POST /v1/login");
    assert_eq!(asked.body, r#"{"username":"ops@example.com","password":"hunter2 ","tenant":"acme"}"#);
    assert_eq!(asked.header("authorization"), None);
    assert_eq!(
        operator.session(),
        value!({"format": 1, "tower": tower.url, "tenant": "acme", "token": "tok-3cr3t", "expires": "2026-11-02T10:00:00Z"})
    );
}

#[test]
fn password_file_and_one_time_code() {
    let tower = Mock::http(granting);
    let operator = Operator::new().with("KEYWARD_TOWER", &tower.url);
    operator.file("password", "hunter2\nsecond line\n");
    let args = ["login", "--username", "ops", "--password-file", "password", "--otp"];
    operator.run_with(&args, "123456\n").data();
    assert_eq!(tower.only().body, r#"{"username":"ops","password":"hunter2","otp":"123456"}"#);
}

#[test]
fn the_command_line_holds_no_secret() {
    let (arrived, wait_arrived) = mpsc::channel();
    let (go_on, wait_go_on) = mpsc::channel::<()>();
    let tower = Mock::http(move |asked| {
        arrived.send(asked.body.clone()).unwrap();
        wait_go_on.recv().unwrap();
        json(200, GRANTED)
    });
    let operator = Operator::new();
    let mut child = operator.start(&["--tower", &tower.url, "login", "--username", "ops"]);
    child.stdin.take().unwrap().write_all(b"hunter2\n").unwrap();
    assert!(wait_arrived.recv().unwrap().contains("hunter2"), "the password is on its way");
    for file in ["cmdline", "environ"] {
        let seen = String::from_utf8_lossy(&fs::read(format!("/proc/{}/{file}", child.id())).unwrap()).into_owned();
        assert!(!seen.is_empty() && !seen.contains("hunter2"), "{seen}");
    }
    go_on.send(()).unwrap();
    Operator::end(child).data();
    let error = operator.run(&["login", "--username", "ops", "--password", "hunter2"]).failed(2);
    assert!(error.contains("unexpected argument '--password'"), "{error}");
}

fn bootstrap(tower: &Mock, ca: &str) -> String {
    format!(
        "{{\"url\":\"{}\",\"ca-cert\":{ca:?},\"tenant\":\"default\",\"tenant-id\":\"1\",\"username\":\"admin\",\"password\":\"hunter2\"}}\n",
        tower.url
    )
}

#[test]
fn a_new_tower_is_entered_by_its_own_line() {
    let ca = Authority::new();
    let tower = Mock::https(&ca, "localhost", granting);
    let operator = Operator::new();
    let ca_file = fs::canonicalize(ca.file(operator.home())).unwrap();
    // The path in the line is relative, as the tower prints it by default.
    operator.file("tower.json", &format!("{}control tower is ready\n", bootstrap(&tower, "ca.pem")));
    let outcome = operator.run(&["login", "--bootstrap", "tower.json"]);
    assert!(!outcome.out.contains("hunter2") && !outcome.err.contains("hunter2"));
    assert!(outcome.err.starts_with("warning: others can read the file and the password in it"), "{outcome:?}");
    outcome.data();
    assert_eq!(tower.only().body, r#"{"username":"admin","password":"hunter2","tenant":"default"}"#);
    let session = operator.session();
    assert_eq!(session["ca"], value!(ca_file));
    assert!(!session.to_string().contains("hunter2"), "the password is not kept");
    // What was saved is enough, from any directory.
    operator.run(&["show", "strongbox/policies"]).data();
    assert_eq!(tower.asked()[1].header("authorization"), Some("Bearer tok-3cr3t"));
}

#[test]
fn the_line_is_taken_from_a_pipe_that_stays_open() {
    let tower = Mock::http(granting);
    let operator = Operator::new();
    let ca = Authority::new().file(operator.home());
    let mut child = operator.start(&["login", "--bootstrap", "-"]);
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(bootstrap(&tower, ca.to_str().unwrap()).as_bytes()).unwrap();
    let output = child.wait().unwrap();
    assert_eq!(output.code(), Some(0));
    drop(pipe);
    operator.session();
}

#[test]
fn a_file_without_the_line_is_a_usage_error() {
    let operator = Operator::new();
    operator.file("tower.json", "ready\n");
    let error = operator.run(&["login", "--bootstrap", "tower.json"]).failed(2);
    assert!(error.contains("`tower.json` has no line of a first start"), "{error}");
}

#[test]
fn a_wrong_password_saves_nothing() {
    let tower = Mock::http(|_| json(401, r#"{"errors":[{"error-message":"invalid username or password"}]}"#));
    let operator = Operator::new().with("KEYWARD_TOWER", &tower.url);
    let error = operator.run_with(&["login", "--username", "ops"], "wrong\n").failed(1);
    assert!(
        error.starts_with("error: invalid username or password\n  remedy: check tenant, username and password"),
        "{error}"
    );
    assert!(!error.contains("token expired"));
    assert!(!operator.session_path().exists());
}

#[test]
fn an_answer_without_a_token_is_no_login() {
    let tower = Mock::http(|_| json(200, "{}"));
    let operator = Operator::new().with("KEYWARD_TOWER", &tower.url);
    let error = operator.run_with(&["login", "--username", "ops"], "x\n").failed(3);
    assert!(error.contains("it answered the login without a token"), "{error}");
    assert!(!operator.session_path().exists());
}

#[test]
fn who_is_not_asked_has_to_say() {
    let operator = Operator::new();
    let error = operator.run(&["login"]).failed(2);
    assert!(error.contains("no username is given") && error.contains("--bootstrap"), "{error}");
    let error = operator.run_with(&["login", "--username", "ops"], "\n").failed(2);
    assert!(error.contains("the password is empty"), "{error}");
}

fn logged_in(tower: &Mock) -> Operator {
    let operator = Operator::new();
    operator.run_with(&["--tower", &tower.url, "login", "--username", "ops"], "hunter2\n").data();
    operator
}

#[test]
fn a_token_goes_to_its_own_tower_only() {
    let own = Mock::http(granting);
    let other = Mock::http(|_| json(401, r#"{"errors":[{"error-message":"no token"}]}"#));
    let operator = logged_in(&own);
    let error = operator.run(&["--tower", &other.url, "show", "strongbox/policies"]).failed(1);
    assert_eq!(other.only().header("authorization"), None);
    assert_eq!(error, "error: no token\n  remedy: not logged in: run supctl login\n");
}

#[test]
fn the_token_of_the_environment_wins() {
    let tower = Mock::http(granting);
    let operator = logged_in(&tower).with("KEYWARD_TOKEN", "other");
    operator.run(&["show", "strongbox/policies"]).data();
    assert_eq!(tower.asked()[1].header("authorization"), Some("Bearer other"));
}

#[test]
fn a_session_that_others_can_read_is_made_private() {
    let tower = Mock::http(granting);
    let operator = logged_in(&tower);
    fs::set_permissions(operator.session_path(), fs::Permissions::from_mode(0o666)).unwrap();
    operator.run(&["show", "strongbox/policies"]).data();
    operator.session();
}

#[test]
fn a_broken_session_says_so_and_does_not_stop_a_login() {
    let tower = Mock::http(granting);
    let operator = logged_in(&tower);
    fs::write(operator.session_path(), "{\"token\":\"tok-3cr3t\"").unwrap();
    let error = operator.run(&["show", "strongbox/policies"]).failed(2);
    assert!(error.contains("not a saved login") && error.contains("supctl login"), "{error}");
    assert!(!error.contains("tok-3cr3t"));
    operator.run_with(&["--tower", &tower.url, "login", "--username", "ops"], "hunter2\n").data();
}

#[test]
fn logout_revokes_and_forgets() {
    let tower = Mock::http(granting);
    let operator = logged_in(&tower);
    let outcome = operator.run(&["logout"]);
    assert_eq!((outcome.code, outcome.err.as_str()), (0, "logged out\n"));
    let asked = tower.asked();
    assert_eq!(asked[1].line(), "POST /v1/state/strongbox/token/revoke");
    assert_eq!(asked[1].header("authorization"), Some("Bearer tok-3cr3t"));
    assert_eq!(operator.session(), value!({"format": 1, "tower": tower.url}));
    assert_eq!(operator.run(&["logout"]).err, "not logged in\n");
    // The next login needs no flags, and until then no token is sent.
    operator.run(&["show", "strongbox/policies"]).data();
    assert_eq!(tower.asked()[2].header("authorization"), None);
    operator.run_with(&["login", "--username", "ops"], "hunter2\n").data();
}

#[test]
fn the_next_login_is_to_the_same_tenant() {
    let tower = Mock::http(granting);
    let operator = Operator::new();
    operator.run_with(&["--tower", &tower.url, "login", "--tenant", "acme", "--username", "ops"], "hunter2\n").data();
    operator.run_with(&["login", "--username", "ops"], "hunter2\n").data();
    assert!(tower.asked()[1].body.contains(r#""tenant":"acme""#));
}

#[test]
fn logout_forgets_whatever_the_tower_says() {
    for (status, code) in [(401, 0), (503, 1)] {
        let tower =
            Mock::http(move |asked| if asked.target == "/v1/login" { json(200, GRANTED) } else { json(status, "{}") });
        let operator = logged_in(&tower);
        assert_eq!(operator.run(&["logout"]).code, code);
        assert_eq!(operator.session().get("token"), None);
    }
}

#[test]
fn the_browser_brings_a_code_that_the_tower_exchanges() {
    use sha2::Digest as _;
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::net::TcpStream;

    let granted = GRANTED.replacen('{', r#"{"username":"ops@example.com","tenant":"acme","#, 1);
    let tower = Mock::http(move |_| json(200, &granted));
    let operator = Operator::new();
    let mut child = operator.start(&["--tower", &tower.url, "login", "--browser", "--no-open"]);
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    err.read_line(&mut line).unwrap();
    let url = line.split_whitespace().find(|word| word.starts_with("http")).unwrap().to_owned();
    let query = url.strip_prefix(&format!("{}/cli?", tower.url)).unwrap().to_owned();
    let field =
        |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}="))).unwrap().to_owned();
    let visit = |target: &str| {
        let mut stream = TcpStream::connect(format!("127.0.0.1:{}", field("port"))).unwrap();
        write!(stream, "GET {target} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    // What another page makes the browser ask for is not listened to.
    assert!(visit("/?code=stolen&state=another").starts_with("HTTP/1.1 400"));
    visit("/favicon.ico");
    assert!(visit(&format!("/?code=abc&state={}", field("state"))).contains("You can close this page"));
    let mut rest = String::new();
    err.read_to_string(&mut rest).unwrap();
    assert!(child.wait().unwrap().success() && rest.contains("logged in") && !rest.contains("tok-3cr3t"), "{rest}");
    let asked = tower.only();
    assert_eq!(asked.line(), "POST /v1/login/cli");
    let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(body["code"], "abc");
    let hash = sha2::Sha256::digest(body["verifier"].as_str().unwrap());
    assert_eq!(hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>(), field("challenge"));
    assert_eq!((&operator.session()["tenant"], &operator.session()["token"]), (&value!("acme"), &value!("tok-3cr3t")));
    assert_eq!(fs::metadata(operator.session_path()).unwrap().permissions().mode() & 0o777, 0o600);
}
